"""What restic says, line by line: JSON where it can, text where it cannot; both go through here.

Unknown kinds and fields are ignored, because new ones may come at any time. A line that is no message of ours
decodes to None and is only kept in the tail for people.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="message_type"):
    """Base of restic's messages."""


class Status(_Message, frozen=True, kw_only=True, tag="status"):
    """How far restic is; a backup's `*_done` and a restore's `*_restored` are told apart by their names."""

    total_files: int = 0
    files_done: int = 0
    files_restored: int = 0
    files_skipped: int = 0
    total_bytes: int = 0
    bytes_done: int = 0
    bytes_restored: int = 0
    bytes_skipped: int = 0
    error_count: int = 0
    current_files: tuple[str, ...] | None = None


class Summary(_Message, frozen=True, kw_only=True, tag="summary"):
    """The last line of a backup that made a snapshot, of a restore (which does not mean that it succeeded), of a check.

    Attributes:
        num_errors: What a check found; `broken_packs` are ids of files whose content is damaged.
    """

    snapshot_id: str = ""
    total_files_processed: int = 0
    total_bytes_processed: int = 0
    data_added: int = 0
    data_added_packed: int = 0
    total_duration: float = 0.0
    total_files: int = 0
    files_restored: int = 0
    files_skipped: int = 0
    total_bytes: int = 0
    bytes_restored: int = 0
    bytes_skipped: int = 0
    num_errors: int = 0
    broken_packs: tuple[str, ...] | None = None
    suggest_repair_index: bool = False
    suggest_prune: bool = False


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True):
    """The inner part of an error message."""

    message: str = ""


class ItemError(_Message, frozen=True, kw_only=True, tag="error"):
    """One item that failed; the same one may be reported twice (`during` scan and archival)."""

    error: ErrorDetail = ErrorDetail()
    message: str = ""
    during: str = ""
    item: str = ""

    @property
    def text(self) -> str:
        """What is wrong; a check says it beside the detail, where the others say it inside."""
        return self.error.message or self.message


class ExitError(_Message, frozen=True, kw_only=True, tag="exit_error"):
    """Why restic ends; the last line on standard error."""

    code: int = 0
    message: str = ""


class Initialized(_Message, frozen=True, kw_only=True, tag="initialized"):
    """A repository was made."""

    id: str = ""


class Version(_Message, frozen=True, kw_only=True, tag="version"):
    """What restic it is."""

    version: str = ""


Message: TypeAlias = Status | Summary | ItemError | ExitError | Initialized | Version
M = TypeVar("M", bound=Message)
_decoder = msgspec.json.Decoder(Status | Summary | ItemError | ExitError | Initialized | Version)


class RepositoryConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `cat config`."""

    id: str
    version: int = 0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `snapshots --json`.

    Attributes:
        original: Id of the snapshot that somebody made this one of, by `restic copy`, `tag` or `rewrite`.
    """

    id: str
    time: str = ""
    original: str = ""
    tags: tuple[str, ...] | None = None
    paths: tuple[str, ...] | None = None
    summary: Summary | None = None

    def tag(self, key: str) -> str:
        """The value of a tag `key=value`; empty when there is none."""
        start = f"{key}="
        return next((tag.removeprefix(start) for tag in self.tags or () if tag.startswith(start)), "")


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of `key list --json`; `current` marks the one that opened the repository."""

    id: str
    current: bool = False


def decode_line(line: bytes) -> Message | None:
    """The message in a line; None for text, unknown kinds and fields of unexpected type."""
    if not line.startswith(b"{"):
        return None
    try:
        message: Message = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return message


def is_noise(line: bytes) -> bool:
    """Whether a line is no JSON at all; kinds and fields that we do not know are none."""
    if not line.strip():
        return False
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    return False


def redacted_message(message: M, redacted: Callable[[str], str]) -> M:
    """The message with restic's own words redacted."""
    match message:
        case ExitError():
            return msgspec.structs.replace(message, message=redacted(message.message))
        case ItemError():
            inner = ErrorDetail(message=redacted(message.error.message))
            return msgspec.structs.replace(message, error=inner, message=redacted(message.message))
    return message
