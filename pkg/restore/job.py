"""What a restore needs and gives: its inputs, its outcome, and the interfaces to the world around it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, TypeVar

from pkg.apis.ark import ItemProgress, Restore, VolumeCounts
from pkg.apis.core import Pod
from pkg.apis.meta import JsonObject
from pkg.apis.names import DEFAULT_NAMESPACE
from pkg.apis.reasons import BackupPhase, Reason
from pkg.apis.volumes import PodVolumeRestoreSpec, PodVolumeRestoreStatus
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.kube.discovery import Discovery
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken

T = TypeVar("T")

# The stop token's reason that means "the Restore's spec.cancel", not "this process ends".
CANCELED = str(Reason.CANCELED)


class RestoreApi(Protocol):
    """What a restore does with the Kubernetes API; `pkg.kube.client.Client` is one."""

    def get_raw(self, ref: ResourceRef, namespace: str, name: str) -> JsonObject:
        """Reads an object."""
        ...

    def list(self, ref: ResourceRef, namespace: str, struct: type[T], *, label_selector: str = "") -> list[T]:
        """Reads all objects of a namespace."""
        ...

    def create_raw(self, ref: ResourceRef, namespace: str, obj: JsonObject) -> JsonObject:
        """Creates an object."""
        ...

    def patch_raw(self, ref: ResourceRef, namespace: str, name: str, patch: JsonObject) -> JsonObject:
        """Merges a patch into an object."""
        ...


class BackupFiles(Protocol):
    """What a restore does with the bucket; every `pkg.objectstore.store.ObjectStore` is one."""

    def get(self, key: str) -> bytes:
        """Reads a small file."""
        ...

    def get_to_file(self, key: str, file: BinaryIO) -> object:
        """Copies a file into an open one."""
        ...

    def put(self, key: str, data: bytes) -> object:
        """Writes a file."""
        ...


class VolumeRestorer(Protocol):
    """The node agents' side of a restore, as the server sees it."""

    def pods(self, restore_uid: str) -> list[Pod]:
        """The pods that carry this restore's label, as they are now."""
        ...

    def start(self, name: str, spec: PodVolumeRestoreSpec, labels: Mapping[str, str]) -> str:
        """Creates a PodVolumeRestore owned by the Restore, or adopts its own of that name; returns why it must not."""
        ...

    def status(self) -> Mapping[str, PodVolumeRestoreStatus]:
        """The statuses of this restore's PodVolumeRestores by name."""
        ...

    def wait_changed(self, stop: StopToken, seconds: float) -> bool:
        """Waits until a pod or a PodVolumeRestore changed, at most that long; whether the token is cancelled."""
        ...

    def agent_verdict(self, node: str) -> tuple[Reason, str] | None:
        """Why no agent will serve that node, with a sentence; None while one does or may yet come."""
        ...


class HookAnswer(Protocol):
    """How a command in a container ended; `pkg.kube.exec.ExecResult` is one."""

    @property
    def stderr(self) -> bytes:
        """The end of its error output."""
        ...

    @property
    def exit_code(self) -> int:
        """Its exit code."""
        ...


class ExecHook(Protocol):
    """Runs a command in a container; raises a KubeError where nobody knows how it ended."""

    def __call__(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: tuple[str, ...],
        timeout_seconds: float,
        *,
        stop: StopToken,
    ) -> HookAnswer:
        """Blocks until the command has ended."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreProgress:
    """How far a restore is."""

    items: ItemProgress
    volumes: VolumeCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreOutcome:
    """How a restore ended; the fields are those of its status."""

    phase: BackupPhase
    reason: Reason | None = None
    message: str = ""
    warnings: int = 0
    errors: int = 0
    items: ItemProgress = field(default_factory=ItemProgress)
    volumes: VolumeCounts = field(default_factory=VolumeCounts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreJob:
    """A restore to do; may be done again after a crash at any line.

    Attributes:
        restore: The Restore, validated.
        discover: Asks the API server what it serves now.
        store: The bucket that the backup is in.
        restic_identifier: The restic address of a namespace's repository, by today's configuration.
        publish: Takes a file for the bucket (key, contents); a restore-only server keeps it elsewhere. None writes
            into the store.
        exec_hook: Runs a post-restore hook.
        helper_image: The image of restic-wait, unless a ConfigMap names another.
        priorities: Config's resourcePriorities; None for the built-in order.
        pod_timeout_seconds: How long nothing at all may change while volumes are waited for.
        on_progress: Called often; whoever writes it down limits the rate.
    """

    restore: Restore
    client: RestoreApi
    discover: Callable[[], Discovery]
    store: BackupFiles
    volumes: VolumeRestorer
    restic_identifier: Callable[[str], str]
    exec_hook: ExecHook
    helper_image: str
    publish: Callable[[str, bytes], None] | None = None
    ark_namespace: str = DEFAULT_NAMESPACE
    priorities: tuple[str, ...] | None = None
    pod_timeout_seconds: float = 1200.0
    namespace_timeout_seconds: float = 600.0
    definition_timeout_seconds: float = 120.0
    repository_timeout_seconds: float = 300.0
    on_progress: Callable[[RestoreProgress], None] = lambda progress: None
    clock: Clock = REAL_CLOCK
    scratch_dir: str | None = None
