"""Each restic gets its part of the node's bandwidth when it starts."""

from __future__ import annotations

import pytest

from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.bandwidth import Bandwidth, LimitedRunner, limited, share
from pkg.restic.finished import Finished
from pkg.testing.fakerestic import FakeRestic

BACKUP = command.backup(directory="/v", tags={})
RESTORE = command.restore(snapshot_id="5" * 64, target="/v")


@pytest.mark.parametrize(
    ("node", "children", "expected"),
    [
        pytest.param(Bandwidth(), 4, Bandwidth(), id="no limit stays none"),
        pytest.param(Bandwidth(upload_kib=1000), 4, Bandwidth(upload_kib=250), id="one direction"),
        pytest.param(
            Bandwidth(upload_kib=100, download_kib=10),
            3,
            Bandwidth(upload_kib=33, download_kib=3),
            id="rounded down, so that all together never take more",
        ),
        pytest.param(Bandwidth(upload_kib=2), 4, Bandwidth(upload_kib=1), id="a limit never becomes none"),
    ],
)
def test_a_nodes_limit_is_divided_by_its_slots(node: Bandwidth, children: int, expected: Bandwidth) -> None:
    assert share(node, children) == expected


def test_limits_are_restics_own_flags_behind_the_verb() -> None:
    made = limited(BACKUP, Bandwidth(upload_kib=250, download_kib=7))
    assert made.arguments[:6] == ("backup", "--limit-upload", "250", "--limit-download", "7", "--json")
    assert made.arguments[5:] == BACKUP.arguments[1:]


def test_without_a_limit_the_call_is_the_same() -> None:
    assert limited(BACKUP, Bandwidth()) is BACKUP


def test_a_slow_call_may_be_silent_for_as_long_as_its_packs_take() -> None:
    assert limited(BACKUP, Bandwidth(upload_kib=64)).slow_seconds == 5 * 16 * 1024 / 64
    assert BACKUP.slow_seconds == 0


class Asked:
    """Answers limits, and remembers of which verbs."""

    def __init__(self) -> None:
        self.verbs: list[str] = []
        self.upload_kib = 100

    def __call__(self, verb: str) -> Bandwidth:
        self.verbs.append(verb)
        return Bandwidth(upload_kib=self.upload_kib)


def test_a_new_limit_counts_for_the_next_child() -> None:
    restic, asked = FakeRestic(), Asked()
    restic.script = lambda call, environment: Finished(verb=call.verb, repository="", exit_code=0)
    runner = LimitedRunner(restic, asked)
    runner.run(BACKUP, None, StopToken())
    asked.upload_kib = 50
    runner.run(RESTORE, None, StopToken())
    assert [one.arguments[:3] for one in restic.commands] == [
        ("backup", "--limit-upload", "100"),
        ("restore", "--limit-upload", "50"),
    ]
    assert asked.verbs == ["backup", "restore"]


def test_calls_that_move_no_volume_are_not_limited() -> None:
    restic, asked = FakeRestic(), Asked()
    LimitedRunner(restic, asked).run(command.version(), None, StopToken())
    assert restic.commands == [command.version()]
    assert asked.verbs == []
