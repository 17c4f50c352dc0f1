"""The server's cache of restic stays small."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pkg.controllers import server_cache
from pkg.kube.stop import StopToken
from pkg.testing.fakeclock import FakeClock


def test_what_nobody_used_for_long_goes_at_the_next_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_cache, "LIMIT_BYTES", 1024)
    clock, stop, left = FakeClock(automatic=True), StopToken(), list[bool]()
    part = tmp_path / "restic-cache" / ("ab" * 32)
    (part / "data").mkdir(parents=True)
    (part / "data" / "pack").write_bytes(b"x" * 65536)

    def wait(token: StopToken, seconds: float) -> bool:
        left.append(part.exists())
        if part.exists():
            os.utime(part, (1, 1))
        return len(left) == 2

    monkeypatch.setattr(clock, "wait", wait)
    server_cache.keep_cache_small(tmp_path, clock, stop)
    assert left == [True, False]
