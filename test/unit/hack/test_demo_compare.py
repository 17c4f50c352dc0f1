from __future__ import annotations

import pytest

from hack.demo_compare import Kind, compare, counts
from hack.demo_listing import ListingError, parse
from hack.demo_objects import Object, compare_objects, not_renewed

LISTING = """== entries: mode, owner, mtime, links, group of hard links, size, device, name and target
drwxr-s---\t1234:2345\t981173106.789012345\t11\t-\t-\t0:0\t'.'
-rw-r--r--\t0:0\t5.543297964\t1\t-\t100000\t0:0\t'./contents/repetitive'
-rw-r--r--\t0:0\t5.551297964\t1\t-\t50331648\t0:0\t'./contents/sparse'
-rw-r--r--\t0:0\t5.312979884\t2\t1\t22\t0:0\t'./links/first'
-rw-r--r--\t0:0\t5.312979884\t2\t1\t22\t0:0\t'./links/second'
lrwxrwxrwx\t0:0\t5.222222222\t1\t-\t14\t0:0\t'./links/dangling' -> 'nowhere/at/all'
prw--w----\t0:0\t5.331297969\t1\t-\t0\t0:0\t'./links/fifo'
-rw-r--r--\t0:0\t5.235959432\t1\t-\t11\t0:0\t'./names/new'$'\\n''line'
== contents: sha256, name
6d1cf22d  ./contents/repetitive
faf92a63  ./contents/sparse
fd5f6d56  ./links/first
fd5f6d56  ./links/second
\\7aefbbd6  ./names/new\\nline
== attributes: extended attributes in hexadecimal
# file: .
user.on-the-root=0x796573

# file: contents/repetitive
user.binary=0x00ff
user.colour=0x626c7565

== allocated: bytes on disk, size, name of files over 64 KiB
102400\t100000\t'./contents/repetitive'
4096\t50331648\t'./contents/sparse'
== end
"""


def test_a_listing_equals_itself() -> None:
    assert compare(parse(LISTING), parse(LISTING)) == []


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        pytest.param("6d1cf22d", "842ca167", {Kind.CONTENT}, id="a file with other bytes"),
        pytest.param("\t100000\t0:0", "\t99999\t0:0", {Kind.CONTENT}, id="a file with another size"),
        pytest.param("0:0\t5.543", "4321:0\t5.543", {Kind.OWNER}, id="a file of another owner"),
        pytest.param("-rw-r--r--\t0:0\t5.543", "-rw-r-----\t0:0\t5.543", {Kind.MODE}, id="a file with another mode"),
        pytest.param("5.543297964", "5.543297965", {Kind.MTIME}, id="a nanosecond"),
        pytest.param("4096\t50331648", "50331648\t50331648", {Kind.HOLE}, id="a hole that is filled"),
        pytest.param("4096\t50331648", "8388608\t50331648", set(), id="a hole that is a little smaller"),
        pytest.param(
            "2\t1\t22\t0:0\t'./links/second'",
            "1\t-\t22\t0:0\t'./links/second'",
            {Kind.HARDLINK},
            id="a hard link that is a copy",
        ),
        pytest.param("user.colour=0x626c", "user.colour=0x6772", {Kind.XATTR}, id="another attribute value"),
        pytest.param("user.colour=0x626c7565\n", "", {Kind.XATTR}, id="a lost attribute"),
        pytest.param("drwxr-s---", "drwxrwxrwx", {Kind.ROOT}, id="a root directory with another mode"),
        pytest.param("1234:2345", "0:0", {Kind.ROOT}, id="a root directory of another owner"),
        pytest.param("981173106.789012345", "981173106.000000000", {Kind.ROOT}, id="a root directory's time"),
        pytest.param("user.on-the-root=0x796573", "", {Kind.ROOT}, id="a root directory's attribute"),
        pytest.param("'nowhere/at/all'", "'somewhere'", {Kind.LINK}, id="a link to another target"),
        pytest.param("prw--w----", "-rw--w----", {Kind.TYPE, Kind.MODE}, id="a pipe that is a file"),
        pytest.param("'./links/fifo'", "'./links/pipe'", {Kind.MISSING, Kind.EXTRA}, id="another name"),
    ],
)
def test_each_damage_is_seen_and_named(old: str, new: str, kinds: set[Kind]) -> None:
    assert LISTING.count(old) == 1
    damaged = LISTING.replace(old, new)
    assert {difference.kind for difference in compare(parse(LISTING), parse(damaged))} == kinds


@pytest.mark.parametrize("lost", ["entries", "contents", "attributes", "allocated", "end"])
def test_half_a_listing_is_refused(lost: str) -> None:
    with pytest.raises(ListingError, match=lost):
        parse(LISTING.replace(f"== {lost}", "== other"))


def test_the_counts_say_what_was_compared() -> None:
    assert counts(parse(LISTING)) == {
        "entries (owner, mode, mtime)": 8,
        "directories": 1,
        "symbolic links": 1,
        "named pipes": 1,
        "files (content by SHA-256)": 5,
        "bytes of content": 100000 + 50331648 + 22 + 22 + 11,
        "groups of hard links": 1,
        "files with large holes": 1,
        "extended attributes": 3,
        "different owners": 2,
    }


SERVICE: Object = {
    "kind": "Service",
    "metadata": {"uid": "1"},
    "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80}]},
}


@pytest.mark.parametrize(
    ("after", "same"),
    [
        pytest.param({**SERVICE, "metadata": {"uid": "2"}}, True, id="metadata may be new"),
        pytest.param(
            {"kind": "Service", "spec": {"clusterIP": "10.0.0.9", "ports": [{"port": 80}]}}, True, id="address"
        ),
        pytest.param({"kind": "Service", "spec": {"ports": [{"port": 81}]}}, False, id="another port"),
    ],
)
def test_an_object_is_compared_by_what_a_restore_must_keep(after: Object, same: bool) -> None:
    assert (compare_objects({"service/shop": SERVICE}, {"service/shop": after}) == []) is same


def test_an_object_that_did_not_come_back_is_a_difference() -> None:
    assert [one.name for one in compare_objects({"service/shop": SERVICE}, {})] == ["service/shop"]


def test_an_identity_that_stayed_means_that_nothing_was_restored() -> None:
    before = {"namespace": "uid-1", "volume": "pv-1"}
    assert [one.name for one in not_renewed(before, {"namespace": "uid-2", "volume": "pv-1"})] == ["volume"]
