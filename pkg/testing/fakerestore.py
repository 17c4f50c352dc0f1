"""A small world for restores: an API server in memory, a bucket of backups, and agents that a test steps.

`RestoreWorld` builds backups as the backup engine writes them (tarball, record, volume list) and runs the real
restore engine on them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

import msgspec

from pkg.apis.ark import Restore, RestoreSpec
from pkg.apis.core import Pod
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeRestoreSpec, PodVolumeRestoreStatus
from pkg.kube import refs
from pkg.kube.discovery import Discovery, discover
from pkg.kube.errors import KubeError
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import ObjectNotFoundError, StoreError
from pkg.objectstore.layout import backup_keys, restore_keys
from pkg.restore.engine import run_restore
from pkg.restore.job import RestoreJob, RestoreOutcome
from pkg.restore.results import RestoreResults, decode_results
from pkg.testing.fakeapi import RESOURCES, FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.volumes.ledger import EntryState, Ledger, LedgerEntry, to_json_gz

RESTORE_UID = "restore-uid-1"
SERVICES = ResourceRef(plural="services", kind="Service")
ENDPOINTS = ResourceRef(plural="endpoints", kind="Endpoints")
DEPLOYMENTS = ResourceRef(group="apps", plural="deployments", kind="Deployment")
ROLE_BINDINGS = ResourceRef(group="rbac.authorization.k8s.io", plural="rolebindings", kind="RoleBinding")
CLUSTER_ROLES = ResourceRef(
    group="rbac.authorization.k8s.io", plural="clusterroles", kind="ClusterRole", namespaced=False
)
WIDGETS = ResourceRef(group="example.com", plural="widgets", kind="Widget")
MORE = (SERVICES, ENDPOINTS, DEPLOYMENTS, ROLE_BINDINGS, CLUSTER_ROLES)


class FakeFiles:
    """A bucket; `broken` makes every call fail."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.broken: StoreError | None = None
        self.read_only: StoreError | None = None

    def get(self, key: str) -> bytes:
        """Reads a file."""
        if self.broken:
            raise self.broken
        if key not in self.files:
            raise ObjectNotFoundError(f"{key} is not there")
        return self.files[key]

    def get_to_file(self, key: str, file: BinaryIO) -> int:
        """Copies a file."""
        return file.write(self.get(key))

    def put(self, key: str, data: bytes) -> str:
        """Writes a file."""
        if self.read_only:
            raise self.read_only
        self.files[key] = data
        return "etag"


class FakeAgents:
    """A VolumeRestorer; `on_wait` is where a test lets agents, kubelets and people act."""

    def __init__(self, api: FakeApi, clock: FakeClock) -> None:
        self.specs: dict[str, PodVolumeRestoreSpec] = {}
        self.labels: dict[str, Mapping[str, str]] = {}
        self.order: list[str] = []
        self.statuses: dict[str, PodVolumeRestoreStatus] = {}
        self.verdicts: dict[str, tuple[Reason, str]] = {}
        self.refusal = ""
        self.on_wait: Callable[[], None] = lambda: None
        self._api = api
        self._clock = clock

    def pods(self, restore_uid: str) -> list[Pod]:
        """The restore's pods."""
        found = [msgspec.convert(obj, Pod) for obj in self._api.list(refs.PODS)]
        return [pod for pod in found if pod.metadata.label("ark.heptio.com/restore-uid") == restore_uid]

    def start(self, name: str, spec: PodVolumeRestoreSpec, labels: Mapping[str, str]) -> str:
        """Remembers an order, unless the test refuses it."""
        if self.refusal:
            return self.refusal
        self.specs.setdefault(name, spec)
        self.labels[name] = labels
        self.order.append(name)
        self.statuses.setdefault(name, PodVolumeRestoreStatus(phase="New"))
        return ""

    def status(self) -> dict[str, PodVolumeRestoreStatus]:
        """The statuses."""
        return dict(self.statuses)

    def wait_changed(self, stop: StopToken, seconds: float) -> bool:
        """Lets the time pass and the test act."""
        self._clock.advance(seconds)
        self.on_wait()
        return stop.cancelled

    def agent_verdict(self, node: str) -> tuple[Reason, str] | None:
        """What the test says about a node."""
        return self.verdicts.get(node)

    def complete_all(self) -> None:
        """Every order that is not over is done."""
        for name, status in self.statuses.items():
            if status.phase in ("New", "InProgress"):
                self.statuses[name] = PodVolumeRestoreStatus(phase="Completed")


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeAnswer:
    """How a hook ended."""

    stderr: bytes
    exit_code: int


