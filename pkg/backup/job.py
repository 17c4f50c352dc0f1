"""What the engine is given and what it gives back; everything it touches comes in here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from pkg.apis.ark import Backup, BackupStatus, VolumeCounts
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import BackupPhase, Reason
from pkg.apis.volumes import PodVolumeBackupSpec, PodVolumeBackupStatus
from pkg.backup.hook_runner import Execute
from pkg.backup.podvolumes import RepositoryFailed, RepositoryReady
from pkg.backup.takeover import Thawed
from pkg.kube.client import Client
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.discovery import Discovery
from pkg.kube.stop import StopToken
from pkg.objectstore.store import ObjectStore
from pkg.volumes.ledger import LedgerEntry

_ENDED_EMPTY = ("reason", "message", "volumes", "progress", "errors", "warnings", "tarballSha256", "openHooks")

OnStatuses = Callable[[Mapping[str, PodVolumeBackupStatus]], None]
OnProgress = Callable[[int, int, VolumeCounts | None], None]


class VolumeCapturer(Protocol):
    """What captures volumes: the server's admission and the agents behind it."""

    def ensure_repository(
        self, namespace: str, *, may_initialize: Callable[[], bool], stop: StopToken
    ) -> RepositoryReady | RepositoryFailed:
        """Blocks until the namespace's repository is Ready or known not to be; called from several threads.

        Args:
            namespace: Whose volumes.
            may_initialize: Asked only where there is no ResticRepository yet: whether the bucket knows of no
                capture of that namespace, so that a repository may be made.
            stop: Ends the wait.
        """
        ...

    def start(self, entry: LedgerEntry, spec: PodVolumeBackupSpec) -> None:
        """Asks for the capture named `entry.capture`: created when admitted, adopted when it exists."""
        ...

    def release(self, captures: Iterable[str]) -> None:
        """Lets captures that were started with `hold` run: their pod is frozen. Called from several threads."""
        ...

    def cancel(self, captures: Iterable[str], reason: Reason) -> None:
        """Ends captures for a reason of the engine's. Called from several threads."""
        ...

    def wait(self, stop: StopToken, on_change: OnStatuses) -> dict[str, PodVolumeBackupStatus]:
        """Blocks until every capture that was asked for ended; results by capture name.

        When `stop` is cancelled with the reason Canceled it cancels them and still returns all results.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupJob:
    """One run of one Backup.

    Attributes:
        backup: Validated, and claimed: `status.claim` holds the epoch of this run.
        discover: Asks the API server what it serves.
        store: The backup location.
        volumes: Captures volumes.
        cluster_id: UID of kube-system.
        confirm: Makes sure right before the last put that the Backup is still this process's, by a
            compare-and-set; raises whatever ends the run when it is not.
        execute: Runs a command in a container.
        thawed: What this process had to thaw before the run.
        on_tarball: Told the size of the tarball in bytes when it is in the bucket.
        on_progress: (items in all, items done, volumes). Called often; whoever patches a status spaces it out.
        scratch_dir: Where the spool and the tarball lie for as long as the run takes.
    """

    backup: Backup
    client: Client
    discover: Callable[[], Discovery]
    store: ObjectStore
    volumes: VolumeCapturer
    cluster_id: str
    confirm: Callable[[], None]
    execute: Execute
    on_progress: OnProgress
    scratch_dir: Path
    thawed: Thawed = field(default_factory=Thawed)
    on_tarball: Callable[[int], None] = lambda size_bytes: None
    clock: Clock = REAL_CLOCK

    @property
    def epoch(self) -> int:
        """The epoch of the claim."""
        return self.backup.status.claim.epoch if self.backup.status.claim else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupOutcome:
    """How a backup ended.

    Attributes:
        status: The whole status; it is what `ark-backup.json` holds. `patch` records it.
        found: It had been committed by an earlier run.
    """

    status: BackupStatus
    found: bool = False

    @property
    def phase(self) -> BackupPhase:
        """The terminal phase."""
        return BackupPhase(self.status.phase)

    @property
    def patch(self) -> JsonObject:
        """The status as a merge patch: what it leaves empty is removed, such as the message of an earlier state."""
        emptied: JsonObject = dict.fromkeys(_ENDED_EMPTY)
        built: JsonObject = msgspec.to_builtins(self.status)
        return emptied | built

    @property
    def reason(self) -> str:
        """Why, where the phase is not Completed."""
        return self.status.reason

    @property
    def message(self) -> str:
        """The sentence of the status."""
        return self.status.message
