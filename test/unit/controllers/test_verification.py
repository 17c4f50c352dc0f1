"""Reading a repository's data beside other work: begun, recorded, suspected, confirmed, and loud at last."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pkg.apis.ark import StorageProvider
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.volumes import ResticRepository, ResticRepositoryStatus, Verification
from pkg.controllers.maintenance_options import OptionsMap
from pkg.controllers.verification import Verifier
from pkg.kube.refs import JOBS, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES
from pkg.objectstore.location import storage_location
from pkg.testing.fakemaintenance import KEY, LONG_SECONDS, NAMESPACE, FakeMaintenance, volume
from pkg.testing.fakes import FakeLister

DONE = "2099-01-01T00:00:00Z"
NOTHING_ELSE: JsonObject = {"lastPruneTime": DONE, "lastCheckTime": DONE}
PACK_BYTES = 1000
RATE = "all data read in 100 days at this rate"


@pytest.fixture
def world(tmp_path: Path) -> FakeMaintenance:
    return FakeMaintenance(tmp_path)


def packs(world: FakeMaintenance, *ids: str) -> None:
    for one in ids:
        path = Path(world.place) / "data" / one[:2] / one.ljust(64, "0")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * PACK_BYTES)


def measured(world: FakeMaintenance, verification: JsonObject | None = None, **status: Any) -> None:
    """A repository of three packs whose size is known: one lies in the first part of 15."""
    packs(world, "00", "01", "fe")
    known: JsonObject = {
        "sizeBytes": 3 * PACK_BYTES,
        "measuredAt": "2026-01-01T00:00:00Z",
        "message": RATE,
        **(verification or {}),
    }
    world.add(status={**NOTHING_ELSE, "verification": known, **status})


def state(world: FakeMaintenance) -> Verification:
    found = world.stored.status.verification
    assert found is not None
    return found


def report(verb: str, phase: str = "Completed", *, settled: bool = True, reason: str = "", part: str = "") -> str:
    result = {"verb": verb, "phase": phase, "settled": settled, "reason": reason, "part": part, "message": "so it was"}
    return msgspec.json.encode({"results": [result]}).decode()


def end(world: FakeMaintenance, message: str) -> None:
    """Lets the Job end, records it, and takes it away as its TTL would."""
    world.end_job(message=message)
    world.reconcile()
    for job in world.job_objects:
        world.api.client.delete(JOBS, NAMESPACE, job.metadata.name)


def damaged(world: FakeMaintenance) -> bool:
    return any(one.type == "Damaged" and one.status == "True" for one in world.stored.status.conditions or ())


def suspected(world: FakeMaintenance) -> None:
    measured(world)
    world.begin()
    end(world, report("verify", settled=False, reason="DamageSuspected", part="1/15"))


def test_a_repository_is_measured_before_it_is_planned(world: FakeMaintenance) -> None:
    packs(world, "00", "01", "fe")
    world.add(status={**NOTHING_ELSE, "verification": {}})
    world.begin()
    assert world.job_objects == []
    assert (state(world).size_bytes, state(world).parts) == (3 * PACK_BYTES, 0)
    assert state(world).message == RATE


def test_a_part_is_read_by_a_job_of_its_own_that_leaves_the_repository_open(world: FakeMaintenance) -> None:
    measured(world)
    world.begin()
    (job,) = world.job_objects
    assert world.verbs == ["verify"]
    assert "--part=1/15" in msgspec.json.encode(world.api.list(JOBS, NAMESPACE)).decode()
    assert job.metadata.annotation("ark.heptio.com/part-bytes") == str(PACK_BYTES)
    world.reconcile()
    assert not world.gate.is_closed(KEY.name)


def test_captures_and_restores_go_on_meanwhile(world: FakeMaintenance) -> None:
    measured(world)
    volume(world, POD_VOLUME_BACKUPS, "capture")
    world.begin()
    assert world.verbs == ["verify"]
    volume(world, POD_VOLUME_RESTORES, "filling")
    world.reconcile()
    assert len(world.job_objects) == 1


def test_forget_and_prune_wait_for_its_end(world: FakeMaintenance) -> None:
    measured(world)
    world.begin()
    status: JsonObject = {"lastPruneTime": "2020-01-01T00:00:00Z", "pendingForget": ["a" * 64]}
    world.patch(status)
    world.reconcile()
    assert world.verbs == ["verify"]
    assert not world.gate.is_closed(KEY.name)
    end(world, report("verify", part="1/15"))
    world.begin()
    assert world.verbs == ["forget,prune"]


def test_what_was_prepared_beside_captures_does_not_serve_a_prune(world: FakeMaintenance) -> None:
    """The last look at who is inside belongs to the preparation of whoever needs the repository for itself."""
    measured(world)
    volume(world, POD_VOLUME_BACKUPS, "capture")
    world.reconcile()
    world.ended.get(timeout=LONG_SECONDS)
    world.patch({"lastPruneTime": "2020-01-01T00:00:00Z"})
    world.sync()
    world.captures.objects = {}  # the cache does not show the capture yet
    world.reconcile(sync=False)
    world.reconcile(sync=False)
    world.ended.get(timeout=LONG_SECONDS)
    world.reconcile(sync=False)
    assert world.job_objects == []


def test_a_part_that_was_read_is_followed_by_the_next(world: FakeMaintenance) -> None:
    measured(world)
    world.begin()
    end(world, report("verify", part="1/15"))
    seen = state(world)
    assert (seen.part, seen.parts, seen.read_bytes) == (1, 15, PACK_BYTES)
    assert seen.read_at == seen.round_began_at is not None
    assert [run.verb for run in seen.runs or ()] == ["verify"]
    assert world.stored.status.maintenance is None, "the five runs of maintenance are not pushed out"
    assert world.stored.status.maintenance_runs == 1, "but the next Job has another name"


def test_the_last_part_ends_the_round(world: FakeMaintenance) -> None:
    measured(world, {"part": 14, "parts": 15})
    world.begin()
    end(world, report("verify", part="15/15"))
    assert state(world).full_at == state(world).read_at is not None


def test_a_part_without_a_pack_needs_no_job(world: FakeMaintenance) -> None:
    measured(world, {"part": 4, "parts": 15})
    world.begin()
    assert world.job_objects == []
    assert (state(world).part, state(world).read_bytes) == (5, 0)
    world.reconcile()
    assert world.operations.observe(KEY) is None, "and the next one waits for its day"


def test_a_repository_that_grew_is_planned_anew(world: FakeMaintenance) -> None:
    measured(world)
    packs(world, "30", "31", "32")
    world.begin()
    assert world.job_objects == []
    assert state(world).size_bytes == 6 * PACK_BYTES


@pytest.mark.parametrize(
    ("storage_class", "data", "message"),
    [
        pytest.param("STANDARD_IA", {}, "off: reading from storage class STANDARD_IA is paid for", id="a cold class"),
        pytest.param("GLACIER", {}, "off: storage class GLACIER must be thawed", id="a frozen class"),
        pytest.param("GLACIER", {"verifyColdClasses": "true"}, "off: storage class GLACIER", id="in any case"),
        pytest.param("", {"verifyPercentPerDay": "0"}, "off: by the ConfigMap", id="switched off"),
        pytest.param("", {"verify": "1"}, "off: ConfigMap heptio-ark/m: unknown key", id="options that mean nothing"),
    ],
)
def test_where_nothing_is_read_the_status_says_why(
    world: FakeMaintenance, storage_class: str, data: dict[str, str], message: str
) -> None:
    configure(world, storage_class)
    world.options.put(OptionsMap(metadata=ObjectMeta(name="m", namespace=NAMESPACE, uid="m"), data=data))
    measured(world)
    world.reconcile()
    assert world.operations.observe(KEY) is None
    assert state(world).message.startswith(message)
    version = world.stored.metadata.resource_version
    world.reconcile()
    assert world.stored.metadata.resource_version == version, "once"


def test_a_cold_class_is_read_where_somebody_wants_it(world: FakeMaintenance) -> None:
    configure(world, "STANDARD_IA")
    options = OptionsMap(
        metadata=ObjectMeta(name="m", namespace=NAMESPACE, uid="m"), data={"verifyColdClasses": "true"}
    )
    world.options.put(options)
    measured(world)
    world.begin()
    assert world.verbs == ["verify"]


def configure(world: FakeMaintenance, storage_class: str) -> None:
    provider = world.config.backup_storage_provider
    assert provider is not None
    config = {**(provider.config or {}), "resticStorageClass": storage_class}
    metadata = msgspec.structs.replace(world.config.metadata, resource_version="7")
    changed = msgspec.structs.replace(provider, config=config)
    world.configs.put(msgspec.structs.replace(world.config, metadata=metadata, backup_storage_provider=changed))


def test_a_wish_reads_the_next_part_whenever_it_is(world: FakeMaintenance) -> None:
    measured(world, {"readAt": DONE})
    world.annotate("verify@now")
    world.begin()
    assert world.verbs == ["verify"]
    end(world, report("verify", part="1/15"))
    assert world.stored.status.maintenance_request == "verify@now"


def test_a_finding_alarms_nobody_yet_and_is_checked_at_once(world: FakeMaintenance) -> None:
    suspected(world)
    assert state(world).suspect == "1/15"
    assert state(world).part == 0, "the part was not read"
    assert not damaged(world)
    assert "RepositoryDamaged" not in world.told
    world.begin()
    assert world.verbs == ["check"]
    assert world.gate.is_closed(KEY.name), "which has the repository for itself"


def test_nothing_is_removed_while_a_finding_stands(world: FakeMaintenance) -> None:
    suspected(world)
    world.patch({"lastPruneTime": "2020-01-01T00:00:00Z", "pendingForget": ["a" * 64]})
    world.begin()
    assert world.verbs == ["check"]


def test_a_finding_that_is_not_confirmed_was_nothing(world: FakeMaintenance) -> None:
    suspected(world)
    world.begin()
    end(world, report("check", part="1/15"))
    assert state(world).suspect == ""
    assert not damaged(world)
    world.begin()
    assert world.verbs == ["verify"], "and the part is read again in its turn"


def test_a_finding_that_is_confirmed_is_loud(world: FakeMaintenance) -> None:
    suspected(world)
    world.begin()
    end(world, report("check", "Failed", settled=False, reason="RepositoryDamaged"))
    (condition,) = world.stored.status.conditions or ()
    assert (condition.type, condition.reason, condition.message) == ("Damaged", "RepositoryDamaged", "so it was")
    assert "RepositoryDamaged" in world.told
    assert state(world).suspect == "1/15"


def test_a_weekly_check_is_as_loud(world: FakeMaintenance) -> None:
    world.add()
    world.begin()
    end(world, report("check", "Failed", settled=False, reason="RepositoryDamaged"))
    assert damaged(world)
    assert "RepositoryDamaged" in world.told


@pytest.mark.parametrize(
    ("message", "stands"),
    [
        pytest.param(report("check", part="1/15"), False, id="a check that read the part finds nothing any more"),
        pytest.param(report("check"), True, id="a check of the structure alone does not end it"),
        pytest.param(
            report("check", "Failed", settled=False, reason="LockTimeout"), True, id="nor one that could not look"
        ),
    ],
)
def test_the_alarm_ends_only_when_the_part_is_whole(world: FakeMaintenance, message: str, stands: bool) -> None:
    condition: JsonObject = {"type": "Damaged", "status": "True", "reason": "RepositoryDamaged", "message": "broken"}
    measured(world, {"suspect": "1/15"}, conditions=[condition])
    world.begin()
    assert world.verbs == ["check"]
    end(world, message)
    assert damaged(world) is stands
    assert (state(world).suspect == "1/15") is stands


def test_a_reading_that_failed_is_tried_again_later(world: FakeMaintenance) -> None:
    measured(world)
    world.begin()
    end(world, report("verify", "Failed", settled=False, reason="BackendUnreachable"))
    assert (state(world).part, [run.phase for run in state(world).runs or ()]) == (0, ["Failed"])
    world.reconcile()
    assert world.operations.observe(KEY) is None


def test_a_prune_asked_for_by_hand_is_refused_with_the_damage(world: FakeMaintenance) -> None:
    condition: JsonObject = {"type": "Damaged", "status": "True", "reason": "RepositoryDamaged", "message": "broken"}
    measured(world, {"readAt": DONE}, conditions=[condition])
    world.annotate("prune@now")
    world.reconcile()
    assert world.last_run == ("prune", "Failed", "RepositoryDamaged")
    assert "broken" in (world.stored.status.maintenance or ())[0].message


def test_a_month_of_a_repository_that_nobody_uses(world: FakeMaintenance) -> None:
    """A part a week is read, which checks the structure too; that nothing is to be pruned is believed for a month."""
    packs(world, *(f"{number:02x}" for number in range(16)))
    now = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    world.add(status={"lastPruneTime": now, "lastCheckTime": now, "verification": {"readAt": now}})
    done: list[str] = []
    for _ in range(28 * 8):
        world.clock.advance(3 * 3600)
        world.reconcile()
        if world.operations.observe(KEY) is not None:
            assert world.ended.get(timeout=LONG_SECONDS) == KEY
            world.reconcile()
        for job in world.job_objects:
            done.append(job.metadata.annotation("ark.heptio.com/verbs"))
            moment = world.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            part = job.metadata.annotation("ark.heptio.com/part")
            world.end_job(message=report(done[-1], part=part), moment=moment)
            world.reconcile()
            world.api.client.delete(JOBS, NAMESPACE, job.metadata.name)
    assert done == ["verify"] * 4 + ["prune"]


def test_a_part_that_is_being_read_counts_as_read() -> None:
    """Else two repositories whose turn comes at once would each take what is left of the day."""
    location = storage_location(StorageProvider(name="local", bucket="bucket", config={"path": "/"}))
    now = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)
    old = ObjectMeta(name="one", namespace=NAMESPACE, uid="one", creation_timestamp=now - datetime.timedelta(days=30))
    half = Verification(size_bytes=250 << 30, measured_at=now, part=1, parts=100)
    one = ResticRepository(metadata=old, status=ResticRepositoryStatus(verification=half))
    other = msgspec.structs.replace(one, metadata=msgspec.structs.replace(old, name="other", uid="other"))
    reading: set[str] = set()
    verifier = Verifier(
        namespace=NAMESPACE,
        options=FakeLister([OptionsMap(metadata=old, data={"verifyBytesPerDay": "4Gi", "verifyPercentPerDay": "1"})]),
        repositories=FakeLister([one, other]),
        reading=reading.__contains__,
    )
    assert verifier.choose(one, location, now).part is not None
    reading.add("other")
    assert verifier.choose(one, location, now).part is None
    assert verifier.rate(location) == "all data read in 125 days at this rate"
