"""Which run of a schedule is due, and what becomes of it."""

from __future__ import annotations

import datetime
from datetime import UTC, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pkg.apis.ark import Backup, BackupSpec, BackupStatus, Schedule, ScheduleSpec, ScheduleStatus
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import IMPORTED_ANNOTATION, SCHEDULE_LABEL
from pkg.apis.reasons import Reason
from pkg.controllers.schedule_plan import MAX_SCHEDULE_NAME_CHARACTERS, plan_schedule, problems
from pkg.controllers.schedule_runs import SchedulePlan, ScheduleView, backup_name, run_of

DAILY = ScheduleSpec(schedule="0 1 * * *")


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


CREATED = at("01-01T12:00")


def schedule(
    spec: ScheduleSpec = DAILY, status: ScheduleStatus | None = None, created: datetime.datetime = CREATED
) -> Schedule:
    metadata = ObjectMeta(name="nightly", namespace="ark", uid="u", creation_timestamp=created)
    return Schedule(metadata=metadata, spec=spec, status=status or ScheduleStatus())


def backup(name: str, phase: str = "Completed", *, imported: bool = False) -> Backup:
    annotations = {IMPORTED_ANNOTATION: "true"} if imported else None
    metadata = ObjectMeta(name=name, namespace="ark", labels={SCHEDULE_LABEL: "nightly"}, annotations=annotations)
    return Backup(metadata=metadata, status=BackupStatus(phase=phase))


def plan(one: Schedule, now: str, *backups: Backup, restore_only: bool = False, taken: str = "") -> SchedulePlan:
    return plan_schedule(
        ScheduleView(schedule=one, now=at(now), backups=backups, restore_only=restore_only, taken=taken)
    )


LAST = ScheduleStatus(phase="Enabled", timetable="0 1 * * *, UTC", last_backup=at("01-02T01:00"))


def test_the_first_run_is_at_the_first_time_that_the_line_names() -> None:
    found = plan(schedule(), "01-01T12:00")
    assert found.run is None
    assert found.wake_at == found.status.next_backup == at("01-02T01:00")
    assert found.status.phase == "Enabled"
    assert plan(schedule(status=found.status), "01-02T00:59:59").run is None
    assert plan(schedule(status=found.status), "01-02T01:00").run == at("01-02T01:00")


def test_with_run_on_create_the_first_run_is_at_once_and_only_one() -> None:
    spec = replace(DAILY, run_on_create=True)
    first = plan(schedule(spec), "01-01T12:00")
    assert first.run == CREATED
    assert first.status.last_backup_name == "nightly-20260101120000"
    assert first.wake_at == at("01-02T01:00")
    assert plan(schedule(spec, first.status), "01-01T12:00:05").run is None
    late = plan(schedule(spec), "01-09T00:00")
    assert late.run == CREATED, "it was never too late for it"


def test_a_run_makes_a_backup_whose_name_is_the_time_of_the_run() -> None:
    found = plan(schedule(status=LAST), "01-03T01:00:41")
    assert found.run == at("01-03T01:00")
    assert found.status.last_backup == at("01-03T01:00")
    assert found.status.last_backup_name == backup_name("nightly", found.run) == "nightly-20260103010000"
    assert found.status.next_backup == found.wake_at == at("01-04T01:00")


def test_a_run_that_was_made_but_not_written_down_is_written_down_and_not_made_again() -> None:
    found = plan(schedule(status=LAST), "01-03T01:00:41", backup("nightly-20260103010000", "InProgress"))
    assert found.run is None
    assert found.status.last_backup == at("01-03T01:00")
    assert found.status.last_backup_name == "nightly-20260103010000"
    assert found.left is None


def test_it_is_written_down_also_when_the_server_comes_back_late() -> None:
    found = plan(schedule(status=LAST), "01-03T20:00", backup("nightly-20260103010000", "Failed"))
    assert (found.run, found.left) == (None, None)
    assert found.status.last_backup == at("01-03T01:00")


