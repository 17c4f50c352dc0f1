"""Is there a restic that we can work with? Exit codes mean something only since 0.17.1."""

from __future__ import annotations

import re

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic import command
from pkg.restic.errors import ResticUnusableError
from pkg.restic.runner import ResticRunner

OLDEST = (0, 17, 1)


def check_version(runner: ResticRunner, stop: StopToken | None = None) -> str:
    """The version of restic.

    Raises:
        ResticUnusableError: It is missing or too old; the message says what is needed.
    """
    finished = runner.run(command.version(), None, stop or StopToken())
    text = finished.version.version if finished.version else ""
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", text)
    if finished.exit_code == 0 and numbers and tuple(map(int, numbers.groups())) >= OLDEST:
        return text
    needed = ".".join(map(str, OLDEST))
    found = f"this one is {text}" if numbers else "this one does not tell its version"
    raise ResticUnusableError(
        verb="version",
        repository="",
        exit_code=finished.exit_code,
        reason=Reason.INTERNAL,
        message=f"Ark needs {needed} or newer, {found}",
        stderr_tail=finished.stderr_tail,
    )
