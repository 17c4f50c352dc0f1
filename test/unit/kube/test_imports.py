"""What importing costs: the kubernetes package takes half a second, and `ark --help` must not pay for it."""

from __future__ import annotations

import subprocess
import sys

LIGHT = ("pkg.kube.client", "pkg.kube.discovery", "pkg.kube.backoff", "pkg.informers.factory")


def test_only_the_transport_imports_the_kubernetes_package() -> None:
    program = f"import sys, {', '.join(LIGHT)}; print('kubernetes' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "False"
