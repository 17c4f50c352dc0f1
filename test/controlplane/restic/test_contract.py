"""One contract for the fake and the real restic."""

from pathlib import Path

import pytest

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeProgress
from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import (
    CancelledError,
    RepositoryMissingError,
    ResticFailedError,
    SnapshotMissingError,
    WrongPasswordError,
)
from pkg.restic.password import Password
from pkg.restic.preflight import check_version
from pkg.restic.repository import init_repository, open_repository
from pkg.restic.restoration import RestoreRequest, full_snapshot_id, restore_volume
from pkg.restic.runner import ResticRunner
from pkg.restic.transfer import (
    BackupRequest,
    backup_volume,
    find_snapshot_by_tag,
)
from pkg.testing.directories import contents


def test_a_volume_comes_back_as_it_was(runner: ResticRunner, s3: ResticEnvironment, volume: Path, target: Path) -> None:
    stop, seen = StopToken(), list[VolumeProgress]()
    init_repository(runner, s3, stop)
    request = BackupRequest(directory=str(volume), tags={"pvb-uid": "1", "backup": "b"})
    made = backup_volume(runner, request, s3, stop, seen.append)
    assert len(made.snapshot_id) == 64
    assert (made.files, made.bytes, made.unread_files) == (2, 19, 0)
    restore_volume(runner, RestoreRequest(snapshot_id=made.snapshot_id, target=str(target)), s3, stop)
    assert contents(target) == contents(volume)


def test_a_repository_answers_with_the_id_it_was_made_with(runner: ResticRunner, s3: ResticEnvironment) -> None:
    made = init_repository(runner, s3, StopToken())
    assert len(made) == 64
    assert open_repository(runner, s3, StopToken()) == made


def test_a_missing_repository_is_told_from_all_else(runner: ResticRunner, s3: ResticEnvironment) -> None:
    with pytest.raises(RepositoryMissingError) as caught:
        open_repository(runner, s3, StopToken())
    assert (caught.value.exit_code, caught.value.reason) == (10, Reason.REPOSITORY_MISSING)


def test_a_wrong_password_is_told_from_all_else(runner: ResticRunner, ready: ResticEnvironment) -> None:
    wrong = ResticEnvironment(repository=ready.repository, password=Password("no"), cache_dir=ready.cache_dir)
    with pytest.raises(WrongPasswordError) as caught:
        open_repository(runner, wrong, StopToken())
    assert caught.value.reason is Reason.WRONG_PASSWORD


def test_a_repository_is_not_made_twice(runner: ResticRunner, local: ResticEnvironment) -> None:
    made = init_repository(runner, local, StopToken())
    with pytest.raises(ResticFailedError, match="already"):
        init_repository(runner, local, StopToken())
    assert open_repository(runner, local, StopToken()) == made


def test_an_empty_volume_is_captured_and_restored_empty(
    runner: ResticRunner, ready: ResticEnvironment, tmp_path: Path, target: Path
) -> None:
    (tmp_path / "empty" / "lost+found").mkdir(parents=True)
    request = BackupRequest(directory=str(tmp_path / "empty"), tags={"a": "b"})
    made = backup_volume(runner, request, ready, StopToken())
    restore_volume(runner, RestoreRequest(snapshot_id=made.snapshot_id, target=str(target)), ready, StopToken())
    assert list(target.iterdir()) == []


def test_a_volume_that_is_no_longer_empty_has_an_empty_parent(
    runner: ResticRunner, ready: ResticEnvironment, tmp_path: Path
) -> None:
    volume = tmp_path / "empty"
    volume.mkdir()
    first = backup_volume(runner, BackupRequest(directory=str(volume), tags={}), ready, StopToken())
    (volume / "new").write_text("new")
    request = BackupRequest(directory=str(volume), tags={}, parent=first.snapshot_id)
    assert backup_volume(runner, request, ready, StopToken()).files == 1


def test_a_parent_that_is_gone_is_recognised(runner: ResticRunner, ready: ResticEnvironment, volume: Path) -> None:
    with pytest.raises(SnapshotMissingError):
        backup_volume(runner, BackupRequest(directory=str(volume), tags={}, parent="0" * 64), ready, StopToken())


def test_a_capture_that_was_finished_already_is_adopted_and_what_changed_since_is_not_lost(
    runner: ResticRunner, ready: ResticEnvironment, volume: Path
) -> None:
    tags = {"pvb-uid": "1"}
    first = backup_volume(runner, BackupRequest(directory=str(volume), tags=tags), ready, StopToken())
    request = BackupRequest(directory=str(volume), tags=tags, parent=first.snapshot_id, adopt_parent=True)
    adopted = backup_volume(runner, request, ready, StopToken())
    assert adopted.snapshot_id == first.snapshot_id
    assert (adopted.files, adopted.bytes) == (first.files, first.bytes)
    (volume / "later").write_text("new")
    assert backup_volume(runner, request, ready, StopToken()).snapshot_id != first.snapshot_id


def test_a_snapshot_that_is_gone_is_recognised(runner: ResticRunner, ready: ResticEnvironment, target: Path) -> None:
    with pytest.raises(SnapshotMissingError):
        restore_volume(runner, RestoreRequest(snapshot_id="0" * 64, target=str(target)), ready, StopToken())


def test_a_snapshot_of_0_9_is_found_by_its_8_digits(
    runner: ResticRunner, ready: ResticEnvironment, volume: Path, target: Path
) -> None:
    made = backup_volume(runner, BackupRequest(directory=str(volume), tags={}), ready, StopToken())
    found = full_snapshot_id(runner, ready, made.snapshot_id[:8], StopToken(), no_lock=True)
    assert found == made.snapshot_id
    restore_volume(runner, RestoreRequest(snapshot_id=found, target=str(target)), ready, StopToken())
    assert contents(target) == contents(volume)


@pytest.mark.parametrize("snapshot_id", ["latest", "deadbeef", "deadbeef:folder", ""])
def test_what_is_no_snapshot_is_never_restored(
    runner: ResticRunner, ready: ResticEnvironment, volume: Path, snapshot_id: str
) -> None:
    backup_volume(runner, BackupRequest(directory=str(volume), tags={}), ready, StopToken())
    with pytest.raises(SnapshotMissingError):
        full_snapshot_id(runner, ready, snapshot_id, StopToken(), no_lock=True)


def test_the_newest_snapshot_with_all_tags_is_found(
    runner: ResticRunner, ready: ResticEnvironment, volume: Path
) -> None:
    for tags in ({"pvb-uid": "1", "x": "1"}, {"pvb-uid": "2", "x": "1"}, {"pvb-uid": "1", "x": "1"}):
        made = backup_volume(runner, BackupRequest(directory=str(volume), tags=tags), ready, StopToken())
    found = find_snapshot_by_tag(runner, ready, {"x": "1", "pvb-uid": "1"}, StopToken())
    assert found is not None
    assert found.id == made.snapshot_id
    assert find_snapshot_by_tag(runner, ready, {"x": "1", "pvb-uid": "3"}, StopToken()) is None


def test_a_call_that_is_stopped_before_it_starts_is_cancelled(
    runner: ResticRunner, ready: ResticEnvironment, volume: Path
) -> None:
    stop = StopToken()
    stop.cancel(Reason.POD_DELETED)
    with pytest.raises(CancelledError) as caught:
        backup_volume(runner, BackupRequest(directory=str(volume), tags={}), ready, stop)
    assert caught.value.reason is Reason.POD_DELETED


def test_the_version_is_new_enough(runner: ResticRunner) -> None:
    assert check_version(runner) == "0.19.1"
