"""Server and agents one minor version apart understand each other's objects, both ways (operators.md 24).

There is no release before this one, so the other side is played by the objects that it writes: those of 0.9's form
with the fields of the first release only, and those of a later release with fields and reasons unknown here.
"""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupStatus, PodVolumeRestore, ResticRepository
from pkg.backup.podvolumes import with_statuses
from pkg.controllers.agent import is_ready
from pkg.controllers.agents import AgentVerdict
from pkg.controllers.capture_plan import Wanted, plan_captures
from pkg.controllers.interruptions import RunCounts
from pkg.controllers.volume_plan import Step, VolumeView, Work, cancel_reason, decide
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry
from pkg.volumes.verdict import phase_of

UNKNOWN: JsonObject = {"futureField": {"a": [1, None]}, "futureList": None}
POD: JsonObject = {"kind": "Pod", "namespace": "shop", "name": "web", "uid": "uid-1"}
METADATA: JsonObject = {"name": "c-1", "namespace": "heptio-ark", "uid": "u", "labels": None}
EARLIER_SPEC: JsonObject = {"node": "n1", "pod": POD, "volume": "data", "repoIdentifier": "s3:x/shop", "tags": None}
CAPTURED: JsonObject = {"phase": "Completed", "snapshotID": "5" * 64, "path": "/host_pods/x", "message": ""}


def capture(spec: JsonObject, status: JsonObject) -> PodVolumeBackup:
    obj: JsonObject = {"metadata": METADATA, "spec": spec, "status": status, "apiVersion": "ark.heptio.com/v1"}
    return msgspec.json.decode(msgspec.json.encode(obj), type=PodVolumeBackup)


def as_the_agent_sees_it(obj: PodVolumeBackup) -> VolumeView:
    return VolumeView(
        phase=obj.status.phase,
        attempts=obj.status.attempts,
        next_run=RunCounts(attempts=1),
        work=Work.RUNNING if obj.spec.cancel else Work.NONE,
        pod=None,
        pod_uid="uid-1",
        pod_key="shop/web",
        needs_wait=not obj.spec.cancel,
        cancel_reason=cancel_reason(obj.spec.cancel_reason),
        hold=obj.spec.hold,
        cancel=obj.spec.cancel,
    )


@pytest.mark.parametrize(
    ("spec", "status", "step"),
    [
        pytest.param(EARLIER_SPEC, {}, Step.WAIT, id="an earlier server's object waits for its pod"),
        pytest.param(EARLIER_SPEC | UNKNOWN, UNKNOWN, Step.WAIT, id="a later server's object too"),
        pytest.param(
            EARLIER_SPEC | {"cancel": True, "cancelReason": "SomethingNew"},
            {},
            Step.CANCEL,
            id="a cancellation for a reason of a later server's is a cancellation",
        ),
        pytest.param(EARLIER_SPEC, {"phase": "Completed"}, Step.IGNORE, id="what has ended is left alone"),
    ],
)
def test_an_agent_understands_a_server_of_another_version(spec: JsonObject, status: JsonObject, step: Step) -> None:
    assert decide(as_the_agent_sees_it(capture(spec, status))).step is step


@pytest.mark.parametrize(
    ("status", "phase"),
    [
        pytest.param(CAPTURED, BackupPhase.COMPLETED, id="an earlier agent's result, without sizes and times"),
        pytest.param(CAPTURED | UNKNOWN, BackupPhase.COMPLETED, id="a later agent's result"),
        pytest.param(
            {"phase": "Failed", "reason": "SomethingNew", "message": "m", **UNKNOWN},
            BackupPhase.PARTIALLY_FAILED,
            id="a failure for a reason of a later agent's is a failure",
        ),
        pytest.param(
            {"phase": "Failed", "message": "m"}, BackupPhase.PARTIALLY_FAILED, id="a failure without a reason"
        ),
    ],
)
def test_a_server_understands_an_agent_of_another_version(status: JsonObject, phase: BackupPhase) -> None:
    obj = capture(EARLIER_SPEC, status)
    ready = AgentVerdict(ready=True)
    wanted = [Wanted(name="c-1", spec=obj.spec)]
    plan = plan_captures(wanted, {"c-1": obj}, frozenset(), lambda node: ready, lambda waiting, running: ())
    results: dict[str, PodVolumeBackupStatus] = plan.finished
    entry = LedgerEntry(
        namespace="shop", pod="web", volume="data", capture="c-1", state=EntryState.EXPECTED, opted_in_by_name=True
    )
    ledger = Ledger(entries=with_statuses((entry,), results))
    verdict = phase_of(ledger, [], tolerate_unread=False, cancelled=False)
    assert verdict.phase is phase


@pytest.mark.parametrize("more", [pytest.param({}, id="an earlier one's"), pytest.param(UNKNOWN, id="a later one's")])
def test_repositories_and_restores_of_another_version_are_read(more: JsonObject) -> None:
    status: JsonObject = {"phase": "Ready", "repositoryID": "r", **more}
    repository: JsonObject = {"metadata": METADATA, "spec": {"resticIdentifier": "s3:x/shop", **more}, "status": status}
    assert is_ready(msgspec.json.decode(msgspec.json.encode(repository), type=ResticRepository))
    spec: JsonObject = {"pod": POD, "volume": "data", "repoIdentifier": "s3:x/shop", "snapshotID": "12345678", **more}
    restore: JsonObject = {"metadata": METADATA, "spec": spec}
    found = msgspec.json.decode(msgspec.json.encode(restore), type=PodVolumeRestore)
    assert (found.spec.snapshot_id, found.spec.marker_only, found.status.phase) == ("12345678", False, "")
