"""Every warning and error of a restore, as 0.9 wrote them into `restore-<name>-results.gz`.

The file holds `{"warnings": R, "errors": R}` with R = `{"ark": [..], "cluster": [..], "namespaces": {ns: [..]}}`.
Counts are exact; texts are kept up to a limit, so that a restore of which nothing works cannot exhaust the memory.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from pkg.apis.meta import ApiStruct
from pkg.apis.reasons import BackupPhase, Reason

TEXT_LIMIT = 5000
_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 300


class RestoreResult(ApiStruct, frozen=True, kw_only=True, omit_defaults=False):
    """Texts about Ark's own work, cluster-scoped objects, and the objects of each (target) namespace."""

    ark: tuple[str, ...] | None = None
    cluster: tuple[str, ...] | None = None
    namespaces: dict[str, tuple[str, ...]] | None = None


class RestoreResults(ApiStruct, frozen=True, kw_only=True, omit_defaults=False):
    """What the file holds."""

    warnings: RestoreResult = RestoreResult()
    errors: RestoreResult = RestoreResult()


class Texts:
    """Collects the texts of one kind; `first` holds a few as examples."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []
        self._ark: list[str] = []
        self._cluster: list[str] = []
        self._namespaces: dict[str, list[str]] = {}

    def ark(self, text: str) -> None:
        """Something about Ark's own work."""
        self._add(self._ark, text)

    def about(self, namespace: str, text: str) -> None:
        """Something about an object; an empty namespace stands for cluster-scoped ones."""
        self._add(self._namespaces.setdefault(namespace, []) if namespace else self._cluster, text)

    def result(self) -> RestoreResult:
        """What was collected."""
        ark = list(self._ark)
        if self.count > TEXT_LIMIT:
            ark.append(f"{self.count - TEXT_LIMIT} more are not listed here")
        return RestoreResult(
            ark=tuple(ark) or None,
            cluster=tuple(self._cluster) or None,
            namespaces={name: tuple(texts) for name, texts in self._namespaces.items() if texts} or None,
        )

    def _add(self, texts: list[str], text: str) -> None:
        self.count += 1
        if self.count <= _EXAMPLES:
            self.first.append(text)
        if self.count <= TEXT_LIMIT:
            texts.append(text)


class Results:
    """The warnings and errors of a restore.

    Attributes:
        pods_existing: Pods that prevented a volume's restore.
        volumes_failed: Volumes that are not restored.
        namespaces_terminating: Namespaces that did not go in time.
        hooks_failed: Post-restore hooks that failed or never ran.
    """

    def __init__(self) -> None:
        self.warnings = Texts()
        self.errors = Texts()
        self.pods_existing = 0
        self.volumes_failed = 0
        self.namespaces_terminating = 0
        self.hooks_failed = 0

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The errors that a status tells apart, in the order in which one becomes its reason."""
        return (
            Kind(self.pods_existing, "pod", "existed already, so the volumes were not restored", Reason.POD_EXISTS),
            Kind(self.namespaces_terminating, "namespace", "still being deleted", Reason.NAMESPACE_TERMINATING),
            Kind(self.volumes_failed, "volume", "not restored", Reason.VOLUMES_MISSING),
            Kind(self.hooks_failed, "hook", "failed", Reason.HOOK_FAILED),
        )

    def encoded(self) -> bytes:
        """The file's contents."""
        return encode_results(RestoreResults(warnings=self.warnings.result(), errors=self.errors.result()))


def encode_results(results: RestoreResults) -> bytes:
    """The results file; the same results give the same bytes."""
    return gzip.compress(msgspec.json.encode(results) + b"\n", mtime=0)


def decode_results(data: bytes) -> RestoreResults:
    """Reads a results file, gunzipped or not.

    Raises:
        ValueError: it does not decode.
    """
    try:
        text = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        return msgspec.json.decode(text, type=RestoreResults)
    except (OSError, EOFError, zlib.error, msgspec.DecodeError) as error:
        raise ValueError(f"the results do not decode: {error}") from error


class Kind(NamedTuple):
    """Errors of one kind: how many, of what, what is wrong with them, and the reason that they give the Restore."""

    number: int
    noun: str
    text: str
    reason: Reason


def phase_of(
    *, errors: int, kinds: Sequence[Kind], cancelled: bool, examples: Sequence[str] = ()
) -> tuple[BackupPhase, Reason | None, str]:
    """The phase, reason and message of a restore whose engine came to its end; the message quotes some errors."""
    found = [kind for kind in kinds if kind.number]
    others = errors - sum(kind.number for kind in found)
    if others > 0:
        found.append(Kind(others, "error", "", Reason.ITEM_ERRORS))
    parts = ["canceled"] if cancelled else []
    parts += [f"{_count(kind.number, kind.noun)} {kind.text}".rstrip() for kind in found]
    if not parts:
        return BackupPhase.COMPLETED, None, ""
    reason = Reason.CANCELED if cancelled else found[0].reason
    quoted = " | ".join(text[:_EXAMPLE_CHARACTERS] for text in examples)
    return BackupPhase.PARTIALLY_FAILED, reason, "; ".join(parts) + (f": {quoted}" if quoted else "")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
