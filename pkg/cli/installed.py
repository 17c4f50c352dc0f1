"""What of Ark runs in the cluster: the server's Deployment and the agents' DaemonSet."""

from __future__ import annotations

import msgspec

from pkg.apis.meta import ApiStruct, Object
from pkg.cli.client import Connection
from pkg.kube.errors import NotFoundError
from pkg.kube.resources import ResourceRef

DEPLOYMENTS = ResourceRef(group="apps", plural="deployments", kind="Deployment")
SERVER_DEPLOYMENT = "ark"


class _Container(ApiStruct, frozen=True, kw_only=True):
    image: str = ""


class _PodSpec(ApiStruct, frozen=True, kw_only=True):
    containers: tuple[_Container, ...] = ()


class _Template(ApiStruct, frozen=True, kw_only=True):
    spec: _PodSpec = _PodSpec()


class _Spec(ApiStruct, frozen=True, kw_only=True):
    template: _Template = _Template()


class _Status(ApiStruct, frozen=True, kw_only=True):
    ready_replicas: int = 0


class Deployment(Object, frozen=True, kw_only=True):
    """The fields of a Deployment that say what runs."""

    spec: _Spec = _Spec()
    status: _Status = _Status()


def server_image(connection: Connection, *, timeout_seconds: float) -> str:
    """`IMAGE (ready)`, or that there is none; asks once and not for long."""
    path = DEPLOYMENTS.path(connection.namespace, SERVER_DEPLOYMENT)
    try:
        answer = connection.client.transport.request("GET", path, timeout_seconds=timeout_seconds)
    except NotFoundError:
        return f"not installed in namespace {connection.namespace}"
    found = msgspec.json.decode(answer.body, type=Deployment)
    images = [container.image for container in found.spec.template.spec.containers]
    state = "ready" if found.status.ready_replicas else "not ready"
    return f"{images[0] if images else 'no image'} ({state})"
