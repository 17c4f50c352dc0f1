"""Programs that npm installs: a copy of their directory with the packages of its lock, and a script that starts them.

The lock holds a hash for every package and no address, so whatever registry the user's npm asks must answer with
the very same content. `unneeded.js` of the directory keeps the program from loading what it would never call.
"""

import json
import shutil
from pathlib import Path

from hack.toolchain_catalogue import Tool

COMMAND = ("npm", "ci", "--no-progress")
_START = '#!/bin/sh\nhere=$(dirname "$0")\nexec node --require "$here/unneeded.js" "$here/{script}" "$@"\n'


def version(tool: Tool) -> str:
    """Return the version that `package.json` pins."""
    found: str = json.loads((tool.directory / "package.json").read_text())["dependencies"][tool.source]
    return found


def inputs(tool: Tool) -> list[Path]:
    """Return the files that decide what is installed."""
    return sorted(path for path in tool.directory.rglob("*") if path.is_file() and "node_modules" not in path.parts)


def absent_programs() -> str:
    """Return the names of the programs that are needed and not there."""
    return ", ".join(name for name in ("node", "npm") if not shutil.which(name))


def prepare(tool: Tool, directory: Path) -> None:
    """Make the directory in which `COMMAND` then installs the packages."""
    shutil.copytree(tool.directory, directory, ignore=shutil.ignore_patterns("node_modules"))
    start = directory / tool.name
    start.write_text(_START.format(script=tool.script))
    start.chmod(0o755)
