"""The shipped alerts name series that the server shows, and both forms of them say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from pkg.apis.ark import Backup, BackupStatus, Schedule, ScheduleSpec, ScheduleStatus
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import SCHEDULE_LABEL
from pkg.apis.volumes import ResticRepository
from pkg.controllers.metrics import ServerMetrics
from pkg.controllers.metrics_repositories import RepositoryCollector
from pkg.controllers.metrics_schedules import ScheduleCollector
from pkg.testing.fakeclock import START, FakeClock
from pkg.testing.fakes import FakeLister

ALERTS = Path(__file__).resolve().parents[3] / "config" / "common" / "alerts"
GROUPS = yaml.safe_load((ALERTS / "rules.yaml").read_text())["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
# Registered by the recovery kit's own test, and by the agents.
ELSEWHERE = {"ark_recovery_kit_unverified", "ark_agent_slots", "ark_agent_slots_configured"}


def exposed() -> dict[str, set[str]]:
    """The series of a server with one schedule and one backup, and the labels of each."""
    registry = CollectorRegistry()
    ServerMetrics(registry).schedule_seen("nightly")
    metadata = ObjectMeta(name="nightly", namespace="ark", creation_timestamp=START)
    status = ScheduleStatus(phase="Enabled", next_backup=START)
    schedule = Schedule(metadata=metadata, spec=ScheduleSpec(schedule="@daily"), status=status)
    labels = {SCHEDULE_LABEL: "nightly"}
    done = BackupStatus(phase="Completed", start_timestamp=START)
    backup = Backup(metadata=ObjectMeta(name="nightly-1", namespace="ark", labels=labels), status=done)
    clock = FakeClock()
    registry.register(ScheduleCollector(FakeLister([schedule]), FakeLister([backup]), cluster_id="c", clock=clock))
    repository = ResticRepository(metadata=ObjectMeta(name="shop", creation_timestamp=START))
    registry.register(RepositoryCollector(FakeLister([repository]), clock=clock))
    return {sample.name: set(sample.labels) for family in registry.collect() for sample in family.samples}


def series_of(expression: str) -> set[str]:
    return set(re.findall(r"\bark_[a-z_]+", expression))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_names_series_and_labels_that_are_there(rule: dict[str, str]) -> None:
    named, there = series_of(rule["expr"]), exposed()
    assert named
    assert named <= {*there, *ELSEWHERE}
    for labels in re.findall(r"by \(([a-z, ]+)\)", rule["expr"]):
        for name in named:
            assert set(labels.split(", ")) <= there[name]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_alerts_use_ages_and_states_and_no_counter(rule: dict[str, str]) -> None:
    assert not [name for name in series_of(rule["expr"]) if name.endswith(("_total", "_bucket", "_count"))]
    assert not re.search(r"\b(rate|increase|changes)\(", rule["expr"])


def test_what_another_part_registers_is_really_there() -> None:
    sources = "".join(path.read_text() for path in (ALERTS.parents[2] / "pkg" / "controllers").glob("*.py"))
    assert [name for name in ELSEWHERE if f'"{name}"' not in sources] == []


def test_both_forms_say_the_same() -> None:
    resource = yaml.safe_load((ALERTS / "prometheusrule.yaml").read_text())
    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"]["groups"] == GROUPS
