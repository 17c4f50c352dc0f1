"""What a Job does to a repository and to the queue, with restic and the API in memory."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.volumes import ResticRepository
from pkg.controllers.maintenance_plan import Verb
from pkg.controllers.maintenance_report import VerbResult
from pkg.controllers.maintenance_work import MaintenanceWork
from pkg.kube.errors import ConflictError
from pkg.kube.refs import CONFIGS, RESTIC_REPOSITORIES, SECRETS
from pkg.kube.stop import StopToken
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.messages import ExitError, ItemError, Snapshot, Summary
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakerestic import FakeRepository, FakeRestic, FakeSnapshot

NAMESPACE = "heptio-ark"
A, B = "a" * 64, "b" * 64


class World:
    """A Ready repository with the snapshots A and B."""

    def __init__(self, tmp_path: Path) -> None:
        self.path, self.api, self.restic = tmp_path, FakeApi(), FakeRestic()
        self.place = f"{tmp_path}/bucket/restic/shop"
        found = [FakeSnapshot(snapshot=Snapshot(id=one, tags=("ns=shop",)), files={}) for one in (A, B)]
        self.restic.repositories[self.place] = FakeRepository(id="r", password="secret", snapshots=found)
        key = base64.b64encode(b"secret").decode()
        meta: JsonObject = {"name": "ark-restic-credentials", "namespace": NAMESPACE}
        self.api.add(SECRETS, {"metadata": meta, "data": {"repository-password": key}})
        self.configure()

    def configure(self, *, storage_class: str = "", frozen: str = "", restore_only: bool = False) -> None:
        settings: JsonObject = {"path": str(self.path), "resticStorageClass": storage_class}
        self.api.add(
            CONFIGS,
            {
                "metadata": {"name": "default", "namespace": NAMESPACE},
                "backupStorageProvider": {"name": "local", "bucket": "bucket", "config": settings},
                "deletionsFrozen": frozen,
                "restoreOnlyMode": restore_only,
            },
        )

    def queue(self, *ids: str, repository_id: str = "r") -> None:
        self.api.add(
            RESTIC_REPOSITORIES,
            {
                "metadata": {"name": "shop", "namespace": NAMESPACE, "uid": "u"},
                "spec": {"volumeNamespace": "shop", "resticIdentifier": self.place},
                "status": {"phase": "Ready", "repositoryID": repository_id, "pendingForget": list(ids)},
            },
        )

    def run(self, *verbs: Verb, uid: str = "u", part: str = "") -> tuple[VerbResult, ...]:
        work = MaintenanceWork(
            client=self.api.client,
            namespace=NAMESPACE,
            name="shop",
            uid=uid,
            runner=self.restic,
            clock=FakeClock(automatic=True),
            scratch_dir=self.path,
            environ={},
            preflight=lambda settings: None,
            part=part,
        )
        return work.run(verbs, StopToken()).results

    @property
    def queued(self) -> list[str]:
        found = self.api.client.get(RESTIC_REPOSITORIES, NAMESPACE, "shop", ResticRepository)
        return list(found.status.pending_forget or ())

    @property
    def snapshots(self) -> list[str]:
        return [one.snapshot.id for one in self.restic.repositories[self.place].snapshots]

    @property
    def verbs(self) -> list[str]:
        return [command.verb for command in self.restic.commands]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_is_queued_is_forgotten_and_leaves_the_queue(world: World) -> None:
    world.queue(A, "0" * 64)
    (result,) = world.run(Verb.FORGET)
    assert (result.phase, result.settled) == ("Completed", True)
    assert (world.snapshots, world.queued) == ([B], [])


def test_what_is_queued_meanwhile_stays(world: World) -> None:
    world.queue(A)

    def more(command: Command, environment: ResticEnvironment | None) -> None:
        if command.verb == "forget":
            patch: JsonObject = {"status": {"pendingForget": [A, B]}}
            world.api.client.patch_raw(RESTIC_REPOSITORIES, NAMESPACE, "shop", patch, subresource="status")

    world.restic.script = more
    world.run(Verb.FORGET)
    assert (world.snapshots, world.queued) == ([B], [B])


def test_somebody_elses_write_is_not_overwritten(world: World) -> None:
    world.queue(A)
    world.api.fail_next(ConflictError("stale"), method="PATCH")
    world.run(Verb.FORGET)
    assert world.queued == []


def test_a_snapshot_that_is_still_there_stays_queued(world: World) -> None:
    """A store that did not delete what restic asked it to delete."""
    world.queue(A)
    world.restic.script = lambda command, environment: (
        Finished(verb="forget", repository=world.place, exit_code=0) if command.verb == "forget" else None
    )
    (result,) = world.run(Verb.FORGET, Verb.PRUNE)
    assert (result.phase, result.settled) == ("Failed", False)
    assert world.queued == [A]
    assert "prune" not in world.verbs, "a failed verb is the last one"


def test_an_empty_queue_starts_no_forget(world: World) -> None:
    world.queue()
    (result,) = world.run(Verb.FORGET)
    assert result.phase == "Completed"
    assert "forget" not in world.verbs


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        pytest.param({"frozen": "audit"}, "DeletionsFrozen", id="frozen after the Job was made"),
        pytest.param({"restore_only": True}, "RestoreOnly", id="restoreOnly after the Job was made"),
    ],
)
@pytest.mark.parametrize("verb", [Verb.FORGET, Verb.PRUNE])
def test_a_change_of_mind_is_seen_before_each_verb(
    world: World, config: dict[str, str | bool], reason: str, verb: Verb
) -> None:
    world.queue(A)
    world.configure(**config)  # type: ignore[arg-type] # a table of two kinds of values
    (result,) = world.run(verb)
    assert (result.phase, result.reason) == ("Failed", reason)
    assert world.verbs == []


@pytest.mark.parametrize(
    ("storage_class", "prunes", "cacheable_only"),
    [
        pytest.param("", True, False, id="no class"),
        pytest.param("STANDARD", True, False, id="the standard class"),
        pytest.param("STANDARD_IA", True, True, id="a class that is paid by the read"),
        pytest.param("BRAND_NEW", True, True, id="an unknown class"),
        pytest.param("GLACIER", False, False, id="a class that is thawed first"),
        pytest.param("DEEP_ARCHIVE", False, False, id="a deeper one"),
    ],
)
def test_cold_classes_are_spared(world: World, storage_class: str, prunes: bool, cacheable_only: bool) -> None:
    world.queue()
    world.configure(storage_class=storage_class)
    (result,) = world.run(Verb.PRUNE)
    calls = [command.arguments for command in world.restic.commands if command.verb == "prune"]
    assert [("--repack-cacheable-only" in arguments) for arguments in calls] == ([cacheable_only] if prunes else [])
    assert result.settled, "and asked again only at the next turn"
    assert result.reason == ("" if prunes else "StorageClassRefused")


def test_another_repository_at_the_place_is_not_touched(world: World) -> None:
    world.queue(A, repository_id="another")
    (result,) = world.run(Verb.FORGET)
    assert (result.phase, result.reason) == ("Failed", "ForeignRepository")
    assert world.snapshots == [A, B]


def test_a_repository_that_was_made_anew_is_not_the_one_that_was_meant(world: World) -> None:
    world.queue(A)
    (result,) = world.run(Verb.FORGET, uid="another")
    assert (result.phase, result.reason) == ("Failed", "RepositoryNotReady")
    assert world.queued == [A]


@pytest.mark.parametrize(
    ("exit_code", "words", "phase", "reason"),
    [
        pytest.param(
            1, "object is WORM protected and cannot be overwritten", "Completed", "RetainedByStore", id="WORM"
        ),
        pytest.param(11, "repository is already locked", "Failed", "LockTimeout", id="a lock"),
        pytest.param(1, "no space left on device", "Failed", "TargetUnusable", id="a full store"),
        pytest.param(137, "", "Failed", "OutOfMemory", id="killed"),
        pytest.param(130, "", "Interrupted", "Canceled", id="the Job was taken back"),
    ],
)
def test_how_a_prune_ends(world: World, exit_code: int, words: str, phase: str, reason: str) -> None:
    world.queue()
    told = (ExitError(code=exit_code, message=words),) if words else ()
    world.restic.script = lambda command, environment: (
        Finished(verb="prune", repository=world.place, exit_code=exit_code, messages=told)
        if command.verb == "prune"
        else None
    )
    (result,) = world.run(Verb.PRUNE)
    assert (result.phase, result.reason) == (phase, reason)


def check_says(world: World, *errors: str, broken: tuple[str, ...] = ()) -> None:
    """What every check of restic's finds from now on."""
    items = tuple(ItemError(message=text) for text in errors)
    found = Summary(num_errors=len(errors), broken_packs=broken or None)
    world.restic.script = lambda command, environment: (
        Finished(verb="check", repository="r", exit_code=1, messages=(found,), item_errors=items)
        if command.verb == "check"
        else None
    )


