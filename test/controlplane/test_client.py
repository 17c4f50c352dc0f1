"""The client in front of a real API server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from pkg.apis.meta import Object
from pkg.kube.client import Client
from pkg.kube.discovery import discover
from pkg.kube.errors import BadRequestError, ForbiddenError, InvalidError, TransportError, UnauthorizedError
from pkg.kube.quick import quick_transport
from pkg.kube.refs import CONFIG_MAPS, NAMESPACES, PODS, SECRETS
from pkg.kube.transport import KubeTransport, load_transport
from pkg.testing.access import ClusterAccess
from pkg.testing.client_contract import CASES, Case
from pkg.testing.kubeconfig import by_token, write_kubeconfig


@pytest.fixture(scope="module")
def transport(control_plane: ClusterAccess) -> Iterator[KubeTransport]:
    made = load_transport(str(control_plane.kubeconfig))
    yield made
    made.close()


@pytest.fixture
def client(transport: KubeTransport) -> Client:
    return Client(transport)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.__name__) for case in CASES])
def test_the_contract_of_the_client(case: Case, client: Client, namespace: str) -> None:
    case(client, namespace)


@pytest.mark.parametrize("case", [pytest.param(case, id=case.__name__) for case in CASES])
def test_the_command_lines_quick_transport_keeps_the_contract_too(
    case: Case, control_plane: ClusterAccess, namespace: str
) -> None:
    quick = quick_transport(str(control_plane.kubeconfig))
    assert quick is not None, "the control plane's kubeconfig has certificates only"
    case(Client(quick), namespace)
    quick.close()


def test_discovery_knows_short_names_and_prefers_one_version(client: Client) -> None:
    found = discover(client)
    assert found.warnings == ()
    names = {"deploy": "deployments.apps", "po": "pods", "pvc": "persistentvolumeclaims", "events": "events"}
    for name, expected in names.items():
        resource = found.resolve(name)
        assert resource is not None
        assert resource.ref.group_resource == expected
    preferred = [resource.ref.group_resource for resource in found.preferred()]
    assert len(preferred) == len(set(preferred))


def test_a_name_that_is_not_valid_is_invalid_with_its_field(client: Client, namespace: str) -> None:
    with pytest.raises(InvalidError) as raised:
        client.create_raw(CONFIG_MAPS, namespace, {"metadata": {"name": "Not Valid"}})
    assert raised.value.causes[0][1] == "metadata.name"


def test_a_continue_token_that_is_not_one_is_a_bad_request(client: Client) -> None:
    with pytest.raises(BadRequestError):
        client.list_page(PODS, continue_token="garbage")


def test_a_service_account_without_rights_is_forbidden(
    control_plane: ClusterAccess, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    control_plane.kubectl("create", "serviceaccount", "nobody", "--namespace", namespace)
    path = tmp_path_factory.mktemp("kube") / "kubeconfig"
    control_plane.kubeconfig_for_service_account(namespace, "nobody", path)
    limited = load_transport(str(path))
    with pytest.raises(ForbiddenError, match="nobody"):
        Client(limited).list(SECRETS, namespace, Object)
    limited.close()


def test_a_token_that_the_server_does_not_know_is_unauthorized(
    control_plane: ClusterAccess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("kube") / "kubeconfig"
    write_kubeconfig(path, server_url=control_plane.server_url, ca_file=control_plane.ca_file, user=by_token("old"))
    refused = load_transport(str(path))
    with pytest.raises(UnauthorizedError):
        Client(refused).get(NAMESPACES, "", "default", Object)
    refused.close()


def test_a_reader_of_an_idle_watch_is_left_alone_and_released_by_a_shutdown(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pkg.kube.transport.OPEN_STREAM_SECONDS", 0.3)
    version = client.list_page(CONFIG_MAPS, namespace).resource_version
    while True:
        with contextlib.suppress(TransportError):  # a slow machine takes longer to begin
            stream = client.watch(CONFIG_MAPS, namespace, resource_version=version, timeout_seconds=300)
            break
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(stream.read(1000)))
    reader.start()
    time.sleep(1.0)
    assert reader.is_alive()
    stream.shutdown()
    reader.join(30)
    assert read == [b""]
    stream.close()


def test_a_server_that_is_not_there_is_a_transport_error(
    control_plane: ClusterAccess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("kube") / "kubeconfig"
    write_kubeconfig(path, server_url="https://127.0.0.1:1", ca_file=control_plane.ca_file, user=by_token("any"))
    nobody = load_transport(str(path))
    with pytest.raises(TransportError, match="refused"):
        Client(nobody).get(NAMESPACES, "", "default", Object)
    nobody.close()
