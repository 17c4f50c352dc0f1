"""The wheels of the image: what requirements/runtime.txt locks, by hash, and our own.

Downloaded ones are for the image's Python and machine, not for this one, and are kept by the digest of the lock, so a
change of our own source downloads nothing.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from hack.image.buildah import ImageError
from hack.image.cache import image_directory, key_of

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = REPOSITORY / "requirements" / "runtime.txt"
GLIBC_MINORS = range(17, 37)  # bookworm has glibc 2.36


def _target() -> list[str]:
    machine = os.uname().machine
    platforms = ["any", f"manylinux2014_{machine}", *(f"manylinux_2_{minor}_{machine}" for minor in GLIBC_MINORS)]
    options = [f"--platform={name}" for name in platforms]
    return [*options, "--python-version=3.11", "--implementation=cp", "--only-binary=:all:", "--no-deps"]


def dependencies_key() -> str:
    """Return the digest of what decides which wheels are downloaded."""
    return key_of((LOCK.read_bytes(), *_target()))


def dependencies() -> Path:
    """Return the directory of the locked wheels, after downloading them if it is missing."""
    target = image_directory() / "wheels" / dependencies_key()
    if not target.exists():
        partial = target.with_name(f".{target.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
        _run([*pip, *_target(), "--dest", str(partial), "--requirement", str(LOCK)])
        partial.rename(target)
    return target


def own(directory: Path) -> Path:
    """Build our own wheel into a directory; the same source gives the same bytes."""
    _run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)])
    (wheel,) = directory.glob("*.whl")
    return wheel


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if done.returncode:
        output = (done.stdout + done.stderr)[-4000:].strip()
        raise ImageError(f"{' '.join(command[1:5])} … failed (is this Python that of `make venv`?):\n{output}")
