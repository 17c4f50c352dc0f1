"""The tarball is 0.9's, whatever tar and gzip read it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from pkg.backup.spool import Item
from pkg.backup.tarball import TarballWriter, entry_name
from pkg.kube.refs import DAEMON_SETS, NODES, PODS
from pkg.testing.fakeclock import FakeClock

ITEMS = [
    Item(ref=PODS, namespace="shop", name="db-0", body=b'{"a":1}'),
    Item(ref=DAEMON_SETS, namespace="shop", name="x" * 253, body=b"x" * 512),
    Item(ref=NODES, namespace="", name="node1", body=b""),
]


def written(items: list[Item]) -> tuple[bytes, str]:
    file = io.BytesIO()
    with TarballWriter(file, FakeClock()) as tarball:
        for item in items:
            tarball.add(item)
    return file.getvalue(), tarball.sha256


@pytest.mark.parametrize(
    ("item", "name"),
    [
        (ITEMS[0], "resources/pods/namespaces/shop/db-0.json"),
        (ITEMS[2], "resources/nodes/cluster/node1.json"),
        (ITEMS[1], f"resources/daemonsets.apps/namespaces/shop/{'x' * 253}.json"),
    ],
)
def test_the_paths_are_those_of_0_9(item: Item, name: str) -> None:
    assert entry_name(item) == name


def test_python_reads_it() -> None:
    data, _ = written(ITEMS)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        bodies = [found.read() for member in members if (found := tar.extractfile(member))]
    assert [member.name for member in members] == [entry_name(item) for item in ITEMS]
    assert bodies == [item.body for item in ITEMS]
    assert {(member.mode, member.isreg(), member.mtime > 0) for member in members} == {(0o755, True, True)}


def test_tar_itself_reads_it(tmp_path: Path) -> None:
    data, _ = written(ITEMS)
    (tmp_path / "b.tar.gz").write_bytes(data)
    listed = subprocess.run(["tar", "-tzf", tmp_path / "b.tar.gz"], check=True, capture_output=True, text=True)
    assert (listed.stdout.split(), listed.stderr) == ([entry_name(item) for item in ITEMS], "")


def test_the_digest_is_that_of_the_file() -> None:
    data, digest = written(ITEMS)
    assert digest == hashlib.sha256(data).hexdigest()


def test_an_empty_backup_is_a_tarball_too() -> None:
    data, _ = written([])
    assert gzip.decompress(data) == bytes(1024)


def test_a_failure_does_not_look_like_an_end() -> None:
    file, tarball_error = io.BytesIO(), RuntimeError("the list ended early")

    def interrupted() -> None:
        with TarballWriter(file, FakeClock()) as tarball:
            tarball.add(Item(ref=PODS, namespace="n", name="p", body=os.urandom(1 << 20)))
            raise tarball_error

    with pytest.raises(RuntimeError, match="early"):
        interrupted()
    assert len(file.getvalue()) > 1 << 19
    with pytest.raises(EOFError):
        gzip.decompress(file.getvalue())
