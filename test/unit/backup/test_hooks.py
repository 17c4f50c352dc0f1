"""Which commands are run in a pod follows 0.9's rules."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.core import Pod
from pkg.apis.hooks import BackupHooks
from pkg.backup.hooks import Hook, When, hooked_pod, pod_hooks

PRE, LEGACY, POST = (
    "pre.hook.backup.ark.heptio.com/",
    "hook.backup.ark.heptio.com/",
    "post.hook.backup.ark.heptio.com/",
)


def pod(**annotations: str) -> Pod:
    raw = {
        "metadata": {"name": "db-0", "namespace": "shop", "labels": {"app": "db"}, "annotations": annotations},
        "spec": {"containers": [{"name": "db"}, {"name": "sidecar"}]},
    }
    return msgspec.convert(raw, Pod)


def spec(*resources: object) -> BackupHooks:
    return msgspec.convert({"resources": list(resources)}, BackupHooks)


def exec_of(command: str, **more: object) -> dict[str, object]:
    return {"exec": {"command": [command], **more}}


def commands(found: tuple[Hook, ...]) -> list[tuple[str, ...]]:
    return [one.command for one in found]


@pytest.mark.parametrize(
    ("annotations", "when", "expected"),
    [
        pytest.param({}, When.PRE, [], id="none"),
        pytest.param({PRE + "command": "sync"}, When.PRE, [("sync",)], id="pre"),
        pytest.param({PRE + "command": "sync"}, When.POST, [], id="pre is not post"),
        pytest.param({POST + "command": "thaw"}, When.POST, [("thaw",)], id="post"),
        pytest.param({LEGACY + "command": "old"}, When.PRE, [("old",)], id="the older name"),
        pytest.param({LEGACY + "command": "old", PRE + "command": "new"}, When.PRE, [("new",)], id="the newer wins"),
        pytest.param({PRE + "command": "a b"}, When.PRE, [("a b",)], id="no shell splits it"),
        pytest.param({PRE + "command": '["a", "b c"]'}, When.PRE, [("a", "b c")], id="a JSON array"),
        pytest.param({PRE + "command": '["a", 1]'}, When.PRE, [('["a", 1]',)], id="not an array of texts"),
        pytest.param({PRE + "container": "db"}, When.PRE, [], id="without a command there is no hook"),
    ],
)
def test_annotations(annotations: dict[str, str], when: When, expected: list[tuple[str, ...]]) -> None:
    assert commands(pod_hooks(pod(**annotations), None, when)) == expected


def test_the_defaults() -> None:
    (pre,) = pod_hooks(pod(**{PRE + "command": "sync"}), None, When.PRE)
    (post,) = pod_hooks(pod(**{POST + "command": "thaw"}), None, When.POST)
    assert (pre.container, pre.fail, pre.timeout_seconds) == ("db", True, 30)
    assert post.timeout_seconds == 120


def test_what_an_annotation_says_counts() -> None:
    says = {"command": "x", "container": "sidecar", "on-error": "Continue", "timeout": "5m3s"}
    (found,) = pod_hooks(pod(**{PRE + key: value for key, value in says.items()}), None, When.PRE)
    assert (found.container, found.fail, found.timeout_seconds) == ("sidecar", False, 303)


@pytest.mark.parametrize("timeout", ["soon", "0s", "-1m"])
def test_a_time_limit_that_is_none_is_the_default(timeout: str) -> None:
    (found,) = pod_hooks(pod(**{PRE + "command": "x", PRE + "timeout": timeout}), None, When.PRE)
    assert found.timeout_seconds == 30


def test_an_unknown_mode_fails_as_the_default_does() -> None:
    (found,) = pod_hooks(pod(**{PRE + "command": "x", PRE + "on-error": "ignore"}), None, When.PRE)
    assert found.fail


def test_a_container_that_is_not_there_is_a_problem() -> None:
    (found,) = pod_hooks(pod(**{PRE + "command": "x", PRE + "container": "db2"}), None, When.PRE)
    assert found.problem == 'no such container: "db2"'


@pytest.mark.parametrize(
    ("filters", "applies"),
    [
        pytest.param({}, True, id="no filter"),
        pytest.param({"includedNamespaces": ["shop"]}, True, id="its namespace"),
        pytest.param({"includedNamespaces": ["blog"]}, False, id="another namespace"),
        pytest.param({"excludedNamespaces": ["shop"]}, False, id="its namespace excluded"),
        pytest.param({"includedResources": ["po"]}, True, id="pods by a short name"),
        pytest.param({"includedResources": ["deployments"]}, False, id="another resource"),
        pytest.param({"labelSelector": {"matchLabels": {"app": "db"}}}, True, id="its labels"),
        pytest.param({"labelSelector": {"matchLabels": {"app": "web"}}}, False, id="other labels"),
    ],
)
def test_a_hook_of_the_spec_applies(filters: dict[str, object], applies: bool) -> None:
    found = pod_hooks(pod(), spec({"name": "h", "pre": [exec_of("sync")], **filters}), When.PRE)
    assert bool(found) is applies


def test_hooks_of_the_spec_come_in_their_order() -> None:
    hooks = spec(
        {"pre": [exec_of("a"), exec_of("b")], "hooks": [exec_of("not this")], "post": [exec_of("z")]},
        {"hooks": [exec_of("c")]},
    )
    assert commands(pod_hooks(pod(), hooks, When.PRE)) == [("a",), ("b",), ("c",)]
    assert commands(pod_hooks(pod(), hooks, When.POST)) == [("z",)]


def test_an_annotation_replaces_the_spec_for_its_own_time_only() -> None:
    hooks = spec({"pre": [exec_of("spec")], "post": [exec_of("thaw")]})
    subject = pod(**{PRE + "command": "annotation"})
    assert commands(pod_hooks(subject, hooks, When.PRE)) == [("annotation",)]
    assert commands(pod_hooks(subject, hooks, When.POST)) == [("thaw",)]


def test_a_pod_without_hooks_has_none_of_either_kind() -> None:
    assert hooked_pod(pod(), None) is None


@pytest.mark.parametrize(
    ("annotations", "freezes"),
    [
        pytest.param({PRE + "command": "x"}, False, id="a command before freezes nothing"),
        pytest.param({POST + "command": "x"}, False, id="a command after thaws nothing"),
        pytest.param({PRE + "command": "x", POST + "command": "y"}, True, id="between both it may stand still"),
    ],
)
def test_what_freezes_a_pod(annotations: dict[str, str], freezes: bool) -> None:
    found = hooked_pod(pod(**annotations), None)
    assert found is not None
    assert found.freezes is freezes
