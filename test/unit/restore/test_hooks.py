"""Commands in restored pods: which ones, when, how often, and what their failure means."""

from __future__ import annotations

import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.hooks import RestoreExecHook, RestoreHooks, RestoreResourceHook, RestoreResourceHookSpec
from pkg.apis.meta import Json, JsonObject, LabelSelector
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeRestoreStatus
from pkg.kube import refs
from pkg.kube.errors import ApiStatusError, TransportError
from pkg.kube.stop import StopToken
from pkg.restore.errors import RestoreInterruptedError
from pkg.restore.fields import objects_at, text_at, texts_at
from pkg.restore.hooks import EXEC_SECONDS, WAIT_SECONDS, RestoreHook, pod_hooks
from pkg.testing.fakerestore import RestoreWorld, captured

PREFIX = "post.hook.restore.ark.heptio.com/"
COMMAND = f"{PREFIX}command"


def pod(name: str = "web", *, app: str = "", **annotations: str) -> JsonObject:
    mounts: list[Json] = [{"name": "data", "mountPath": "/data"}]
    metadata: JsonObject = {
        "name": name,
        "namespace": "shop",
        "labels": {"app": app},
        "annotations": {f"{PREFIX}{key.replace('_', '-')}": value for key, value in annotations.items()},
    }
    spec: JsonObject = {
        "volumes": [{"name": "data", "emptyDir": {}}],
        "containers": [{"name": "app", "volumeMounts": mounts}, {"name": "side"}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def hooks(*commands: str, container: str = "", on_error: str = "", **spec: Json) -> RestoreHooks:
    made = tuple(
        RestoreResourceHook(exec=RestoreExecHook(container=container, command=(command,), on_error=on_error))
        for command in commands
    )
    selector = LabelSelector(match_labels={"app": "web"}) if spec.get("labelled") else None
    one = RestoreResourceHookSpec(name="h", post_hooks=made, label_selector=selector)
    return RestoreHooks(resources=(one,))


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.add_repository("shop")
    made.agents.on_wait = lambda: work(made)
    return made


def work(world: RestoreWorld) -> None:
    """What nodes and agents do."""
    world.behave()
    ready(world)


def ready(world: RestoreWorld) -> None:
    """What a kubelet does: every container of every pod is ready."""
    for found in world.api.list(refs.PODS):
        names = [text_at(one, "name") for one in objects_at(found, "spec", "containers")]
        statuses: list[Json] = [{"name": name, "ready": True} for name in names]
        found["status"] = {"phase": "Running", "containerStatuses": statuses}
        world.api.add(refs.PODS, found)


def errors(world: RestoreWorld) -> tuple[str, ...]:
    return (world.results().errors.namespaces or {}).get("shop", ())


def test_an_annotated_command_runs_when_its_container_is_ready(world: RestoreWorld) -> None:
    world.store_backup(pod(container="side", command='["sh", "-c", "load"]'))
    outcome = world.restore()
    assert (outcome.phase, outcome.errors) == ("Completed", 0)
    assert world.commands == [("shop/web", "side", ("sh", "-c", "load"))]


def test_it_waits_for_the_data(world: RestoreWorld) -> None:
    world.store_backup(pod(command="load"), volumes=[captured("shop", "web", "data")])
    filled: list[bool] = []

    def act() -> None:
        filled.append(bool(world.commands))
        work(world)

    world.agents.on_wait = act
    assert world.restore().phase == "Completed"
    assert filled[0] is False
    assert world.commands == [("shop/web", "app", ("load",))]


def test_hooks_of_the_spec_run_in_their_order_and_for_the_pods_that_match(world: RestoreWorld) -> None:
    world.store_backup(pod("web", app="web"), pod("other"))
    world.restore(RestoreSpec(backup_name="b1", hooks=hooks("one", "two", labelled=True)))
    assert [command for _, _, command in world.commands] == [("one",), ("two",)]
    assert {name for name, _, _ in world.commands} == {"shop/web"}


def test_no_hooks_where_they_are_disabled(world: RestoreWorld) -> None:
    world.store_backup(pod(command="load"))
    assert world.restore(RestoreSpec(backup_name="b1", disable_hooks=True)).phase == "Completed"
    assert world.commands == []


def test_a_command_that_fails_is_an_error_and_ends_the_pods_hooks(world: RestoreWorld) -> None:
    world.store_backup(pod())
    world.command_ends = [3]
    outcome = world.restore(RestoreSpec(backup_name="b1", hooks=hooks("one", "two")))
    assert (outcome.phase, outcome.reason) == ("PartiallyFailed", Reason.HOOK_FAILED)
    assert len(world.commands) == 1
    assert errors(world) == (
        "Pod shop/web: hook 1 of 2 after the restore, in container app: HookFailed: failed with exit code 3; "
        "its output is in the log of the restore",
    )


def test_one_that_may_fail_is_a_warning_and_the_next_one_runs(world: RestoreWorld) -> None:
    world.store_backup(pod())
    world.command_ends = [3]
    outcome = world.restore(RestoreSpec(backup_name="b1", hooks=hooks("one", "two", on_error="Continue")))
    assert (outcome.phase, outcome.warnings, len(world.commands)) == ("Completed", 1, 2)


def test_a_connection_that_breaks_is_a_failure(world: RestoreWorld) -> None:
    world.store_backup(pod(command="load"))
    world.command_ends = [TransportError("reset")]
    assert world.restore().reason is Reason.HOOK_FAILED
    assert "failed: reset" in errors(world)[0]


def test_a_container_that_is_never_ready_is_given_up(world: RestoreWorld) -> None:
    world.store_backup(pod(command="load", wait_timeout="1m"))
    world.agents.on_wait = world.schedule
    assert world.restore().reason is Reason.HOOK_FAILED
    assert errors(world)[0].endswith("not run: the container was not ready in 60 s")


def test_a_pod_without_its_data_is_not_waited_for(world: RestoreWorld) -> None:
    world.store_backup(pod(command="load"), volumes=[captured("shop", "web", "data")])

    def fail() -> None:
        world.schedule()
        for name in world.agents.statuses:
            world.agents.statuses[name] = PodVolumeRestoreStatus(phase="Failed", reason="NoProgress")

    world.agents.on_wait = fail
    outcome = world.restore()
    assert (outcome.reason, outcome.errors) == (Reason.VOLUMES_MISSING, 2)
    assert errors(world)[1].endswith("not run: its volumes are not restored: NoProgress")
    assert world.commands == []


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced by its controller"])
def test_a_pod_that_goes_away_is_said(world: RestoreWorld, *, replaced: bool) -> None:
    world.store_backup(pod(command="load"))

    def go() -> None:
        world.api.remove(refs.PODS, "shop", "web")
        if replaced:
            world.api.add(refs.PODS, pod())

    world.agents.on_wait = go
    assert world.restore().reason is Reason.HOOK_FAILED
    assert ("replaced by another" if replaced else "the pod is gone") in errors(world)[0]


def test_a_container_that_is_not_there_is_said_at_once(world: RestoreWorld) -> None:
    world.store_backup(pod(container="nobody", command="load"))
    world.agents.on_wait = lambda: pytest.fail("it waited")
    assert world.restore().reason is Reason.HOOK_FAILED
    assert 'no such container: "nobody"' in errors(world)[0]


def test_what_has_run_is_not_run_again_by_the_next_attempt(world: RestoreWorld) -> None:
    world.store_backup(pod())
    spec = RestoreSpec(backup_name="b1", hooks=hooks("one", "two"))
    stop = StopToken()
    world.agents.on_wait = lambda: ready(world)

    def ends_at_the_second() -> None:
        if world.commands:
            stop.cancel("shutdown")
            raise TransportError("stopped")

    world.on_command = ends_at_the_second
    with pytest.raises(RestoreInterruptedError):
        world.restore(spec, stop)
    world.on_command = lambda: None
    assert world.restore(spec).phase == "Completed"
    assert [command for _, _, command in world.commands] == [("one",), ("two",)]


def test_a_note_that_cannot_be_written_does_not_fail_the_restore(world: RestoreWorld) -> None:
    world.store_backup(pod(command="load"))

    def act() -> None:
        ready(world)
        world.api.fail_next(ApiStatusError("no", code=403), method="PATCH", ref=refs.PODS)

    world.agents.on_wait = act
    assert world.restore().phase == "Completed"


def test_the_next_restore_does_not_take_the_note_for_its_own(world: RestoreWorld) -> None:
    old = pod(command="load")
    metadata = old["metadata"]
    assert isinstance(metadata, dict)
    annotations = metadata["annotations"]
    assert isinstance(annotations, dict)
    annotations["restore.ark.heptio.com/hooks-run"] = '{"restore": "restore-uid-1", "done": 1}'
    world.store_backup(old)
    world.restore()
    assert len(world.commands) == 1
    found = world.api.get(refs.PODS, "shop", "web")
    assert found is not None
    assert '"done":1' in texts_at(found, "metadata", "annotations")["restore.ark.heptio.com/hooks-run"]


def test_a_cancelled_restore_says_which_hooks_did_not_run(world: RestoreWorld) -> None:
    world.store_backup(pod(command="load"))
    stop = StopToken()
    world.agents.on_wait = lambda: stop.cancel("Canceled")
    outcome = world.restore(stop=stop)
    assert (outcome.phase, outcome.reason) == ("PartiallyFailed", Reason.CANCELED)
    assert errors(world)[0].endswith("not run: the Restore was cancelled")


def hook(*command: str, **fields: object) -> RestoreHook:
    made: dict[str, object] = {"container": "app", "command": command, **fields}
    return RestoreHook(**made)  # type: ignore[arg-type]  # a table of fields


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        pytest.param({"command": "load"}, hook("load"), id="the defaults"),
        pytest.param({"command": '["a", "b"]'}, hook("a", "b"), id="an array"),
        pytest.param({"command": '["a'}, hook('["a'), id="no array after all"),
        pytest.param({"command": "x", "on_error": "Continue"}, hook("x", fail=False), id="may fail"),
        pytest.param(
            {"command": "x", "exec_timeout": "5m", "wait_timeout": "1h"},
            hook("x", exec_seconds=300.0, wait_seconds=3600.0),
            id="its times",
        ),
        pytest.param(
            {"command": "x", "exec_timeout": "soon", "wait_timeout": "-1s"}, hook("x"), id="times of nonsense"
        ),
    ],
)
def test_an_annotation_is_read(annotations: dict[str, str], expected: RestoreHook) -> None:
    assert pod_hooks(pod("web", app="", **annotations), hooks("of the spec")) == (expected,)


@pytest.mark.parametrize(
    ("included", "excluded", "expected"),
    [
        pytest.param(None, None, 1, id="everywhere"),
        pytest.param(("*",), None, 1, id="everywhere, written out"),
        pytest.param(("shop",), None, 1, id="its namespace"),
        pytest.param(("other",), None, 0, id="another namespace"),
        pytest.param(None, ("shop",), 0, id="excluded"),
    ],
)
def test_hooks_of_the_spec_are_for_namespaces(
    included: tuple[str, ...] | None, excluded: tuple[str, ...] | None, expected: int
) -> None:
    one = RestoreResourceHook(exec=RestoreExecHook(command=("x",)))
    spec = RestoreResourceHookSpec(included_namespaces=included, excluded_namespaces=excluded, post_hooks=(one,))
    assert len(pod_hooks(pod(), RestoreHooks(resources=(spec,)))) == expected
    assert (EXEC_SECONDS, WAIT_SECONDS) == (30.0, 600.0)
