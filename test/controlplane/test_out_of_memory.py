"""An agent in a container that is too small for its restics: nothing else dies, and status tells how it went.

A program stands before restic that grows until it is killed, once in one volume and always in the other. Where no
memory cgroup can be made, the test is skipped and says why.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.testing.application import Application
from pkg.testing.assets import binary
from pkg.testing.installation import Installation
from pkg.testing.memorygroup import NoMemoryGroup, memory_group
from pkg.testing.processes import wait_until

LIMIT_BYTES = 448 << 20
LEAST_PART = str(128 << 20)
GROWS_FIRST = """#!{python}
import json, os, sys, time
notes = {notes!r}
backup = "backup" in sys.argv
marker = os.path.join(notes, "grown" + os.getcwd().replace("/", "-"))
if backup and (os.path.exists("always-grows") or os.path.exists("grows-once") and not os.path.exists(marker)):
    with open(marker, "a") as note:
        note.write(json.dumps([os.environ.get("GOMEMLIMIT"), os.nice(0)]) + "\\n")
    print(json.dumps({{"message_type": "status", "files_done": 4711}}), flush=True)
    held = []
    while True:
        held.append(b"x" * (2 << 20))
        time.sleep(0.02 if len(held) < 60 else 0.06)
os.execv({restic!r}, sys.argv)
"""


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where the program before restic leaves notes; it lies there too."""
    program = tmp_path / "restic"
    program.write_text(GROWS_FIRST.format(python=sys.executable, notes=str(tmp_path), restic=str(binary("restic"))))
    program.chmod(0o755)
    return tmp_path


@pytest.fixture
def small_agent(installation: Installation, notes: Path) -> Iterator[Installation]:
    """Give the agent of node1 little memory and that program."""
    try:
        with memory_group(LIMIT_BYTES) as group:
            into_the_group = ("sh", "-c", 'echo $$ > "$0" && exec "$@"', str(group.directory / "cgroup.procs"))
            path = f"PATH={notes}:{binary('restic').parent}:{os.environ['PATH']}"
            try:
                installation.replace_agent("node1", within=(*into_the_group, "env", path))
                yield installation
            finally:
                installation.replace_agent("node1")
    except NoMemoryGroup as reason:
        pytest.skip(f"not run: {reason}")


def statuses(installation: Installation, backup: str) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for one in installation.objects("podvolumebackups", selector=f"ark.heptio.com/backup-name={backup}"):
        spec, status = one["spec"], one.get("status") or {}
        assert isinstance(spec, dict)
        assert isinstance(status, dict)
        found[spec["volume"]] = status
    return found


def metrics(installation: Installation) -> str:
    address = installation.metrics_address(installation.agents["node1"])
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


def test_a_volume_that_is_too_much_runs_again_alone_and_then_never_again(
    small_agent: Installation, notes: Path
) -> None:
    application = Application(small_agent.access, small_agent.nodes["node1"], f"memory-{secrets.token_hex(3)}")
    application.deploy()
    application.shell("data", "touch grows-once")
    application.shell("scratch", "touch always-grows")
    backup, agent = f"b-{application.namespace}", small_agent.agents["node1"].pid
    small_agent.ark("backup", "create", backup, "--include-namespaces", application.namespace)

    ended = wait_until(
        lambda: (
            sorted(str(one.get("phase")) for one in statuses(small_agent, backup).values()) == ["Completed", "Failed"]
        ),
        timeout_seconds=120,
        what="one volume to be captured and one to fail",
    )
    assert ended
    once, always = statuses(small_agent, backup)["data"], statuses(small_agent, backup)["scratch"]
    assert (once["phase"], once["outOfMemory"], once["attempts"], once["reason"]) == ("Completed", 1, 2, "")
    assert (always["phase"], always["outOfMemory"], always["reason"]) == ("Failed", 1, "OutOfMemory")
    assert "killed before the kernel would kill the container" in str(always["message"])
    assert "after 4711 files; it ran alone on its node: raise the memory limit" in str(always["message"])
    assert "ark_agent_memory_kills_total 3.0" in metrics(small_agent)
    assert small_agent.agents["node1"].pid == agent, "the agent itself lives on"
    first = json.loads(next(notes.glob("grown-*")).read_text().splitlines()[0])
    assert first == [LEAST_PART, 10]
    small_agent.access.kubectl("delete", "namespace", application.namespace, "--wait=false")
