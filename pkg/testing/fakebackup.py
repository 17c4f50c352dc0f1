"""What a backup engine runs against in a unit test: an API, a bucket, agents, and the job that ties them together."""

from __future__ import annotations

import gzip
import io
import queue
import tarfile
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from pkg.apis.ark import Backup, VolumeCounts
from pkg.apis.meta import JsonObject
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackupSpec, PodVolumeBackupStatus, VolumeProgress
from pkg.backup.job import BackupJob, OnStatuses
from pkg.backup.podvolumes import FINISHED, RepositoryFailed, RepositoryReady
from pkg.backup.takeover import Thawed
from pkg.kube import refs
from pkg.kube.discovery import Discovery, discover
from pkg.kube.exec import ExecResult
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.objectstore.layout import backup_keys
from pkg.testing.fakeapi import RESOURCES, FakeApi
from pkg.testing.fakeclock import START, FakeClock
from pkg.testing.fakestore import FakeStore
from pkg.volumes.ledger import Ledger, LedgerEntry, from_json_gz

CLUSTER = "cluster-uid"
ARK = "heptio-ark"
LOOK_SECONDS = 0.02
SERVICES = ResourceRef(plural="services", kind="Service")
STORAGE_CLASSES = ResourceRef(group="storage.k8s.io", plural="storageclasses", kind="StorageClass", namespaced=False)


def captured(snapshot: str, **fields: object) -> PodVolumeBackupStatus:
    """The result of a capture that went well."""
    progress = VolumeProgress(bytes_done=10, total_bytes=10, total_files=2, files_done=2)
    status = PodVolumeBackupStatus(phase="Completed", snapshot_id=snapshot, repository_id="repo-id", progress=progress)
    return msgspec.structs.replace(status, **fields)


def failed(reason: str) -> PodVolumeBackupStatus:
    """The result of one that did not."""
    return PodVolumeBackupStatus(phase="Failed", reason=reason, message="why")


class FakeExec:
    """Commands in pods that run nowhere.

    Attributes:
        commands: `pod command` of each, in its order.
        answers: What becomes of a command, by its first word; exit code 0 by default.
        on_command: Called with each first word before it is answered.
    """

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.answers: dict[str, ExecResult | Exception] = {}
        self.on_command: Callable[[str], None] = lambda word: None

    def __call__(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: tuple[str, ...],
        timeout_seconds: float,
        *,
        stop: StopToken | None,
    ) -> ExecResult:
        """Remembers it and answers."""
        self.commands.append(f"{pod} {' '.join(command)}")
        self.on_command(command[0])
        answer = self.answers.get(command[0], ExecResult(stdout=b"", stderr=b"", exit_code=0))
        if isinstance(answer, Exception):
            raise answer
        return answer


class FakeCapturer:
    """A VolumeCapturer whose agents answer at once; what is held is taken and waits to be released.

    Attributes:
        results: What becomes of the volume of a pod, by `pod/volume`; a snapshot named like that by default.
        started: What was asked for, by capture name.
        repositories: Namespaces whose repository is not ready, and why.
        asked: Whether a repository may be made, by namespace, as the engine answered.
        on_wait: Called at the beginning of each wait.
        released: What was let run.
        canceled: What was ended, and why.
        endless: `pod/volume` of transfers that end only when they are canceled.
        slots: Whether agents take what is held.
        deaf: Agents do not see cancellations.
        looks: One item per look of the engine at the captures.
        canceling: One item per cancellation.
    """

    def __init__(self) -> None:
        self.results: dict[str, PodVolumeBackupStatus] = {}
        self.started: dict[str, PodVolumeBackupSpec] = {}
        self.repositories: dict[str, RepositoryFailed] = {}
        self.asked: dict[str, bool] = {}
        self.on_wait: Callable[[], None] = lambda: None
        self.released: list[str] = []
        self.canceled: dict[str, Reason] = {}
        self.endless: set[str] = set()
        self.slots = 1
        self.deaf = False
        self.looks: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.canceling: queue.SimpleQueue[Reason] = queue.SimpleQueue()
        self._moved = threading.Condition()

    def ensure_repository(
        self, namespace: str, *, may_initialize: Callable[[], bool], stop: StopToken
    ) -> RepositoryReady | RepositoryFailed:
        """Answers at once."""
        self.asked[namespace] = may_initialize()
        ready = RepositoryReady(name=namespace, identifier=f"s3:restic/{namespace}", repository_id="repo-id")
        return self.repositories.get(namespace, ready)

    def fail_repository(self, namespace: str) -> None:
        """Lets a namespace have no usable repository."""
        self.repositories[namespace] = RepositoryFailed(reason=Reason.WRONG_PASSWORD, message="wrong password")

    def start(self, entry: LedgerEntry, spec: PodVolumeBackupSpec) -> None:
        """Remembers it."""
        self.started[entry.capture] = spec

    def release(self, captures: Iterable[str]) -> None:
        """Lets them run."""
        with self._moved:
            self.released += captures
            self._moved.notify_all()

    def cancel(self, captures: Iterable[str], reason: Reason) -> None:
        """Ends them."""
        with self._moved:
            self.canceled.update(dict.fromkeys(captures, reason))
            self._moved.notify_all()
        self.canceling.put(reason)

    def wait(self, stop: StopToken, on_change: OnStatuses) -> dict[str, PodVolumeBackupStatus]:
        """All results, as soon as nothing is held any more."""
        self.on_wait()
        unregister = stop.on_cancel(lambda: self.release(()))
        try:
            while True:
                found = {name: self._status(name, spec) for name, spec in self.started.items()}
                on_change(found)
                self.looks.put(len(found))
                if all(status.phase in FINISHED for status in found.values()):
                    return found
                if stop.cancelled:
                    ended = failed(Reason.CANCELED)
                    return {name: one if one.phase in FINISHED else ended for name, one in found.items()}
                with self._moved:
                    self._moved.wait(LOOK_SECONDS)
        finally:
            unregister()

    def _status(self, name: str, spec: PodVolumeBackupSpec) -> PodVolumeBackupStatus:
        place = f"{spec.pod.name}/{spec.volume}"
        if name in self.canceled and not self.deaf:
            return failed(self.canceled[name])
        if spec.hold and name not in self.released and not self.slots:
            return PodVolumeBackupStatus()
        if (spec.hold and name not in self.released) or place in self.endless:
            return PodVolumeBackupStatus(phase="InProgress", slot_at=START)
        return self.results.get(place, captured(place))


