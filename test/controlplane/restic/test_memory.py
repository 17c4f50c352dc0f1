"""Children that outgrow a memory control group, killed by us or by the kernel.

Each test runs an agent's watch and its children as processes in a group of their own. Where none can be made, it is
skipped and says why.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.restic.cgroup import MemoryGroup
from pkg.restic.memory import KILL_SHARE
from pkg.testing.assets import REPOSITORY
from pkg.testing.memorygroup import NoMemoryGroup, memory_group

MIB = 1 << 20
LIMIT_BYTES = 256 * MIB
RUN_SECONDS = 150

# In a group of its own: children in the place of restic, the watch, and what became of each as JSON.
AGENT = """
import json, os, sys, threading
from pathlib import Path
group, restic, watched, *children = sys.argv[1:]
Path(group, "cgroup.procs").write_text(str(os.getpid()))
from pkg.kube.clock import REAL_CLOCK
from pkg.kube.stop import StopToken
from pkg.restic.bounded import BoundedRunner
from pkg.restic.cache import Cache
from pkg.restic.cgroup import own_memory_group
from pkg.restic.classify import error_from
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.memory import MemoryWatch
from pkg.restic.password import Password
from pkg.restic.runner import Runner

stop, ended = StopToken(), {}
runner = Runner(binary=restic, base=os.environ)
own = own_memory_group()
assert str(own.directory) == group, own
working_sets = []

def read():
    state = own.read()
    stat = dict(line.split() for line in (own.directory / "memory.stat").read_text().splitlines())
    inactive = int(stat.get("total_inactive_file", stat["inactive_file"]))
    working_sets.append((state.usage_bytes - inactive) / state.limit_bytes)
    return state

watch = MemoryWatch(runner, read=read, clock=REAL_CLOCK)
cache = Cache(Path(restic).parent / "cache", limit_bytes=1 << 30)
bounded = BoundedRunner(runner, cache=cache, memory=watch, parts=lambda: 2)
environment = ResticEnvironment(repository="r", password=Password("p"), cache_dir="", repository_id="ab" * 32)

def work(what):
    finished = bounded.run(Command(verb="backup", arguments=(what,)), environment, stop)
    error = error_from(finished) if finished.exit_code else None
    ended[what] = [finished.exit_code, str(error.reason if error else ""), str(error or "")]
    if what == children[0]:
        stop.cancel("the first one has ended")

if watched == "watched":
    threading.Thread(target=watch.run, args=(stop,), daemon=True).start()
threads = [threading.Thread(target=work, args=(what,)) for what in children]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps({"ended": ended, "oom_kills": own.read().oom_kills, "working_set": max(working_sets)}))
"""
# What stands for restic: one that grows, slowly at last so that a watch which is held up is still in time, one that
# needs little, one that reads a file all the time, one that looks for very many.
RESTIC = """#!{python}
import json, os, sys, time
held = [b"x" * (30 << 20)]
print(json.dumps({{"message_type": "status", "files_done": 4711}}), flush=True)
what = sys.argv[-1]
if what == "small":
    time.sleep(1000)
while what == "grows":
    held.append(b"x" * (2 << 20))
    time.sleep(0.02 if len(held) < 60 else 0.15)
for number in range(500_000 if what == "looks" else 0):
    os.path.exists({file!r} + f"-{{number:0200}}")
until = time.monotonic() + (6 if what == "reads" else 0)
while time.monotonic() < until:
    with open({file!r}, "rb") as file:
        while file.read(1 << 20):
            pass
"""


@pytest.fixture
def group() -> Iterator[MemoryGroup]:
    try:
        with memory_group(LIMIT_BYTES) as made:
            yield made
    except NoMemoryGroup as reason:
        pytest.skip(f"not run: {reason}")


@pytest.fixture
def restic(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    with file.open("wb") as sparse:
        sparse.truncate(LIMIT_BYTES * 3 // 4)
    path = tmp_path / "restic"
    path.write_text(RESTIC.format(python=sys.executable, file=str(file)))
    path.chmod(0o755)
    return path


def outcome(group: MemoryGroup, restic: Path, watched: str, *children: str) -> dict[str, object]:
    """How the children ended; the first one's end stops the others."""
    arguments = [sys.executable, "-c", AGENT, str(group.directory), str(restic), watched, *children]
    found = subprocess.run(arguments, cwd=REPOSITORY, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    assert found.returncode == 0, found.stderr
    answer: dict[str, object] = json.loads(found.stdout.splitlines()[-1])
    return answer


def test_the_largest_child_is_killed_before_the_kernel_kills_and_the_others_go_on(
    group: MemoryGroup, restic: Path
) -> None:
    answer = outcome(group, restic, "watched", "grows", "small")
    ended = answer["ended"]
    assert isinstance(ended, dict)
    exit_code, reason, message = ended["grows"]
    assert (exit_code, reason) == (137, "OutOfMemory")
    assert "killed before the kernel would kill the container" in message
    assert "of 256 MiB were in use" in message
    assert message.endswith("the largest of 2, after 4711 files")
    assert answer["oom_kills"] == 0
    assert ended["small"][1] == "Canceled", "it ran until it was stopped"


def test_a_child_that_the_kernel_kills_is_classed_the_same(group: MemoryGroup, restic: Path) -> None:
    if group.version == 2:
        pytest.skip("not run: on cgroup v2 this kill may take the whole group")
    answer = outcome(group, restic, "unwatched", "grows")
    ended = answer["ended"]
    assert isinstance(ended, dict)
    exit_code, reason, message = ended["grows"]
    assert (exit_code, reason) == (137, "OutOfMemory")
    assert message == "restic backup: killed by the kernel for want of memory, after 4711 files"
    assert answer["oom_kills"] == 1


@pytest.mark.parametrize("what", ["reads", "looks"])
def test_what_the_kernel_remembers_of_files_kills_nobody_though_a_kubelet_counts_it(
    group: MemoryGroup, restic: Path, what: str
) -> None:
    answer = outcome(group, restic, "watched", what)
    assert answer["ended"] == {what: [0, "", ""]}
    assert answer["oom_kills"] == 0
    working_set = answer["working_set"]
    assert isinstance(working_set, float)
    assert working_set > KILL_SHARE, "what a kubelet reports would have killed it"
