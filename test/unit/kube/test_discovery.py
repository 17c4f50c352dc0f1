"""What a name means, and a group that does not answer."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from pkg.apis.meta import Json, JsonObject
from pkg.kube.client import Client
from pkg.kube.discovery import Discovery, discover
from pkg.kube.errors import KubeError, NotFoundError, ServerError, TransportError
from pkg.kube.stop import StopToken
from pkg.kube.wire import JSON_TYPE, REQUEST_SECONDS, ByteStream, Response


def served(name: str, kind: str, *, namespaced: bool = True, **more: Json) -> JsonObject:
    plain: JsonObject = {"name": name, "kind": kind, "namespaced": namespaced, "singularName": kind.lower()}
    return plain | {"verbs": ["list", "get"]} | more


def group(name: str, *versions: str, preferred: str) -> JsonObject:
    listed: list[Json] = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {
        "name": name,
        "versions": listed,
        "preferredVersion": {"groupVersion": f"{name}/{preferred}", "version": preferred},
    }


class Server:
    """A `Transport` that serves discovery from a dict of paths; what is an exception is raised."""

    def __init__(self) -> None:
        groups: list[Json] = [
            group("apps", "v1", preferred="v1"),
            group("autoscaling", "v1", "v2", preferred="v2"),
            group("events.k8s.io", "v1", preferred="v1"),
            group("metrics.k8s.io", "v1beta1", preferred="v1beta1"),
        ]
        hpa = served("horizontalpodautoscalers", "HorizontalPodAutoscaler", shortNames=["hpa"])
        self.answers: dict[str, list[Json] | KubeError] = {
            "/api/v1": [
                served("pods", "Pod", shortNames=["po"], categories=["all"]),
                served("pods/log", "Pod"),
                served("events", "Event", shortNames=["ev"]),
                served("namespaces", "Namespace", namespaced=False, shortNames=None),
            ],
            "/apis/apps/v1": [
                served("deployments", "Deployment", shortNames=["deploy"]),
                served("deployments/scale", "Scale"),
            ],
            "/apis/autoscaling/v1": [hpa, served("oldthings", "OldThing")],
            "/apis/autoscaling/v2": [hpa],
            "/apis/events.k8s.io/v1": [served("events", "Event", shortNames=["ev"])],
            "/apis/metrics.k8s.io/v1beta1": ServerError("the server is currently unable", code=503),
        }
        self.groups: list[Json] = groups

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON_TYPE,
        accept: str = JSON_TYPE,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Response:
        content: JsonObject = {"groups": self.groups}
        if path != "/apis":
            answer = self.answers.get(path, NotFoundError("no", code=404))
            if isinstance(answer, KubeError):
                raise answer
            content = {"resources": answer}
        return Response(status=200, headers={}, body=msgspec.json.encode(content))

    def until(self, stop: StopToken) -> Server:
        return self

    def open_stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        read_timeout_seconds: float,
        accept: str = JSON_TYPE,
    ) -> ByteStream:
        raise TransportError("no streams here")


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def found(server: Server) -> Discovery:
    return discover(Client(server))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pods", "pods/v1"),
        ("po", "pods/v1"),
        ("Pod", "pods/v1"),
        ("deploy", "deployments.apps/v1"),
        ("DEPLOYMENTS", "deployments.apps/v1"),
        ("deployments.apps", "deployments.apps/v1"),
        ("deployment.apps", "deployments.apps/v1"),
        ("deployments.v1.apps", "deployments.apps/v1"),
        ("hpa", "horizontalpodautoscalers.autoscaling/v2"),
        ("oldthing", "oldthings.autoscaling/v1"),
        ("events", "events/v1"),
        ("ev", "events/v1"),
        ("events.events.k8s.io", "events.events.k8s.io/v1"),
        (" pods ", "pods/v1"),
    ],
)
def test_a_name_is_resolved_as_kubectl_does(found: Discovery, name: str, expected: str) -> None:
    resource = found.resolve(name)
    assert resource is not None
    assert str(resource.ref) == expected


@pytest.mark.parametrize("name", ["", "pods/log", "nothing", "pods.apps", "deployments/scale"])
def test_what_is_not_served_is_none(found: Discovery, name: str) -> None:
    assert found.resolve(name) is None


def test_each_resource_is_preferred_in_one_version(found: Discovery) -> None:
    preferred = [str(resource.ref) for resource in found.preferred()]
    assert preferred.count("horizontalpodautoscalers.autoscaling/v2") == 1
    assert "horizontalpodautoscalers.autoscaling/v1" not in preferred
    assert "horizontalpodautoscalers.autoscaling/v1" in [str(resource.ref) for resource in found.all_versions()]


def test_a_group_that_does_not_answer_is_skipped_with_a_warning(found: Discovery) -> None:
    assert len(found.warnings) == 1
    assert "metrics.k8s.io/v1beta1" in found.warnings[0]
    assert found.resolve("pods") is not None


@pytest.mark.parametrize("error", [TransportError("refused"), NotFoundError("gone", code=404)])
def test_whatever_the_group_fails_with_the_others_are_found(server: Server, error: KubeError) -> None:
    server.answers["/apis/apps/v1"] = error
    found = discover(Client(server))
    assert found.resolve("deploy") is None
    assert found.resolve("hpa") is not None


def test_a_core_group_that_does_not_answer_is_an_error(server: Server) -> None:
    server.answers["/api/v1"] = TransportError("refused")
    with pytest.raises(TransportError):
        discover(Client(server))


def test_kinds_are_found_by_version(found: Discovery) -> None:
    assert found.serves("apps/v1", "Deployment")
    assert not found.serves("apps/v1beta1", "Deployment")
    resource = found.for_kind("v1", "Namespace")
    assert resource is not None
    assert not resource.ref.namespaced
    assert resource.can("list")
    assert not resource.can("list", "create")
