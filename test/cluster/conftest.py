"""One cluster for the whole run, started by the first test that asks for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.testing.access import ClusterAccess, existing_cluster
from pkg.testing.assets import REPOSITORY
from pkg.testing.cluster import Cluster

CONFIG = REPOSITORY / "config"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterAccess]:
    """A cluster with a node: our own, or the user's when ARK_TEST_EXISTING_CLUSTER=1."""
    workdir = tmp_path_factory.mktemp("cluster")
    if theirs := existing_cluster(workdir):
        yield theirs
        return
    _skip_without_root()
    with Cluster(workdir) as ours:
        yield ours


@pytest.fixture(scope="session")
def own_cluster(cluster: ClusterAccess) -> Cluster:
    """The cluster where a test looks behind the API, at nodes and processes."""
    if not isinstance(cluster, Cluster):
        pytest.skip("looks at nodes, which only the cluster made by the tests shows")
    return cluster


@pytest.fixture(scope="session")
def shipped(own_cluster: Cluster) -> Iterator[Cluster]:
    """Apply everything as the README says, and take it away again."""
    crds = str(CONFIG / "crd")
    own_cluster.kubectl("apply", "-f", crds)
    own_cluster.kubectl("wait", "--for=condition=Established", "-f", crds, "--timeout=30s")
    own_cluster.kubectl("apply", "-k", str(CONFIG / "minio"))  # the demo takes the other way that the README names
    for workload in ("deployment/minio", "deployment/ark", "daemonset/restic"):
        own_cluster.kubectl("rollout", "status", workload, "-n", "heptio-ark", "--timeout=120s", timeout_seconds=130)
    yield own_cluster
    own_cluster.kubectl("delete", "namespace", "heptio-ark", timeout_seconds=90)


@pytest.fixture
def cluster_workdir(tmp_path: Path) -> Path:
    """A place for one more cluster, whatever ARK_TEST_EXISTING_CLUSTER says."""
    _skip_without_root()
    return tmp_path / "cluster"


def _skip_without_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("a cluster with nodes needs root: it makes namespaces, mounts and control groups")
