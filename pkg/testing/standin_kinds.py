"""What the stand-in node reads of the API's objects, where the slim core kinds of the product do not have it."""

import msgspec

from pkg.apis import core
from pkg.apis.meta import ApiStruct, Object


class EnvVar(ApiStruct, frozen=True, kw_only=True):
    """A variable of a container's environment."""

    name: str = ""
    value: str = ""
    value_from: dict[str, dict[str, object]] | None = None


class ProgramContainer(core.Container, frozen=True, kw_only=True):
    """A container with what it runs."""

    command: tuple[str, ...] | None = None
    env: tuple[EnvVar, ...] | None = None


class PodSpec(core.PodSpec, frozen=True, kw_only=True):
    """What a kubelet must know besides."""

    restart_policy: str = "Always"
    service_account_name: str = ""
    containers: tuple[ProgramContainer, ...] | None = None


class Pod(Object, frozen=True, kw_only=True):
    """A pod as its kubelet sees it."""

    spec: PodSpec = PodSpec()
    status: core.PodStatus = core.PodStatus()


class ClaimSpec(core.PersistentVolumeClaimSpec, frozen=True, kw_only=True):
    """What a provisioner must know besides."""

    access_modes: tuple[str, ...] | None = None
    resources: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)


class Claim(Object, frozen=True, kw_only=True):
    """A PersistentVolumeClaim as its provisioner sees it."""

    spec: ClaimSpec = ClaimSpec()
    status: core.PersistentVolumeClaimStatus = core.PersistentVolumeClaimStatus()


class Phase(ApiStruct, frozen=True, kw_only=True):
    """A status that has a phase."""

    phase: str = ""


class PersistentVolume(core.PersistentVolume, frozen=True, kw_only=True):
    """A volume as its provisioner sees it."""

    status: Phase = Phase()


class StorageClass(Object, frozen=True, kw_only=True):
    """A storage class."""

    provisioner: str = ""
    reclaim_policy: str = "Delete"
    volume_binding_mode: str = "Immediate"
