"""restic's cache stays within its size, and nothing goes that a running restic uses."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from pkg.kube.stop import StopToken
from pkg.restic.cache import Cache, CachedRepository, too_much

LONG_SECONDS = 30.0
KIB = 1024
LIMIT = 100 * KIB


def repository_id(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


def fill(directory: Path, name: str, *, kib: int, used_at: float) -> Path:
    made = directory / repository_id(name)
    (made / "data" / "ab").mkdir(parents=True)
    (made / "data" / "ab" / "abcd").write_bytes(b"x" * kib * KIB)
    os.utime(made, (used_at, used_at))
    return made


def held(cache: Cache) -> set[str]:
    return {path.name for path in cache.directory.iterdir()}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path, limit_bytes=LIMIT)


def cached(name: str, size_bytes: int, used_at: float) -> CachedRepository:
    return CachedRepository(repository_id=name, size_bytes=size_bytes, used_at=used_at)


@pytest.mark.parametrize(
    ("found", "limit", "going"),
    [
        pytest.param([], 10, [], id="nothing there"),
        pytest.param([cached("a", 5, 1), cached("b", 5, 2)], 10, [], id="it fits"),
        pytest.param([cached("a", 5, 3), cached("b", 5, 1), cached("c", 5, 2)], 10, ["b"], id="the oldest goes"),
        pytest.param([cached("a", 1, 1), cached("b", 9, 2), cached("c", 9, 3)], 10, ["a", "b"], id="until it fits"),
        pytest.param([cached("a", 20, 1)], 10, ["a"], id="one alone is too large"),
        pytest.param([cached("a", 1, 1), cached("b", 1, 2)], -5, ["a", "b"], id="what is in use takes it all"),
    ],
)
def test_what_goes(found: list[CachedRepository], limit: int, going: list[str]) -> None:
    assert too_much(found, limit) == going


def test_the_part_that_was_used_longest_ago_goes(cache: Cache) -> None:
    for name, used_at in (("old", 10.0), ("older", 5.0), ("new", 20.0)):
        fill(cache.directory, name, kib=48, used_at=used_at)
    cache.clean()
    assert held(cache) == {repository_id("old"), repository_id("new")}
    assert cache.size_bytes == pytest.approx(96 * KIB, abs=16 * KIB)


def test_what_a_running_restic_uses_stays_though_it_is_the_oldest(cache: Cache) -> None:
    fill(cache.directory, "used", kib=80, used_at=1.0)
    fill(cache.directory, "idle", kib=80, used_at=9.0)
    with cache.used(repository_id("used")) as usable:
        assert usable
        cache.clean()
        assert held(cache) == {repository_id("used")}


def test_where_what_is_in_use_is_far_too_much_its_oldest_settled_files_go_and_no_directory(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit_bytes=LIMIT, settled_seconds=60)
    part = tmp_path / repository_id("used")
    now = time.time()
    for path, age in (
        ("data/aa/old", 500),
        ("data/bb/older", 900),
        ("data/cc/new", 1),
        ("data/dd/tmp-1", 900),
        ("index/ee/x", 900),
    ):
        (part / path).parent.mkdir(parents=True)
        (part / path).write_bytes(b"x" * 40 * KIB)
        os.utime(part / path, (now - age, now - age))
    with cache.used(part.name):
        cache.clean()
    left = {str(path.relative_to(part)) for path in part.rglob("*") if path.is_file()}
    assert left == {"data/cc/new", "data/dd/tmp-1", "index/ee/x"}
    assert (part / "data" / "bb").is_dir()
    assert cache.size_bytes == pytest.approx(120 * KIB, abs=16 * KIB)


def test_what_somebody_else_used_just_now_stays(tmp_path: Path) -> None:
    now = time.time()
    recent = fill(tmp_path, "recent", kib=120, used_at=now - 60)
    fill(tmp_path, "old", kib=1, used_at=now - 7200)
    Cache(tmp_path, limit_bytes=LIMIT, kept_seconds=3600).clean()
    assert {path.name for path in tmp_path.iterdir()} == {recent.name}


def test_a_little_too_much_in_use_is_left_alone(cache: Cache) -> None:
    made = fill(cache.directory, "used", kib=120, used_at=1.0)
    with cache.used(made.name):
        cache.clean()
    assert (made / "data" / "ab" / "abcd").is_file()


def test_of_two_that_use_one_part_the_last_one_frees_it(cache: Cache) -> None:
    fill(cache.directory, "shared", kib=200, used_at=1.0)
    with cache.used(repository_id("shared")):
        with cache.used(repository_id("shared")):
            pass
        cache.clean()
        assert held(cache) == {repository_id("shared")}
    cache.clean()
    assert held(cache) == set()


def test_leaving_counts_as_use(cache: Cache) -> None:
    made = fill(cache.directory, "a", kib=1, used_at=1.0)
    with cache.used(made.name):
        pass
    assert made.stat().st_mtime > 1.0


def test_what_an_earlier_removal_left_goes_at_the_next_start(cache: Cache) -> None:
    """A process that died after the rename."""
    leftover = fill(cache.directory, "gone", kib=1, used_at=1.0)
    leftover.rename(cache.directory / f".removed-{leftover.name}")
    cache.clean()
    assert held(cache) == set()


def test_nothing_goes_that_is_not_a_repositorys(cache: Cache, tmp_path: Path) -> None:
    """Without a scratch directory of its own the cache may lie beside other things."""
    elsewhere = tmp_path / "elsewhere"
    fill(elsewhere, "kept", kib=200, used_at=1.0)
    (cache.directory / repository_id("link")).symlink_to(elsewhere)
    (cache.directory / "CACHEDIR.TAG").write_bytes(b"x" * 200 * KIB)
    fill(cache.directory / "photographs", "x", kib=200, used_at=1.0)
    cache.clean()
    assert {"CACHEDIR.TAG", "photographs", repository_id("link")} <= held(cache)
    assert (elsewhere / repository_id("kept")).is_dir()


def test_more_in_use_than_may_be_means_that_the_next_one_does_without(cache: Cache) -> None:
    fill(cache.directory, "large", kib=200, used_at=1.0)
    with cache.used(repository_id("large")):
        cache.clean()
        with cache.used(repository_id("other")) as usable:
            assert not usable
    cache.clean()
    with cache.used(repository_id("other")) as usable:
        assert usable


def test_of_an_unknown_repository_nothing_is_cached(cache: Cache) -> None:
    with cache.used("") as usable:
        assert not usable


def test_a_size_of_zero_means_no_cache(tmp_path: Path) -> None:
    with Cache(tmp_path, limit_bytes=0).used(repository_id("a")) as usable:
        assert not usable


def test_the_directory_is_made_when_it_is_needed(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "scratch" / "cache", limit_bytes=LIMIT)
    cache.clean()
    with cache.used(repository_id("a")) as usable:
        assert usable
    assert cache.directory.is_dir()


def test_a_directory_that_cannot_be_written_means_no_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(tmp_path / "file" / "cache", limit_bytes=LIMIT)
    cache.clean()
    with cache.used(repository_id("a")) as usable:
        assert not usable


def test_who_wants_a_part_that_is_just_going_waits_until_it_is_gone(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fill(cache.directory, "a", kib=200, used_at=1.0)
    rename, about_to, may_go = Path.rename, threading.Event(), threading.Event()

    def slow_rename(source: Path, target: Path) -> Path:
        about_to.set()
        may_go.wait(LONG_SECONDS)
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", slow_rename)
    cleaner = threading.Thread(target=cache.clean)
    cleaner.start()
    about_to.wait(LONG_SECONDS)
    entered = list[bool]()

    def use() -> None:
        with cache.used(made.name):
            entered.append(made.exists())

    user = threading.Thread(target=use)
    user.start()
    assert entered == []
    may_go.set()
    for thread in (cleaner, user):
        thread.join(LONG_SECONDS)
    assert entered == [False]


def test_it_is_cleaned_at_the_start_and_after_each_use(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned = threading.Semaphore(0)
    monkeypatch.setattr(cache, "clean", cleaned.release)
    stop = StopToken()
    cleaner = threading.Thread(target=cache.run, args=(stop,))
    cleaner.start()
    try:
        assert cleaned.acquire(timeout=LONG_SECONDS)
        with cache.used(repository_id("a")):
            pass
        assert cleaned.acquire(timeout=LONG_SECONDS)
    finally:
        stop.cancel()
        cleaner.join(LONG_SECONDS)
    assert not cleaner.is_alive()
