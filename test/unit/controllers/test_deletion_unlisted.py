"""A backup of Ark 0.9 has no volume list: at its deletion its snapshots are found by their tags, and no others."""

from __future__ import annotations

import json

import pytest

from pkg.apis.ark import Backup
from pkg.apis.meta import JsonObject
from pkg.apis.names import ADOPTED_ANNOTATION, IMPORTED_ANNOTATION
from pkg.apis.reasons import Reason
from pkg.kube.refs import BACKUPS, RESTIC_REPOSITORIES, SECRETS
from pkg.objectstore.layout import backup_keys
from pkg.restic.finished import Finished
from pkg.restic.messages import ExitError, Snapshot
from pkg.testing import ark09
from pkg.testing.fakedeletion import NAMESPACE, DeletionWorld, KilledError
from pkg.testing.fakerestic import FakeRepository, FakeSnapshot

UID = "5f2b0d7c-adb6-11e8-9b24-0242ac110002"
FIRST, SECOND, OTHERS, NAMESAKE = ("1" * 64, "2" * 64, "3" * 64, "4" * 64)
PASSWORD = "static-passw0rd"


def pod(namespace: str, *, asked: str = "data", volumes: tuple[str, ...] = ("data",)) -> dict[str, bytes]:
    annotations = {f"snapshot.ark.heptio.com/{volume}": "11111111" for volume in volumes}
    if asked:
        annotations["backup.ark.heptio.com/backup-volumes"] = asked
    body = {"metadata": {"name": "web", "namespace": namespace, "annotations": annotations}}
    return {f"resources/pods/namespaces/{namespace}/web.json": json.dumps(body).encode()}


class Adopted(DeletionWorld):
    """A bucket with the backup `gone` of 0.9, which was adopted, of the namespaces that it names."""

    def __init__(self, *included: str, files: dict[str, bytes] | None = None, uid: str = UID) -> None:
        super().__init__()
        annotations = {IMPORTED_ANNOTATION: uid, ADOPTED_ANNOTATION: "2020-01-01T00:00:00+00:00"}
        self.add_backup("gone", files=False, annotations=annotations)
        started = self.backup("gone").status.start_timestamp
        assert started is not None
        record = {
            "metadata": {"name": "gone", "uid": uid},
            "spec": {"includedNamespaces": list(included) or None},
            "status": {"phase": "Completed", "startTimestamp": started.isoformat()},
        }
        keys = backup_keys("gone")
        self.store.objects |= {
            keys.metadata: json.dumps(record).encode(),
            keys.tarball: ark09.tarball(pod("shop") if files is None else files),
            keys.log: b"log",
        }
        data: JsonObject = {"repository-password": "c3RhdGljLXBhc3N3MHJk"}
        self.api.add(SECRETS, {"metadata": {"name": "ark-restic-credentials", "namespace": NAMESPACE}, "data": data})
        self.sync()

    def lies(self, namespace: str, *snapshots: Snapshot, password: str = PASSWORD, known: bool = True) -> None:
        """Puts a repository into the store, and its object where it is known here."""
        place = self.stores.settings().location.restic_identifier(namespace)
        found = [FakeSnapshot(snapshot=one, files={}) for one in snapshots]
        self.runner.repositories[place] = FakeRepository(id=f"id-{namespace}", password=password, snapshots=found)
        self.restic.objects[f"{namespace}/config"] = b"config"
        if known:
            metadata: JsonObject = {"name": namespace, "namespace": NAMESPACE}
            spec: JsonObject = {"volumeNamespace": namespace, "resticIdentifier": place}
            status: JsonObject = {"phase": "Ready", "repositoryID": f"id-{namespace}"}
            self.api.add(RESTIC_REPOSITORIES, {"metadata": metadata, "spec": spec, "status": status})

    def delete(self, name: str = "", *, force: bool = False) -> tuple[str, tuple[str, ...]]:
        """Asks, goes on to the end, and returns reason and errors."""
        name = self.ask("gone", name=name, force=force)
        self.process()
        status = self.request(name).status
        return status.reason, tuple(status.errors or ())


def snapshot(identity: str, *, backup: str = "gone", uid: str = UID, ns: str = "shop") -> Snapshot:
    return Snapshot(id=identity, tags=(f"backup={backup}", f"backup-uid={uid}", f"ns={ns}", "volume=data"))


MINE = (snapshot(FIRST), snapshot(SECOND))
NOT_MINE = (snapshot(OTHERS, backup="stays", uid="another"), snapshot(NAMESAKE, uid="of a namesake"))


def test_the_snapshots_with_its_tags_are_queued_and_no_others() -> None:
    world = Adopted("shop")
    world.lies("shop", *MINE, *NOT_MINE)
    assert world.delete() == ("", ())
    assert world.pending() == {FIRST, SECOND}
    assert world.names(BACKUPS) == []
    assert world.store.objects == {}


def test_a_repository_that_nobody_opened_here_is_searched_too() -> None:
    world = Adopted("shop")
    world.lies("shop", *MINE, known=False)
    assert world.delete() == ("", ())
    assert world.pending() == {FIRST, SECOND}


