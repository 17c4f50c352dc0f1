"""What can end a backup before its own verdict; foreign errors are wrapped where they come in.

BackupError
├── NameTakenError          the bucket holds a backup of that name that is not ours
├── ClaimLostError          another process has taken this backup over; nothing more may be written
├── BackupInterruptedError  the process is being stopped; the next run starts again
│   └── BackupGoneError     the Backup was deleted; what this run wrote is taken back
├── BackupCanceledError     a person asked the backup to end before it had a tarball
├── SpecInvalidError        the spec names what the server does not have
└── ScratchError            the scratch directory cannot take the spool or the tarball
"""

from __future__ import annotations


class BackupError(Exception):
    """Anything that ends a backup early."""


class NameTakenError(BackupError):
    """The name belongs to another backup; nothing was written."""


class ClaimLostError(BackupError):
    """A newer epoch holds the claim."""


class BackupInterruptedError(BackupError):
    """The run was stopped and is to be repeated; it has no outcome."""


class BackupGoneError(BackupInterruptedError):
    """There is no Backup any more that could have an outcome."""


class BackupCanceledError(BackupError):
    """The run was canceled before it had anything to keep."""


class SpecInvalidError(BackupError):
    """The spec cannot be followed; following it in part would be a wider or a narrower backup than was asked for."""


class ScratchError(BackupError):
    """The scratch directory failed."""
