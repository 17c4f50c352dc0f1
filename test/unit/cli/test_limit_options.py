"""The flags that limit the work on volumes."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from pkg.cli.limit_options import agent_limit_options, default_slots, server_limit_options
from pkg.controllers.limits import ClusterLimits, NodeLimits


def agent(*arguments: str) -> NodeLimits:
    """What an agent's command gets."""
    got: list[NodeLimits] = []
    command = click.command()(agent_limit_options(lambda limits: got.append(limits)))
    result = CliRunner().invoke(command, list(arguments))
    if result.exit_code:
        raise ValueError(result.output)
    return got[0]


def server(*arguments: str) -> ClusterLimits:
    """What the server's command gets."""
    got: list[ClusterLimits] = []
    command = click.command()(server_limit_options(lambda limits: got.append(limits)))
    assert CliRunner().invoke(command, list(arguments)).exit_code == 0
    return got[0]


def test_without_flags_the_documented_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 16)
    assert agent() == NodeLimits(backup_slots=4, restore_slots=4, upload_kib=0, download_kib=0)
    assert server() == ClusterLimits(per_repository=4, whole_cluster=32)


@pytest.mark.parametrize(("cores", "slots"), [(1, 1), (2, 2), (4, 4), (64, 4), (None, 1)])
def test_backups_get_a_slot_for_each_core_and_four_at_most(cores: int | None, slots: int) -> None:
    assert default_slots(cores) == slots


def test_every_limit_has_a_flag() -> None:
    found = agent("--backup-slots", "9", "--restore-slots=1", "--limit-upload", "100", "--limit-download", "7")
    assert found == NodeLimits(backup_slots=9, restore_slots=1, upload_kib=100, download_kib=7)
    assert server("--volumes-per-repository", "2", "--volumes-in-cluster", "64") == ClusterLimits(
        per_repository=2, whole_cluster=64
    )


@pytest.mark.parametrize("flag", ["--backup-slots=0", "--restore-slots=0", "--limit-upload=-1", "--backup-slots=65"])
def test_a_flag_out_of_its_range_is_refused(flag: str) -> None:
    with pytest.raises(ValueError, match="range"):
        agent(flag)