def test_a_pod_that_failed_is_in_no_tarball_and_its_snapshots_are_found() -> None:
    world = Adopted(files={})
    world.lies("shop", *MINE)
    world.lies("till", snapshot(OTHERS, ns="till"))
    world.delete()
    assert (world.pending("shop"), world.pending("till")) == ({FIRST, SECOND}, {OTHERS})


def test_repositories_of_namespaces_that_it_left_out_are_not_asked() -> None:
    world = Adopted("shop")
    world.lies("shop", *MINE)
    world.lies("till", snapshot(OTHERS, ns="till"))
    world.delete()
    assert world.pending("till") == set()


def missing(world: Adopted) -> None:
    """The repository of the namespace is not there."""


def another(world: Adopted) -> None:
    world.lies("shop", *MINE)
    status: JsonObject = {"repositoryID": "the one before"}
    world.patch(RESTIC_REPOSITORIES, "shop", {"status": status}, subresource="status")


def locked_out(world: Adopted) -> None:
    world.lies("shop", *MINE, password="another")


def silent(world: Adopted) -> None:
    world.lies("shop", *MINE)
    said = (ExitError(code=1, message="Fatal: i/o timeout"),)
    world.runner.script = lambda command, environment: Finished(
        verb=command.verb, repository="r", exit_code=1, messages=said
    )


def moved(world: Adopted) -> None:
    world.lies("shop", *MINE)
    world.patch(RESTIC_REPOSITORIES, "shop", {"spec": {"resticIdentifier": "/elsewhere/shop"}})


@pytest.mark.parametrize(
    ("trouble", "reason", "text"),
    [
        pytest.param(missing, Reason.REPOSITORY_MISSING, "1 snapshots of namespace shop stay", id="missing"),
        pytest.param(another, Reason.FOREIGN_REPOSITORY, "another one now", id="another one"),
        pytest.param(locked_out, Reason.WRONG_PASSWORD, "cannot be listed", id="a wrong password"),
        pytest.param(silent, Reason.BACKEND_UNREACHABLE, "cannot be listed", id="no answer"),
        pytest.param(moved, Reason.REPOSITORY_NOT_READY, "cannot be listed", id="not where the Config says"),
    ],
)
def test_a_repository_that_cannot_be_asked_is_a_reason_and_force_goes_on(
    trouble: object, reason: Reason, text: str
) -> None:
    world = Adopted("shop")
    assert callable(trouble)
    trouble(world)
    found, (error,) = world.delete()
    assert (found, text in error) == (reason, True)
    assert backup_keys("gone").metadata in world.store.objects
    assert world.names(BACKUPS) == ["gone"]
    found, errors = world.delete(name="again", force=True)
    assert (found, len(errors)) == (reason, 1)
    assert world.names(BACKUPS) == []
    assert world.store.objects == {}
    assert world.pending() == set()


def test_what_one_repository_lacks_does_not_keep_the_others() -> None:
    world = Adopted(files={**pod("shop"), **pod("till")})
    world.lies("shop", *MINE)
    reason, errors = world.delete(force=True)
    assert (reason, len(errors)) == (Reason.REPOSITORY_MISSING, 1)
    assert world.pending() == {FIRST, SECOND}


@pytest.mark.parametrize(
    "files",
    [
        pytest.param(pod("shop", asked="", volumes=("data",)), id="a restore left the annotation"),
        pytest.param(pod("shop", asked="data", volumes=()), id="nothing was captured"),
    ],
)
def test_what_was_not_captured_is_not_missed(files: dict[str, bytes]) -> None:
    world = Adopted("shop", files=files)
    assert world.delete() == ("", ())


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param({backup_keys("gone").tarball: b"not a tarball"}, id="a tarball that is none"),
        pytest.param(
            {backup_keys("gone").tarball: ark09.tarball({"resources/pods/namespaces/shop/web.json": b"{"})},
            id="a pod that does not decode",
        ),
    ],
)
def test_a_backup_that_cannot_be_read_is_a_reason_and_force_goes_on(damage: dict[str, bytes]) -> None:
    world = Adopted("shop")
    world.lies("shop", *MINE)
    world.store.objects |= damage
    reason, (error,) = world.delete()
    assert (reason, "its snapshots are not known" in error) == (Reason.BACKUP_DAMAGED, True)
    assert world.names(BACKUPS) == ["gone"]
    world.delete(name="again", force=True)
    assert world.names(BACKUPS) == []


def scene() -> Adopted:
    world = Adopted("shop")
    world.lies("shop", *MINE, *NOT_MINE)
    world.ask("gone", name="request")
    world.calls.die_before(0)
    return world


def test_wherever_the_server_dies_all_its_snapshots_are_queued_in_the_end() -> None:
    undisturbed = scene()
    undisturbed.process()
    for call in range(1, undisturbed.calls.made + 1):
        world = scene()
        world.calls.die_before(call)
        with pytest.raises(KilledError):
            world.process()
        if backup_keys("gone").metadata not in world.store.objects:
            assert world.pending() == {FIRST, SECOND}, f"died before call {call}"
        world.restart()
        world.process()
        assert (world.pending(), world.names(BACKUPS)) == ({FIRST, SECOND}, []), f"died before call {call}"


def test_the_record_of_0_9_reads_as_ours() -> None:
    world = Adopted("shop")
    assert isinstance(world.backup("gone"), Backup)
    assert world.backup("gone").metadata.uid != UID, "the tags have the UID of the record, not of the object"
