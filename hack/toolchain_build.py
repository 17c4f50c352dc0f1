"""Build a program once, and never leave half of one behind.

A built program lies at `bin/<name>/<key>/<name>` of the cache directory; the key holds its version and a
digest of everything that decides what comes out, so an existing file is always the right one. A build writes
into a temporary directory and is renamed into place at its end. It holds a lock that its child process
inherits, so a second run waits for the first, and even for the compiler of a first run that was killed.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hack import toolchain_npm
from hack.toolchain_catalogue import Tool

OLDEST_GO = (1, 25)
PROGRESS_SECONDS = 30


class ToolchainError(Exception):
    """A sentence for the person at the terminal: what is missing and what to do."""


def cache_directory() -> Path:
    """Return where built programs are kept between runs."""
    if chosen := os.environ.get("ARK_CACHE_DIR"):
        return Path(chosen).resolve()
    parent = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(parent) / "ark-backup"


def provided(name: str) -> Path | None:
    """Return the program that the user brought: envtest's variables, or a kubectl of his own."""
    variable = "TEST_ASSET_" + name.upper().replace("-", "_")
    if chosen := os.environ.get(variable):
        if not os.access(chosen, os.X_OK):
            raise ToolchainError(f"{variable}={chosen} is not an executable file")
        return Path(chosen).resolve()
    if assets := os.environ.get("KUBEBUILDER_ASSETS"):
        candidate = Path(assets).resolve() / name
        if os.access(candidate, os.X_OK):
            return candidate
    found = shutil.which("kubectl") if name == "kubectl" else None
    return Path(found) if found else None


def version(tool: Tool) -> str:
    """Return the pinned version of a program, without the leading v; `local` for our own code."""
    if not tool.source:
        return "local"
    if tool.script:
        return toolchain_npm.version(tool)
    found = re.search(rf"^\s*(?:require )?{re.escape(tool.source)} v(\S+)", _go_mod(tool), re.MULTILINE)
    if not found:
        raise ToolchainError(f"{tool.directory}/go.mod does not require {tool.source}")
    return found[1]


def _go_mod(tool: Tool) -> str:
    try:
        return (tool.directory / "go.mod").read_text()
    except FileNotFoundError as error:
        raise ToolchainError(f"{tool.name} cannot be built: no {tool.directory}/go.mod") from error


def key(tool: Tool) -> str:
    """Return the directory name that tells one build of a program from every other."""
    digest = hashlib.sha256(repr((tool.package, linker_flags(tool), os.uname().machine)).encode())
    for path in _inputs(tool):
        name = path.relative_to(tool.directory).as_posix().encode()
        digest.update(name + b"\0" + path.read_bytes() + b"\0")
    return f"{version(tool)}-{digest.hexdigest()[:12]}"


def _inputs(tool: Tool) -> list[Path]:
    if tool.script:
        return toolchain_npm.inputs(tool)
    pinned = [tool.directory / "go.mod", tool.directory / "go.sum"]
    ours = [] if tool.source else sorted(tool.directory.rglob("*.go"))
    return [path for path in (*pinned, *ours) if path.exists()]


def linker_flags(tool: Tool) -> str:
    """Return the linker flags: no symbol tables, and the version of programs that are told it."""
    flags = ["-s", "-w"]
    if tool.version_variables:
        number = version(tool)
        major, minor = number.split(".")[:2]
        for name, value in (("gitVersion", f"v{number}"), ("gitMajor", major), ("gitMinor", minor)):
            flags += ["-X", f"{tool.version_variables}.{name}={value}"]
    return " ".join(flags)


def destination(tool: Tool) -> Path:
    """Return where the built program lies, whether or not it exists yet."""
    return cache_directory() / "bin" / tool.name / key(tool) / tool.name