def checks(world: World) -> list[tuple[str, ...]]:
    return [command.arguments for command in world.restic.commands if command.verb == "check"]


def test_a_part_is_read_without_a_lock(world: World) -> None:
    world.queue()
    (result,) = world.run(Verb.VERIFY, part="7/100")
    assert (result.phase, result.settled, result.part) == ("Completed", True, "7/100")
    ((*words,),) = checks(world)
    assert "--no-lock" in words
    assert "--retry-lock" not in words
    assert words[-2:] == ["--read-data-subset", "7/100"]


def test_what_is_found_without_a_lock_is_only_suspected(world: World) -> None:
    world.queue()
    check_says(world, "pack abc contains 1 errors: ciphertext verification failed", broken=("abc",))
    (result,) = world.run(Verb.VERIFY, part="7/100")
    assert (result.phase, result.settled, result.reason) == ("Completed", False, "DamageSuspected")
    assert result.part == "7/100"
    assert "broken packs: abc; the first: pack abc contains 1 errors" in result.message


@pytest.mark.parametrize("verb", [Verb.VERIFY, Verb.CHECK])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("Load(<data/abc>) failed: connection refused", "BackendUnreachable", id="no answer"),
        pytest.param("Load(<data/abc>) failed: 403 Forbidden", "CredentialsRefused", id="no access"),
    ],
)
def test_what_could_not_be_read_need_not_be_broken(world: World, verb: Verb, text: str, reason: str) -> None:
    world.queue()
    check_says(world, text, broken=("abc",))
    (result,) = world.run(verb, part="7/100")
    assert (result.phase, result.reason) == ("Failed", reason)


