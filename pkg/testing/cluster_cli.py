"""A cluster that stays: `up` leaves it running, `down` ends it, `run` works in its network.

    python -m pkg.testing.cluster_cli up [--nodes N] [--workdir DIR]
    python -m pkg.testing.cluster_cli run [--workdir DIR] -- kubectl get pods -A
    python -m pkg.testing.cluster_cli down [--workdir DIR]

One process keeps the cluster (`hold`), and the whole cluster ends with it, so nothing can be left running unowned.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pkg.testing.assets import REPOSITORY
from pkg.testing.cluster import ALL_IMAGES, Cluster
from pkg.testing.cluster_state import KEEPER_LOG, cache_directory, running, sweep
from pkg.testing.processes import HarnessError, wait_until

UP_SECONDS = 1800  # the first one builds programs and images
DOWN_SECONDS = 60
READY = """\
The cluster is ready. It has a network of its own; work in it with
  python -m pkg.testing.cluster_cli run -- kubectl get pods --all-namespaces
and end it with make cluster-down."""


def up(workdir: Path, nodes: int, image_names: Sequence[str]) -> None:
    """Start a cluster that outlives this command, unless it runs already; return when it is ready."""
    if running(workdir):
        return
    workdir.mkdir(parents=True, exist_ok=True)
    log = workdir / KEEPER_LOG
    command = [sys.executable, "-m", "pkg.testing.cluster_cli", "hold", "--workdir", str(workdir)]
    command += [f"--nodes={nodes}", *(f"--image={name}" for name in image_names)]
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )

    try:
        wait_until(lambda: _is_ready(workdir, keeper, log), timeout_seconds=UP_SECONDS, what="the cluster")
    except BaseException:
        keeper.terminate()
        keeper.wait(DOWN_SECONDS)
        raise


def _is_ready(workdir: Path, keeper: "subprocess.Popen[bytes]", log: Path) -> bool:
    if keeper.poll() is not None:
        raise HarnessError(f"the cluster did not start\n{log.read_text()[-4000:].strip()}")
    state = running(workdir)
    return state is not None and bool(state.network)


def hold(workdir: Path, nodes: int, image_names: Sequence[str]) -> None:
    """Run a cluster until this process is told to end."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with Cluster(workdir, nodes=nodes, image_names=image_names or ALL_IMAGES) as cluster:
        print(f"ready: KUBECONFIG={cluster.kubeconfig}", flush=True)
        while True:
            signal.pause()


def _end(_number: int, _frame: object) -> NoReturn:
    """Leave whatever is going on, also a start; a second signal must not interrupt the cleaning."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise SystemExit(0)


def down(workdir: Path) -> None:
    """End the cluster of a workdir, and clean what crashed ones left anywhere."""
    state = running(workdir)
    if state is not None:
        os.kill(state.pid, signal.SIGTERM)
        wait_until(lambda: running(workdir) is None, timeout_seconds=DOWN_SECONDS, what="the end of the cluster")
    for cleaned in sweep():
        print(f"cleaned what a crash left in {cleaned}")


def run(workdir: Path, command: Sequence[str]) -> None:
    """Become a command in the network of the cluster, with its administrator's KUBECONFIG."""
    state = running(workdir)
    if state is None or not state.network:
        raise HarnessError(f"no cluster runs in {workdir}: make cluster-up")
    os.environ["KUBECONFIG"] = state.kubeconfig
    os.execvp("nsenter", ["nsenter", f"--net={state.network}", *command])


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "hold", "down", "run"):
        command = commands.add_parser(name)
        command.add_argument("--workdir", type=Path, default=cache_directory() / "clusters" / "standing")
        if name in ("up", "hold"):
            command.add_argument("--nodes", type=int, default=1)
            command.add_argument("--image", action="append", default=[], choices=ALL_IMAGES)
        if name == "run":
            command.add_argument("argv", nargs="+")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _arguments(argv)
    workdir = arguments.workdir.resolve()
    try:
        match arguments.command:
            case "up":
                up(workdir, arguments.nodes, arguments.image)
                print(READY)
            case "hold":
                hold(workdir, arguments.nodes, arguments.image)
            case "down":
                down(workdir)
            case "run":
                run(workdir, arguments.argv)
    except HarnessError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
