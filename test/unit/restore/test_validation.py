"""What a Restore must not ask for, in sentences."""

from __future__ import annotations

import pytest

from pkg.apis.ark import Restore, RestoreSpec
from pkg.apis.hooks import RestoreExecHook, RestoreHooks, RestoreResourceHook, RestoreResourceHookSpec
from pkg.kube.discovery import Discovery, discover
from pkg.restore.validation import validate_restore
from pkg.testing.fakeapi import FakeApi


@pytest.fixture
def discovery() -> Discovery:
    return discover(FakeApi().client)


def hooks(hook: RestoreExecHook) -> RestoreHooks:
    one = RestoreResourceHookSpec(name="h", post_hooks=(RestoreResourceHook(exec=hook),))
    return RestoreHooks(resources=(one,))


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        pytest.param(RestoreSpec(), "BackupName must be non-empty", id="neither backup nor schedule"),
        pytest.param(RestoreSpec(backup_name="b", schedule_name="s"), "are both set", id="both"),
        pytest.param(
            RestoreSpec(backup_name="b", existing_resource_policy="replace"),
            'existingResourcePolicy "replace" is neither "none" nor "update"',
            id="a policy that is none",
        ),
        pytest.param(
            RestoreSpec(backup_name="b", restore_last=("pods",)), "restoreLast cannot name pods", id="pods at the end"
        ),
        pytest.param(
            RestoreSpec(backup_name="b", hooks=hooks(RestoreExecHook())), 'hook "h" has no command', id="no command"
        ),
        pytest.param(
            RestoreSpec(backup_name="b", hooks=hooks(RestoreExecHook(command=("x",), on_error="Ignore"))),
            'onError "Ignore" is neither Fail nor Continue',
            id="a failure mode that is none",
        ),
        pytest.param(
            RestoreSpec(backup_name="b", hooks=hooks(RestoreExecHook(command=("x",), wait_timeout="soon"))),
            'invalid duration "soon"',
            id="a duration that is none",
        ),
    ],
)
def test_a_restore_is_refused(discovery: Discovery, spec: RestoreSpec, text: str) -> None:
    [problem] = validate_restore(Restore(spec=spec), discovery)
    assert text in problem


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(RestoreSpec(backup_name="b"), id="a backup"),
        pytest.param(RestoreSpec(schedule_name="s", existing_resource_policy="update"), id="a schedule, with a policy"),
        pytest.param(RestoreSpec(backup_name="b", restore_last=("widgets.example.com",)), id="a kind to come"),
        pytest.param(
            RestoreSpec(backup_name="b", hooks=hooks(RestoreExecHook(command=("x",), timeout="5m"))), id="hooks"
        ),
    ],
)
def test_a_restore_is_accepted(discovery: Discovery, spec: RestoreSpec) -> None:
    assert validate_restore(Restore(spec=spec), discovery) == []
