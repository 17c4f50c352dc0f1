"""The results and the log of a restore, made small enough for a ConfigMap: the first results, the end of the log."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass

from pkg.restore.results import RestoreResult, RestoreResults, decode_results, encode_results

PART_BYTES = 400 * 1024  # of each of two parts: the API server takes 1 MiB of a ConfigMap, its own JSON included
_TEXT_CHARACTERS = 500
_TAIL_BYTES = 8 * 1024 * 1024
_CHUNK_BYTES = 1 << 20


def bounded_results(data: bytes, limit_bytes: int = PART_BYTES) -> bytes:
    """A results file that is not larger; what is left out is counted in a line of its own."""
    if len(data) <= limit_bytes:
        return data
    results, kept = decode_results(data), 1 << 14
    while len(data) > limit_bytes and kept:
        kept //= 2
        data = encode_results(
            RestoreResults(warnings=_first(results.warnings, kept), errors=_first(results.errors, kept))
        )
    return data


def bounded_log(data: bytes, limit_bytes: int = PART_BYTES) -> bytes:
    """The end of a log file, from the beginning of a line."""
    if len(data) <= limit_bytes:
        return data
    tail = _tail(data)
    while len(data) > limit_bytes:
        tail = tail[len(tail) // 2 :]
        tail = tail[tail.find(b"\n") + 1 :]
        data = gzip.compress(b"... the beginning is left out\n" + tail, mtime=0)
    return data


def _tail(data: bytes) -> bytes:
    """The last MiBs of a gzip file, without holding more than that."""
    tail = b""
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        while chunk := file.read(_CHUNK_BYTES):
            tail = (tail + chunk)[-_TAIL_BYTES:]
    return tail


@dataclass(slots=True)
class _Quota:
    left: int
    dropped: int = 0

    def take(self, texts: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """The first texts, as many as are left, each cut."""
        kept = tuple(text[:_TEXT_CHARACTERS] for text in (texts or ())[: self.left])
        self.left -= len(kept)
        self.dropped += len(texts or ()) - len(kept)
        return kept or None


def _first(result: RestoreResult, count: int) -> RestoreResult:
    quota = _Quota(count)
    ark, cluster = quota.take(result.ark), quota.take(result.cluster)
    taken = {name: quota.take(texts) for name, texts in (result.namespaces or {}).items()}
    namespaces = {name: texts for name, texts in taken.items() if texts}
    if quota.dropped:
        ark = (*(ark or ()), f"{quota.dropped} more are not listed here")
    return RestoreResult(ark=ark, cluster=cluster, namespaces=namespaces or None)
