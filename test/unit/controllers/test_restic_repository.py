"""When a repository is Ready, when it is made, and when it is never made."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pkg.controllers.repository_looks import LOOK_INTERVAL_SECONDS, READY_INTERVAL_SECONDS
from pkg.controllers.restic_repository import NOT_READY_RETRY_SECONDS
from pkg.kube.errors import ServerError, TransportError
from pkg.kube.refs import RESTIC_REPOSITORIES, SECRETS
from pkg.manager.reconciler import again_in, done
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Ended, Finished
from pkg.testing.fakerepository import KEY, LONG_SECONDS, NAMESPACE, PLACE, FakeRepositoryWorld, config


def test_a_repository_that_restic_opens_is_ready_with_its_id_pinned(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.exists("id-1")
    world.add()
    assert world.look() == again_in(READY_INTERVAL_SECONDS)
    status = world.stored.status
    assert (status.phase, status.repository_id, status.password_generation) == ("Ready", "id-1", 1)
    assert (status.cluster_id, status.checked_at) == ("cluster-1", world.clock.now())
    assert world.verbs == ["cat config"]


def test_a_ready_repository_is_not_asked_again(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.exists()
    world.add()
    world.look()
    world.clock.advance(3600)
    assert world.reconcile() == again_in(READY_INTERVAL_SECONDS - 3600)
    assert world.verbs == ["cat config"]


def test_a_missing_one_is_made_where_a_backup_asked_for_it(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.add(initialize=True)
    world.look()
    assert world.verbs == ["cat config", "init"]
    assert world.stored.status.repository_id == world.restic.repositories[PLACE].id
    assert world.stored.status.phase == "Ready"


def test_a_missing_one_is_not_made_for_a_restore(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.add(initialize=False)
    assert world.look() == again_in(NOT_READY_RETRY_SECONDS)
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "RepositoryMissing")
    assert PLACE in world.stored.status.message
    assert "init" not in world.verbs


def test_a_pinned_one_that_is_gone_is_never_made_again(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.add(initialize=True, status={"phase": "NotReady", "repositoryID": "id-1"})
    world.look()
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "RepositoryMissing")
    assert "id-1" in world.stored.status.message
    assert world.stored.status.repository_id == "id-1"
    assert "init" not in world.verbs


def test_another_repository_at_the_place_is_refused_with_both_ids(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.exists("id-2")
    world.add(status={"phase": "NotReady", "repositoryID": "id-1"})
    world.look()
    status = world.stored.status
    assert (status.phase, status.reason, status.repository_id) == ("NotReady", "ForeignRepository", "id-1")
    assert "id-1" in status.message
    assert "id-2" in status.message


def test_only_restics_own_word_lets_a_repository_be_made(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.exists(password="another")
    world.add(initialize=True)
    world.look()
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "WrongPassword")
    assert "init" not in world.verbs


def test_a_bucket_of_another_cluster_is_not_initialized(tmp_path: Path) -> None:
    first = FakeRepositoryWorld(tmp_path, cluster_id="cluster-1")
    first.add(initialize=True)
    first.look()
    second = FakeRepositoryWorld(tmp_path, cluster_id="cluster-2")
    second.add(initialize=True)
    second.look()
    assert second.stored.status.reason == "RepositoryMissing"
    assert "only restores" in second.stored.status.message
    assert second.verbs == ["cat config"]


def test_no_password_is_made_where_nothing_may_be_written(tmp_path: Path) -> None:
    first = FakeRepositoryWorld(tmp_path, cluster_id="cluster-1")
    first.add(initialize=True)
    first.look()
    second = FakeRepositoryWorld(tmp_path, cluster_id="cluster-2", password="")
    second.add(initialize=True)
    second.look()
    assert second.stored.status.reason == "PasswordMissing"
    assert second.api.list(SECRETS, NAMESPACE) == []


def test_a_repository_of_another_cluster_is_opened_for_its_restores(tmp_path: Path) -> None:
    first = FakeRepositoryWorld(tmp_path, cluster_id="cluster-1")
    first.add(initialize=True)
    first.look()
    second = FakeRepositoryWorld(tmp_path, cluster_id="cluster-2")
    second.exists("id-1")
    second.add(initialize=True)
    second.look()
    assert (second.stored.status.phase, second.stored.status.repository_id) == ("Ready", "id-1")
    assert second.verbs == ["cat config"]


def test_a_bucket_that_is_missing_keeps_restic_from_starting(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.configs.put(config(tmp_path, bucket="elsewhere"))
    world.add(initialize=True)
    world.look()
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "BucketMissing")
    assert world.verbs == []


def test_a_config_that_is_missing_is_the_reason(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.configs.remove(NAMESPACE, "default")
    world.add()
    world.look()
    assert world.stored.status.reason == "ConfigMissing"


def test_a_secret_that_cannot_be_read_makes_no_password(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path, password="")
    world.add(initialize=True)
    world.api.fail_next(ServerError("etcd is ill", code=500), method="GET", ref=SECRETS)
    world.look()
    assert world.stored.status.phase == "NotReady"
    assert world.api.list(SECRETS) == []


def test_a_repository_that_is_not_ready_is_looked_at_again_when_it_is_time(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.add()
    world.look()
    assert world.reconcile() == again_in(NOT_READY_RETRY_SECONDS)
    assert len(world.verbs) == 1
    world.clock.advance(LOOK_INTERVAL_SECONDS)
    world.exists()
    assert world.look() == again_in(READY_INTERVAL_SECONDS)
    status = world.stored.status
    assert (status.phase, status.reason, status.message) == ("Ready", "", "")


def test_a_finding_that_could_not_be_written_is_kept_for_the_next_time(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.add(initialize=True)
    world.reconcile()
    world.await_end()
    world.api.fail_next(TransportError("refused"), method="PATCH")
    with pytest.raises(TransportError):
        world.reconcile()
    world.reconcile()
    assert world.stored.status.phase == "Ready"
    assert world.verbs == ["cat config", "init"]


def test_a_finding_about_an_older_spec_is_not_recorded(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.add(initialize=False)
    world.reconcile()
    world.await_end()
    world.api.client.patch_raw(RESTIC_REPOSITORIES, NAMESPACE, KEY.name, {"spec": {"initialize": True}})
    assert world.reconcile() == again_in(0)
    assert world.stored.status.phase == ""
    world.look()
    assert world.stored.status.phase == "Ready"


def test_a_finding_about_a_deleted_object_is_not_recorded_on_its_successor(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.exists("id-old")
    world.add()
    world.reconcile()
    world.await_end()
    world.api.remove(RESTIC_REPOSITORIES, NAMESPACE, KEY.name)
    world.add()
    world.exists("id-new")
    assert world.reconcile() == again_in(0)
    world.look()
    assert world.stored.status.repository_id == "id-new"


def test_a_look_that_is_stopped_found_nothing(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.exists()
    world.add()

    def stopped(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        return Finished(verb=command.verb, repository=PLACE, exit_code=130, ended=Ended.STOPPED, stop_reason="shutdown")

    world.restic.script = stopped
    world.reconcile()
    world.await_end()
    assert world.reconcile() == again_in(0)
    assert world.stored.status.phase == ""


def test_a_crash_is_not_ready_for_an_internal_reason(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.add()

    def crash(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        raise RuntimeError("surprise")

    world.restic.script = crash
    assert world.look() == again_in(NOT_READY_RETRY_SECONDS)
    assert (world.stored.status.phase, world.stored.status.reason) == ("NotReady", "Internal")
    assert "surprise" in world.stored.status.message


def test_a_deleted_object_leaves_nothing(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.exists()
    world.add()
    world.reconcile()
    world.await_end()
    world.api.remove(RESTIC_REPOSITORIES, NAMESPACE, KEY.name)
    assert world.reconcile() == done()
    assert world.operations.observe(KEY) is None


def test_looking_never_blocks_the_reconciler(tmp_path: Path) -> None:
    world = FakeRepositoryWorld(tmp_path)
    world.exists()
    world.add()
    go = threading.Event()

    def slow(command: Command, environment: ResticEnvironment | None) -> Finished | None:
        assert go.wait(LONG_SECONDS)
        return None

    world.restic.script = slow
    assert world.reconcile() == done()
    assert world.reconcile() == done()
    go.set()
    world.await_end()
    world.reconcile()
    assert world.verbs == ["cat config"]
    assert world.stored.status.phase == "Ready"
