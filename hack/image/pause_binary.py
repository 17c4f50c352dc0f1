"""The program of the pause image, a few lines of Go without a module of their own."""

import os
import subprocess
from pathlib import Path

from hack.image.buildah import ImageError
from hack.image.cache import image_directory, key_of, written

SOURCE = Path(__file__).resolve().parent / "pause" / "main.go"


def pause_binary() -> Path:
    """Return the built program; its path holds the digest of its source."""
    target = image_directory() / "pause" / key_of((SOURCE.read_bytes(), os.uname().machine))
    if not target.exists():
        with written(target) as partial:
            command = ["go", "build", "-trimpath", "-ldflags=-s -w", "-o", str(partial), str(SOURCE)]
            environment = {**os.environ, "CGO_ENABLED": "0", "GO111MODULE": "off", "GOFLAGS": ""}
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise ImageError(f"pause does not build: {done.stderr.strip()}")
    return target
