"""Has the expected volumes captured: repositories first, then all captures in parallel.

Where a pod went away and another took over its claim, the claim is captured once more there.

Everything is found again by derived names, so a run after a crash continues where the one before was.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed

import msgspec
import structlog.typing

from pkg.apis.core import PersistentVolumeClaim, Pod
from pkg.apis.names import BACKUP_UID_LABEL
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupStatus
from pkg.backup import podvolumes
from pkg.backup.freezes import FreezeResults, PodFreezes
from pkg.backup.hook_runner import HookRunner
from pkg.backup.hooked_captures import hooked_captures, through_others, without_captures
from pkg.backup.hooks import HookedPod, hooked_pod, max_freeze_seconds
from pkg.backup.job import BackupJob
from pkg.backup.known import CapturedNamespaces
from pkg.backup.open_hooks import OpenHooks
from pkg.backup.parents import Parents, slot_seconds
from pkg.backup.podvolumes import GONE_REASONS, RepositoryFailed, RepositoryReady
from pkg.backup.replacements import replaced
from pkg.backup.shrink import flagged
from pkg.backup.stopping import is_canceled, raise_if_interrupted
from pkg.kube.backoff import retry_transient
from pkg.kube.errors import KubeError, NotFoundError
from pkg.kube.refs import POD_VOLUME_BACKUPS, PODS, PVCS
from pkg.kube.stop import StopToken
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry, counts

MAX_ROUNDS = 3
REPLACEMENT_WAIT_SECONDS = 60.0
REPLACEMENT_LOOK_SECONDS = 5.0
REPOSITORY_THREADS = 8

Entries = tuple[LedgerEntry, ...]
_CAPTURE = msgspec.json.Decoder(PodVolumeBackup)


class CaptureRun:
    """One run over a ledger.

    Attributes:
        items_total: What progress says beside the volumes, like `items_done`.
        freezes: What came of the hooks.
    """

    def __init__(
        self,
        job: BackupJob,
        stop: StopToken,
        log: structlog.typing.FilteringBoundLogger,
        hooked: Mapping[str, HookedPod],
    ) -> None:
        self._job = job
        self._stop = stop
        self._log = log
        self._hooked = dict(hooked)
        self._hooks_over = False  # of the pods without captures: theirs run once
        self._known = CapturedNamespaces(job.store, log)
        self._parents = Parents()
        self._existing: list[PodVolumeBackup] = []
        self.items_total = self.items_done = 0
        self.freezes = FreezeResults()

    def run(self, entries: Entries) -> Entries:
        """The ledger with a result for every expected entry.

        Raises:
            BackupInterruptedError: the process is being stopped; captures go on without it.
        """
        backup = self._job.backup
        self._read_captures()
        entries = podvolumes.adopted(podvolumes.with_captures(backup, entries, self._existing), self._existing)
        entries = podvolumes.with_existing(entries, self._existing)
        for _ in range(MAX_ROUNDS):
            entries = self._capture(entries)
            raise_if_interrupted(self._stop)
            entries = tuple(self._gone(entry) for entry in entries)
            again = entries if is_canceled(self._stop) else self._with_replacements(entries)
            if again == entries:
                break
            entries = again
        entries = tuple(flagged(entry, self._parents.of(entry.parent)) for entry in entries)
        for entry in entries:
            self._tell(entry)
        return entries

    def _read_captures(self) -> None:
        uid, namespace = self._job.backup.metadata.uid, self._job.backup.metadata.namespace
        for page in self._job.client.list_pages(POD_VOLUME_BACKUPS, namespace):
            for raw in page.items:
                try:
                    capture = _CAPTURE.decode(raw)
                except msgspec.DecodeError as error:
                    self._log.warning("Volume backup not readable", error=str(error))
                    continue
                self._parents.note(capture)
                if capture.metadata.label(BACKUP_UID_LABEL) == uid:
                    self._existing.append(capture)

    def _capture(self, entries: Entries) -> Entries:
        pending = podvolumes.capturing(entries, self._existing, self._hooked)
        alone = [] if self._hooks_over else without_captures(self._hooked, entries)
        self._hooks_over = True
        if not pending and not alone:
            return entries
        for pod in through_others(self._hooked, entries, pending):
            self._log.warning("Hooks not run: its volumes are captured through another pod", pod=pod.key)
            self.freezes.warnings += 1
        with self._pod_freezes() as freezes:
            for pod in alone:
                freezes.add(pod, ())
            repositories = self._start_all(pending, freezes)
            entries = tuple(self._in_repository(entry, repositories) for entry in entries)
            results = self._wait(entries, freezes)
        return self._overruled(podvolumes.with_statuses(entries, results))

    def _wait(self, entries: Entries, freezes: PodFreezes) -> Mapping[str, PodVolumeBackupStatus]:
        def changed(statuses: Mapping[str, PodVolumeBackupStatus]) -> None:
            self._progress(entries, statuses)
            freezes.see(statuses)

        results = self._job.volumes.wait(self._stop, changed)
        if not self._stop.cancelled:  # else a result may stand for a capture that goes on
            freezes.see(results)
        return results

    def _pod_freezes(self) -> PodFreezes:
        job = self._job
        runner = HookRunner(job.client, job.execute, job.backup.spec.hooks, clock=job.clock, log=self._log)
        return PodFreezes(
            job.volumes,
            runner,
            OpenHooks(job.client, job.backup, job.clock),
            max_freeze_seconds=max_freeze_seconds(job.backup.spec),
            stop=self._stop,
            clock=job.clock,
            log=self._log,
            results=self.freezes,
        )

    def _overruled(self, entries: Entries) -> Entries:
        """The ledger with what freezes did to captures, and how long their pods stood still."""
        found = []
        for entry in entries:
            if entry.capture in self.freezes.overruled and entry.state is not EntryState.EXPECTED:
                reason, message = self.freezes.overruled[entry.capture]
                entry = podvolumes.overruled(entry, reason, message)
            seconds = self.freezes.frozen_seconds.get(entry.pod_uid, 0.0) if entry.capture else 0.0
            found.append(msgspec.structs.replace(entry, frozen_seconds=math.ceil(seconds)))
        return tuple(found)

    def _start_all(
        self, pending: Mapping[str, LedgerEntry], freezes: PodFreezes
    ) -> dict[str, RepositoryReady | RepositoryFailed]:
        """Starts the captures of each namespace as soon as its repository is there."""
        namespaces = sorted({entry.namespace for entry in pending.values()})
        found: dict[str, RepositoryReady | RepositoryFailed] = {}
        with ThreadPoolExecutor(REPOSITORY_THREADS, thread_name_prefix="backup-repository") as pool:
            futures = {pool.submit(self._repository, namespace): namespace for namespace in namespaces}
            for future in as_completed(futures):
                namespace, repository = futures[future], future.result()
                found[namespace] = repository
                if isinstance(repository, RepositoryReady):
                    own = {name: entry for name, entry in pending.items() if entry.namespace == namespace}
                    self._start(repository, own.values())
                    for one in hooked_captures(self._hooked, own, self._existing):
                        freezes.add(one.pod, one.captures, begun=one.begun)
                else:
                    self._log.error("Repository not ready", namespace=namespace, error=repository.message)
        return found

    def _repository(self, namespace: str) -> RepositoryReady | RepositoryFailed:
        try:
            found = self._job.volumes.ensure_repository(
                namespace, may_initialize=lambda: self._known.may_initialize(namespace), stop=self._stop
            )
        except KubeError as error:
            return RepositoryFailed(reason=Reason.REPOSITORY_NOT_READY, message=str(error))
        if isinstance(found, RepositoryFailed) and found.reason is Reason.REPOSITORY_MISSING and self._known.problem:
            return dataclasses.replace(found, message=f"{found.message}; none is made, for {self._known.problem}")
        return found

    def _start(self, repository: RepositoryReady, entries: Collection[LedgerEntry]) -> None:
        for entry in entries:
            hooked = entry.pod_uid in self._hooked
            sharing = [other for other in entries if other.pod_uid == entry.pod_uid] if hooked else [entry]
            spec = podvolumes.capture_spec(
                self._job.backup,
                entry,
                repository,
                cluster_id=self._job.cluster_id,
                parent=self._parents.find(entry, repository.repository_id),
                hold=hooked,
                last_run_seconds=slot_seconds(sharing, self._parents, repository.repository_id),
            )
            self._job.volumes.start(entry, spec)
            self._log.info("Volume wanted", volume=entry.key, capture=entry.capture, node=entry.node)

    def _progress(self, entries: Entries, statuses: Mapping[str, PodVolumeBackupStatus]) -> None:
        ledger = Ledger(entries=podvolumes.with_statuses(entries, statuses))
        found = counts(ledger, tolerate_unread=self._job.backup.spec.tolerate_unread_files)
        running = [one for one in statuses.values() if one.phase not in podvolumes.FINISHED and one.progress]
        done = sum(one.progress.bytes_done for one in running if one.progress)
        found = msgspec.structs.replace(found, bytes_done=found.bytes_done + done)
        self._job.on_progress(self.items_total, self.items_done, found)

    def _gone(self, entry: LedgerEntry) -> LedgerEntry:
        if entry.state is not EntryState.FAILED or entry.reason not in GONE_REASONS:
            return entry
        return msgspec.structs.replace(entry, reason=Reason.POD_GONE.value, claim_exists=self._claim_exists(entry))

    def _claim_exists(self, entry: LedgerEntry) -> bool:
        if not entry.claim_name:
            return False
        try:
            claim = retry_transient(
                lambda: self._job.client.get(PVCS, entry.namespace, entry.claim_name, PersistentVolumeClaim),
                stop=self._stop,
                clock=self._job.clock,
            )
        except NotFoundError:
            return False
        except KubeError:
            return True  # in doubt the loss is told
        return claim.metadata.uid == entry.claim_uid and claim.metadata.deletion_timestamp is None

    def _with_replacements(self, entries: Entries) -> Entries:
        """Waits a moment for pods that take over the claims of pods that went away."""
        deadline = self._job.clock.monotonic() + REPLACEMENT_WAIT_SECONDS
        while True:
            waiting = [one for one in entries if one.reason == Reason.POD_GONE and one.claim_exists]
            waiting = [one for one in waiting if one.state is EntryState.FAILED]
            if not waiting:
                return entries
            pods = self._pods({entry.namespace for entry in waiting})
            again = replaced(self._job.backup, entries, pods)
            if again != entries:
                found = (hooked_pod(pod, self._job.backup.spec.hooks) for pod in pods)
                self._hooked |= {pod.uid: pod for pod in found if pod is not None}
            if again != entries or self._job.clock.monotonic() >= deadline:
                return again
            if self._job.clock.wait(self._stop, REPLACEMENT_LOOK_SECONDS):
                return entries

    def _pods(self, namespaces: Iterable[str]) -> list[Pod]:
        try:
            return [pod for namespace in sorted(namespaces) for pod in self._job.client.list(PODS, namespace, Pod)]
        except KubeError as error:
            self._log.warning("Pods not readable, replaced ones are not looked for", error=str(error))
            return []

    def _tell(self, entry: LedgerEntry) -> None:
        if entry.state is EntryState.CAPTURED:
            self._log.info("Volume captured", volume=entry.key, snapshot=entry.snapshot_id, bytes=entry.bytes)
        elif entry.state is EntryState.FAILED:
            self._log.error("Volume not captured", volume=entry.key, reason=entry.reason, message=entry.message)

    def _in_repository(
        self, entry: LedgerEntry, repositories: Mapping[str, RepositoryReady | RepositoryFailed]
    ) -> LedgerEntry:
        repository = repositories.get(entry.namespace)
        if entry.state is not EntryState.EXPECTED or repository is None:
            return entry
        if isinstance(repository, RepositoryFailed):
            return msgspec.structs.replace(
                entry, state=EntryState.FAILED, reason=repository.reason.value, message=repository.message
            )
        return msgspec.structs.replace(
            entry,
            repository=repository.name,
            repo_identifier=repository.identifier,
            repository_id=repository.repository_id,
            parent=self._parents.find(entry, repository.repository_id),
        )