class BackupWorld:
    """See the module. `backup` is what is run; change its spec with `spec`."""

    def __init__(self, scratch_dir: Path, resources: Iterable[ResourceRef] = (SERVICES, STORAGE_CLASSES)) -> None:
        self.clock = FakeClock(automatic=True)
        self.api = FakeApi((*RESOURCES, *resources))
        self.store = FakeStore()
        self.capturer = FakeCapturer()
        self.execute = FakeExec()
        self.thawed = Thawed()
        self.progress: list[tuple[int, int, VolumeCounts | None]] = []
        self.confirm: Callable[[], None] = lambda: None
        self.stop = StopToken()
        self.warnings: tuple[str, ...] = ()
        self._scratch_dir = scratch_dir
        self.spec()

    def spec(self, fields: Mapping[str, object] | None = None, *, uid: str = "backup-uid", epoch: int = 1) -> None:
        """Puts the Backup into the API, claimed by this epoch."""
        self.raw: JsonObject = {
            "metadata": {"name": "nightly", "namespace": ARK, "uid": uid, "labels": {"team": "a"}},
            "spec": msgspec.to_builtins(dict(fields or {})),
            "status": {"phase": "InProgress", "claim": {"holder": "server", "epoch": epoch}},
        }
        self.backup = msgspec.convert(self.api.add(refs.BACKUPS, self.raw), Backup)

    def job(self) -> BackupJob:
        """The job to run."""
        return BackupJob(
            backup=self.backup,
            client=self.api.client,
            discover=self.discover,
            store=self.store,
            volumes=self.capturer,
            cluster_id=CLUSTER,
            confirm=lambda: self.confirm(),
            execute=self.execute,
            on_progress=lambda total, done, volumes: self.progress.append((total, done, volumes)),
            scratch_dir=self._scratch_dir,
            thawed=self.thawed,
            clock=self.clock,
        )

    def discover(self) -> Discovery:
        """What the API serves."""
        found = discover(self.api.client)
        return Discovery(resources=found.resources, warnings=self.warnings)

    def namespace(self, name: str, **labels: str) -> None:
        """Adds a namespace."""
        self.api.add(refs.NAMESPACES, {"metadata": {"name": name, "labels": dict(labels)}})

    def config_map(self, namespace: str, name: str, **metadata: object) -> None:
        """Adds a ConfigMap."""
        self.api.add(refs.CONFIG_MAPS, {"metadata": {"name": name, "namespace": namespace} | metadata})  # type: ignore[dict-item]  # JSON by the caller's word

    def pod(
        self,
        namespace: str,
        name: str,
        *,
        claim: str = "",
        uid: str = "",
        named: str = "data",
        phase: str = "Running",
        annotations: Mapping[str, str] | None = None,
    ) -> None:
        """Adds a pod with one volume `data`: a claim, or an emptyDir."""
        source: JsonObject = {"persistentVolumeClaim": {"claimName": claim}} if claim else {"emptyDir": {}}
        own = {"backup.ark.heptio.com/backup-volumes": named} if named else {}
        self.api.add(
            refs.PODS,
            {
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "uid": uid or f"{name}-uid",
                    "annotations": {**own, **(annotations or {})},
                },
                "spec": {
                    "nodeName": "node1",
                    "volumes": [{"name": "data", **source}],
                    "containers": [{"name": "main", "volumeMounts": [{"name": "data"}]}],
                },
                "status": {"phase": phase},
            },
        )

    def claim(self, namespace: str, name: str) -> None:
        """Adds a bound claim and its persistent volume."""
        self.api.add(
            refs.PVCS,
            {
                "metadata": {"name": name, "namespace": namespace, "uid": f"{name}-uid"},
                "spec": {"volumeName": f"pv-{name}"},
                "status": {"phase": "Bound"},
            },
        )
        self.api.add(refs.PVS, {"metadata": {"name": f"pv-{name}"}, "spec": {"csi": {"driver": "d"}}})

    @property
    def stored(self) -> dict[str, JsonObject]:
        """The tarball's objects by path."""
        data = self.store.objects[backup_keys("nightly").tarball]
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return {member.name: msgspec.json.decode(_bytes(tar, member)) for member in tar.getmembers()}

    @property
    def metadata(self) -> JsonObject:
        """`ark-backup.json`."""
        found: JsonObject = msgspec.json.decode(self.store.objects[backup_keys("nightly").metadata])
        return found

    @property
    def ledger(self) -> Ledger:
        """The volume list."""
        return from_json_gz(self.store.objects[backup_keys("nightly").volumes])

    @property
    def log(self) -> str:
        """The backup's log."""
        return gzip.decompress(self.store.objects[backup_keys("nightly").log]).decode()


def _bytes(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    found = tar.extractfile(member)
    return found.read() if found else b""
