"""What can end a restore as a whole; what concerns one object goes into the results instead.

RestoreError                 the Restore is Failed, with this reason and message
├── BackupNotFoundError      the bucket holds no such backup
├── BackupDamagedError       what lies there is not what was written
├── StoreFailedError         the bucket cannot be read
└── ScratchFullError         there is no room to unpack it
RestoreInterruptedError      the process ends: another attempt goes on where this one stopped
ApiUnavailableError          the Kubernetes API gave no answer for too long: another attempt goes on
ResultsNotKeptError          results and log went nowhere; the Restore ends as it would have
"""

from __future__ import annotations

from pkg.apis.reasons import Reason


class RestoreError(Exception):
    """The restore cannot be done."""

    reason = Reason.INTERNAL


class BackupNotFoundError(RestoreError):
    """There is no committed backup of that name."""

    reason = Reason.BACKUP_NOT_FOUND


class BackupDamagedError(RestoreError):
    """A file of the backup does not decode, or its digest is another one."""

    reason = Reason.BACKUP_DAMAGED


class StoreFailedError(RestoreError):
    """The object store did not give a file of the backup."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


class ScratchFullError(RestoreError):
    """The scratch space is full."""

    reason = Reason.SCRATCH_FULL


class RestoreInterruptedError(Exception):
    """The stop token was cancelled before the restore ended."""


class ApiUnavailableError(Exception):
    """The Kubernetes API could not be reached."""


class ResultsNotKeptError(Exception):
    """There was no place for the results and the log."""