class RestoreWorld:
    """See the module."""

    def __init__(self, resources: Iterable[ResourceRef] = MORE) -> None:
        self.clock = FakeClock(automatic=True)
        self.api = FakeApi((*RESOURCES, *resources))
        self.store = FakeFiles()
        self.agents = FakeAgents(self.api, self.clock)
        self.agents.on_wait = self.behave
        self.commands: list[tuple[str, str, tuple[str, ...]]] = []
        self.command_ends: list[KubeError | int] = []
        self.on_command: Callable[[], None] = lambda: None

    def execute(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: tuple[str, ...],
        timeout_seconds: float,
        *,
        stop: StopToken,
    ) -> FakeAnswer:
        """Takes a hook; it ends as `command_ends` says, well without."""
        self.on_command()
        self.commands.append((f"{namespace}/{pod}", container, command))
        end = self.command_ends.pop(0) if self.command_ends else 0
        if isinstance(end, KubeError):
            raise end
        return FakeAnswer(stderr=b"", exit_code=end)

    def behave(self) -> None:
        """Nodes and agents that do their work: pods are scheduled, claims bound, volumes filled."""
        self.schedule()
        self.agents.complete_all()

    def store_backup(
        self, *objects: JsonObject, volumes: Iterable[LedgerEntry] | None = (), name: str = "b1", digest: bool = True
    ) -> None:
        """Writes a backup; volumes None leaves the volume list out, as 0.9 did."""
        data = tarball(objects)
        keys = backup_keys(name)
        status = {"phase": "Completed", "tarballSha256": hashlib.sha256(data).hexdigest() if digest else ""}
        self.store.files[keys.tarball] = data
        self.store.files[keys.metadata] = msgspec.json.encode({"metadata": {"name": name}, "status": status})
        if volumes is not None:
            self.store.files[keys.volumes] = to_json_gz(Ledger(backup_name=name, entries=tuple(volumes)))

    def add_repository(self, namespace: str) -> None:
        """Puts in a ready repository."""
        obj: JsonObject = {
            "metadata": {"name": namespace, "namespace": "heptio-ark"},
            "spec": {"resticIdentifier": f"s3:http://minio/restic/{namespace}"},
            "status": {"phase": "Ready", "repositoryID": f"id-of-{namespace}"},
        }
        self.api.add(refs.RESTIC_REPOSITORIES, obj)

    def schedule(self, node: str = "node-1") -> None:
        """Binds claims and pods that are not."""
        for claim in self.api.list(refs.PVCS):
            self._bind(claim)
        for pod in self.api.list(refs.PODS):
            spec = pod["spec"]
            if isinstance(spec, dict) and not spec.get("nodeName"):
                spec["nodeName"] = node
                self.api.add(refs.PODS, pod)

    def restore(self, spec: RestoreSpec | None = None, stop: StopToken | None = None) -> RestoreOutcome:
        """Runs the engine."""
        return run_restore(self.job(spec or RestoreSpec(backup_name="b1")), stop or StopToken())

    def job(self, spec: RestoreSpec) -> RestoreJob:
        """The engine's input."""
        return RestoreJob(
            restore=Restore(metadata=ObjectMeta(name="r1", namespace="heptio-ark", uid=RESTORE_UID), spec=spec),
            client=self.api.client,
            discover=self.discover,
            store=self.store,
            volumes=self.agents,
            restic_identifier=lambda namespace: f"s3:http://minio/restic/{namespace}",
            exec_hook=self.execute,
            helper_image="ark:test",
            clock=self.clock,
        )

    def discover(self) -> Discovery:
        """What the API server serves."""
        return discover(self.api.client)

    def results(self) -> RestoreResults:
        """The results file."""
        return decode_results(self.store.files[restore_keys("b1", "r1").results])

    def log(self) -> str:
        """The log file."""
        return gzip.decompress(self.store.files[restore_keys("b1", "r1").log]).decode()

    def _bind(self, claim: JsonObject) -> None:
        spec, metadata = claim["spec"], claim["metadata"]
        if isinstance(spec, dict) and isinstance(metadata, dict) and not spec.get("volumeName"):
            name = f"pvc-{metadata['uid']}"
            spec["volumeName"] = name
            self.api.add(refs.PVCS, claim)
            self.api.add(refs.PVS, {"metadata": {"name": name}, "spec": {"csi": {"driver": "csi.test"}}})


def captured(namespace: str, pod: str, volume: str, *, claim: str = "", snapshot: str = "5" * 64) -> LedgerEntry:
    """An entry of a volume list."""
    return LedgerEntry(
        namespace=namespace,
        pod=pod,
        volume=volume,
        claim_name=claim,
        state=EntryState.CAPTURED,
        snapshot_id=snapshot,
        repository=namespace,
        repository_id=f"id-of-{namespace}",
        bytes=100,
    )


def tarball(objects: Iterable[JsonObject]) -> bytes:
    """The objects as a backup's tarball."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for obj in objects:
            body = msgspec.json.encode(obj)
            info = tarfile.TarInfo(_path(obj))
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return raw.getvalue()


def _path(obj: JsonObject) -> str:
    metadata = obj["metadata"]
    assert isinstance(metadata, dict)
    refs_by_kind = {(ref.api_version, ref.kind): ref for ref in (*RESOURCES, *MORE, WIDGETS)}
    ref = refs_by_kind[str(obj["apiVersion"]), str(obj["kind"])]
    where = f"namespaces/{metadata['namespace']}" if ref.namespaced else "cluster"
    return f"resources/{ref.group_resource}/{where}/{metadata['name']}.json"
