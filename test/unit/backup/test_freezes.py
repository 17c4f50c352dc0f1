"""A pod stands still between its hooks and nobody waits frozen: whatever happens, the post hook runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from pkg.apis.ark import Backup
from pkg.apis.reasons import BackupPhase, Reason
from pkg.backup.engine import run_backup
from pkg.backup.errors import BackupInterruptedError, ClaimLostError
from pkg.backup.job import BackupOutcome
from pkg.kube import refs
from pkg.kube.errors import NotFoundError, TransportError
from pkg.kube.exec import ExecResult, ExecTimeoutError
from pkg.testing.fakebackup import ARK, BackupWorld, failed
from pkg.testing.fakeclock import FakeClock
from pkg.volumes.ledger import EntryState, LedgerEntry
from pkg.volumes.naming import capture_name, capture_stem

PRE, POST = "pre.hook.backup.ark.heptio.com/", "post.hook.backup.ark.heptio.com/"
HOOKS = {PRE + "command": "freeze", POST + "command": "thaw"}
CAPTURE = capture_name(capture_stem("nightly", "backup-uid", claim_uid="data-uid"), 0)
REFUSED = ExecResult(stdout=b"", stderr=b"disk full", exit_code=3)

Start = Callable[[], Future[BackupOutcome]]


@pytest.fixture
def world(tmp_path: Path) -> BackupWorld:
    made = BackupWorld(tmp_path)
    made.clock = FakeClock()
    made.namespace("shop")
    made.claim("shop", "data")
    made.pod("shop", "db-0", claim="data", annotations=HOOKS)
    return made


@pytest.fixture
def start(world: BackupWorld) -> Iterator[Start]:
    """Runs the backup beside the test, which moves the clock."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda: pool.submit(run_backup, world.job(), world.stop)
        world.stop.cancel(Reason.CANCELED)


def stored(world: BackupWorld) -> Backup:
    return world.api.client.get(refs.BACKUPS, ARK, "nightly", Backup)


def open_pods(world: BackupWorld) -> list[str]:
    return [hook.pod for hook in stored(world).status.open_hooks or ()]


def entry_of(world: BackupWorld, pod: str = "db-0") -> LedgerEntry:
    (entry,) = [one for one in world.ledger.entries if one.pod == pod]
    return entry


def test_a_pod_is_frozen_with_a_slot_held_and_thawed_after_its_last_volume(world: BackupWorld) -> None:
    seen: list[tuple[str, list[str], list[str]]] = []
    world.execute.on_command = lambda word: seen.append((word, list(world.capturer.released), open_pods(world)))
    outcome = run_backup(world.job(), world.stop)
    assert seen == [("freeze", [], ["db-0"]), ("thaw", [CAPTURE], ["db-0"])]
    assert world.capturer.started[CAPTURE].hold
    assert outcome.phase is BackupPhase.COMPLETED
    assert (open_pods(world), outcome.status.open_hooks) == ([], None)


def test_how_long_a_pod_stood_still_is_recorded(world: BackupWorld, start: Start) -> None:
    world.capturer.endless.add("db-0/data")
    run = start()
    world.clock.wait_for_waiters(1)
    world.clock.advance(42)
    world.capturer.endless.clear()
    assert run.result(10).status.frozen_seconds == 42
    assert (stored(world).status.frozen_seconds, entry_of(world).frozen_seconds) == (42, 42)
    assert "frozen_seconds=42.0" in world.log


def test_nothing_is_frozen_before_an_agent_has_a_slot(world: BackupWorld, start: Start) -> None:
    world.capturer.slots = 0
    run = start()
    world.capturer.looks.get(timeout=10)
    world.capturer.looks.get(timeout=10)
    assert world.execute.commands == []
    world.capturer.slots = 1
    run.result(10)
    assert world.execute.commands == ["db-0 freeze", "db-0 thaw"]


def test_a_pre_hook_that_fails_costs_the_volumes_and_not_the_pod(world: BackupWorld) -> None:
    world.execute.answers["freeze"] = REFUSED
    outcome = run_backup(world.job(), world.stop)
    assert world.execute.commands == ["db-0 freeze", "db-0 thaw"]
    assert (entry_of(world).state, entry_of(world).reason) == (EntryState.FAILED, Reason.HOOK_FAILED)
    assert world.capturer.released == []
    assert outcome.phase is BackupPhase.PARTIALLY_FAILED
    assert outcome.status.errors == 2  # the volume, and the pod's hook
    assert "pre hook of pod shop/db-0, container main: exit code 3" in outcome.message
    assert "resources/pods/namespaces/shop/db-0.json" in world.stored
    assert 'output="disk full"' in world.log