def test_a_check_reads_the_part_that_is_suspected_under_its_lock(world: World) -> None:
    world.queue()
    patch: JsonObject = {"status": {"verification": {"suspect": "7/100"}}}
    world.api.client.patch_raw(RESTIC_REPOSITORIES, NAMESPACE, "shop", patch, subresource="status")
    (result,) = world.run(Verb.CHECK)
    assert (result.settled, result.part) == (True, "7/100")
    ((*words,),) = checks(world)
    assert "--no-lock" not in words
    assert words[-2:] == ["--read-data-subset", "7/100"]


def test_an_ordinary_check_reads_no_data(world: World) -> None:
    world.queue()
    (result,) = world.run(Verb.CHECK)
    assert (result.settled, result.part) == (True, "")
    assert "--read-data-subset" not in checks(world)[0]


def test_damage_that_a_check_finds_is_told_as_that(world: World) -> None:
    world.queue()
    check_says(world, "tree 123 is not in the index")
    (result,) = world.run(Verb.CHECK)
    assert (result.phase, result.settled, result.reason) == ("Failed", False, "RepositoryDamaged")


def test_a_freeze_leaves_verification_alone(world: World) -> None:
    world.queue()
    world.configure(frozen="audit")
    (result,) = world.run(Verb.VERIFY, part="1/1")
    assert result.phase == "Completed"
