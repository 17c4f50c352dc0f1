"""Which progress is worth a write."""

from __future__ import annotations

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.volumes import VolumeProgress
from pkg.controllers.pace import Pace
from pkg.controllers.progress import ProgressGate, is_worth_writing
from pkg.testing.fakeclock import FakeClock


def at(bytes_done: int, total_bytes: int = 1000) -> VolumeProgress:
    return VolumeProgress(bytes_done=bytes_done, total_bytes=total_bytes)


@pytest.mark.parametrize(
    ("last", "new", "elapsed", "worth"),
    [
        pytest.param(None, at(1), 0.0, True, id="the first bytes are shown at once"),
        pytest.param(None, at(0), 99.0, False, id="nothing done is nothing to show"),
        pytest.param(at(100), at(500), 9.9, False, id="less than ten seconds later"),
        pytest.param(at(100), at(109), 99.0, False, id="less than one percent further"),
        pytest.param(at(100), at(110), 10.0, True, id="ten seconds and one percent"),
        pytest.param(at(100), at(100), 99.0, False, id="no movement"),
        pytest.param(at(1, 0), at(2, 0), 10.0, True, id="a total that is not known yet"),
    ],
)
def test_what_is_worth_a_write(last: VolumeProgress | None, new: VolumeProgress, elapsed: float, worth: bool) -> None:
    assert is_worth_writing(last, new, elapsed) is worth


def test_a_transfer_of_an_hour_costs_at_most_a_hundred_writes_and_one() -> None:
    clock = FakeClock()
    written: list[VolumeProgress] = []
    gate = ProgressGate(clock, written.append)
    for second in range(3600):
        gate.offer(at(second * 100, 360_000))
        clock.advance(1)
    assert 90 <= len(written) <= 101


def test_a_short_transfer_is_written_every_ten_seconds_at_most() -> None:
    clock = FakeClock()
    written: list[VolumeProgress] = []
    gate = ProgressGate(clock, written.append)
    for second in range(60):
        gate.offer(at(1 + second * 10, 600))
        clock.advance(1)
    assert [progress.bytes_done for progress in written] == [1, 101, 201, 301, 401, 501]


def test_the_pace_of_an_engine_is_what_changed_and_not_too_often() -> None:
    clock, written = FakeClock(), list[int]()
    pace = Pace(clock, interval_seconds=3)

    def offer(number: int) -> None:
        content: JsonObject = {"itemsDone": number}
        pace.offer(content, lambda: written.append(number))

    for number in (1, 2, 2):
        offer(number)
    clock.advance(3)
    offer(1)
    offer(2)
    clock.advance(2)
    offer(3)
    assert written == [1, 2]
    clock.advance(1)
    offer(3)
    assert written == [1, 2, 3]