def test_a_pre_hook_that_may_fail_is_a_warning(world: BackupWorld) -> None:
    world.pod("shop", "db-0", claim="data", annotations={**HOOKS, PRE + "on-error": "Continue"})
    world.execute.answers["freeze"] = REFUSED
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.warnings) == (BackupPhase.COMPLETED, 1)
    assert entry_of(world).state is EntryState.CAPTURED


def test_a_post_hook_that_fails_is_an_error_and_the_capture_counts(world: BackupWorld) -> None:
    world.execute.answers["thaw"] = REFUSED
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.reason) == (BackupPhase.PARTIALLY_FAILED, Reason.ITEM_ERRORS)
    assert entry_of(world).state is EntryState.CAPTURED
    assert open_pods(world) == []


@pytest.mark.parametrize(
    ("answer", "commands"),
    [
        pytest.param(TransportError("reset"), 3, id="a broken connection is tried again"),
        pytest.param(ExecTimeoutError("too long"), 1, id="a command that takes too long is not"),
        pytest.param(NotFoundError("no container"), 1, id="nor one that has no container"),
    ],
)
def test_a_thaw_deserves_patience(world: BackupWorld, answer: Exception, commands: int) -> None:
    world.clock = FakeClock(automatic=True)
    world.pod("shop", "db-0", claim="data", annotations={POST + "command": "thaw"})
    world.execute.answers["thaw"] = answer
    assert run_backup(world.job(), world.stop).phase is BackupPhase.PARTIALLY_FAILED
    assert world.execute.commands == ["db-0 thaw"] * commands


def test_a_freeze_that_takes_too_long_is_thawed_at_once_and_its_volumes_are_given_up(
    world: BackupWorld, start: Start
) -> None:
    world.spec({"maxFreeze": "1m"})
    world.capturer.endless.add("db-0/data")
    thawed_when: list[dict[str, Reason]] = []
    world.execute.on_command = lambda word: thawed_when.append(dict(world.capturer.canceled))
    run = start()
    world.clock.wait_for_waiters(1)
    world.clock.advance(60)
    assert run.result(10).phase is BackupPhase.PARTIALLY_FAILED
    assert thawed_when == [{}, {CAPTURE: Reason.FREEZE_EXCEEDED}]
    assert entry_of(world).reason == Reason.FREEZE_EXCEEDED
    assert "maxFreeze" in entry_of(world).message


def test_a_capture_that_ends_after_the_thaw_does_not_count(world: BackupWorld, start: Start) -> None:
    world.capturer.endless.add("db-0/data")
    world.capturer.deaf = True
    run = start()
    world.clock.wait_for_waiters(1)
    world.clock.advance(600)
    world.capturer.canceling.get(timeout=10)
    world.capturer.endless.clear()
    assert run.result(10).phase is BackupPhase.PARTIALLY_FAILED
    assert (entry_of(world).reason, entry_of(world).snapshot_id) == (Reason.FREEZE_EXCEEDED, "")


def test_a_lone_pre_hook_freezes_nothing_and_has_no_limit(world: BackupWorld, start: Start) -> None:
    world.pod("shop", "db-0", claim="data", annotations={PRE + "command": "dump"})
    world.capturer.endless.add("db-0/data")
    run = start()
    for _ in range(3):
        world.capturer.looks.get(timeout=10)
    world.clock.advance(3600)
    world.capturer.endless.clear()
    assert run.result(10).phase is BackupPhase.COMPLETED
    assert (world.execute.commands, stored(world).status.frozen_seconds) == (["db-0 dump"], 0)


def test_a_cancellation_thaws_at_once(world: BackupWorld, start: Start) -> None:
    world.capturer.endless.add("db-0/data")
    run = start()
    world.clock.wait_for_waiters(1)
    world.stop.cancel(Reason.CANCELED)
    assert run.result(10).reason == Reason.CANCELED
    assert world.execute.commands == ["db-0 freeze", "db-0 thaw"]


def test_a_shutdown_thaws_and_leaves_the_capture_to_the_next_run(world: BackupWorld, start: Start) -> None:
    world.capturer.endless.add("db-0/data")
    run = start()
    world.clock.wait_for_waiters(1)
    world.stop.cancel("shutdown")
    with pytest.raises(BackupInterruptedError):
        run.result(10)
    assert world.execute.commands == ["db-0 freeze", "db-0 thaw"]
    assert world.capturer.canceled == {CAPTURE: Reason.THAWED}
    assert open_pods(world) == []


def test_a_thaw_that_fails_at_a_shutdown_is_left_to_the_next_server(world: BackupWorld, start: Start) -> None:
    world.capturer.endless.add("db-0/data")
    world.execute.answers["thaw"] = REFUSED
    run = start()
    world.clock.wait_for_waiters(1)
    world.stop.cancel("shutdown")
    with pytest.raises(BackupInterruptedError):
        run.result(10)
    assert open_pods(world) == ["db-0"]


