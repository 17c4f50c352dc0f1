"""A repository with locks, its object, pods and Secret, on an API server and a bucket in memory.

The world can kill whoever works in it before any call, as `pkg.testing.fakedeletion` does.
"""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pkg.apis.ark import Config
from pkg.apis.holders import HolderPod
from pkg.apis.meta import Json, JsonObject
from pkg.apis.volumes import ResticRepository
from pkg.controllers.config import ConfigReconciler
from pkg.kube.client import Client
from pkg.kube.refs import CONFIGS, NAMESPACES, NODES, PODS, RESTIC_REPOSITORIES, SECRETS
from pkg.restic.command import Command
from pkg.restic.environment import ResticEnvironment
from pkg.restic.finished import Finished
from pkg.restic.locks import LockContent
from pkg.restic.messages import ExitError
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakedeletion import CLUSTER, NAMESPACE, Calls, CountedTransport, StoresInMemory
from pkg.testing.fakerestic import FakeRestic
from pkg.testing.fakes import FakeLister
from pkg.testing.fakestore import FakeStore
from pkg.workqueue.key import Key

KEY = Key(NAMESPACE, "shop")
PASSWORD = "secret"


@dataclass(slots=True)
class LockWorld:
    """A cluster with one repository, `shop`.

    Attributes:
        path: Where the local store of the Config lies; nothing is written there.
        locks: Id to what restic would say is in the lock; the files are in `store`.
    """

    path: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(automatic=True))
    calls: Calls = field(default_factory=Calls)
    restic: FakeRestic = field(default_factory=FakeRestic)
    store: FakeStore = field(default_factory=FakeStore)
    locks: dict[str, LockContent] = field(default_factory=dict)
    configs: FakeLister[Config] = field(default_factory=FakeLister)
    repositories: FakeLister[ResticRepository] = field(default_factory=FakeLister)
    pods: FakeLister[HolderPod] = field(default_factory=FakeLister)
    api: FakeApi = field(init=False)

    def __post_init__(self) -> None:
        self.api = FakeApi(clock=self.clock)
        self.store.before = lambda verb, key: self.calls.count()
        self.restic.script = self._answer
        self.configure()
        secret: JsonObject = {"name": "ark-restic-credentials", "namespace": NAMESPACE}
        data: JsonObject = {"repository-password": base64.b64encode(PASSWORD.encode()).decode()}
        self.api.add(SECRETS, {"metadata": secret, "data": data})
        self.api.add(NAMESPACES, {"metadata": {"name": "kube-system", "uid": CLUSTER}})
        self.api.add(RESTIC_REPOSITORIES, self._repository())
        self.node("node1", ready=True)
        self.sync()

    @property
    def place(self) -> str:
        """The repository's address."""
        return f"{self.path}/bucket/restic/shop"

    @property
    def client(self) -> Client:
        """A client whose requests are counted."""
        return Client(CountedTransport(self.api, self.calls))

    @property
    def left(self) -> set[str]:
        """The ids of the locks that are there."""
        return {key.rpartition("/")[2] for key in self.store.objects if key.startswith("shop/locks/")}

    @property
    def holders(self) -> dict[str, Json]:
        """What the repository's status says of holders."""
        found = self.api.get(RESTIC_REPOSITORIES, NAMESPACE, "shop")
        status = found.get("status") if found else None
        holders = status.get("holders") if isinstance(status, dict) else None
        return holders if isinstance(holders, dict) else {}

    def configure(self, *, restore_only: bool = False) -> None:
        """Writes the Config."""
        provider: JsonObject = {"name": "local", "bucket": "bucket", "config": {"path": str(self.path)}}
        metadata: JsonObject = {"name": "default", "namespace": NAMESPACE}
        self.api.add(
            CONFIGS, {"metadata": metadata, "backupStorageProvider": provider, "restoreOnlyMode": restore_only}
        )

    def stores(self) -> StoresInMemory:
        """The server's stores."""
        return StoresInMemory(ConfigReconciler(self.configs, {}, NAMESPACE), FakeStore(), self.store)

    def lock(self, digit: str, host: str, *, seconds_ago: float = 60, pid: int = 7, exclusive: bool = False) -> str:
        """Puts a lock there; returns its id."""
        lock_id = digit * 64
        time = self.clock.now() - datetime.timedelta(seconds=seconds_ago)
        self.locks[lock_id] = LockContent(time=time, hostname=host, pid=pid, exclusive=exclusive, username="root")
        self.store.objects[f"shop/locks/{lock_id}"] = b"sealed"
        return lock_id

    def node(self, name: str, *, ready: bool) -> None:
        """Puts a node there."""
        conditions: Json = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
        self.api.add(NODES, {"metadata": {"name": name}, "status": {"conditions": conditions}})

    def pod(self, name: str, uid: str, **status: Json) -> None:
        """Puts a pod of Ark's there."""
        self.api.add(PODS, {"metadata": {"name": name, "namespace": NAMESPACE, "uid": uid}, "status": status})
        self.sync()

    def hold(self, uid: str, pod: str, *, host: str = "", started: str = "2020-01-01T00:00:00Z") -> None:
        """Records a holder."""
        entry: JsonObject = {"pod": pod, "node": "node1", "host": host or pod, "startedAt": started}
        body: JsonObject = {"status": {"holders": {uid: entry}}}
        self.api.client.patch_raw(RESTIC_REPOSITORIES, NAMESPACE, "shop", body, subresource="status")
        self.sync()

    def sync(self) -> None:
        """Lets the caches see what the API server has."""
        api = self.api.client
        self.configs.objects = {"c": api.get(CONFIGS, NAMESPACE, "default", Config)}
        self.configs.objects = {one.metadata.key: one for one in self.configs.objects.values()}
        self.repositories.objects = {
            one.metadata.key: one for one in api.list(RESTIC_REPOSITORIES, NAMESPACE, ResticRepository)
        }
        self.pods.objects = {one.metadata.key: one for one in api.list(PODS, NAMESPACE, HolderPod)}

    def _answer(self, command: Command, environment: ResticEnvironment | None) -> Finished | None:
        self.calls.count()
        if command.verb == "list locks":
            text = "".join(f"{one}\n" for one in sorted(self.left))
            return Finished(verb=command.verb, repository=self.place, exit_code=0, stdout=text.encode())
        if command.verb != "cat lock":
            return None
        content = self.locks[command.arguments[2]]
        if command.arguments[2] not in self.left:
            gone = ExitError(code=1, message="Load(<lock/1>) failed: file does not exist")
            return Finished(verb=command.verb, repository=self.place, exit_code=1, messages=(gone,))
        return Finished(verb=command.verb, repository=self.place, exit_code=0, stdout=msgspec.json.encode(content))

    def _repository(self) -> JsonObject:
        return {
            "metadata": {"name": "shop", "namespace": NAMESPACE},
            "spec": {"volumeNamespace": "shop", "resticIdentifier": self.place},
            "status": {"phase": "Ready", "repositoryID": "r1", "clusterID": CLUSTER, "passwordGeneration": 1},
        }
