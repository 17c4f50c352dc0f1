"""The collector leaves alone what lives as long as the process; in processes of their own, because it is global."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from pkg.cli.process import ProcessSettings, process_settings
from pkg.cli.restic_server import run_agent
from pkg.cli.server import run_server
from pkg.controllers.limits import NodeLimits
from pkg.kube.stop import StopToken
from pkg.manager import gc_policy

ROOT = Path(__file__).resolve().parents[3]
LIMITS = NodeLimits(backup_slots=1, restore_slots=1)


def in_process(code: str) -> str:
    run = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_what_was_imported_is_frozen_and_the_thresholds_are_high() -> None:
    found = in_process(
        """
        import gc
        from pkg.manager import gc_policy
        gc_policy.apply()
        print(gc.get_threshold(), gc.get_freeze_count() > 1_000)
        """
    )
    assert found == "(50000, 20, 100) True"


def test_caches_are_frozen_when_they_are_filled() -> None:
    found = in_process(
        """
        import gc
        from pkg.kube.stop import StopToken
        from pkg.manager import gc_policy
        gc_policy.apply()
        before = gc.get_freeze_count()
        cache = [{"key": [number]} for number in range(5000)]
        gc_policy.freeze_caches(StopToken())
        print(gc.get_freeze_count() - before >= 10_000)
        """
    )
    assert found == "True"


def test_garbage_that_comes_later_is_still_collected() -> None:
    found = in_process(
        """
        import gc, weakref
        from pkg.manager import gc_policy
        gc_policy.apply()
        class Node: pass
        node = Node()
        node.self = node
        gone = weakref.ref(node)
        del node
        gc.collect()
        print(gone() is None)
        """
    )
    assert found == "True"


class SetError(Exception):
    """The policy was asked for."""


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda settings: run_server(settings, ":0", "nowhere", StopToken()), id="server"),
        pytest.param(lambda settings: run_agent(settings, "n1", ":0", "nowhere", StopToken(), LIMITS), id="agent"),
    ],
)
def test_both_daemons_set_the_policy_before_anything_else(
    run: Callable[[ProcessSettings], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def note() -> None:
        raise SetError

    monkeypatch.setattr(gc_policy, "apply", note)
    with pytest.raises(SetError):
        run(process_settings("ns", {}))