@pytest.mark.parametrize("phase", ["", "New", "InProgress"])
def test_a_backup_that_has_not_ended_refuses_the_next_one(phase: str) -> None:
    found = plan(schedule(status=LAST), "01-03T01:00:01", backup("nightly-20260102010000", phase))
    assert found.run is None
    assert found.left is Reason.OVERLAP
    assert "the run of 2026-01-03T01:00:00Z was left out: backup nightly-20260102010000 has not ended" in found.note
    assert (found.status.reason, found.status.message) == ("Overlap", found.note)
    assert found.status.last_skipped == at("01-03T01:00")
    again = plan(schedule(status=found.status), "01-03T05:00", backup("nightly-20260102010000"))
    assert (again.run, again.left) == (None, None), "what was left out is not made later"
    assert again.status.reason == "Overlap", "and it is still told"
    assert plan(schedule(status=found.status), "01-04T01:00").status.reason == ""


@pytest.mark.parametrize("phase", ["Completed", "PartiallyFailed", "Failed", "FailedValidation", "Deleting"])
def test_a_backup_that_has_ended_does_not(phase: str) -> None:
    assert plan(schedule(status=LAST), "01-03T01:00", backup("nightly-20260102010000", phase)).run


def test_an_imported_backup_that_never_ended_does_not_either() -> None:
    found = plan(schedule(status=LAST), "01-03T01:00", backup("nightly-20251202010000", "InProgress", imported=True))
    assert found.run == at("01-03T01:00")


@pytest.mark.parametrize(
    ("now", "run", "left"),
    [
        pytest.param("01-03T12:59:59", "01-03T01:00", None, id="by less than half the interval: it is made up for"),
        pytest.param("01-03T13:00:00", None, Reason.MISSED, id="by half: it is left out"),
        pytest.param(
            "01-05T09:00:00", "01-05T01:00", Reason.MISSED, id="of several only the last, the others are told"
        ),
        pytest.param("01-05T14:00:00", None, Reason.MISSED, id="of several none"),
    ],
)
def test_a_late_run_is_made_only_by_less_than_half_the_interval(now: str, run: str | None, left: Reason | None) -> None:
    found = plan(schedule(status=LAST), now)
    assert found.run == (at(run) if run else None)
    assert found.left is left
    assert found.status.reason == ("" if run else "Missed")
    if run is None:
        assert found.status.last_skipped
        assert "late by" in found.status.message
    elif left:
        assert found.note == "no server made the runs from 2026-01-03T01:00:00Z until before 2026-01-05T01:00:00Z"
    after = plan(schedule(status=found.status), now)
    assert (after.run, after.left) == (None, None)


def test_a_backup_of_somebody_else_with_the_name_of_the_run_is_left_alone() -> None:
    theirs = backup("nightly-20260103010000", imported=True)
    for found in (
        plan(schedule(status=LAST), "01-03T01:00", theirs),
        plan(schedule(status=LAST), "01-03T01:00", taken=theirs.metadata.name),
    ):
        assert (found.run, found.left) == (None, Reason.NAME_TAKEN)
        assert found.status.last_skipped == at("01-03T01:00")


@pytest.mark.parametrize(
    ("now", "what"),
    [
        pytest.param("01-02T00:30", "half an hour", id="half an hour back"),
        pytest.param("01-01T00:00", "a day", id="a day back"),
    ],
)
def test_a_clock_that_is_set_back_makes_nothing_twice(now: str, what: str) -> None:
    made = [backup(f"nightly-202601{day:02}010000") for day in (1, 2)]
    status, moment, runs = LAST, at(now), []
    while moment < at("01-03T02:00"):
        found = plan_schedule(ScheduleView(schedule=schedule(status=status), now=moment, backups=tuple(made)))
        runs += [found.run] if found.run else []
        status, moment = found.status, moment + timedelta(minutes=30)
    assert runs == [at("01-03T01:00")], what


