"""Which expired backups go, and what keeps the others."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

import msgspec
import pytest

from pkg.apis.ark import (
    Backup,
    BackupSpec,
    BackupStatus,
    Claim,
    DeleteBackupRequest,
    DeleteBackupRequestSpec,
    DeleteBackupRequestStatus,
    Restore,
    RestoreSpec,
    RestoreStatus,
    VolumeCounts,
    VolumeEntry,
)
from pkg.apis.meta import Condition, ObjectMeta
from pkg.apis.names import (
    ADOPTED_ANNOTATION,
    DELETION_CONFIRMED_ANNOTATION,
    DELETION_HELD_CONDITION,
    IMPORTED_ANNOTATION,
    PINNED_ANNOTATION,
    SCHEDULE_LABEL,
    SHRINK_ACKNOWLEDGED_ANNOTATION,
)
from pkg.apis.reasons import Reason
from pkg.controllers.gc_plan import GcDecision, GcStep, GcView, decide_gc
from pkg.controllers.mass_deletion import allowance

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
CLUSTER = "cluster-1"
SHRUNK = VolumeCounts(entries=(VolumeEntry(reason=Reason.SUSPICIOUS_SHRINK, parent_backup="b"),))


def backup(
    name: str = "b",
    *,
    age: float = 40,
    ttl: float | None = 30,
    phase: str = "Completed",
    schedule: str = "",
    annotations: dict[str, str] | None = None,
    status: dict[str, object] | None = None,
) -> Backup:
    made = NOW - DAY * age
    metadata = ObjectMeta(
        name=name,
        namespace="heptio-ark",
        uid=f"uid-{name}",
        creation_timestamp=made,
        labels={SCHEDULE_LABEL: schedule} if schedule else None,
        annotations=annotations,
    )
    found = BackupStatus(
        phase=phase,
        start_timestamp=made,
        expiration=made + DAY * ttl if ttl is not None else None,
        cluster_id=CLUSTER,
        claim=Claim(epoch=1),
    )
    changed = msgspec.structs.replace(found, **(status or {}))
    return Backup(metadata=metadata, spec=BackupSpec(ttl="720h0m0s"), status=changed)


def request(name: str, *, phase: str = "", ended: float = 0, schedule: str = "") -> DeleteBackupRequest:
    return DeleteBackupRequest(
        metadata=ObjectMeta(name=f"r-{name}", labels={SCHEDULE_LABEL: schedule} if schedule else None),
        spec=DeleteBackupRequestSpec(backup_name=name),
        status=DeleteBackupRequestStatus(phase=phase, completion_timestamp=NOW - datetime.timedelta(minutes=ended)),
    )


def decide(
    one: Backup,
    others: Sequence[Backup] = (),
    *,
    requests: Sequence[DeleteBackupRequest] = (),
    restores: Sequence[Restore] = (),
    min_keep: int | None = None,
    frozen: str = "",
    restore_only: bool = False,
) -> GcDecision:
    every = [one, *others]
    schedule = one.metadata.label(SCHEDULE_LABEL)
    view = GcView(
        now=NOW,
        cluster_id=CLUSTER,
        backups=every,
        group=[each for each in every if schedule and each.metadata.label(SCHEDULE_LABEL) == schedule],
        requests=requests,
        restores=restores,
        min_keep=min_keep,
        frozen=frozen,
        restore_only=restore_only,
    )
    return decide_gc(one, view)


IMPORTED = {IMPORTED_ANNOTATION: "true"}
JUST_ADOPTED = {**IMPORTED, ADOPTED_ANNOTATION: (NOW - 6 * DAY).isoformat()}
LONG_ADOPTED = {**IMPORTED, ADOPTED_ANNOTATION: (NOW - 8 * DAY).isoformat()}
OTHERS: dict[str, object] = {"cluster_id": "cluster-2"}


@pytest.mark.parametrize(
    ("one", "step"),
    [
        pytest.param(backup(), GcStep.DELETE, id="expired"),
        pytest.param(backup(age=29), GcStep.KEEP, id="not expired"),
        pytest.param(backup(age=30), GcStep.DELETE, id="expires now"),
        pytest.param(backup(ttl=None), GcStep.KEEP, id="a TTL of 0 means never"),
        pytest.param(backup(phase="InProgress"), GcStep.KEEP, id="in progress"),
        pytest.param(backup(phase="New"), GcStep.KEEP, id="not begun"),
        pytest.param(backup(phase="Failed"), GcStep.DELETE, id="failed"),
        pytest.param(backup(phase="PartiallyFailed"), GcStep.DELETE, id="partially failed"),
        pytest.param(backup(phase="Deleting", ttl=None), GcStep.DELETE, id="a deletion without its request"),
        pytest.param(backup(status=OTHERS), GcStep.KEEP, id="another cluster's"),
        pytest.param(backup(phase="Deleting", status=OTHERS), GcStep.WAIT, id="another cluster's, deleting"),
        pytest.param(backup(status=OTHERS, annotations=JUST_ADOPTED), GcStep.KEEP, id="adopted six days ago"),
        pytest.param(backup(status=OTHERS, annotations=LONG_ADOPTED), GcStep.DELETE, id="adopted eight days ago"),
        pytest.param(
            backup(phase="FailedValidation", ttl=None, status={"cluster_id": "", "claim": None}),
            GcStep.DELETE,
            id="refused, older than its ttl",
        ),
        pytest.param(
            backup(age=29, phase="FailedValidation", ttl=None, status={"cluster_id": "", "claim": None}),
            GcStep.KEEP,
            id="refused, younger than its ttl",
        ),
    ],
)
def test_who_has_expired(one: Backup, step: GcStep) -> None:
    assert decide(one).step is step


def test_an_unexpired_backup_is_looked_at_when_it_expires() -> None:
    assert decide(backup(age=29)).look_at == NOW + DAY


@pytest.mark.parametrize(
    ("one", "others", "min_keep", "reason"),
    [
        pytest.param(backup(schedule="s"), [], None, Reason.EXPIRATION_HELD, id="the only one"),
        pytest.param(backup(schedule="s"), [backup("n", age=35, schedule="s")], None, None, id="a newer expired one"),
        pytest.param(
            backup(schedule="s"),
            [backup("n", age=1, phase="PartiallyFailed", schedule="s")],
            None,
            Reason.EXPIRATION_HELD,
            id="a newer one that failed partially does not count",
        ),
        pytest.param(
            backup(schedule="s", phase="PartiallyFailed"),
            [backup("n", age=1, phase="Failed", schedule="s")],
            None,
            Reason.EXPIRATION_HELD,
            id="the last with anything in it, where none is Completed",
        ),
        pytest.param(
            backup(schedule="s", phase="Failed"), [], None, None, id="one that holds nothing is nobody's last good one"
        ),
        pytest.param(
            backup(schedule="s"), [backup("n", age=35, schedule="s")], 2, Reason.EXPIRATION_HELD, id="minKeep 2"
        ),
        pytest.param(backup(schedule="s"), [], 0, None, id="minKeep 0"),
        pytest.param(backup(schedule="s"), [], -3, None, id="minKeep below 0"),
        pytest.param(backup(), [], None, None, id="without a schedule"),
        pytest.param(
            backup(schedule="s"),
            [backup("n", age=1, schedule="other")],
            None,
            Reason.EXPIRATION_HELD,
            id="another schedule's newer one",
        ),
        pytest.param(
            backup(schedule="s"),
            [backup("n", age=1, schedule="s", phase="Deleting")],
            None,
            Reason.EXPIRATION_HELD,
            id="a newer one that is being deleted",
        ),
    ],
)
def test_the_last_good_one_of_a_schedule_stays(
    one: Backup, others: list[Backup], min_keep: int | None, reason: Reason | None
) -> None:
    assert decide(one, others, min_keep=min_keep).reason is reason


FLAGGED = backup("f", age=10, status={"volumes": SHRUNK})
ACKNOWLEDGED = backup("f", age=10, status={"volumes": SHRUNK}, annotations={SHRINK_ACKNOWLEDGED_ANNOTATION: "ok"})
UNNAMED = VolumeCounts(entries=(VolumeEntry(reason=Reason.SUSPICIOUS_SHRINK),))


@pytest.mark.parametrize(
    ("one", "others", "reason"),
    [
        pytest.param(backup(), [FLAGGED], Reason.SUSPICIOUS_SHRINK, id="the capture before the shrinking"),
        pytest.param(backup(), [ACKNOWLEDGED], None, id="acknowledged"),
        pytest.param(backup("c"), [FLAGGED], None, id="another backup"),
        pytest.param(backup("f", status={"volumes": SHRUNK}), [], Reason.SUSPICIOUS_SHRINK, id="the one that says so"),
        pytest.param(
            backup(schedule="s"),
            [backup("f", age=10, schedule="s", status={"volumes": UNNAMED}), backup("x", age=50, schedule="s")],
            Reason.SUSPICIOUS_SHRINK,
            id="the one before in its schedule, where the capture's backup is not known",
        ),
    ],
)
def test_a_suspicious_shrink_holds_the_previous_capture(
    one: Backup, others: list[Backup], reason: Reason | None
) -> None:
    assert decide(one, others).reason is reason


def restore(phase: str, *, of: str = "b", schedule: str = "") -> Restore:
    spec = RestoreSpec(backup_name="" if schedule else of, schedule_name=schedule)
    return Restore(metadata=ObjectMeta(name="r"), spec=spec, status=RestoreStatus(phase=phase))


@pytest.mark.parametrize(
    ("restores", "reason"),
    [
        pytest.param([restore("InProgress")], Reason.BACKUP_IN_USE, id="running"),
        pytest.param([restore("")], Reason.BACKUP_IN_USE, id="about to run"),
        pytest.param([restore("", schedule="s")], Reason.BACKUP_IN_USE, id="of the schedule, not resolved yet"),
        pytest.param([restore("Completed")], None, id="ended"),
        pytest.param([restore("InProgress", of="c")], None, id="of another"),
    ],
)
def test_a_backup_in_use_waits(restores: list[Restore], reason: Reason | None) -> None:
    newer = backup("n", age=1, schedule="s")
    assert decide(backup(schedule="s"), [newer], restores=restores).reason is reason


def test_a_pin_holds_and_says_why() -> None:
    decision = decide(backup(annotations={PINNED_ANNOTATION: "audit 2026"}))
    assert (decision.reason, decision.message) == (Reason.PINNED, "pinned: audit 2026")


def test_a_freeze_holds_and_says_why() -> None:
    decision = decide(backup(), frozen="incident 7")
    assert decision.reason is Reason.DELETIONS_FROZEN
    assert "incident 7" in decision.message


def test_in_restore_only_mode_nothing_goes() -> None:
    assert decide(backup(), restore_only=True).step is GcStep.WAIT


@pytest.mark.parametrize("phase", ["", "InProgress", "Processed"])
def test_one_request_at_a_time(phase: str) -> None:
    assert decide(backup(), requests=[request("b", phase=phase)]).step is GcStep.WAIT
    assert decide(backup(), requests=[request("another", phase=phase)]).step is GcStep.DELETE


def history(count: int, *, expired: int) -> list[Backup]:
    """A schedule's backups, the oldest first; so many of them have expired."""
    return [
        backup(f"b{number:03}", age=40 - number / 100 if number < expired else 5 - number / 100, schedule="s")
        for number in range(count)
    ]


