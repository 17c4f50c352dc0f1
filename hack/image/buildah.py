"""The buildah commands that images are made with, in an image store of our own.

`--isolation chroot` and `--network host` need no runtime and no network set-up; nothing is ever pulled, so a base image
that is missing is an error and not a download.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hack.image.cache import image_directory, written


class ImageError(Exception):
    """A sentence for the person at the terminal: which step failed, and its output."""


def _buildah(*arguments: str | Path) -> str:
    storage = image_directory() / "storage"
    root = ["--root", str(storage), "--runroot", str(storage / "run")]
    command = ["buildah", *root, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment())
    if done.returncode:
        output = (done.stdout + done.stderr)[-4000:].strip()
        raise ImageError(f"buildah {' '.join(map(str, arguments))} failed:\n{output}")
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    return {**os.environ, "BUILDAH_ISOLATION": "chroot", "TMPDIR": str(image_directory())}


def exists(image: str) -> bool:
    """Tell whether the store holds an image of that name."""
    listed = _buildah("images", "--noheading", "--format", "{{.Name}}:{{.Tag}}").splitlines()
    return image in listed


def build(
    image: str, *, context: Path, dockerfile: Path, arguments: Mapping[str, str], target: str | None = None
) -> None:
    """Build a Dockerfile; layers whose inputs did not change are reused."""
    options = [f"--build-arg={name}={value}" for name, value in arguments.items()]
    options += [f"--target={target}"] if target else []
    offline = ("--layers", "--isolation", "chroot", "--network", "host", "--pull-never")
    _buildah("bud", *offline, *options, "--file", dockerfile, "--tag", image, context)


def commit_directory(image: str, directory: Path, *, environment: Mapping[str, str]) -> None:
    """Make an image of one layer from the content of a directory."""
    container = _buildah("from", "scratch")
    try:
        _buildah("add", container, directory, "/")
        settings = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        _buildah("config", *settings, "--cmd", "/bin/bash", container)
        _buildah("commit", container, image)
    finally:
        _buildah("rm", container)


def save(image: str, archive: Path, *, name: str = "") -> None:
    """Write an image into an archive that containerd imports under that name, or the image's own."""
    with written(archive) as partial:
        _buildah("push", image, f"docker-archive:{partial}:{name or image}")


def prune() -> None:
    """Drop the layers that no image uses any more."""
    _buildah("rmi", "--prune")


def scratch() -> "tempfile.TemporaryDirectory[str]":
    """Return a temporary directory on the file system of the store, so that files can be linked into it."""
    image_directory().mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(prefix="context-", dir=image_directory())