def test_a_clock_that_was_years_ahead_does_not_silence_the_schedule() -> None:
    ahead = replace(
        LAST, last_backup=at("01-02T01:00").replace(year=2031), last_skipped=at("01-03T01:00").replace(year=2031)
    )
    status, moment, runs = ahead, at("02-01T00:00"), []
    while moment < at("02-03T02:00"):
        found = plan(schedule(status=status), f"{moment:%m-%dT%H:%M}")
        runs += [found.run] if found.run else []
        status, moment = found.status, moment + timedelta(minutes=30)
    assert runs == [at("02-01T01:00"), at("02-02T01:00"), at("02-03T01:00")]


def test_a_creation_that_the_clock_has_not_reached_does_not_either() -> None:
    status, moment, runs = ScheduleStatus(), CREATED, []
    every = ScheduleSpec(schedule="@every 10m")
    while moment < CREATED + timedelta(hours=2):
        one = schedule(every, status, created=CREATED + timedelta(days=300))
        found = plan_schedule(ScheduleView(schedule=one, now=moment))
        runs += [found.run] if found.run else []
        status, moment = found.status, moment + timedelta(minutes=1)
    assert runs == [], "@every counts from a creation that has not been"
    found = plan(schedule(status=ScheduleStatus(), created=at("12-01T00:00")), "01-03T00:30")
    assert plan(schedule(status=found.status, created=at("12-01T00:00")), "01-03T01:00").run == at("01-03T01:00")


def test_a_schedule_of_ark_0_9_goes_on_after_its_last_backup() -> None:
    old = ScheduleStatus(phase="Enabled", last_backup=at("01-02T01:00:07"))
    assert plan(schedule(status=old), "01-02T12:00").status.next_backup == at("01-03T01:00")
    assert plan(schedule(status=old), "01-03T06:00").run == at("01-03T01:00")


def test_pause_holds_and_its_end_asks_for_nothing_that_is_over() -> None:
    paused = plan(schedule(replace(DAILY, paused=True), LAST), "01-03T00:50")
    assert (paused.run, paused.status.next_backup, paused.status.reason) == (None, None, "Paused")
    assert plan(schedule(replace(DAILY, paused=True), paused.status), "01-03T01:00") == paused, "it writes nothing more"
    ended = plan(schedule(status=paused.status), "01-03T01:30")
    assert (ended.run, ended.left) == (None, None)
    assert (ended.status.next_backup, ended.status.reason) == (at("01-04T01:00"), "")
    assert plan(schedule(status=ended.status), "01-04T01:00").run == at("01-04T01:00")


def test_restore_only_mode_holds() -> None:
    held = plan(schedule(status=LAST), "01-03T01:00", restore_only=True)
    assert (held.run, held.status.reason) == (None, "RestoreOnly")
    assert plan(schedule(status=held.status), "01-03T01:05").run is None
    freed = plan(schedule(status=held.status), "01-03T01:05")
    assert plan(schedule(status=freed.status), "01-04T01:00").run == at("01-04T01:00")


def test_a_changed_line_counts_from_the_change() -> None:
    hourly = ScheduleSpec(schedule="0 * * * *")
    changed = plan(schedule(hourly, LAST), "01-02T10:05")
    assert (changed.run, changed.status.next_backup) == (None, at("01-02T11:00"))
    assert plan(schedule(hourly, changed.status), "01-02T11:00").run == at("01-02T11:00")


def test_a_changed_template_loses_no_run() -> None:
    spec = replace(DAILY, template=BackupSpec(included_namespaces=("shop",)))
    assert plan(schedule(spec, LAST), "01-03T01:00").run == at("01-03T01:00")


