"""What the server does next with a Backup or a Restore."""

from __future__ import annotations

import itertools

import pytest

from pkg.apis.reasons import BackupPhase
from pkg.controllers.engine_plan import EngineStep, EngineView, decide_engine
from pkg.controllers.volume_plan import Work

TERMINAL = ("FailedValidation", "Completed", "PartiallyFailed", "Failed", "Deleting")


def decide(
    phase: str = "", work: Work = Work.NONE, *, cancel: bool = False, imported: bool = False, deleting: bool = False
) -> EngineStep:
    return decide_engine(EngineView(phase=phase, work=work, cancel=cancel, imported=imported, deleting=deleting))


@pytest.mark.parametrize(
    ("found", "step"),
    [
        pytest.param(decide(), EngineStep.VALIDATE, id="a new one is validated"),
        pytest.param(decide("New"), EngineStep.VALIDATE, id="phase New counts as new"),
        pytest.param(decide("InProgress"), EngineStep.TAKE_OVER, id="a claim of a dead server is taken over"),
        pytest.param(decide("InProgress", Work.RUNNING), EngineStep.WATCH, id="a running one is watched"),
        pytest.param(decide("", Work.RUNNING), EngineStep.WATCH, id="a claim that the cache lacks is no new start"),
        pytest.param(decide("InProgress", Work.FINISHED), EngineStep.RECORD, id="an outcome is recorded"),
        pytest.param(
            decide("InProgress", Work.RUNNING, cancel=True), EngineStep.CANCEL, id="a canceled one is stopped"
        ),
        pytest.param(
            decide("InProgress", Work.RUNNING, deleting=True), EngineStep.CANCEL, id="one being deleted is stopped"
        ),
        pytest.param(
            decide("InProgress", Work.FINISHED, cancel=True),
            EngineStep.RECORD,
            id="an outcome counts even when a cancel came too late",
        ),
        pytest.param(decide("", deleting=True), EngineStep.IGNORE, id="one being deleted never starts"),
        pytest.param(decide("InProgress", deleting=True), EngineStep.IGNORE, id="nor is it taken over"),
        pytest.param(decide("Deleting", Work.RUNNING), EngineStep.CANCEL, id="one that somebody else ended is stopped"),
    ],
)
def test_the_next_step(found: EngineStep, step: EngineStep) -> None:
    assert found is step


@pytest.mark.parametrize("phase", TERMINAL)
def test_a_terminal_phase_is_left_alone_and_what_was_recorded_is_forgotten(phase: str) -> None:
    assert decide(phase, cancel=True) is EngineStep.IGNORE
    assert decide(phase, Work.FINISHED) is EngineStep.FORGET


@pytest.mark.parametrize("phase", ["", *BackupPhase])
def test_an_imported_backup_never_runs_whatever_it_says(phase: str) -> None:
    for cancel, deleting in itertools.product((True, False), repeat=2):
        assert decide(phase, imported=True, cancel=cancel, deleting=deleting) is EngineStep.IGNORE
