"""The parts of a bundle: what is asked of the cluster, and into which file each answer goes.

Each part stands for itself: one that is forbidden, missing or broken is a line in `problems.txt`, and the others
are collected all the same. Secrets are never asked for.
"""

from __future__ import annotations

import functools
import http.client
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from pkg import __version__
from pkg.apis.meta import Json, JsonObject
from pkg.cli.client import Connection
from pkg.cli.debug_redaction import redacted, scrubbed
from pkg.cli.installed import DEPLOYMENTS, server_image
from pkg.cli.reading import named_objects
from pkg.cli.tables import name_of
from pkg.kube.errors import KubeError
from pkg.kube.refs import ARK_KINDS, CRDS, DAEMON_SETS, EVENTS, JOBS, PODS
from pkg.kube.resources import ResourceRef

MOST_OBJECTS = 5000
LOG_BYTES = 10 << 20
METRICS_PORT = 8085
_ANSWER_SECONDS = 20.0
_WORKLOADS = (DEPLOYMENTS, DAEMON_SETS, JOBS, EVENTS)


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the bundle, and what gives its text."""

    path: str
    text: Callable[[], str]


def parts(connection: Connection, *, log_lines: int) -> Iterator[Part]:
    """Everything, in order; pods are asked for when their part is reached."""
    yield Part("versions.txt", functools.partial(versions, connection))
    for ref in ARK_KINDS:
        yield Part(f"objects/{ref.plural}.json", functools.partial(objects_text, connection, ref))
    for ref in _WORKLOADS:
        yield Part(f"workloads/{ref.plural}.json", functools.partial(objects_text, connection, ref))
    yield Part("workloads/definitions.json", functools.partial(definitions_text, connection))
    pods: list[JsonObject] = []
    yield Part("workloads/pods.json", functools.partial(_pods_text, connection, pods))
    for pod in pods:
        yield from _pod_parts(connection, pod, log_lines)


def versions(connection: Connection) -> str:
    """What runs here and there."""
    cluster = connection.client.transport.request("GET", "/version", timeout_seconds=_ANSWER_SECONDS).body.decode()
    server = server_image(connection, timeout_seconds=_ANSWER_SECONDS)
    return (
        f"client: v{__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        f"server: {server}\nnamespace: {connection.namespace}\nkubernetes: {cluster}\n"
    )


def objects_text(connection: Connection, ref: ResourceRef) -> str:
    """All objects of a kind in Ark's namespace, without secrets."""
    return _json([redacted(obj) for obj in _objects(connection, ref)])


def definitions_text(connection: Connection) -> str:
    """Which definitions of Ark's kinds are installed: names, versions and hashes of their schemas, not the schemas."""
    found = [obj for obj in _objects(connection, CRDS) if name_of(obj).endswith(".ark.heptio.com")]
    return _json([{"metadata": redacted(obj.get("metadata")), "status": redacted(obj.get("status"))} for obj in found])


def _objects(connection: Connection, ref: ResourceRef) -> list[JsonObject]:
    found: list[JsonObject] = []
    for page in connection.client.list_pages(ref, connection.namespace if ref.namespaced else ""):
        found += named_objects(ref, page.items)
        if len(found) >= MOST_OBJECTS:
            break
    return found


def _pods_text(connection: Connection, pods: list[JsonObject]) -> str:
    pods += [pod for pod in _objects(connection, PODS) if _is_ours(pod)]
    return _json([redacted(pod) for pod in pods])


def _is_ours(pod: JsonObject) -> bool:
    """The server, an agent, or a Job of ours; not what else runs in the namespace, such as a store."""
    labels = _map(_map(pod.get("metadata")).get("labels"))
    return (
        labels.get("component") == "ark"
        or labels.get("name") == "restic"
        or any(name.startswith("ark.heptio.com/") for name in labels)
    )


def _pod_parts(connection: Connection, pod: JsonObject, log_lines: int) -> Iterator[Part]:
    name = name_of(pod)
    for container, restarted in _containers(pod):
        yield Part(f"logs/{name}/{container}.log", functools.partial(log_text, connection, name, container, log_lines))
        if restarted:
            earlier = functools.partial(log_text, connection, name, container, log_lines, previous=True)
            yield Part(f"logs/{name}/{container}.previous.log", earlier)
    if _map(pod.get("status")).get("phase") == "Running":
        yield Part(f"metrics/{name}.txt", functools.partial(metrics_text, connection, name))


def _containers(pod: JsonObject) -> list[tuple[str, bool]]:
    """Names of the containers that have begun, and whether they were restarted."""
    status = _map(pod.get("status"))
    found = []
    for field in ("initContainerStatuses", "containerStatuses"):
        entries = status.get(field)
        for entry in entries if isinstance(entries, list) else []:
            one = _map(entry)
            found.append((str(one.get("name")), bool(one.get("restartCount"))))
    return found


def log_text(connection: Connection, pod: str, container: str, lines: int, *, previous: bool = False) -> str:
    """The last lines that a container wrote, without what looks like a secret."""
    query = {"container": container, "tailLines": str(lines), "limitBytes": str(LOG_BYTES)}
    query |= {"previous": "true"} if previous else {}
    path = PODS.path(connection.namespace, pod, "log")
    answer = connection.client.transport.request(
        "GET", path, query=query, accept="*/*", timeout_seconds=_ANSWER_SECONDS
    )
    return scrubbed(answer.body.decode(errors="replace"))


def metrics_text(connection: Connection, pod: str) -> str:
    """A pod's metrics, by port-forward."""
    with connection.forward(pod, METRICS_PORT) as (host, port):
        asked = http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
        asked.request("GET", "/metrics")
        answer = asked.getresponse()
        if answer.status != 200:
            raise KubeError(f"/metrics answered {answer.status}")
        return scrubbed(answer.read().decode(errors="replace"))


def _json(value: Json | list[Json]) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode() + "\n"


def _map(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}
