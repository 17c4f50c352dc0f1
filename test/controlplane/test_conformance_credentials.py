"""Certificates and tokens that change while informers run: nobody restarts anything, nothing is lost."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from pkg.kube.client import Client
from pkg.testing.access import ClusterAccess
from pkg.testing.faultbench import FaultBench, RunningReflector
from pkg.testing.faultproxy import FaultProxy
from pkg.testing.faultproxy_faults import Fault, Kind
from pkg.testing.faultproxy_request import Verb
from pkg.testing.pki import Authority, Credentials
from pkg.testing.processes import wait_until


class Site:
    """A proxy that knows clients by certificate too, and the kubeconfig that leads through it."""

    def __init__(self, access: ClusterAccess, token: str, directory: Path) -> None:
        self.authority = Authority(directory / "clients")
        self.proxy = FaultProxy(
            access.server_url,
            directory / "proxy",
            upstream_ca_file=access.ca_file,
            client_ca_file=self.authority.ca_file,
        )
        self.kubeconfig = directory / "kubeconfig"
        self._token = token

    def issue(self) -> Credentials:
        """A new certificate of the client, in the same files as the one before."""
        return self.authority.issue("client", common_name="client")

    def write_kubeconfig(self, client: Credentials, *, embedded: bool) -> None:
        cluster, user = {"server": self.proxy.url}, {"token": self._token}
        for entry, key, file in (
            (cluster, "certificate-authority", self.proxy.ca_file),
            (user, "client-certificate", client.certificate_file),
            (user, "client-key", client.key_file),
        ):
            if embedded:
                entry[f"{key}-data"] = base64.b64encode(file.read_bytes()).decode()
            else:
                entry[key] = str(file)
        content = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [{"name": "k", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        }
        self.kubeconfig.write_text(json.dumps(content))


@pytest.fixture
def site(control_plane: ClusterAccess, fault_token: str, tmp_path: Path) -> Iterator[Site]:
    made = Site(control_plane, fault_token, tmp_path)
    yield made
    made.proxy.close()


@pytest.fixture(params=[True, False], ids=["in the kubeconfig", "in files of their own"])
def embedded(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def faults(site: Site, direct: Client, embedded: bool) -> Iterator[FaultBench]:
    site.write_kubeconfig(site.issue(), embedded=embedded)
    made = FaultBench(direct, site.proxy, site.kubeconfig, f"test-{secrets.token_hex(4)}")
    yield made
    made.close()


def knows_first(running: RunningReflector) -> None:
    """Waits for the object, be it by an event or by a list."""
    wait_until(
        lambda: running.sink.seen[-1:] in (["ADDED first"], ["replace first"]), timeout_seconds=20, what="the object"
    )


def test_a_server_certificate_of_the_same_authority_is_not_noticed(faults: FaultBench) -> None:
    with faults.reflector() as running:
        running.sink.wait_for("replace")
        faults.wait_for_requests(1, Verb.WATCH)
        faults.proxy.rotate_certificate()
        faults.proxy.drop_connections()
        faults.create("first")
        knows_first(running)


def test_a_new_authority_is_trusted_when_the_kubeconfig_has_it(faults: FaultBench, site: Site, embedded: bool) -> None:
    client = site.issue()
    site.write_kubeconfig(client, embedded=embedded)
    with faults.reflector() as running:
        running.sink.wait_for("replace")
        faults.wait_for_requests(1, Verb.WATCH)
        faults.proxy.rotate_certificate(new_authority=True)
        site.write_kubeconfig(client, embedded=embedded)
        faults.proxy.drop_connections()
        faults.create("first")
        knows_first(running)


def test_a_client_certificate_that_expired_is_read_again(faults: FaultBench, site: Site, embedded: bool) -> None:
    old = site.issue()
    site.write_kubeconfig(old, embedded=embedded)
    with faults.reflector() as running:
        running.sink.wait_for("replace")
        faults.wait_for_requests(1, Verb.WATCH)
        expired = x509.load_pem_x509_certificate(old.certificate_file.read_bytes()).serial_number
        site.write_kubeconfig(site.issue(), embedded=embedded)
        everything = frozenset({Verb.LIST, Verb.WATCH, Verb.GET})
        refusal = Fault(kind=Kind.STATUS, code=401, reason="Unauthorized", identity=expired, verbs=everything)
        faults.proxy.switch_on(refusal)
        faults.proxy.switch_on(Fault(kind=Kind.CLOSE, times=1))
        faults.create("first")
        knows_first(running)
    assert faults.requests(Verb.LIST, Verb.WATCH)[-1].identity != expired
