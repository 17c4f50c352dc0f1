"""The log of a backup is logfmt that a person reads."""

from __future__ import annotations

import gzip
import io

from pkg.backup.oplog import OperationLog
from pkg.testing.fakeclock import FakeClock


def test_lines_have_time_level_message_and_what_is_bound() -> None:
    log = OperationLog(io.BytesIO(), FakeClock(), backup="heptio-ark/nightly")
    log.logger.info("Resource listed", resource="pods", items=3)
    log.logger.error("Item not stored", error='no "such" thing')
    lines = gzip.decompress(log.compressed()).decode().splitlines()
    assert lines == [
        'time=2026-01-01T00:00:00Z level=info msg="Resource listed" backup=heptio-ark/nightly resource=pods items=3',
        'time=2026-01-01T00:00:00Z level=error msg="Item not stored" backup=heptio-ark/nightly '
        'error="no \\"such\\" thing"',
    ]


def test_a_line_after_reading_comes_after_the_others() -> None:
    log = OperationLog(io.BytesIO(), FakeClock())
    log.logger.info("one")
    log.compressed()
    log.logger.debug("not shown")
    log.logger.warning("two")
    assert [line.split("msg=")[1] for line in gzip.decompress(log.compressed()).decode().splitlines()] == ["one", "two"]
