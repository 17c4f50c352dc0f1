"""How long a volume may take."""

from __future__ import annotations

import datetime

import pytest

from pkg.apis.meta import ObjectMeta
from pkg.controllers.volume_time import seconds_left, volume_timeout

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("annotation", "configured", "timeout"),
    [
        pytest.param("", 0.0, "", id="nobody sets a limit"),
        pytest.param("", 5400.0, "1h30m0s", id="Config does"),
        pytest.param("2h", 5400.0, "2h0m0s", id="the object has its own"),
        pytest.param("0s", 5400.0, "", id="the object has none"),
        pytest.param("soon", 5400.0, "1h30m0s", id="the object's is no duration"),
        pytest.param("-5m", 0.0, "", id="it is negative"),
    ],
)
def test_the_limit_of_each_volume(annotation: str, configured: float, timeout: str) -> None:
    metadata = ObjectMeta(name="b", annotations={"ark.heptio.com/pod-volume-timeout": annotation})
    assert volume_timeout(metadata, configured) == timeout


@pytest.mark.parametrize(
    ("timeout", "slot_age_seconds", "left"),
    [
        pytest.param("10m", 60, 540.0, id="it counts from the slot"),
        pytest.param("10m", 601, -1.0, id="it is over"),
        pytest.param("10m", None, None, id="a volume that waits loses no time"),
        pytest.param("", 60, None, id="no limit"),
        pytest.param("ten", 60, None, id="a limit that another version wrote"),
    ],
)
def test_what_is_left(timeout: str, slot_age_seconds: int | None, left: float | None) -> None:
    slot_at = None if slot_age_seconds is None else NOW - datetime.timedelta(seconds=slot_age_seconds)
    assert seconds_left(timeout, slot_at, NOW) == left
