"""How a restic call fails, by exit code (restic 0.17.1 and newer); unknown codes are failures.

ResticError
├── RepositoryMissingError   10: there is no repository
├── RepositoryLockedError    11: somebody holds a lock that excludes this call
├── WrongPasswordError       12
├── SnapshotMissingError     1, and restic names the snapshot or parent it cannot find
├── CancelledError           130, or our own SIGTERM or SIGKILL after a stop
├── NoProgressError          ended by us because nothing moved
├── KilledError              137: SIGKILL by somebody else, mostly the kernel for want of memory
├── ResticUnusableError      no restic that we can work with, or its directory is gone
└── ResticFailedError        anything else
"""

from __future__ import annotations

from pkg.apis.reasons import Reason


class ResticError(Exception):
    """A restic call that did not succeed; holds no secret.

    Attributes:
        verb: `backup`, `restore`, `cat config` …
        repository: restic's address of the repository.
        exit_code: Of the process; 128 + n when signal n ended it.
        reason: For a status.
        message: One line for people.
        stderr_tail: The end of restic's standard error, 2 KiB at most.
    """

    def __init__(
        self, *, verb: str, repository: str, exit_code: int, reason: Reason, message: str, stderr_tail: str = ""
    ) -> None:
        super().__init__(f"restic {verb}: {message}")
        self.verb = verb
        self.repository = repository
        self.exit_code = exit_code
        self.reason = reason
        self.message = message
        self.stderr_tail = stderr_tail


class RepositoryMissingError(ResticError):
    """There is no repository at the address."""


class RepositoryLockedError(ResticError):
    """The repository is locked by somebody else."""


class WrongPasswordError(ResticError):
    """No key of the repository opens with this password."""


class SnapshotMissingError(ResticError):
    """The snapshot to restore, or the parent to compare with, is not in the repository."""


class CancelledError(ResticError):
    """We stopped it; `reason` is why."""


class NoProgressError(ResticError):
    """We stopped it because nothing moved."""


class KilledError(ResticError):
    """Somebody else killed it."""


class ResticUnusableError(ResticError):
    """The binary is missing or too old, or its directory cannot be entered."""


class ResticFailedError(ResticError):
    """It failed in another way."""
