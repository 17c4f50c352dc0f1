"""What is done now, and why not."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

import msgspec
import pytest

from pkg.apis.ark import BackupSpec, Schedule, ScheduleSpec, ScheduleStatus
from pkg.apis.meta import Condition, ObjectMeta
from pkg.apis.volumes import (
    MaintenanceRun,
    PodVolumeBackup,
    PodVolumeBackupSpec,
    PodVolumeBackupStatus,
    ResticRepository,
    ResticRepositorySpec,
    ResticRepositoryStatus,
    Verification,
)
from pkg.controllers.maintenance_plan import (
    AFTER_GIVING_WAY,
    FIRST_RETRY,
    Rules,
    Surroundings,
    Verb,
    decide,
    due_verbs,
    gives_way,
    is_idle,
    next_backup_of,
    requested_verbs,
    retry_at,
)
from pkg.controllers.maintenance_times import DAY, WEEK, last_turn, parse_window

FORGET, PRUNE, CHECK = Verb.FORGET, Verb.PRUNE, Verb.CHECK
NOON = datetime.datetime(2026, 5, 4, 12, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
WEEKLY = last_turn("shop", WEEK, NOON)
DAILY = last_turn("shop", DAY, NOON)
ID = "a" * 64
FREE = Surroundings(now=NOON)
DAMAGED = Condition(type="Damaged", status="True", message="broken")


def repository(**status: Any) -> ResticRepository:
    """One that had everything done a moment ago; `status` says what is otherwise."""
    fresh = {"last_forget_time": NOON, "last_prune_time": NOON, "last_check_time": NOON}
    return ResticRepository(
        metadata=ObjectMeta(name="shop", namespace="ark", uid="u", creation_timestamp=NOON - 100 * DAY),
        spec=ResticRepositorySpec(volume_namespace="shop", restic_identifier="s3:x/shop"),
        status=ResticRepositoryStatus(**{"phase": "Ready", "repository_id": "r", **fresh, **status}),
    )


@pytest.mark.parametrize(
    ("status", "verbs"),
    [
        pytest.param({}, (), id="all was done"),
        pytest.param({"last_prune_time": WEEKLY - MINUTE}, (PRUNE,), id="not pruned since its turn"),
        pytest.param({"last_prune_time": WEEKLY}, (), id="pruned at its turn"),
        pytest.param({"last_check_time": WEEKLY - 9 * DAY}, (CHECK,), id="a turn that was missed is still due"),
        pytest.param({"last_prune_time": None}, (PRUNE,), id="never pruned, and old enough"),
        pytest.param({"pending_forget": (ID,)}, (), id="forgotten today already"),
        pytest.param({"pending_forget": (ID,), "last_forget_time": DAILY - MINUTE}, (FORGET,), id="once a day"),
        pytest.param({"last_forget_time": DAILY - 9 * DAY}, (), id="nothing to forget"),
        pytest.param(
            {"pending_forget": (ID,), "last_prune_time": WEEKLY - MINUTE},
            (FORGET, PRUNE),
            id="what is queued is forgotten before a prune",
        ),
    ],
)
def test_what_is_due(status: dict[str, object], verbs: tuple[Verb, ...]) -> None:
    assert due_verbs(repository(**status), NOON) == verbs


def capture(repository: str, ended: datetime.datetime | None) -> PodVolumeBackup:
    spec = PodVolumeBackupSpec(repository=repository, repo_identifier="s3:x/shop")
    return PodVolumeBackup(spec=spec, status=PodVolumeBackupStatus(completion_timestamp=ended))


@pytest.mark.parametrize(
    ("status", "captures", "idle"),
    [
        pytest.param({}, [], True, id="nothing happened"),
        pytest.param({}, [capture("shop", NOON - 8 * DAY)], True, id="a capture before"),
        pytest.param({}, [capture("shop", NOON - DAY)], False, id="a capture since"),
        pytest.param({}, [capture("shop", None)], False, id="a capture that has not ended"),
        pytest.param({}, [capture("till", NOON)], True, id="a capture elsewhere"),
        pytest.param({"last_forget_time": NOON - DAY}, [], False, id="snapshots were forgotten since"),
        pytest.param({"pending_forget": (ID,)}, [], False, id="snapshots wait to be forgotten"),
        pytest.param({"last_prune_time": None}, [], False, id="never pruned"),
        pytest.param({"last_prune_time": NOON - 29 * DAY}, [], False, id="it is not believed for ever"),
    ],
)
def test_where_nothing_changed_there_is_nothing_to_prune(
    status: dict[str, Any], captures: list[PodVolumeBackup], idle: bool
) -> None:
    before = {"last_prune_time": NOON - 7 * DAY, "last_forget_time": NOON - 7 * DAY - MINUTE}
    one = repository(**{**before, **status})
    assert is_idle(one, captures, NOON) is idle
    assert (PRUNE in due_verbs(one, NOON, idle=idle)) is not idle


def run(phase: str = "Completed", reason: str = "") -> Verification:
    return Verification(runs=(MaintenanceRun(verb="verify", phase=phase, reason=reason, start_timestamp=NOON),))


@pytest.mark.parametrize(
    ("verification", "due"),
    [
        pytest.param(run(), (), id="a verification checks the structure too"),
        pytest.param(run(phase="Failed"), (CHECK,), id="one that failed did not"),
        pytest.param(run(reason="DamageSuspected"), (CHECK,), id="nor one that found something"),
        pytest.param(None, (CHECK,), id="there was none"),
    ],
)
def test_what_was_verified_need_not_be_checked(verification: Verification | None, due: tuple[Verb, ...]) -> None:
    assert due_verbs(repository(last_check_time=WEEKLY - MINUTE, verification=verification), NOON) == due


@pytest.mark.parametrize("status", [{"verification": Verification(suspect="1/5")}, {"conditions": (DAMAGED,)}])
def test_nothing_is_removed_from_a_repository_in_doubt(status: dict[str, Any]) -> None:
    given = repository(last_prune_time=None, last_check_time=None, pending_forget=(ID,), **status)
    assert decide(given, Rules(), FREE).verbs == (CHECK,)
    by_hand = decide(given, Rules(), dataclasses.replace(FREE, requested=(FORGET, PRUNE)))
    assert (by_hand.verbs, "repository" in by_hand.reason) == ((), True)


def test_what_is_suspected_is_checked_whatever_the_hour() -> None:
    window = Rules(window=parse_window("01:00-02:00"))
    soon = dataclasses.replace(FREE, next_backup=NOON + MINUTE)
    suspected = repository(verification=Verification(suspect="1/5"))
    assert decide(suspected, window, soon).verbs == (CHECK,)
    assert decide(suspected, window, dataclasses.replace(soon, in_use=True)).hold, "and captures wait for it"


def test_backups_do_not_wait_for_another_look_at_what_is_known_to_be_broken() -> None:
    given = repository(verification=Verification(suspect="1/5"), conditions=(DAMAGED,), last_check_time=None)
    assert not decide(given, Rules(), dataclasses.replace(FREE, in_use=True)).hold
    assert decide(given, Rules(), FREE).verbs == (CHECK,)


def test_a_new_repository_waits_for_its_turn() -> None:
    born = ObjectMeta(name="shop", creation_timestamp=NOON - MINUTE)
    new = msgspec.structs.replace(repository(last_prune_time=None, last_check_time=None), metadata=born)
    assert due_verbs(new, NOON) == ()
    assert due_verbs(new, NOON + WEEK) == (PRUNE, CHECK)


def test_the_frequency_of_0_9_is_honoured() -> None:
    spec = ResticRepositorySpec(maintenance_frequency="24h0m0s")
    daily = msgspec.structs.replace(repository(last_prune_time=DAILY - MINUTE), spec=spec)
    assert due_verbs(daily, NOON) == (PRUNE,)


DUE = repository(last_prune_time=WEEKLY - MINUTE, last_check_time=WEEKLY - MINUTE, pending_forget=(ID,))
OVERDUE = repository(last_prune_time=NOON - 30 * DAY, last_check_time=NOON)


def around(**changes: Any) -> Surroundings:
    return dataclasses.replace(FREE, **changes)


@pytest.mark.parametrize(
    ("given", "rules", "surroundings", "verbs", "reason"),
    [
        pytest.param(DUE, Rules(), FREE, (FORGET, PRUNE, CHECK), "", id="everything is done in one Job"),
        pytest.param(repository(), Rules(), FREE, (), "", id="nothing is due"),
        pytest.param(DUE, Rules(restore_only=True), FREE, (), "restoreOnly", id="restoreOnly writes nothing"),
        pytest.param(DUE, Rules(frozen="audit"), FREE, (CHECK,), "", id="a freeze leaves the check"),
        pytest.param(
            repository(pending_forget=(ID,), last_forget_time=None),
            Rules(frozen="audit"),
            FREE,
            (),
            "deletions are frozen: audit",
            id="a freeze stops forget",
        ),
        pytest.param(
            DUE, Rules(window=parse_window("01:00-05:00")), FREE, (FORGET,), "", id="outside the window only forget"
        ),
        pytest.param(
            DUE,
            Rules(window=parse_window("11:00-13:00")),
            FREE,
            (FORGET, PRUNE, CHECK),
            "",
            id="inside the window everything",
        ),
        pytest.param(
            DUE,
            Rules(),
            around(next_backup=NOON + 59 * MINUTE),
            (FORGET,),
            "",
            id="never a prune in the hour before a backup",
        ),
        pytest.param(
            DUE,
            Rules(),
            around(next_backup=NOON + 60 * MINUTE),
            (FORGET, PRUNE, CHECK),
            "",
            id="a prune more than an hour before one",
        ),
        pytest.param(DUE, Rules(), around(jobs_running=2), (), "2 maintenance Jobs", id="two Jobs at once"),
        pytest.param(DUE, Rules(), around(jobs_running=1), (FORGET, PRUNE, CHECK), "", id="a second Job"),
        pytest.param(DUE, Rules(), around(in_use=True), (), "backups or restores", id="nothing while it is in use"),
        pytest.param(
            repository(phase="NotReady", last_prune_time=None), Rules(), FREE, (), "not Ready", id="not while NotReady"
        ),
        pytest.param(
            repository(),
            Rules(window=parse_window("01:00-05:00")),
            around(requested=(PRUNE,), next_backup=NOON + MINUTE),
            (PRUNE,),
            "",
            id="who asks by hand is not held to the hours",
        ),
        pytest.param(
            repository(), Rules(frozen="audit"), around(requested=(PRUNE,)), (), "frozen", id="but to a freeze"
        ),
        pytest.param(
            repository(), Rules(), around(requested=(PRUNE,), in_use=True), (), "backups", id="and to who is inside"
        ),
    ],
)
def test_what_begins_now(
    given: ResticRepository, rules: Rules, surroundings: Surroundings, verbs: tuple[Verb, ...], reason: str
) -> None:
    decision = decide(given, rules, surroundings)
    assert decision.verbs == verbs
    assert reason in decision.reason
    assert decision.hold or not verbs


@pytest.mark.parametrize(
    ("given", "held"),
    [
        pytest.param(DUE, False, id="a backup outranks housekeeping that is just due"),
        pytest.param(OVERDUE, True, id="what is days overdue goes before new backups"),
        pytest.param(
            repository(pending_forget=(ID,), last_forget_time=NOON - 30 * DAY), False, id="forgetting can wait"
        ),
    ],
)
def test_backups_are_held_back_only_for_what_is_long_overdue(given: ResticRepository, held: bool) -> None:
    decision = decide(given, Rules(), around(in_use=True, now=WEEKLY + 2 * DAY))
    assert decision.hold is held


def runs(*phases: str) -> tuple[MaintenanceRun, ...]:
    return tuple(MaintenanceRun(phase=phase, completion_timestamp=NOON - n * MINUTE) for n, phase in enumerate(phases))


@pytest.mark.parametrize(
    ("history", "delay"),
    [
        pytest.param(runs("Failed"), FIRST_RETRY, id="after one failure"),
        pytest.param(runs("Failed", "Failed"), 2 * FIRST_RETRY, id="after two"),
        pytest.param(runs("Failed", "Completed", "Failed"), FIRST_RETRY, id="only those in a row count"),
        pytest.param(runs(*["Failed"] * 5), 16 * FIRST_RETRY, id="after five"),
        pytest.param(runs("Interrupted"), AFTER_GIVING_WAY, id="after giving way"),
        pytest.param(runs("Interrupted", "Failed"), FIRST_RETRY, id="giving way counts for no failure"),
    ],
)
def test_a_failure_is_tried_again_ever_later(history: tuple[MaintenanceRun, ...], delay: datetime.timedelta) -> None:
    assert retry_at(history) == NOON + delay
    again = msgspec.structs.replace(DUE, status=msgspec.structs.replace(DUE.status, maintenance=history))
    assert decide(again, Rules(), around(now=NOON + delay - MINUTE)).verbs == ()
    assert decide(again, Rules(), around(now=NOON + delay)).verbs != ()


def test_success_is_followed_at_once() -> None:
    assert retry_at(runs("Completed", "Failed")) < NOON


@pytest.mark.parametrize(
    ("request_", "done", "verbs"),
    [
        pytest.param("", "", (), id="no wish"),
        pytest.param("prune,forget@t", "", (FORGET, PRUNE), id="a new wish, in the order of the work"),
        pytest.param("prune@t", "prune@t", (), id="a wish that was carried out"),
        pytest.param("prune@u", "prune@t", (PRUNE,), id="the same wish again"),
        pytest.param("destroy@u", "", (), id="an unknown verb"),
    ],
)
def test_a_wish_is_carried_out_once(request_: str, done: str, verbs: tuple[Verb, ...]) -> None:
    assert requested_verbs(request_, done) == verbs


@pytest.mark.parametrize(
    ("started", "waited", "wanted", "gives"),
    [
        pytest.param(False, 60, True, True, id="it has not begun and a backup waits"),
        pytest.param(False, 59, True, False, id="it gets a minute to begin"),
        pytest.param(False, 600, False, False, id="nobody waits"),
        pytest.param(True, 600, True, False, id="it has begun: the backup waits"),
    ],
)
def test_a_job_that_has_not_begun_gives_way(started: bool, waited: float, wanted: bool, gives: bool) -> None:
    assert gives_way(started=started, waited_seconds=waited, wanted=wanted, patience_seconds=60) is gives


def schedule(minutes: int | None, *, paused: bool = False, **template: Any) -> Schedule:
    moment = NOON + minutes * MINUTE if minutes is not None else None
    return Schedule(
        spec=ScheduleSpec(template=BackupSpec(**template), paused=paused), status=ScheduleStatus(next_backup=moment)
    )


@pytest.mark.parametrize(
    ("schedules", "minutes"),
    [
        pytest.param([], None, id="no schedule"),
        pytest.param([schedule(9), schedule(5)], 5, id="the first of several"),
        pytest.param([schedule(5, included_namespaces=("other",)), schedule(9)], 9, id="another namespace's"),
        pytest.param([schedule(5, excluded_namespaces=("shop",))], None, id="one that leaves it out"),
        pytest.param([schedule(5, paused=True)], None, id="a paused one"),
        pytest.param([schedule(None)], None, id="one that has no next time"),
    ],
)
def test_the_next_backup_is_the_first_that_takes_the_namespace_in(
    schedules: list[Schedule], minutes: int | None
) -> None:
    expected = NOON + minutes * MINUTE if minutes is not None else None
    assert next_backup_of("shop", schedules) == expected
