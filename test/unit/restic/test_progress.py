from pkg.restic.messages import Status
from pkg.restic.progress import ProgressWatch


def test_only_what_changes_counts() -> None:
    watch = ProgressWatch(now=0, limit_seconds=20)
    watch.saw(Status(bytes_done=1), now=5)
    assert watch.seconds_left(now=5) == 20
    watch.saw(Status(bytes_done=1), now=15)
    assert watch.seconds_left(now=15) == 10
    watch.saw(Status(bytes_done=1, current_files=("next",)), now=20)
    assert watch.seconds_left(now=20) == 20
    assert watch.seconds_left(now=40) == 0


def test_waiting_for_a_lock_does_not_count() -> None:
    watch = ProgressWatch(now=0, limit_seconds=20, lock_wait_seconds=100)
    assert watch.seconds_left(now=110) == 10
    watch.saw(Status(bytes_done=1), now=110)
    assert watch.seconds_left(now=110) == 20
