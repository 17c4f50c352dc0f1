"""A server whose definitions are of another version says so, and says what to type."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from pkg.apis.names import SCHEMA_HASH_ANNOTATION
from pkg.testing.installation import Installation
from pkg.testing.processes import wait_until

CRD = "crd/backups.ark.heptio.com"


def readiness(installation: Installation) -> tuple[int, str]:
    address = installation.metrics_address(installation.server)
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.fixture
def another_version(installation: Installation) -> Iterator[None]:
    """The definitions in the cluster are older than the server, which starts anew."""
    access, server = installation.access, installation.server
    path = f"{{.metadata.annotations.{SCHEMA_HASH_ANNOTATION.replace('.', chr(92) + '.')}}}"
    own = access.kubectl("get", CRD, "-o", f"jsonpath={path}")
    access.kubectl("annotate", CRD, "--overwrite", f"{SCHEMA_HASH_ANNOTATION}=of-another-version")
    server.stop()
    server.start()
    yield
    access.kubectl("annotate", CRD, "--overwrite", f"{SCHEMA_HASH_ANNOTATION}={own}")
    server.stop()
    server.start()
    installation.wait_ready()


def test_definitions_of_another_version_keep_the_server_from_being_ready(
    installation: Installation, another_version: None
) -> None:
    code, told = wait_until(
        lambda: answer if "backups.ark.heptio.com" in (answer := readiness(installation))[1] else None,
        timeout_seconds=90,
        what="the server to name the definition",
        watched=[installation.server],
    )
    assert code == 500
    assert "kubectl apply --server-side -f config/crd" in told
