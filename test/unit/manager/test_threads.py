from __future__ import annotations

import threading

from structlog.testing import capture_logs

from pkg.manager.threads import join_all, report_stuck


def test_the_threads_that_do_not_end_are_returned_and_named_with_their_stack() -> None:
    release = threading.Event()

    def hold_on_to_something() -> None:
        release.wait(10)

    stuck = threading.Thread(target=hold_on_to_something, name="stuck", daemon=True)
    quick = threading.Thread(target=lambda: None, name="quick", daemon=True)
    not_started = threading.Thread(target=lambda: None, name="not started")
    stuck.start()
    quick.start()
    quick.join(10)
    left = join_all([stuck, quick, not_started, threading.current_thread()], 0)
    assert left == [stuck]
    with capture_logs() as logs:
        report_stuck(left)
    release.set()
    (entry,) = logs
    assert entry["thread"] == "stuck"
    assert "hold_on_to_something" in entry["stack"]
    assert join_all([stuck], 10) == []
