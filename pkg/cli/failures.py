"""What the CLI says when something went wrong, and the exit codes that scripts rely on."""

from __future__ import annotations

COMPLETED, FAILED, PARTIALLY_FAILED, FAILED_VALIDATION = 0, 1, 2, 3
USAGE, TIMED_OUT, INTERRUPTED = 64, 124, 130


class CliError(Exception):
    """One sentence for a person: the object, the cause, the next step."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
