"""Headers from the template are read by tarfile as its own would be."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.backup.tar_header import member_header

MTIME = 1_700_000_000
LONG = "resources/widgets.example.com/namespaces/" + "n" * 63 + "/" + "w" * 90 + ".json"


def read_back(name: str, size: int) -> tarfile.TarInfo:
    body = bytes(size + -size % tarfile.BLOCKSIZE)
    data = member_header(name, size=size, mtime=MTIME) + body + bytes(2 * tarfile.BLOCKSIZE)
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        (member,) = tar.getmembers()
    return member


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("resources/pods/namespaces/shop/web.json", id="a short name"),
        pytest.param("x" * 100, id="as long as the field"),
        pytest.param(LONG, id="parted at a slash"),
        pytest.param("resources/" + "p" * 200 + "/cluster/" + "w" * 200 + ".json", id="too long for both fields"),
        pytest.param("resources/pods/namespaces/shop/wéb.json", id="not ASCII"),
        pytest.param("p" * 155 + "/" + "w" * 100, id="both fields full"),
    ],
)
def test_a_name_comes_back(name: str) -> None:
    member = read_back(name, 1234)
    assert (member.name, member.size, member.mtime, member.mode, member.isreg()) == (name, 1234, MTIME, 0o755, True)


def test_a_name_that_ustar_holds_takes_one_block() -> None:
    assert len(member_header(LONG, size=1, mtime=MTIME)) == tarfile.BLOCKSIZE


@given(st.text(alphabet="abc/é", max_size=300), st.integers(0, 5000))
def test_any_name_comes_back(middle: str, size: int) -> None:
    member = read_back(f"resources/{middle}.json", size)
    assert (member.name, member.size) == (f"resources/{middle}.json", size)
