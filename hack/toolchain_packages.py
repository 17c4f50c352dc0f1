"""The Debian packages of a tier: install what is missing as root, or name it.

What counts is the command or file that is used, not the package, so a machine that has it from elsewhere (or
is no Debian at all) is left alone.
"""

import os
import shutil
import subprocess
from pathlib import Path

from hack.toolchain_build import ToolchainError, report
from hack.toolchain_catalogue import PACKAGES, Package

SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def missing(group: str) -> list[str]:
    """Return the packages of a group whose command or file is not there, in alphabetical order."""
    return sorted(package.name for package in PACKAGES[group] if not _is_present(package))


def _is_present(package: Package) -> bool:
    if package.probe.startswith("/"):
        return Path(package.probe).exists()
    search = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_PATH}"
    return shutil.which(package.probe, path=search) is not None


def install(group: str) -> None:
    """Install what a group lacks; without root or apt-get, say what that is."""
    names = missing(group)
    if not names:
        return
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *names]
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ToolchainError(f"the {group} tier lacks packages; as root: {' '.join(command)}")
    report(f"installing {' '.join(names)}")
    if _apt_get(command) and (_apt_get(["apt-get", "update"]) or _apt_get(command)):
        raise ToolchainError(f"packages of the {group} tier could not be installed: {' '.join(names)}")
    if still := missing(group):
        raise ToolchainError(f"installed, but not found afterwards: {' '.join(still)}")


def _apt_get(command: list[str]) -> int:
    """Run apt-get without questions and with its output away from ours."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=2).returncode
