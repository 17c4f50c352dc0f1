"""What tests do with a cluster, whoever started it: an admin's kubectl, and identities for processes.

A product process in a test must hold no more rights than it will have in production, so it gets a service
account's token or a certificate with named groups; only the tests themselves use the admin's kubeconfig.
"""

import base64
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pkg.testing.assets import binary
from pkg.testing.kubeconfig import by_token, write_kubeconfig
from pkg.testing.processes import HarnessError

TOKEN_LIFETIME = "24h"


class ClusterAccess:
    """A cluster that answers.

    Args:
        kubeconfig: of an administrator.
        server_url: of the API server.
        ca_file: what its certificate is checked against.
        cache: directory for kubectl's discovery cache.
        prefix: command words put before kubectl, such as `nsenter --net=…`.
    """

    def __init__(
        self, *, kubeconfig: Path, server_url: str, ca_file: Path, cache: Path, prefix: Sequence[str] = ()
    ) -> None:
        self.kubeconfig = kubeconfig
        self.server_url = server_url
        self.ca_file = ca_file
        self.prefix = tuple(prefix)
        self._cache = cache

    def kubectl(self, *arguments: str, stdin: str = "", timeout_seconds: float = 60) -> str:
        """Run kubectl as administrator and return what it printed.

        Raises:
            HarnessError: when it fails; the message has what it wrote to standard error.
        """
        own = ["--kubeconfig", str(self.kubeconfig), "--cache-dir", str(self._cache)]
        command = [*self.prefix, str(binary("kubectl")), *own, *arguments]
        try:
            asked = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            raise HarnessError(f"kubectl {' '.join(arguments)}: no end in {timeout_seconds} s") from None
        if asked.returncode:
            raise HarnessError(f"kubectl {' '.join(arguments)}: {asked.stderr.strip()}")
        return asked.stdout

    def apply(self, manifest: object) -> None:
        """Apply one object, given as what would be its JSON."""
        self.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(manifest))

    def kubeconfig_for_service_account(self, namespace: str, name: str, path: Path) -> Path:
        """Write a kubeconfig with a fresh token of a service account; returns its path."""
        asked = f"--namespace={namespace}", f"--duration={TOKEN_LIFETIME}"
        token = self.kubectl("create", "token", name, *asked).strip()
        return write_kubeconfig(path, server_url=self.server_url, ca_file=self.ca_file, user=by_token(token))


def existing_cluster(workdir: Path) -> ClusterAccess | None:
    """Return the cluster of KUBECONFIG's current context if ARK_TEST_EXISTING_CLUSTER=1 asks for it."""
    if os.environ.get("ARK_TEST_EXISTING_CLUSTER") != "1":
        return None
    if not os.environ.get("KUBECONFIG"):
        raise HarnessError("ARK_TEST_EXISTING_CLUSTER=1 needs KUBECONFIG to say which cluster")
    shown = subprocess.run(
        [binary("kubectl"), "config", "view", "--minify", "--flatten", "--raw", "--output=json"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    kubeconfig, ca_file = workdir / "kubeconfig", workdir / "ca.crt"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(shown.stdout)
    cluster = json.loads(shown.stdout)["clusters"][0]["cluster"]
    ca_file.write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
    return ClusterAccess(
        kubeconfig=kubeconfig, server_url=cluster["server"], ca_file=ca_file, cache=workdir / "kubectl-cache"
    )