def test_a_schedule_that_is_mended_is_enabled_again_and_counts_from_then() -> None:
    broken = plan(schedule(replace(DAILY, schedule="61 * * * *"), LAST), "01-02T09:00")
    assert broken.status.phase == "FailedValidation"
    assert broken.status.validation_errors
    assert "minute 61 is not between 0 and 59" in broken.status.message
    assert (broken.status.next_backup, broken.wake_at, broken.status.reason) == (None, None, "InvalidSpec")
    mended = plan(schedule(status=broken.status), "01-03T01:20")
    assert (mended.run, mended.status.phase, mended.status.validation_errors) == (None, "Enabled", None)
    assert (mended.status.reason, mended.status.message) == ("", "")
    assert mended.status.next_backup == at("01-04T01:00")


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        pytest.param(ScheduleSpec(), "non-empty valid Cron expression", id="no line"),
        pytest.param(replace(DAILY, time_zone="Mars"), 'time zone "Mars"', id="an unknown time zone"),
        pytest.param(replace(DAILY, jitter="x"), "jitter", id="a jitter that is none"),
        pytest.param(replace(DAILY, min_keep=-1), "minKeep -1", id="a negative minKeep"),
        pytest.param(replace(DAILY, template=BackupSpec(ttl="-1h")), "ttl", id="a negative TTL in the template"),
        pytest.param(
            replace(DAILY, template=BackupSpec(included_namespaces=("a",), excluded_namespaces=("a",))),
            "namespace lists", id="contradicting lists in the template",
        ),
        pytest.param(replace(DAILY, template=BackupSpec(location="moon")), '"moon"', id="an unknown location"),
    ],
)  # fmt: skip
def test_what_cannot_run_is_refused_with_its_cause(spec: ScheduleSpec, cause: str) -> None:
    found = plan(schedule(spec), "01-02T01:00")
    assert found.run is None
    assert found.status.phase == "FailedValidation"
    assert cause in "".join(found.status.validation_errors or ())


def test_a_namespace_that_is_missing_today_refuses_no_schedule() -> None:
    spec = replace(DAILY, template=BackupSpec(included_namespaces=("tomorrow",), included_resources=("widgets",)))
    assert problems(schedule(spec)) == []


def test_a_name_that_leaves_no_room_for_its_backups_is_refused() -> None:
    def named(length: int) -> Schedule:
        return Schedule(metadata=ObjectMeta(name="n" * length), spec=DAILY)

    assert problems(named(MAX_SCHEDULE_NAME_CHARACTERS)) == []
    assert "the name is too long" in problems(named(MAX_SCHEDULE_NAME_CHARACTERS + 1))[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param("nightly-20260103010000", "01-03T01:00", id="a run"),
        pytest.param("nightly-20269903010000", None, id="no time"),
        pytest.param("nightly-2026010301000", None, id="a digit less"),
        pytest.param("nightly-copy-20260103010000", None, id="another schedule"),
        pytest.param("nightly-²0260103010000", None, id="a digit that is none"),
        pytest.param("nightly", None, id="no run"),
    ],
)
def test_the_time_in_a_name(name: str, expected: str | None) -> None:
    assert run_of("nightly", name) == (at(expected) if expected else None)


@settings(deadline=None, max_examples=60)
@given(
    line=st.sampled_from(["@every 7m", "*/10 * * * *", "0 * * * *", "5,50 */2 * * *"]),
    looks=st.lists(st.integers(1, 5400), min_size=5, max_size=60),
    deaths=st.sets(st.integers(0, 60)),
)
def test_whatever_dies_when_each_run_is_made_once_or_told(line: str, looks: list[int], deaths: set[int]) -> None:
    """Looks at random moments; at a death the Backup is there and the status is not written."""
    spec, status, made, told = ScheduleSpec(schedule=line), ScheduleStatus(), list[Backup](), 0
    moment = CREATED
    for number, seconds in enumerate(looks):
        moment += timedelta(seconds=seconds)
        for _ in range(3):
            found = plan_schedule(ScheduleView(schedule=schedule(spec, status), now=moment, backups=tuple(made)))
            if found.run:
                assert CREATED < found.run <= moment
                made.append(backup(backup_name("nightly", found.run)))
            if found.run and number in deaths:
                continue
            told += found.left is not None
            status = found.status
    names = [one.metadata.name for one in made]
    assert len(names) == len(set(names))
    assert status.next_backup
    assert status.next_backup > moment
    assert made or told or moment < status.next_backup
