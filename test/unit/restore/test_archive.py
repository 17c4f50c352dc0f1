"""Damage is found before anything is created."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile

import pytest

from pkg.restore.archive import entry_of, open_archive
from pkg.restore.errors import BackupDamagedError


def tarball(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, body in members:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(body), kind
            tar.addfile(info, io.BytesIO(body))
    return raw.getvalue()


TWO = tarball(
    ("resources/pods/namespaces/shop/web.json", b'{"kind":"Pod"}'),
    ("resources/persistentvolumes/cluster/pv-1.json", b'{"kind":"PersistentVolume"}'),
)


def opened(data: bytes, sha256: str = "") -> list[tuple[str, str, str, object]]:
    archive = open_archive(io.BytesIO(data), sha256=sha256, scratch_dir=None)
    try:
        return [(e.group_resource, e.namespace, e.name, archive.read(e)["kind"]) for e in archive.entries]
    finally:
        archive.close()


def test_the_objects_are_found_by_resource_namespace_and_name() -> None:
    packed = gzip.compress(TWO)
    assert opened(packed, hashlib.sha256(packed).hexdigest()) == [
        ("pods", "shop", "web", "Pod"),
        ("persistentvolumes", "", "pv-1", "PersistentVolume"),
    ]


def test_another_digest_is_damage() -> None:
    with pytest.raises(BackupDamagedError, match="sha256"):
        opened(gzip.compress(TWO), "0" * 64)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing at all"),
        pytest.param(b"hello", id="no gzip"),
        pytest.param(gzip.compress(TWO)[:-20], id="a gzip cut short"),
        pytest.param(flipped(gzip.compress(TWO), -6), id="a gzip with another checksum"),
        pytest.param(gzip.compress(TWO[:700]), id="a tar cut short in a body"),
        pytest.param(gzip.compress(TWO[:1024]), id="a tar cut short between two members"),
        pytest.param(gzip.compress(flipped(TWO, 1024 + 150)), id="a damaged header in the middle"),
        pytest.param(gzip.compress(b"x" * 2048), id="a gzip that holds no tar"),
    ],
)
def test_damage_is_found_without_a_digest(data: bytes) -> None:
    with pytest.raises(BackupDamagedError):
        opened(data)


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "resources/pods/namespaces/../x.json"])
def test_a_name_that_leads_out_condemns_the_tarball(name: str) -> None:
    with pytest.raises(BackupDamagedError):
        opened(gzip.compress(tarball((name, b"{}"))))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_condemns_the_tarball(kind: bytes) -> None:
    with pytest.raises(BackupDamagedError):
        opened(gzip.compress(tarball(("resources/pods/namespaces/shop/web.json", b""), kind=kind)))


@pytest.mark.parametrize("name", ["metadata/version", "resources/pods/README", "resources/pods/namespaces/x.json"])
def test_other_files_are_passed_over(name: str) -> None:
    assert entry_of(name, offset=0, size=0) is None


def test_an_object_that_is_no_json_is_named() -> None:
    with pytest.raises(BackupDamagedError, match="pods shop/web"):
        opened(gzip.compress(tarball(("resources/pods/namespaces/shop/web.json", b"{"))))
