"""What memory a container has, read from files as kernels write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pkg.restic.cgroup import MemoryGroup, MemoryState, find_memory_group, own_memory_group, parse_limit

MIB = 1 << 20

V2_CONTAINER = (
    "0::/\n",
    "1390 1379 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n",
)
V2_WITHOUT_A_NAMESPACE = (
    "0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-0a1b.scope\n",
    "36 25 0:31 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
)
V1_CONTAINER = (
    "12:cpuset:/kubepods/burstable/pod1/c1\n4:memory:/kubepods/burstable/pod1/c1\n1:name=systemd:/kubepods/burstable/pod1/c1\n",
    "900 890 0:34 /kubepods/burstable/pod1/c1 /sys/fs/cgroup/cpuset ro,relatime master:20 - cgroup cgroup rw,cpuset\n"
    "907 890 0:38 /kubepods/burstable/pod1/c1 /sys/fs/cgroup/memory ro,relatime master:21 - cgroup cgroup rw,memory\n",
)
V1_WITH_BOTH = (
    "9:name=systemd:/\n4:memory:/process/6cb2\n0::/\n",
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
)
V1_SHARED_CONTROLLERS = (
    "6:cpuacct,memory:/a b\n",
    "35 31 0:32 / /mnt/my\\040groups rw,relatime - cgroup cgroup rw,cpuacct,memory\n",
)
V1_OF_ANOTHER_TREE = (
    "4:memory:/somewhere/else\n",
    "35 31 0:32 /kubepods/c1 /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n",
)


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "found"),
    [
        pytest.param(*V2_CONTAINER, ("/sys/fs/cgroup", 2), id="a container on version 2 sees itself as the root"),
        pytest.param(
            *V2_WITHOUT_A_NAMESPACE,
            ("/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/cri-containerd-0a1b.scope", 2),
            id="without a cgroup namespace the whole path is below the mount",
        ),
        pytest.param(*V1_CONTAINER, ("/sys/fs/cgroup/memory", 1), id="a container on version 1 has its part mounted"),
        pytest.param(
            *V1_WITH_BOTH, ("/sys/fs/cgroup/memory/process/6cb2", 1), id="the controller is where it is named"
        ),
        pytest.param(*V1_SHARED_CONTROLLERS, ("/mnt/my groups/a b", 1), id="controllers together, and spaces in paths"),
        pytest.param(*V1_OF_ANOTHER_TREE, ("/sys/fs/cgroup/memory", 1), id="a path outside the mount means the mount"),
        pytest.param("0::/\n", "", None, id="nothing is mounted"),
        pytest.param("", V2_CONTAINER[1], None, id="in no group"),
        pytest.param("4:memory:/x\n", V2_CONTAINER[1], None, id="the version that has the controller is not mounted"),
    ],
)
def test_where_the_group_is(cgroup: str, mountinfo: str, found: tuple[str, int] | None) -> None:
    group = find_memory_group(cgroup, mountinfo)
    assert (None if group is None else (str(group.directory), group.version)) == found


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        pytest.param("max", None, id="version 2 without a limit"),
        pytest.param("9223372036854771712", None, id="version 1 without a limit, by pages of 4 KiB"),
        pytest.param("9223372036854710272", None, id="version 1 without a limit, by pages of 64 KiB"),
        pytest.param("-1", None, id="as somebody may have written it"),
        pytest.param("2147483648", 2048 * MIB, id="a limit"),
    ],
)
def test_a_limit_or_none(text: str, limit: int | None) -> None:
    assert parse_limit(text) == limit


V2_FILES = {
    "memory.max": "268435456\n",
    "memory.current": "241172480\n",
    "memory.stat": "anon 125829120\nfile 104857600\nkernel 10485760\ninactive_anon 0\nactive_anon 125829120\n"
    "inactive_file 62914560\nactive_file 41943040\nunevictable 0\nslab_reclaimable 5242880\n",
    "memory.events": "low 0\nhigh 0\nmax 41\noom 1\noom_kill 1\noom_group_kill 0\n",
}
V1_FILES = {
    "memory.limit_in_bytes": "268435456\n",
    "memory.usage_in_bytes": "241172480\n",
    "memory.stat": "cache 1\nrss 1\ninactive_file 7\nactive_file 7\nhierarchical_memory_limit 268435456\n"
    "total_cache 104857600\ntotal_rss 125829120\ntotal_inactive_file 62914560\ntotal_active_file 41943040\n",
    "memory.kmem.usage_in_bytes": "5242880\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
}
READ = MemoryState(limit_bytes=256 * MIB, usage_bytes=230 * MIB, cache_bytes=105 * MIB, oom_kills=1)


def made(directory: Path, files: dict[str, str], **changed: str) -> Path:
    for name, text in {**files, **{name.replace("__", "."): text for name, text in changed.items()}}.items():
        (directory / name).write_text(text)
    return directory


@pytest.mark.parametrize(("files", "version"), [(V2_FILES, 2), (V1_FILES, 1)], ids=["version 2", "version 1"])
def test_all_that_counts_is_read(tmp_path: Path, files: dict[str, str], version: int) -> None:
    assert MemoryGroup(directory=made(tmp_path, files), version=version).read() == READ


def test_what_the_kernel_remembers_of_files_is_not_needed() -> None:
    assert READ.needed_bytes == 125 * MIB
    assert READ.needed_share == pytest.approx(125 / 256)


def test_a_kernel_that_does_not_count_for_itself_is_read_all_the_same(tmp_path: Path) -> None:
    (made(tmp_path, V1_FILES) / "memory.kmem.usage_in_bytes").unlink()
    state = MemoryGroup(directory=tmp_path, version=1).read()
    assert state is not None
    assert state.cache_bytes == 100 * MIB


def test_more_cache_than_use_is_no_negative_need() -> None:
    """The counters are not read in one moment."""
    assert MemoryState(limit_bytes=None, usage_bytes=1, cache_bytes=2, oom_kills=0).needed_bytes == 0


def test_without_a_limit_nothing_is_a_share(tmp_path: Path) -> None:
    state = MemoryGroup(directory=made(tmp_path, V2_FILES, memory__max="max\n"), version=2).read()
    assert state is not None
    assert (state.limit_bytes, state.needed_share) == (None, 0.0)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"memory__current": "?"}, id="not a number"),
        pytest.param({"memory__stat": "anon 1\n"}, id="a counter is missing"),
    ],
)
def test_what_cannot_be_read_is_unknown(tmp_path: Path, changed: dict[str, str]) -> None:
    assert MemoryGroup(directory=made(tmp_path, V2_FILES, **changed), version=2).read() is None


def test_the_root_group_has_no_such_files(tmp_path: Path) -> None:
    assert MemoryGroup(directory=tmp_path, version=2).read() is None


def test_a_process_without_proc_is_in_no_group(tmp_path: Path) -> None:
    assert own_memory_group(tmp_path) is None
