"""Items come out of the spool as they went in."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkg.backup.errors import ScratchError
from pkg.backup.scratch import scratch_file
from pkg.backup.spool import Item, Spool
from pkg.kube.refs import CONFIG_MAPS, NODES, PODS

items = st.lists(
    st.builds(
        Item, ref=st.sampled_from([PODS, CONFIG_MAPS, NODES]), namespace=st.text(), name=st.text(), body=st.binary()
    )
)


@given(items, items)
def test_items_come_in_the_order_of_their_going(first: list[Item], second: list[Item]) -> None:
    spool = Spool(io.BytesIO())
    for item in first:
        spool.append(item)
    assert list(spool) == first
    for item in second:
        spool.append(item)
    assert list(spool) == [*first, *second]
    assert spool.count == len(first) + len(second)


def test_a_scratch_file_has_no_name(tmp_path: Path) -> None:
    with scratch_file(tmp_path) as file:
        Spool(file).append(Item(ref=PODS, namespace="n", name="p", body=b"{}"))
        assert list(tmp_path.iterdir()) == []


def test_a_scratch_directory_that_is_not_there_is_told() -> None:
    with pytest.raises(ScratchError, match=r"/not/there.*: No such file"), scratch_file(Path("/not/there")):
        pass


def test_a_full_disk_is_told() -> None:
    with open("/dev/full", "r+b", buffering=0) as full:
        spool = Spool(cast(BinaryIO, full))
        with pytest.raises(ScratchError, match="No space left"):
            spool.append(Item(ref=PODS, namespace="n", name="p", body=b"{}"))
