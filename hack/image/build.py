#!/usr/bin/env python3
"""Build the images of the test cluster and the product without a registry.

    hack/image/build.py archives pause base minio ark   make what is missing, print one archive per line
    hack/image/build.py context DIR                     put what the Dockerfile copies into DIR/build, for your own
                                                        `docker build --build-arg BASE=… DIR`

Needs root, buildah, debootstrap, Go, and the Python of `make venv` (for hatchling). Everything lies in ARK_CACHE_DIR.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # it runs from anywhere, not installed

from hack.image import recipes
from hack.image.buildah import ImageError
from hack.image.cache import alone
from hack.toolchain_build import ToolchainError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    archives = commands.add_parser("archives")
    archives.add_argument("names", nargs="+", choices=list(recipes.RECIPES), metavar="NAME")
    commands.add_parser("context").add_argument("directory", type=Path)
    return parser.parse_args()


def main() -> int:
    """Run one command and return its exit code."""
    arguments = _arguments()
    started = time.monotonic()
    try:
        with alone():
            if arguments.command == "context":
                recipes.stage(arguments.directory)
            else:
                print(*recipes.make(arguments.names), sep="\n")
    except (ImageError, ToolchainError) as error:
        print(f"image: {error}", file=sys.stderr)
        return 1
    if (seconds := time.monotonic() - started) > 5:
        print(f"image: done in {seconds:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