def test_a_release_that_fails_thaws_and_stays_written_down(world: BackupWorld) -> None:
    def refuse(captures: object) -> None:
        raise TransportError("no route")

    world.capturer.release = refuse  # type: ignore[method-assign]  # the one call that fails
    with pytest.raises(BackupInterruptedError):
        run_backup(world.job(), world.stop)
    assert world.execute.commands == ["db-0 freeze", "db-0 thaw"]
    assert open_pods(world) == ["db-0"]


def test_a_server_that_lost_its_claim_freezes_nothing(world: BackupWorld) -> None:
    world.capturer.on_wait = lambda: world.spec(epoch=2)
    job = world.job()
    with pytest.raises(ClaimLostError):
        run_backup(job, world.stop)
    assert world.execute.commands == []


def test_a_pod_of_the_same_name_is_not_frozen_in_place_of_one_that_is_gone(world: BackupWorld) -> None:
    world.capturer.results["db-0/data"] = failed("PodGone")
    world.capturer.on_wait = lambda: world.pod("shop", "db-0", claim="data", uid="another", phase="Pending")
    world.clock = FakeClock(automatic=True)
    run_backup(world.job(), world.stop)
    assert world.execute.commands == []


def test_a_pod_that_took_another_ones_place_is_frozen_itself(world: BackupWorld) -> None:
    world.capturer.results["db-0/data"] = failed("PodDeleted")

    def replace() -> None:
        if world.api.get(refs.PODS, "shop", "db-0"):
            world.api.remove(refs.PODS, "shop", "db-0")
            world.pod("shop", "db-1", claim="data", annotations=HOOKS)

    world.capturer.on_wait = replace
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    assert world.execute.commands == ["db-1 freeze", "db-1 thaw"]


def test_the_hooks_of_a_pod_without_volumes_follow_each_other(world: BackupWorld) -> None:
    world.pod("shop", "db-0", named="", annotations=HOOKS)
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    assert world.execute.commands == ["db-0 freeze", "db-0 thaw"]
    assert "resources/pods/namespaces/shop/db-0.json" in world.stored


def test_the_hooks_of_a_pod_that_does_not_run_are_not_run(world: BackupWorld) -> None:
    world.pod("shop", "db-0", named="", annotations=HOOKS, phase="Succeeded")
    assert run_backup(world.job(), world.stop).phase is BackupPhase.COMPLETED
    assert world.execute.commands == []


def test_a_pod_whose_repository_is_not_ready_is_not_frozen(world: BackupWorld) -> None:
    world.capturer.fail_repository("shop")
    run_backup(world.job(), world.stop)
    assert world.execute.commands == []


def test_pods_stand_still_side_by_side(world: BackupWorld, start: Start) -> None:
    world.claim("shop", "more")
    world.pod("shop", "db-1", claim="more", annotations=HOOKS)
    world.capturer.endless |= {"db-0/data", "db-1/data"}
    run = start()
    world.clock.wait_for_waiters(2)
    assert sorted(open_pods(world)) == ["db-0", "db-1"]
    world.capturer.endless.clear()
    assert run.result(10).phase is BackupPhase.COMPLETED
    assert sorted(world.execute.commands[2:]) == ["db-0 thaw", "db-1 thaw"]


def test_a_shared_claim_is_captured_through_the_pod_that_stands_still(world: BackupWorld) -> None:
    world.pod("shop", "aaa", claim="data")
    run_backup(world.job(), world.stop)
    assert world.capturer.started[CAPTURE].pod.name == "db-0"


def test_a_pod_with_hooks_that_shares_anothers_capture_is_a_warning(world: BackupWorld) -> None:
    world.pod("shop", "db-1", claim="data", annotations=HOOKS)
    outcome = run_backup(world.job(), world.stop)
    assert (outcome.phase, outcome.status.warnings) == (BackupPhase.COMPLETED, 1)
    assert world.execute.commands == ["db-0 freeze", "db-0 thaw"]


def test_only_the_end_of_what_a_hook_prints_is_kept(world: BackupWorld) -> None:
    world.execute.answers["freeze"] = ExecResult(stdout=b"a" * 5000 + b"end", stderr=b"", exit_code=0)
    run_backup(world.job(), world.stop)
    assert "output=" + "a" * (4096 - 3) + "end" in world.log


def test_the_command_is_not_logged_for_it_may_hold_a_password(world: BackupWorld) -> None:
    world.pod("shop", "db-0", claim="data", annotations={**HOOKS, PRE + "command": '["lock", "-phunter2"]'})
    world.execute.answers["lock"] = REFUSED
    run_backup(world.job(), world.stop)
    assert "hunter2" not in world.log
