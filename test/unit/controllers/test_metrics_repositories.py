"""What a scrape tells of repositories."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pkg.apis.meta import Condition, ObjectMeta
from pkg.apis.volumes import ResticRepository, ResticRepositoryStatus, Verification
from pkg.controllers.metrics_repositories import RepositoryCollector
from pkg.testing.fakeclock import START, FakeClock
from pkg.testing.fakes import FakeLister

DAY = datetime.timedelta(days=1)
DAMAGED = Condition(type="Damaged", status="True", reason="RepositoryDamaged", message="broken")


@pytest.mark.parametrize(
    ("status", "series", "value"),
    [
        pytest.param({"conditions": (DAMAGED,)}, "ark_repository_damaged", 1, id="damaged"),
        pytest.param({}, "ark_repository_damaged", 0, id="sound, as far as one knows"),
        pytest.param({"phase": "Ready"}, "ark_repository_ready", 1, id="ready"),
        pytest.param({"phase": "NotReady"}, "ark_repository_ready", 0, id="not ready"),
        pytest.param({}, "ark_repository_unverified_age_seconds", 9 * 86400, id="never read, since it was made"),
        pytest.param(
            {"verification": Verification(read_at=START - 2 * DAY)},
            "ark_repository_unverified_age_seconds",
            2 * 86400,
            id="read two days ago",
        ),
        pytest.param(
            {"verification": Verification(message="off: storage class GLACIER must be thawed")},
            "ark_repository_unverified_age_seconds",
            None,
            id="nothing is to be read",
        ),
    ],
)
def test_what_is_told(status: dict[str, Any], series: str, value: float | None) -> None:
    metadata = ObjectMeta(name="shop", namespace="ark", creation_timestamp=START - 9 * DAY)
    one = ResticRepository(metadata=metadata, status=ResticRepositoryStatus(**status))
    registry = CollectorRegistry()
    registry.register(RepositoryCollector(FakeLister([one]), clock=FakeClock()))
    assert registry.get_sample_value(series, {"repository": "shop"}) == value
