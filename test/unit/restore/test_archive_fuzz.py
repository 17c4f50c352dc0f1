"""Whatever a tarball holds, it is opened or called damaged; nothing else comes out."""

from __future__ import annotations

import contextlib
import gzip
import io
import tarfile

from hypothesis import given, settings
from hypothesis import strategies as st

from pkg.restore.archive import entry_of, open_archive
from pkg.restore.errors import BackupDamagedError


def tarball() -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for number in range(3):
            info = tarfile.TarInfo(f"resources/pods/namespaces/shop/web-{number}-{'x' * 90 * number}.json")
            info.size = 2
            tar.addfile(info, io.BytesIO(b"{}"))
    return raw.getvalue()


TAR = tarball()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(TAR) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_changed_tar_is_opened_or_damaged(changes: list[tuple[int, int]]) -> None:
    data = bytearray(TAR)
    for at, value in changes:
        data[at] = value
    with contextlib.suppress(BackupDamagedError):
        archive = open_archive(io.BytesIO(gzip.compress(bytes(data), 1)), sha256="", scratch_dir=None)
        for entry in archive.entries:
            assert entry.size <= len(TAR)
        archive.close()


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=600))
def test_anything_else_is_damaged(data: bytes) -> None:
    with contextlib.suppress(BackupDamagedError):
        open_archive(io.BytesIO(data), sha256="", scratch_dir=None).close()


@given(st.lists(st.sampled_from(["resources", "pods", "namespaces", "cluster", "..", ".", "", "a.json"]), max_size=7))
def test_no_name_leads_out(parts: list[str]) -> None:
    with contextlib.suppress(BackupDamagedError):
        entry = entry_of("/".join(parts), offset=0, size=0)
        assert entry is None or "/" not in entry.namespace + entry.name + entry.group_resource
