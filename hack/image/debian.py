"""The base image: Debian bookworm with Python 3.11, made by debootstrap from the machine's own package mirror.

It stands in for python:3.11-slim-bookworm where no image registry answers, and is the demo's application image too:
bash, find, sha256sum, stat, getfattr and setfattr, python3.
"""

import os
import shutil
import subprocess
from pathlib import Path

from hack.image import buildah
from hack.image.cache import key_of

SUITE = "bookworm"
PACKAGES = ("attr", "ca-certificates", "python3", "python3-venv")
NEEDLESS = ("usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man", "var/cache", "var/lib/apt/lists")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
IMAGE = f"localhost/ark-base:{SUITE}"


def key() -> str:
    """Return the digest of what decides the base image's content."""
    return key_of((SUITE, *PACKAGES, *NEEDLESS, repr(ENVIRONMENT)))


def ensure() -> str:
    """Return the name of the base image in the store, after making it if it is missing (two minutes)."""
    keyed = f"localhost/ark-base:{SUITE}-{key()}"
    if not buildah.exists(keyed):
        with buildah.scratch() as scratch:
            root = Path(scratch) / "root"
            _debootstrap(root)
            _slim(root)
            buildah.commit_directory(keyed, root, environment=ENVIRONMENT)
    return keyed


def mirror() -> str:
    """Return the mirror that this machine's apt uses for the suite."""
    if chosen := os.environ.get("ARK_DEBIAN_MIRROR"):
        return chosen
    line = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    command = ["apt-get", "indextargets", "--format", line, "Created-By: Packages"]
    listed = subprocess.run(command, capture_output=True, text=True) if shutil.which("apt-get") else None
    for uri, release, component in (row.split() for row in (listed.stdout if listed else "").splitlines()):
        if (release, component) == (SUITE, "main"):
            return uri
    raise buildah.ImageError(f"apt on this machine knows no mirror of Debian {SUITE}; set ARK_DEBIAN_MIRROR")


def _debootstrap(root: Path) -> None:
    # In a mount namespace of its own, so that a killed run leaves no /proc mounted in a directory to be removed.
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    command += ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    done = subprocess.run([*command, SUITE, str(root), mirror()], capture_output=True, text=True)
    if done.returncode:
        raise buildah.ImageError(f"debootstrap failed:\n{(done.stdout + done.stderr)[-4000:].strip()}")


def _slim(root: Path) -> None:
    for name in NEEDLESS:
        for entry in (root / name).iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
