"""This program's own configuration, `~/.config/ark/config.json`: names and texts, as 0.9 wrote it.

It is replaced in one step, so a reader never sees half of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from pkg.cli.failures import CliError

NAMESPACE_KEY = "namespace"


def path() -> Path:
    """Where it lies."""
    return Path.home() / ".config" / "ark" / "config.json"


def read_values(file: Path) -> dict[str, str]:
    """What is set; nothing where there is no file.

    Raises:
        CliError: it is not what it should be.
    """
    try:
        found = json.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise CliError(f"{file} cannot be read: {error}: repair or remove it") from error
    if not isinstance(found, dict):
        raise CliError(f"{file} is not a map of names to texts: repair or remove it")
    return {key: value for key, value in found.items() if isinstance(value, str)}


def changed(values: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """The values with changes; an empty text removes a name."""
    return {key: text for key, text in {**values, **changes}.items() if text}


def write_values(file: Path, values: Mapping[str, str]) -> None:
    """Replaces the file.

    Raises:
        CliError: it cannot be written.
    """
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(json.dumps(dict(values), sort_keys=True) + "\n")
        os.replace(beside, file)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise CliError(f"{file} cannot be written: {error.strerror}") from error
