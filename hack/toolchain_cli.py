"""Get the programs that the tests run, with nothing but Python 3.11 and Go.

    python3 hack/toolchain.py build controlplane     build what a tier needs and does not have yet
    python3 hack/toolchain.py path kube-apiserver    print where a program is, after building it if missing
    python3 hack/toolchain.py packages cluster       install a tier's Debian packages

A name is a program or a group (unit, controlplane, cluster). KUBEBUILDER_ASSETS and TEST_ASSET_<PROGRAM> are
honoured: what they name is used and not built. ARK_CACHE_DIR says where built programs are kept.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from hack import toolchain_packages
from hack.toolchain_build import ToolchainError, destination, ensure, provided, report, version
from hack.toolchain_catalogue import GROUPS, PACKAGES, TOOLS


def expand(names: Sequence[str]) -> list[str]:
    """Return the programs behind names of programs and groups, each once, in order."""
    unknown = [name for name in names if name not in GROUPS and name not in TOOLS]
    if unknown:
        known = ", ".join([*GROUPS, *TOOLS])
        raise ToolchainError(f"unknown program or group: {', '.join(unknown)} (known: {known})")
    return list(dict.fromkeys(tool for name in names for tool in GROUPS.get(name, (name,))))


def build(names: Sequence[str]) -> None:
    """Build every named program that is missing, with a line for each."""
    wanted = [name for name in expand(names) if not provided(name)]
    absent = [name for name in wanted if not destination(TOOLS[name]).exists()]
    for number, name in enumerate(absent, 1):
        ensure(TOOLS[name], _progress(f"[{number}/{len(absent)}] {name} {version(TOOLS[name])}"))


def _progress(head: str) -> Callable[[str], None]:
    report(f"{head} …")
    return lambda what: report(f"{head} {what}")


def path(name: str) -> Path:
    """Return the path of one program, after building it if it is missing."""
    if name not in TOOLS:
        raise ToolchainError(f"unknown program: {name} (known: {', '.join(TOOLS)})")
    build([name])
    return provided(name) or destination(TOOLS[name])


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build").add_argument("names", nargs="+", metavar="NAME")
    commands.add_parser("path").add_argument("name", metavar="NAME")
    commands.add_parser("packages").add_argument("group", choices=list(PACKAGES))
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = _arguments(argv)
    try:
        match arguments.command:
            case "build":
                build(arguments.names)
            case "path":
                print(path(arguments.name))
            case "packages":
                toolchain_packages.install(arguments.group)
    except ToolchainError as error:
        report(f"toolchain: {error}")
        return 1
    except KeyboardInterrupt:
        return 130  # what was built stays, what was not is removed
    return 0
