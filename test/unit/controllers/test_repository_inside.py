"""What operators see of locks, and which one they may remove."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.controllers.repository_inside import InsideError, RepositoryInside
from pkg.kube.errors import ForbiddenError
from pkg.kube.refs import EVENTS, RESTIC_REPOSITORIES
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreUnreachableError
from pkg.testing.fakedeletion import NAMESPACE
from pkg.testing.fakelocks import LockWorld

MIB = 1 << 20


@pytest.fixture
def world(tmp_path: Path) -> LockWorld:
    return LockWorld(tmp_path)


def inside(world: LockWorld) -> RepositoryInside:
    return RepositoryInside(
        client=world.client,
        namespace=NAMESPACE,
        environ={},
        scratch_dir=world.path,
        runner=world.restic,
        open_store=lambda settings: world.store,
        clock=world.clock,
    )


def unlock(world: LockWorld, lock_id: str, *, force_live: bool = False) -> str:
    return inside(world).unlock("shop", lock_id, StopToken(), force_live=force_live)


def test_each_lock_is_shown_with_whose_it_is_and_what_is_known_of_it(world: LockWorld) -> None:
    running: Json = [{"name": "ark", "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}}}]
    world.pod("restic-a", "u1", phase="Running", containerStatuses=running)
    world.hold("u1", "restic-a")
    world.hold("u2", "restic-b")
    world.lock("1", "restic-a", seconds_ago=10)
    world.lock("2", "restic-b", seconds_ago=100)
    world.lock("3", "restic-b", seconds_ago=1600)
    world.lock("4", "laptop", seconds_ago=50, exclusive=True)
    found = inside(world).locks("shop", StopToken()).locks
    assert [(row.id[0], row.kind, row.age_seconds, row.holder, row.state) for row in found] == [
        ("3", "shared", 1600, "pod restic-b on node node1", "dead, Ark removes it"),
        ("2", "shared", 100, "pod restic-b on node node1", "its pod is gone, Ark removes it when that is certain"),
        ("4", "exclusive", 50, "none of Ark's", "unknown"),
        ("1", "shared", 10, "pod restic-a on node node1", "its pod is there"),
    ]


def test_exactly_the_named_lock_is_removed_and_that_is_an_event(world: LockWorld) -> None:
    old = world.lock("1", "laptop", seconds_ago=1801)
    other = world.lock("2", "laptop", seconds_ago=1801)
    text = unlock(world, old)
    assert world.left == {other}
    assert text.startswith(f"Removed lock {old}: 11111111: shared, laptop pid 7")
    event = world.api.list(EVENTS, NAMESPACE)[0]
    assert (event["reason"], event["type"]) == ("LockRemoved", "Normal")
    assert old in str(event["message"])


def test_the_first_digits_are_enough(world: LockWorld) -> None:
    world.lock("1", "laptop", seconds_ago=1801)
    unlock(world, "11111111")
    assert world.left == set()


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        pytest.param("1", "at least 8 digits", id="one digit"),
        pytest.param("", "at least 8 digits", id="none"),
        pytest.param("33333333", "no lock begins with 33333333; there are: 11111111", id="none of these"),
        pytest.param("../../../config", "no lock begins with", id="a path"),
    ],
)
def test_a_lock_that_is_not_named_is_not_removed(world: LockWorld, wanted: str, why: str) -> None:
    lock_id = world.lock("1", "laptop", seconds_ago=9999)
    with pytest.raises(InsideError, match=why):
        unlock(world, wanted, force_live=True)
    assert world.left == {lock_id}


def test_several_that_fit_are_none(world: LockWorld) -> None:
    first = world.lock("1", "laptop", seconds_ago=9999)
    second = "1" * 63 + "2"
    world.locks[second] = world.locks[first]
    world.store.objects[f"shop/locks/{second}"] = b"sealed"
    with pytest.raises(InsideError, match="several locks"):
        unlock(world, "11111111")


def test_a_lock_that_was_refreshed_within_half_an_hour_stays(world: LockWorld) -> None:
    lock_id = world.lock("1", "laptop", seconds_ago=1799)
    with pytest.raises(InsideError, match=r"refreshed 29 min ago.*--force-live"):
        unlock(world, lock_id)
    assert world.left == {lock_id}
    assert world.api.list(EVENTS, NAMESPACE) == []


def test_force_removes_a_live_one_and_warns(world: LockWorld) -> None:
    lock_id = world.lock("1", "laptop", seconds_ago=5)
    unlock(world, lock_id, force_live=True)
    assert world.left == set()
    assert world.api.list(EVENTS, NAMESPACE)[0]["type"] == "Warning"


def test_one_that_only_restores_removes_none(world: LockWorld) -> None:
    lock_id = world.lock("1", "laptop", seconds_ago=9999)
    world.configure(restore_only=True)
    with pytest.raises(InsideError, match="restoreOnlyMode"):
        unlock(world, lock_id, force_live=True)
    assert world.left == {lock_id}


def test_another_clusters_repository_is_that_ones(world: LockWorld) -> None:
    lock_id = world.lock("1", "laptop", seconds_ago=9999)
    status: JsonObject = {"status": {"clusterID": "cluster-2"}}
    world.api.client.patch_raw(RESTIC_REPOSITORIES, NAMESPACE, "shop", status, subresource="status")
    with pytest.raises(InsideError, match="cluster-2 made this repository"):
        unlock(world, lock_id, force_live=True)
    assert world.left == {lock_id}


def test_a_lock_that_could_not_be_deleted_is_not_called_removed(world: LockWorld) -> None:
    lock_id = world.lock("1", "laptop", seconds_ago=9999)

    def refuse(verb: str, key: str) -> None:
        if verb == "delete":
            raise StoreUnreachableError("no route")

    world.store.before = refuse
    with pytest.raises(StoreUnreachableError):
        unlock(world, lock_id)
    assert world.api.list(EVENTS, NAMESPACE) == []


def test_a_repository_that_is_not_there_is_one_sentence(world: LockWorld) -> None:
    with pytest.raises(InsideError, match="there is no ResticRepository nowhere"):
        inside(world).locks("nowhere", StopToken())


@pytest.mark.parametrize(
    ("words", "index_mib", "limit_mib", "refused"),
    [
        pytest.param(["ls", "latest"], 1, 1024, False, id="a small index"),
        pytest.param(["ls", "latest"], 40, 1024, True, id="an index that would not fit"),
        pytest.param(["snapshots"], 40, 1024, False, id="the list of snapshots needs no index"),
        pytest.param(["ls", "latest"], 40, None, False, id="no limit"),
    ],
)
def test_a_call_that_would_cost_the_server_its_memory_is_refused(
    world: LockWorld, words: list[str], index_mib: int, limit_mib: int | None, refused: bool
) -> None:
    world.store.objects["shop/index/" + "1" * 64] = bytes(index_mib * MIB)
    limit = None if limit_mib is None else limit_mib * MIB
    if refused:
        with pytest.raises(InsideError, match=r"would need about \d+Mi .* raise its limit to \d+Mi first"):
            inside(world).reading("shop", words, memory_limit=limit)
        return
    assert inside(world).reading("shop", words, memory_limit=limit).repository == world.place


def test_a_lock_that_is_gone_is_told_though_no_event_could_be_left(world: LockWorld) -> None:
    lock_id = world.lock("1", "laptop", seconds_ago=9999)
    world.api.fail_next(ForbiddenError("no", code=403), method="POST", ref=EVENTS)
    assert "there is no Event of it" in unlock(world, lock_id)
    assert world.left == set()
