"""Two ways to be stopped: a canceled backup has an outcome; one that a shutdown interrupts is run again."""

from __future__ import annotations

from pkg.apis.reasons import Reason
from pkg.backup.errors import BackupCanceledError, BackupInterruptedError
from pkg.kube.stop import StopToken


def is_canceled(stop: StopToken) -> bool:
    """Whether a person asked the backup to end."""
    return stop.cancelled and stop.reason == Reason.CANCELED


def raise_if_interrupted(stop: StopToken) -> None:
    """Ends a run that is to be repeated by the next process."""
    if stop.cancelled and not is_canceled(stop):
        raise BackupInterruptedError(stop.reason)


def raise_if_stopped(stop: StopToken) -> None:
    """Ends a run that has nothing to keep yet, whatever the reason."""
    raise_if_interrupted(stop)
    if stop.cancelled:
        raise BackupCanceledError("canceled before the tarball was complete")
