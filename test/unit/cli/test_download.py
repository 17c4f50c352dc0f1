"""`ark backup download`: the file appears whole, for its owner only, and never over another one unasked."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from pkg.cli import backup_download, download
from pkg.cli.failures import CliError
from pkg.kube import refs
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
TARBALL = b"\x1f\x8b tarball"


@pytest.fixture
def asked(api: FakeApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []

    def downloaded(*arguments: object, timeout_seconds: float) -> contextlib.AbstractContextManager[io.BytesIO]:
        found.append((*arguments[1:], timeout_seconds))
        return contextlib.nullcontext(io.BytesIO(TARBALL))

    monkeypatch.setattr(download, "downloaded", downloaded)
    monkeypatch.chdir(tmp_path)
    api.add(refs.BACKUPS, {"metadata": {"name": "b1", "namespace": "heptio-ark"}})
    return found


def test_the_tarball_lies_here_under_0_9s_name(ark: Ark, asked: list[tuple[object, ...]], tmp_path: Path) -> None:
    code, out, _ = ark("backup", "download", "b1")
    file = tmp_path / "b1-data.tar.gz"
    assert (code, file.read_bytes(), file.stat().st_mode & 0o777) == (0, TARBALL, 0o600)
    assert out == f"Backup b1 has been successfully downloaded to {file}\n"
    assert asked == [("BackupContents", "b1", 60.0)]
    assert [one.name for one in tmp_path.iterdir()] == ["b1-data.tar.gz"]


def test_it_goes_where_it_is_told_to(ark: Ark, asked: list[tuple[object, ...]], tmp_path: Path) -> None:
    assert ark("backup", "download", "b1", "-o", "x.tar.gz", "--timeout", "5s")[0] == 0
    assert (tmp_path / "x.tar.gz").read_bytes() == TARBALL
    assert asked[0][2] == 5.0


@pytest.mark.parametrize(("flags", "code", "content"), [([], 1, b"mine"), (["--force"], 0, TARBALL)])
def test_a_file_that_exists_is_replaced_only_by_force(
    ark: Ark, asked: list[tuple[object, ...]], tmp_path: Path, flags: list[str], code: int, content: bytes
) -> None:
    file = tmp_path / "b1-data.tar.gz"
    file.write_bytes(b"mine")
    assert ark("backup", "download", "b1", *flags)[0] == code
    assert file.read_bytes() == content
    assert len(asked) == (1 if flags else 0)


@pytest.mark.parametrize("target", ["nowhere/x", "."])
def test_a_place_that_cannot_be_written_is_said_before_anything_is_asked(
    ark: Ark, asked: list[tuple[object, ...]], target: str
) -> None:
    code, _, err = ark("backup", "download", "b1", "-o", target)
    assert (code, asked) == (1, [])
    assert "directory" in err


def write(target: Path, meanwhile: Callable[[], object]) -> None:
    with backup_download.written_whole(target, force=False) as file:
        file.write(b"ours")
        meanwhile()


def broken() -> None:
    raise CliError("broke")


def test_a_download_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="broke"):
        write(tmp_path / "x", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    target = tmp_path / "x"
    with pytest.raises(CliError, match="give --force"):
        write(target, lambda: target.write_bytes(b"theirs"))
    assert target.read_bytes() == b"theirs"
    assert [one.name for one in tmp_path.iterdir()] == ["x"]
