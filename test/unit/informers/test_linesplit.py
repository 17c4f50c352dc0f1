"""Whatever the chunks, the lines are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.informers.linesplit import LineSplitter
from pkg.kube.errors import DecodeError


@given(st.binary(max_size=200).map(lambda data: data.replace(b"x", b"\n")), st.lists(st.integers(1, 20), max_size=50))
def test_any_chunking_gives_the_same_lines(data: bytes, sizes: list[int]) -> None:
    splitter = LineSplitter()
    lines, start = [], 0
    for size in [*sizes, len(data) or 1]:
        lines += splitter.feed(data[start : start + size])
        start += size
    whole = data.split(b"\n")[:-1]
    assert lines == [line for line in whole if line]


def test_a_line_without_its_end_is_kept_back() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"half a") == []
    assert splitter.feed(b" line\nand") == [b"half a line"]


def test_a_line_longer_than_any_object_is_refused() -> None:
    splitter = LineSplitter(limit_bytes=10)
    splitter.feed(b"0123456789")
    with pytest.raises(DecodeError, match="longer than 10"):
        splitter.feed(b"x")


def test_long_lines_that_do_end_are_not_added_up() -> None:
    splitter = LineSplitter(limit_bytes=10)
    assert splitter.feed(b"0123456789\n0123456789\n") == [b"0123456789"] * 2
