from __future__ import annotations

import http.client
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.kube.chunked import ChunkedBody


def chunked(*contents: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(content), content) for content in contents) + b"0\r\n\r\n"


def body_of(data: bytes, piece_bytes: int = 1 << 20) -> ChunkedBody:
    reader = io.BytesIO(data)
    return ChunkedBody(lambda max_bytes: reader.read(min(max_bytes, piece_bytes)))


def everything(body: ChunkedBody) -> bytes:
    return b"".join(iter(lambda: body.read(1 << 16), b""))


@given(st.lists(st.binary(min_size=1, max_size=300)), st.integers(min_value=1, max_value=64))
def test_the_content_is_the_same_however_the_network_cuts_it(contents: list[bytes], piece_bytes: int) -> None:
    assert everything(body_of(chunked(*contents), piece_bytes)) == b"".join(contents)


def test_what_has_come_is_handed_out_at_once() -> None:
    assert body_of(chunked(b"one\n", b"two\n")).read(1 << 16) == b"one\ntwo\n"


def test_the_end_stays_the_end() -> None:
    body = body_of(chunked(b"one"))
    assert [body.read(100) for _ in range(3)] == [b"one", b"", b""]


def test_an_extension_of_a_chunk_is_no_part_of_its_size() -> None:
    assert everything(body_of(b"3;name=value\r\none\r\n0\r\n\r\n")) == b"one"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing came"),
        pytest.param(b"3\r\non", id="cut in a chunk"),
        pytest.param(b"3\r\none\r\n", id="cut between chunks"),
        pytest.param(b"3\r\none\r\n0", id="cut in the size of the last one"),
    ],
)
def test_a_body_that_is_cut_is_an_error(data: bytes) -> None:
    with pytest.raises(http.client.IncompleteRead):
        everything(body_of(data))


@pytest.mark.parametrize("data", [b"moon\r\n", b"-3\r\none\r\n", b"1" * 5000], ids=["words", "negative", "endless"])
def test_what_is_no_size_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"size|invalid literal"):
        everything(body_of(data))
