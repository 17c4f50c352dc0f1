"""Is there a restic that we can work with? Exit codes mean something only since 0.17.1."""

from __future__ import annotations

import re

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.errors import ResticUnusableError
from pkg.restic.runner import ResticRunner

OLDEST = (0, 17, 1)
KEEPS_LABELS = (0, 18, 0)


def check_version(runner: ResticRunner, stop: StopToken | None = None) -> str:
    """The version of restic.

    Raises:
        ResticUnusableError: It is missing or too old; the message says what is needed.
    """
    finished = runner.run(command.version(), None, stop or StopToken())
    text = finished.version.version if finished.version else ""
    if finished.exit_code == 0 and _numbers(text) >= OLDEST:
        return text
    needed = ".".join(map(str, OLDEST))
    found = f"this one is {text}" if _numbers(text) else "this one does not tell its version"
    raise ResticUnusableError(
        verb="version",
        repository="",
        exit_code=finished.exit_code,
        reason=Reason.INTERNAL,
        message=f"Ark needs {needed} or newer, {found}",
        stderr_tail=finished.stderr_tail,
    )


def keeps_labels(version: str) -> bool:
    """Whether a restore by that restic can leave SELinux labels as they are."""
    return _numbers(version) >= KEEPS_LABELS


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found else ()
