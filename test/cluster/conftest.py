"""One cluster for the whole run, started by the first test that asks for it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.testing.access import ClusterAccess, existing_cluster
from pkg.testing.cluster import Cluster


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


@pytest.fixture
def cluster_workdir(tmp_path: Path) -> Path:
    """A place for one more cluster, whatever ARK_TEST_EXISTING_CLUSTER says."""
    _skip_without_root()
    return tmp_path / "cluster"


def _skip_without_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("a cluster with nodes needs root: it makes namespaces, mounts and control groups")
