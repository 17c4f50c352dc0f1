"""One real control plane and one MinIO for all tests of this tier; a namespace and a bucket for each test."""

import secrets
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from pkg.kube.client import Client
from pkg.kube.transport import load_transport
from pkg.testing.access import ClusterAccess, existing_cluster
from pkg.testing.backends import Backends
from pkg.testing.controlplane import ControlPlane
from pkg.testing.faultbench import Account, FaultBench, proxied_kubeconfig
from pkg.testing.faultproxy import FaultProxy
from pkg.testing.installation import Installation
from pkg.testing.minio import Minio
from pkg.testing.processes import Process
from pkg.testing.standin_exec import APISERVER_ARGUMENTS
from pkg.testing.standin_process import StandInNode

WATCHED = pytest.StashKey[list[Process]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[WATCHED] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the servers' logs beside a failure."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {process.name}", process.tail()) for process in item.config.stash[WATCHED]]
    return report


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[ClusterAccess]:
    workdir = tmp_path_factory.mktemp("control-plane")
    if existing := existing_cluster(workdir):
        yield existing
        return
    with ControlPlane(workdir, extra_arguments={"kube-apiserver": APISERVER_ARGUMENTS}) as started:
        pytestconfig.stash[WATCHED] += started.processes
        yield started


@pytest.fixture(scope="session")
def minio(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Minio]:
    with Minio(tmp_path_factory.mktemp("minio")) as started:
        pytestconfig.stash[WATCHED].append(started.process)
        yield started


@pytest.fixture(scope="session")
def backends(minio: Minio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backends]:
    """Give the tests every kind of store, each started when it is first asked for."""
    with Backends(tmp_path_factory.mktemp("backends"), minio) as started:
        yield started


@pytest.fixture(scope="session")
def stand_in(
    control_plane: ClusterAccess, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[StandInNode]:
    """Give the control plane a node on which pods run without containers.

    It is another one than the installation's `node1`, and its taint keeps the pods of other tests away.
    """
    with StandInNode(tmp_path_factory.mktemp("bare"), control_plane.kubeconfig, "bare") as started:
        control_plane.kubectl("taint", "node", "bare", "standin.test/bare=:NoSchedule", "--overwrite")
        pytestconfig.stash[WATCHED].append(started.process)
        yield started


@pytest.fixture
def namespace(control_plane: ClusterAccess) -> Iterator[str]:
    """Give the test a namespace of its own; it is deleted without waiting."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def bucket(minio: Minio) -> str:
    """Give the test an empty bucket of its own."""
    return minio.make_bucket(f"test-{secrets.token_hex(4)}")


@pytest.fixture
def credentials_file(minio: Minio, tmp_path: Path) -> Path:
    """Give the test MinIO's credentials as the AWS tools' INI file."""
    return minio.write_credentials_file(tmp_path / "cloud")


@pytest.fixture(scope="session")
def installation(
    control_plane: ClusterAccess, minio: Minio, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Installation]:
    """Run Ark with one stand-in node, shared by the tests of this tier."""
    bucket = minio.make_bucket("ark")
    with Installation(control_plane, minio, tmp_path_factory.mktemp("ark"), bucket=bucket) as started:
        pytestconfig.stash[WATCHED] += started.processes
        yield started


@pytest.fixture(autouse=True)
def everything_runs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Give each test an Ark that runs, whatever the one before did, and fail a test that leaves a part of it dead."""
    if "installation" not in request.fixturenames:
        yield
        return
    shared: Installation = request.getfixturevalue("installation")
    shared.revive()
    yield
    dead = [process.name for process in shared.processes if not process.is_running]
    assert dead == [], "left dead by this test"


@pytest.fixture(scope="session")
def fault_proxy(control_plane: ClusterAccess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultProxy]:
    """Put a proxy that fails on demand in front of the API server."""
    directory = tmp_path_factory.mktemp("fault-proxy")
    with FaultProxy(control_plane.server_url, directory, upstream_ca_file=control_plane.ca_file) as started:
        yield started


@pytest.fixture(scope="session")
def fault_account(control_plane: ClusterAccess) -> Account:
    """Make an administrator who is known by tokens, because the proxy ends TLS."""
    return Account(control_plane, f"fault-test-{secrets.token_hex(4)}")


@pytest.fixture(scope="session")
def fault_token(fault_account: Account) -> str:
    """Give the tests one token of that administrator."""
    return fault_account.token()


@pytest.fixture
def fault_kubeconfig(fault_token: str, fault_proxy: FaultProxy, tmp_path: Path) -> Path:
    """Lead that administrator through the proxy."""
    return proxied_kubeconfig(fault_proxy, tmp_path / "fault-kubeconfig", fault_token)


@pytest.fixture(scope="session")
def direct(control_plane: ClusterAccess) -> Iterator[Client]:
    """Give the tests a client that no fault touches."""
    transport = load_transport(str(control_plane.kubeconfig))
    yield Client(transport)
    transport.close()


@pytest.fixture
def faults(direct: Client, fault_proxy: FaultProxy, fault_kubeconfig: Path) -> Iterator[FaultBench]:
    """Give the test ConfigMaps that are written directly and read through the proxy."""
    made = FaultBench(direct, fault_proxy, fault_kubeconfig, f"test-{secrets.token_hex(4)}")
    yield made
    made.close()
