"""An agent finds a volume's directory, and refuses one that only looks like it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkg.apis.reasons import Reason
from pkg.apis.volumes import VolumeSource
from pkg.volumes.errors import VolumePathError
from pkg.volumes.hostpath import file_system_of, mount_points, resolve_directory

UID = "8d3e2d4e-0000"
CSI = VolumeSource(directory="kubernetes.io~csi/pv1/mount", must_be_mount=True)
ANY = VolumeSource(directory="*/pv1", must_be_mount=True)
EMPTY_DIR = VolumeSource(directory="kubernetes.io~empty-dir/scratch")


def make(pods: Path, relative: str) -> Path:
    directory = pods / UID / "volumes" / relative
    directory.mkdir(parents=True)
    return directory


def mountinfo(*points: Path | str) -> str:
    own = "22 1 0:20 / /proc rw shared:5 - proc proc rw\n"
    return own + "".join(f"36 35 98:0 /mnt1 {point} rw master:1 - ext3 /dev/root rw\n" for point in points)


def test_an_empty_dir_needs_no_mount(tmp_path: Path) -> None:
    directory = make(tmp_path, "kubernetes.io~empty-dir/scratch")
    assert resolve_directory(tmp_path, UID, EMPTY_DIR, mountinfo()) == directory


def test_a_mounted_volume_is_found(tmp_path: Path) -> None:
    directory = make(tmp_path, CSI.directory)
    assert resolve_directory(tmp_path, UID, CSI, mountinfo(directory)) == directory


def test_an_unpropagated_mount_is_refused_though_the_directory_is_there(tmp_path: Path) -> None:
    make(tmp_path, CSI.directory)
    with pytest.raises(VolumePathError, match="HostToContainer") as caught:
        resolve_directory(tmp_path, UID, CSI, mountinfo())
    assert caught.value.reason is Reason.NOT_PROPAGATED


def test_a_mount_below_or_above_does_not_count(tmp_path: Path) -> None:
    directory = make(tmp_path, CSI.directory)
    with pytest.raises(VolumePathError):
        resolve_directory(tmp_path, UID, CSI, mountinfo(directory.parent, directory / "below", f"{directory}//deleted"))


def test_a_plugin_that_the_api_does_not_name_is_looked_for(tmp_path: Path) -> None:
    make(tmp_path, "kubernetes.io~empty-dir/other")
    directory = make(tmp_path, "kubernetes.io~rbd/pv1")
    assert resolve_directory(tmp_path, UID, ANY, mountinfo(directory)) == directory


def test_two_directories_for_one_volume_are_refused(tmp_path: Path) -> None:
    points = [make(tmp_path, f"{plugin}/pv1") for plugin in ("a", "b")]
    with pytest.raises(VolumePathError, match="2 directories"):
        resolve_directory(tmp_path, UID, ANY, mountinfo(*points))


@pytest.mark.parametrize("source", [CSI, ANY, EMPTY_DIR])
def test_a_directory_that_is_not_there_is_not_propagated(tmp_path: Path, source: VolumeSource) -> None:
    with pytest.raises(VolumePathError, match="no directory") as caught:
        resolve_directory(tmp_path, UID, source, mountinfo())
    assert caught.value.reason is Reason.NOT_PROPAGATED


@pytest.mark.parametrize("directory", ["", "/etc", "../../other/volumes/x", "a/../../b"])
def test_a_path_that_leaves_the_pod_is_refused(tmp_path: Path, directory: str) -> None:
    with pytest.raises(VolumePathError, match="not a path below"):
        resolve_directory(tmp_path, UID, VolumeSource(directory=directory), mountinfo())


@pytest.mark.parametrize("uid", ["", "..", "a/b"])
def test_a_uid_that_is_a_path_is_refused(tmp_path: Path, uid: str) -> None:
    with pytest.raises(VolumePathError, match="not a pod UID"):
        resolve_directory(tmp_path, uid, EMPTY_DIR, mountinfo())


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    elsewhere = make(tmp_path, "kubernetes.io~empty-dir/secret")
    (elsewhere.parent / "scratch").symlink_to(elsewhere)
    with pytest.raises(VolumePathError, match="symbolic link"):
        resolve_directory(tmp_path, UID, EMPTY_DIR, mountinfo())


def test_a_pods_directory_behind_a_link_is_compared_by_its_real_path(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    directory = make(tmp_path / "real", CSI.directory)
    assert resolve_directory(tmp_path / "link", UID, CSI, mountinfo(directory)) == directory


def test_mount_points_are_unescaped() -> None:
    assert mount_points("1 2 0:1 / /a\\040b\\134c rw - t s rw\nshort\n") == {"/a b\\c"}


def test_the_file_system_of_a_volume_is_the_one_mounted_last() -> None:
    text = (
        "36 35 98:0 / /v/a\\040b rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw\n"
        "37 35 98:0 /x /v/a\\040b rw - zfs pool/x rw\n"
        "38 35 98:0 /x /v/other rw - xfs /dev/sdb rw\n"
    )
    assert file_system_of(Path("/v/a b"), text) == "zfs"
    assert file_system_of(Path("/v/none"), text) == ""
