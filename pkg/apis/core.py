"""Slim core kinds: only the fields Ark reads, so that a cache of them stays small.

They are decoded from the API and never written back.
"""

from __future__ import annotations

import datetime

import msgspec

from pkg.apis.meta import ApiStruct, LabelSelector, Object, ObjectReference


class PersistentVolumeClaimVolumeSource(ApiStruct, frozen=True, kw_only=True):
    """A claim in a pod."""

    claim_name: str = ""
    read_only: bool = False


class EphemeralVolumeSource(ApiStruct, frozen=True, kw_only=True):
    """A generic ephemeral volume: its claim is `<pod>-<volume>`."""


class Present(ApiStruct, frozen=True, kw_only=True):
    """A source of which only its presence matters."""


class EmptyDirSource(ApiStruct, frozen=True, kw_only=True):
    """A directory that lives as long as the pod; with a medium (Memory, HugePages) it is a mount."""

    medium: str = ""


class CsiInlineSource(ApiStruct, frozen=True, kw_only=True):
    """A CSI volume without a claim."""

    driver: str = ""


class Volume(ApiStruct, frozen=True, kw_only=True):
    """A volume of a pod; the sources that Ark tells apart."""

    name: str = ""
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    empty_dir: EmptyDirSource | None = None
    host_path: Present | None = None
    secret: Present | None = None
    config_map: Present | None = None
    downward_api: Present | None = msgspec.field(default=None, name="downwardAPI")
    projected: Present | None = None
    csi: CsiInlineSource | None = None
    nfs: Present | None = None


class VolumeMount(ApiStruct, frozen=True, kw_only=True):
    """Where a container sees a volume."""

    name: str = ""
    mount_path: str = ""


class VolumeDevice(ApiStruct, frozen=True, kw_only=True):
    """Where a container sees a raw block volume."""

    name: str = ""


class Container(ApiStruct, frozen=True, kw_only=True):
    """A container."""

    name: str = ""
    image: str = ""
    args: tuple[str, ...] | None = None
    volume_mounts: tuple[VolumeMount, ...] | None = None
    volume_devices: tuple[VolumeDevice, ...] | None = None


class Toleration(ApiStruct, frozen=True, kw_only=True):
    """What a pod puts up with."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""


class PodSpec(ApiStruct, frozen=True, kw_only=True):
    """The spec fields Ark reads."""

    node_name: str = ""
    volumes: tuple[Volume, ...] | None = None
    containers: tuple[Container, ...] | None = None
    init_containers: tuple[Container, ...] | None = None
    node_selector: dict[str, str] | None = None
    tolerations: tuple[Toleration, ...] | None = None


class ContainerStateRunning(ApiStruct, frozen=True, kw_only=True):
    """It runs."""

    started_at: datetime.datetime | None = None


class ContainerStateTerminated(ApiStruct, frozen=True, kw_only=True):
    """It ended, and how."""

    reason: str = ""
    exit_code: int = 0
    started_at: datetime.datetime | None = None
    finished_at: datetime.datetime | None = None


class ContainerState(ApiStruct, frozen=True, kw_only=True):
    """One of the states."""

    waiting: Present | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(ApiStruct, frozen=True, kw_only=True):
    """A container's state, and how it ended the time before."""

    name: str = ""
    ready: bool = False
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodCondition(ApiStruct, frozen=True, kw_only=True):
    """A condition of a pod."""

    type: str = ""
    status: str = ""


class PodStatus(ApiStruct, frozen=True, kw_only=True):
    """The status fields Ark reads."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[PodCondition, ...] | None = None
    container_statuses: tuple[ContainerStatus, ...] | None = None
    init_container_statuses: tuple[ContainerStatus, ...] | None = None


class Pod(Object, frozen=True, kw_only=True):
    """A pod."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class PersistentVolumeClaimSpec(ApiStruct, frozen=True, kw_only=True):
    """The spec fields Ark reads."""

    volume_name: str = ""
    volume_mode: str = ""
    storage_class_name: str | None = None


class PersistentVolumeClaimStatus(ApiStruct, frozen=True, kw_only=True):
    """Its phase."""

    phase: str = ""


class PersistentVolumeClaim(Object, frozen=True, kw_only=True):
    """A claim."""

    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()


class CsiPersistentVolumeSource(ApiStruct, frozen=True, kw_only=True):
    """A CSI volume."""

    driver: str = ""
    volume_handle: str = ""


class PersistentVolumeSpec(ApiStruct, frozen=True, kw_only=True):
    """The spec fields Ark reads; a source other than these is recognised by the directory it is mounted in."""

    csi: CsiPersistentVolumeSource | None = None
    host_path: Present | None = None
    local: Present | None = None
    nfs: Present | None = None
    volume_mode: str = ""
    persistent_volume_reclaim_policy: str = ""
    claim_ref: ObjectReference | None = None


class PersistentVolume(Object, frozen=True, kw_only=True):
    """A volume."""

    spec: PersistentVolumeSpec = PersistentVolumeSpec()


class Taint(ApiStruct, frozen=True, kw_only=True):
    """What keeps pods off a node."""

    key: str = ""
    value: str = ""
    effect: str = ""


class NodeSpec(ApiStruct, frozen=True, kw_only=True):
    """Its taints."""

    taints: tuple[Taint, ...] | None = None


class NodeCondition(ApiStruct, frozen=True, kw_only=True):
    """A condition of a node, and since when it is so."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_transition_time: datetime.datetime | None = None


class NodeStatus(ApiStruct, frozen=True, kw_only=True):
    """Its conditions."""

    conditions: tuple[NodeCondition, ...] | None = None


class Node(Object, frozen=True, kw_only=True):
    """A node."""

    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class Namespace(Object, frozen=True, kw_only=True):
    """A namespace."""


class Secret(Object, frozen=True, kw_only=True):
    """A Secret; values are base64. Its repr shows no data."""

    data: dict[str, str] | None = None

    def __repr__(self) -> str:
        return f"Secret({self.metadata.key}, keys={sorted(self.data or {})})"


class ConfigMap(Object, frozen=True, kw_only=True):
    """A ConfigMap."""

    data: dict[str, str] | None = None


class PodTemplate(ApiStruct, frozen=True, kw_only=True):
    """A pod's template."""

    spec: PodSpec = PodSpec()


class DaemonSetSpec(ApiStruct, frozen=True, kw_only=True):
    """The spec fields Ark reads."""

    selector: LabelSelector = LabelSelector()
    template: PodTemplate = PodTemplate()


class DaemonSet(Object, frozen=True, kw_only=True):
    """A DaemonSet."""

    spec: DaemonSetSpec = DaemonSetSpec()