def ensure(tool: Tool, say: Callable[[str], None]) -> Path:
    """Return the path of a program, after building it if it is missing."""
    target = destination(tool)
    if target.exists():
        return target
    with _locked(tool, say) as lock:
        if not target.exists():
            _check_builder(tool)
            _build(tool, target, lock, say)
    return target


@contextmanager
def _locked(tool: Tool, say: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock of a Go module: its programs share packages, so two builds do the same work."""
    directory = cache_directory() / "bin"
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f".{tool.directory.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another run that builds it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _check_builder(tool: Tool) -> None:
    if tool.script:
        absent = toolchain_npm.absent_programs()
        if absent:
            raise ToolchainError(f"{tool.name} is installed with npm; not in PATH: {absent} (packages nodejs, npm)")
    else:
        _check_go(tool)


def _check_go(tool: Tool) -> None:
    oldest = ".".join(map(str, OLDEST_GO))
    if not shutil.which("go"):
        raise ToolchainError(f"{tool.name} is built with Go, which is not in PATH: install {oldest} or newer")
    asked = subprocess.run(["go", "env", "GOVERSION"], cwd=tool.directory, capture_output=True, text=True)
    found = re.match(r"go(\d+)\.(\d+)", asked.stdout)
    if not found or (int(found[1]), int(found[2])) < OLDEST_GO:
        what = asked.stdout.strip() or asked.stderr.strip()
        raise ToolchainError(f"{tool.name} needs Go {oldest} or newer, and go says: {what}")


def _build(tool: Tool, target: Path, lock: int, say: Callable[[str], None]) -> None:
    home = target.parent.parent
    for leftover in home.glob(".building-*"):
        shutil.rmtree(leftover)  # of a killed run: whoever holds the lock is alone here
    home.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".building-", dir=home) as scratch:
        made = Path(scratch) / "made"
        if tool.script:
            toolchain_npm.prepare(tool, made)
            _run(tool, toolchain_npm.COMMAND, made, None, lock, say)
        else:
            made.mkdir()
            _run(tool, _go_build(tool, made), tool.directory, go_environment(tool, os.environ), lock, say)
        made.rename(target.parent)


def _go_build(tool: Tool, made: Path) -> list[str]:
    flags = ["-trimpath", "-buildvcs=false", "-ldflags", linker_flags(tool)]
    return ["go", "build", *flags, "-o", str(made / tool.name), tool.package]


def _run(
    tool: Tool,
    argv: Sequence[str],
    directory: Path,
    environment: dict[str, str] | None,
    lock: int,
    say: Callable[[str], None],
) -> None:
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            argv, cwd=directory, env=environment, stdout=log, stderr=subprocess.STDOUT, pass_fds=[lock]
        )
        if _watch(process, say):
            log.seek(0)
            raise ToolchainError(f"{tool.name} does not build:\n{log.read()[-4000:].strip()}")


def go_environment(tool: Tool, outside: "os._Environ[str] | dict[str, str]") -> dict[str, str]:
    """Return the environment of `go build`: the user's, with what would change the result replaced."""
    fixed = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off", "GO111MODULE": "on"}
    unsummed = ",".join(filter(None, (outside.get("GONOSUMDB", ""), tool.unsummed)))
    return {**outside, **fixed, **({"GONOSUMDB": unsummed} if unsummed else {})}


def _watch(process: "subprocess.Popen[bytes]", say: Callable[[str], None]) -> int:
    """Wait for a build, saying how long it takes: a silent terminal of minutes looks like a hang."""
    started = time.monotonic()
    try:
        while True:
            try:
                status = process.wait(PROGRESS_SECONDS)
            except subprocess.TimeoutExpired:
                say(f"… {time.monotonic() - started:.0f} s")
            else:
                say("failed" if status else f"built in {time.monotonic() - started:.0f} s")
                return status
    finally:
        process.kill()


def report(line: str) -> None:
    """Print a progress line where it does not get into a caller's pipe."""
    print(line, file=sys.stderr, flush=True)