def let_go(every: list[Backup], requests: Sequence[DeleteBackupRequest] = ()) -> list[str]:
    decisions = {
        one.metadata.name: decide(one, [each for each in every if each is not one], requests=requests) for one in every
    }
    return [name for name, found in decisions.items() if found.step is GcStep.DELETE]


def test_more_than_ten_at_once_are_held_the_oldest_go() -> None:
    every = history(31, expired=30)
    assert let_go(every) == [f"b{number:03}" for number in range(10)]
    held = decide(every[12], [*every[:12], *every[13:]])
    assert held.reason is Reason.MASS_DELETION_HELD
    assert "ark backup confirm-deletions s" in held.message


def test_a_quarter_of_what_has_not_expired_may_go() -> None:
    assert len(let_go(history(100, expired=40))) == 60 // 4


@pytest.mark.parametrize(("unexpired", "allowed"), [(0, 10), (40, 10), (43, 10), (44, 11), (400, 100)])
def test_how_many_may_go(unexpired: int, allowed: int) -> None:
    assert allowance(unexpired) == allowed


@pytest.mark.parametrize(
    ("requests", "going"),
    [
        pytest.param([request(f"x{n}", phase="Processed", ended=10, schedule="s") for n in range(4)], 6, id="lately"),
        pytest.param([request(f"x{n}", phase="Processed", ended=61, schedule="s") for n in range(4)], 10, id="before"),
        pytest.param([request(f"x{n}", phase="InProgress", schedule="s") for n in range(4)], 6, id="going on"),
        pytest.param([request(f"x{n}", phase="InProgress", schedule="t") for n in range(4)], 10, id="another's"),
        pytest.param([request(f"b{n:03}") for n in range(4)], 6, id="asked for"),
    ],
)
def test_what_went_within_the_hour_counts(requests: list[DeleteBackupRequest], going: int) -> None:
    assert len(let_go(history(31, expired=30), requests)) == going


def held_before() -> Backup:
    condition = Condition(type=DELETION_HELD_CONDITION, status="True", reason="MassDeletionHeld", message="too many")
    return backup(schedule="s", status={"conditions": (condition,)})


def test_a_hold_for_a_mass_deletion_lasts_until_it_is_confirmed() -> None:
    newer = backup("n", age=1, schedule="s")
    held = held_before()
    assert decide(held, [newer]) == GcDecision(step=GcStep.HOLD, reason=Reason.MASS_DELETION_HELD, message="too many")
    confirmed = backup(
        schedule="s", annotations={DELETION_CONFIRMED_ANNOTATION: "now"}, status={"conditions": held.status.conditions}
    )
    assert decide(confirmed, [newer]).step is GcStep.DELETE


def test_what_is_held_takes_nobodys_place() -> None:
    condition = Condition(type=DELETION_HELD_CONDITION, status="True", reason="MassDeletionHeld", message="too many")
    held = [backup(f"h{n:02}", age=60, schedule="s", status={"conditions": (condition,)}) for n in range(20)]
    assert let_go([*held, *history(5, expired=4)]) == [f"b{number:03}" for number in range(4)]
