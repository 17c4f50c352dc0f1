"""Everything at once for some seconds; `make soak` runs it for minutes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pkg.kube.client import Client
from pkg.testing.faultbench import Account
from pkg.testing.faultproxy import FaultProxy
from pkg.testing.soak import Place, Soak
from pkg.testing.soak_place import Tokens, running_pod
from pkg.testing.standin_process import StandInNode

SECONDS = 20.0


def test_handlers_know_the_truth_after_random_faults_beside_commands_in_a_pod(
    direct: Client,
    fault_proxy: FaultProxy,
    fault_account: Account,
    fault_kubeconfig: Path,
    stand_in: StandInNode,
    namespace: str,
) -> None:
    seed = int(os.environ.get("SEED", "7"))
    place = Place(
        direct=direct,
        proxy=fault_proxy,
        kubeconfig=fault_kubeconfig,
        namespace=f"soak-{secrets.token_hex(4)}",
        pod=(namespace, running_pod(direct, namespace, stand_in.name)),
        renew=Tokens(fault_kubeconfig.parent / "token", fault_account).renew,
    )
    report = Soak(place, seed).run(SECONDS)
    assert report.executed > 1, report
    assert report.writes > 40, report
    assert sum(report.hits.values()) > 10, report
