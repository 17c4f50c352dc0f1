"""What a restore complains about, item by item: is a file's content missing, or only its owner, times or attributes?

restic ends with 1 in either case, so its error lines are read. They may turn a failure into a degraded success only
where nothing else can be meant: each line that restic counted was heard, begins with a call that restic makes after
the content was written, and ends with an answer that a file which is there gives. `chmod` is not among them (restic
also says it when it cannot open a file for writing), nor is a file that is not there. What is unknown is content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pkg.restic.messages import ItemError

KEPT_PATHS = 20
_KEPT_CONTENT = 3
_REFUSED = (
    r"operation not permitted|permission denied|operation not supported|not supported|function not implemented"
    r"|invalid argument|value too large for defined data type"
)
_NO_ROOM = r"no space left on device|disk quota exceeded|numerical result out of range|argument list too long"
_METADATA = re.compile(
    rf"lchown /.*: (?:{_REFUSED})"
    rf"|xattr\.L(?:Set|Remove|List) /.*: (?:{_REFUSED}|{_NO_ROOM})"
    rf'|failed to restore timestamp of "/.*": (?:{_REFUSED})',
    re.DOTALL,
)
_TOTAL = re.compile(r"(?:Fatal: )?There were (\d+) errors")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetadataFailures:
    """Items whose content is there and whose owner, times or extended attributes are not as they were.

    Attributes:
        paths: The first 20.
        first: What was said of the first one.
    """

    count: int = 0
    paths: tuple[str, ...] = ()
    first: str = ""


@dataclass(slots=True)
class Complaints:
    """Counts a restore's error lines; bounded, however many there are.

    Attributes:
        total: All of them.
        content: The first three that are about contents, or not known.
    """

    total: int = 0
    content: list[ItemError] = field(default_factory=list)
    _about_content: int = 0
    _paths: dict[str, None] = field(default_factory=dict)
    _first: str = ""

    def hear(self, error: ItemError) -> bool:
        """Takes one line in; returns whether it is about contents, or not known."""
        self.total += 1
        if is_metadata(error.error.message):
            self._first = self._first or error.error.message
            if len(self._paths) < KEPT_PATHS:
                self._paths.setdefault(error.item)
            return False
        self._about_content += 1
        if len(self.content) < _KEPT_CONTENT:
            self.content.append(error)
        return True

    @property
    def metadata(self) -> MetadataFailures:
        """Those that are about metadata; an item is reported once at most."""
        return MetadataFailures(count=self.total - self._about_content, paths=tuple(self._paths), first=self._first)

    def only_metadata(self, exit_code: int, exit_message: str) -> bool:
        """Whether restic ended as it did for want of metadata only, and each of its errors was heard."""
        said = _TOTAL.fullmatch(exit_message)
        heard_all = said is not None and int(said[1]) == self.total
        return exit_code == 1 and heard_all and self.total > 0 and not self._about_content


def is_metadata(message: str) -> bool:
    """Whether an error line says that only an item's owner, times or extended attributes could not be set."""
    return _METADATA.fullmatch(message) is not None
