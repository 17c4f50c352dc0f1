"""What is left of a restic call when its process has ended; secrets are already out of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from pkg.restic.messages import ExitError, Initialized, ItemError, Message, Summary, Version

_RETRY = re.compile(r"^\w+\(<?\w+/.*?\) (?:returned error, retrying after [^:]+|failed): (.*)$", re.MULTILINE)


class Ended(Enum):
    """Who ended the process."""

    ITSELF = "itself"
    STOPPED = "our stop token"
    NO_PROGRESS = "our no-progress deadline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A call whose process has ended.

    Attributes:
        exit_code: 128 + n when signal n ended it.
        stdout: All of standard output of a call that answers with a document; empty for calls that report lines.
        stderr_tail: The end of standard error, 2 KiB at most.
        messages: All but progress and item errors; those went to `on_message` only.
        item_errors: The first 20 item errors.
        noise_lines: Lines that should have been JSON and were not; the first three in `noise`.
        stop_reason: The stop token's reason, when it ended the call.
        silent_seconds: How long nothing was allowed to move.
        reports_progress: Whether the call would have reported progress; false for those that only answer.
        pid: Number that the process had; 0 when none was started.
        files_done: How many files it was through with, when it said so last.
        killed_because: Why we killed it for want of memory, or the kernel did; empty where nobody did.
        was_short_of_memory: Of one that was killed by somebody else: False where the kernel says that it was not it.
    """

    verb: str
    repository: str
    exit_code: int
    stdout: bytes = b""
    stderr_tail: str = ""
    messages: tuple[Message, ...] = ()
    item_errors: tuple[ItemError, ...] = ()
    noise_lines: int = 0
    noise: tuple[str, ...] = ()
    ended: Ended = Ended.ITSELF
    stop_reason: str = ""
    silent_seconds: float = 0.0
    reports_progress: bool = True
    seconds: float = 0.0
    pid: int = 0
    files_done: int = 0
    killed_because: str = ""
    was_short_of_memory: bool = True

    @property
    def summary(self) -> Summary | None:
        """The last summary; None when restic gave none."""
        return next((m for m in reversed(self.messages) if isinstance(m, Summary)), None)

    @property
    def initialized(self) -> Initialized | None:
        """What `init` made; None when it made nothing."""
        return next((m for m in self.messages if isinstance(m, Initialized)), None)

    @property
    def version(self) -> Version | None:
        """What `version` said."""
        return next((m for m in self.messages if isinstance(m, Version)), None)

    @property
    def exit_message(self) -> str:
        """Restic's own last word; empty when it had none."""
        return next((m.message for m in reversed(self.messages) if isinstance(m, ExitError)), "")

    @property
    def words(self) -> str:
        """All that may name a reason: the last word, the item errors."""
        return "\n".join((self.exit_message, *(e.text for e in self.item_errors)))

    @property
    def last_retry(self) -> str:
        """What restic last complained about before it tried again; empty when it never did."""
        complaints = [match[1] for match in _RETRY.finditer(self.stderr_tail)]
        return complaints[-1].strip() if complaints else ""
