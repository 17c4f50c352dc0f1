import pytest

from pkg.restic import command

SNAPSHOT = "5" * 64

ALWAYS = (
    *("--exclude", "/pods/x/lost+found"),
    *("--exclude", "/pods/x/.snapshot"),
    *("--exclude", "/pods/x/.zfs/snapshot"),
)


def test_a_backup_runs_in_the_volume_with_sorted_tags() -> None:
    made = command.backup(directory="/pods/x", tags={"volume": "v", "backup": "b"})
    assert made.directory == "/pods/x"
    assert made.arguments == (
        *("backup", "--json", "--host", "ark", "--tag", "backup=b", "--tag", "volume=v"),
        *ALWAYS,
        *("--exclude-caches", "."),
    )


def test_a_backup_takes_parent_excludes_options_and_patience() -> None:
    made = command.backup(
        directory="/pods/x",
        tags={},
        parent="p1",
        excludes=("/cache", "*.tmp"),
        options=("s3.region=eu", "s3.bucket-lookup=path"),
        lock_wait_seconds=7200,
    )
    assert made.arguments == (
        *("backup", "--json", "-o", "s3.region=eu", "-o", "s3.bucket-lookup=path", "--retry-lock", "7200s"),
        *("--host", "ark", "--parent", "p1"),
        *ALWAYS,
        *("--exclude", "/pods/x/cache", "--exclude", "/pods/x/**/*.tmp", "--exclude-caches", "."),
    )
    assert made.lock_wait_seconds == 7200


@pytest.mark.parametrize(
    ("pattern", "argument"),
    [
        pytest.param("/mount", "/a/mount/mount", id="from the root"),
        pytest.param("mount", "/a/mount/**/mount", id="anywhere"),
        pytest.param("sub/mount", "/a/mount/**/sub/mount", id="a path anywhere"),
        pytest.param("!mount", "!/a/mount/**/mount", id="taken back in"),
        pytest.param("!/mount", "!/a/mount/mount", id="taken back in from the root"),
    ],
)
def test_a_pattern_never_matches_the_path_to_the_volume(pattern: str, argument: str) -> None:
    assert argument in command.backup(directory="/a/mount", tags={}, excludes=(pattern,)).arguments


def test_a_volume_that_is_a_cache_as_a_whole_is_captured() -> None:
    assert "--exclude-caches" not in command.backup(directory="/v", tags={}, exclude_caches=False).arguments


def test_a_pattern_from_the_root_survives_strange_directories() -> None:
    made = command.backup(directory="/a[1]*/x/", tags={}, excludes=("/c",))
    assert "/a\\[1]\\*/x/c" in made.arguments


def test_nothing_is_captured_as_one_marker_that_no_restore_writes() -> None:
    made = command.backup_of_nothing(directory="/v", tags={"a": "b"})
    assert made.arguments[-3:] == ("--stdin", "--stdin-filename", command.EMPTY_MARKER)
    assert made.stdin
    restore = command.restore(snapshot_id=SNAPSHOT, target="/v")
    assert f"/{command.EMPTY_MARKER}" in restore.arguments


def test_a_restore_writes_holes_into_its_own_directory() -> None:
    made = command.restore(snapshot_id=SNAPSHOT, target="/v", no_lock=True, options=("a=b",))
    assert made.directory == "/v"
    assert made.arguments == (
        *("restore", "--json", "-o", "a=b", "--no-lock", "--target", ".", "--sparse"),
        *("--exclude", "/.ark-empty-volume", "--exclude-xattr", "security.selinux", SNAPSHOT),
    )


def test_the_small_calls() -> None:
    assert command.init(options=("a=b",)).arguments == ("init", "--json", "-o", "a=b")
    assert command.cat_config(no_lock=True).arguments == ("cat", "config", "--json", "--no-lock")
    assert command.version().arguments == ("version", "--json")


def test_a_search_wants_all_tags_at_once() -> None:
    assert command.snapshots(tags={"b": "2", "a": "1"}).arguments == ("snapshots", "--json", "--tag", "a=1,b=2")


def test_a_tag_that_restic_would_split_is_refused() -> None:
    with pytest.raises(ValueError, match="comma"):
        command.backup(directory="/v", tags={"a": "b,c"})


def test_only_calls_that_report_nothing_have_a_deadline_of_their_own() -> None:
    short = [command.init(), command.cat_config(), command.snapshots(tags={}), command.version()]
    assert all(made.answer_seconds for made in short)
    assert command.backup(directory="/v", tags={}).answer_seconds is None
    assert command.restore(snapshot_id=SNAPSHOT, target="/v").answer_seconds is None


@pytest.mark.parametrize("snapshot_id", ["latest", "5" * 8, "5" * 64 + ":folder", "", "--help"])
def test_only_a_full_snapshot_id_is_restored(snapshot_id: str) -> None:
    with pytest.raises(ValueError, match="full snapshot id"):
        command.restore(snapshot_id=snapshot_id, target="/v")


def test_a_restic_that_cannot_leave_labels_is_not_asked_to() -> None:
    assert "--exclude-xattr" not in command.restore(snapshot_id=SNAPSHOT, target="/v", keep_labels=False).arguments
