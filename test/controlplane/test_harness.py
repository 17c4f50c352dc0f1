"""The harness itself: what every other test of this tier leans on."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from pkg.testing.access import ClusterAccess
from pkg.testing.assets import REPOSITORY
from pkg.testing.controlplane import PROGRAMS, ControlPlane
from pkg.testing.minio import Minio
from pkg.testing.processes import HarnessError, wait_until


def whoami(control_plane: ClusterAccess, kubeconfig: Path) -> tuple[str, set[str]]:
    """The user and groups that the API server sees behind a kubeconfig."""
    shown = control_plane.kubectl("auth", "whoami", "--output=json", "--kubeconfig", str(kubeconfig))
    user = json.loads(shown)["status"]["userInfo"]
    return user["username"], set(user["groups"])


def test_the_api_server_is_ready_and_of_the_pinned_version(control_plane: ClusterAccess) -> None:
    assert control_plane.kubectl("get", "--raw=/readyz") == "ok"
    shown = json.loads(control_plane.kubectl("version", "--output=json"))
    assert shown["serverVersion"]["gitVersion"].startswith("v1.34.")


def test_an_administrator_creates_objects(control_plane: ClusterAccess, namespace: str) -> None:
    control_plane.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings", "namespace": namespace},
            "data": {"colour": "blue"},
        }
    )
    shown = control_plane.kubectl("get", "configmap", "settings", "-n", namespace, "-o=jsonpath={.data.colour}")
    assert shown == "blue"


def test_the_controller_manager_works(control_plane: ClusterAccess, namespace: str) -> None:
    wait_until(
        lambda: "default" in control_plane.kubectl("get", "serviceaccounts", "-n", namespace, "-o=name"),
        timeout_seconds=60,
        what="the namespace's default service account",
    )


def test_a_service_account_is_itself_and_no_administrator(
    control_plane: ClusterAccess, namespace: str, tmp_path: Path
) -> None:
    control_plane.kubectl("create", "serviceaccount", "ark", "-n", namespace)
    kubeconfig = control_plane.kubeconfig_for_service_account(namespace, "ark", tmp_path / "kubeconfig")
    user, groups = whoami(control_plane, kubeconfig)
    assert user == f"system:serviceaccount:{namespace}:ark"
    assert "system:masters" not in groups
    with pytest.raises(HarnessError, match="forbidden"):
        control_plane.kubectl("get", "secrets", "--all-namespaces", "--kubeconfig", str(kubeconfig))


def test_a_certificate_user_has_the_named_groups_only(control_plane: ClusterAccess) -> None:
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("a cluster of one's own issues no certificates to us")
    user, groups = whoami(control_plane, control_plane.user_kubeconfig("jane", ["developers"]))
    assert (user, groups) == ("jane", {"developers", "system:authenticated"})


def test_a_killed_api_server_comes_back_with_its_objects(control_plane: ClusterAccess, namespace: str) -> None:
    if not isinstance(control_plane, ControlPlane):
        pytest.skip("a cluster of one's own is not killed")
    control_plane.process("kube-apiserver").kill()
    with pytest.raises(HarnessError):
        control_plane.kubectl("get", "--raw=/readyz")
    control_plane.start()
    assert namespace in control_plane.kubectl("get", "namespaces", "--output=name")


def test_minio_takes_an_object_and_honours_conditional_puts(minio: Minio, bucket: str) -> None:
    store = S3Store(
        bucket,
        endpoint=minio.endpoint,
        access_key_id=minio.access_key,
        secret_access_key=minio.secret_key,
        client_options={"allow_http": True},
    )
    obstore.put(store, "nightly/ark-backup.json", b"{}", mode="create")
    assert bytes(obstore.get(store, "nightly/ark-backup.json").bytes()) == b"{}"
    with pytest.raises(obstore.exceptions.AlreadyExistsError):
        obstore.put(store, "nightly/ark-backup.json", b"other", mode="create")


# Whoever runs the tests: this tier must not lean on any capability that root has.
DROPPED = "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all", "--no-new-privs"
UNPRIVILEGED = ("setpriv", *DROPPED, "--") if os.geteuid() == 0 else ()
SUPERVISOR = """
    import signal
    import sys
    from contextlib import ExitStack
    from pathlib import Path
    from pkg.testing.controlplane import ControlPlane
    from pkg.testing.minio import Minio

    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it ignored
    workdir = Path(sys.argv[1])
    with ExitStack() as stack:
        processes = [stack.enter_context(Minio(workdir / "minio")).process]
        if "control-plane" in sys.argv:
            processes += stack.enter_context(ControlPlane(workdir / "control-plane")).processes
        print(*(process.pid for process in processes), flush=True)
        sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("number", "more"),
    [
        pytest.param(None, [], id="a supervisor that ends by itself stops its server"),
        pytest.param(signal.SIGINT, [], id="a supervisor that is interrupted stops its server"),
        pytest.param(signal.SIGKILL, ["control-plane"], id="a supervisor that is killed takes all its servers with it"),
    ],
)
def test_no_process_stays_behind(tmp_path: Path, number: signal.Signals | None, more: list[str]) -> None:
    with subprocess.Popen(
        [*UNPRIVILEGED, sys.executable, "-c", textwrap.dedent(SUPERVISOR), tmp_path, *more],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as supervisor:
        assert supervisor.stdin
        assert supervisor.stdout
        pids = [int(word) for word in supervisor.stdout.readline().split()]
        assert len(pids) == 1 + (len(PROGRAMS) if more else 0)
        assert all(map(runs, pids))
        if number is None:
            supervisor.stdin.close()
        else:
            supervisor.send_signal(number)
        supervisor.wait(60)
    wait_until(lambda: not any(map(runs, pids)), timeout_seconds=30, what="the servers to end")


def runs(pid: int) -> bool:
    """Whether a process lives; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_program_that_cannot_start_is_named_with_its_log(tmp_path: Path) -> None:
    broken = ControlPlane(tmp_path, extra_arguments={"kube-apiserver": ["--no-such-flag"]})
    with pytest.raises(HarnessError, match=r"kube-apiserver has ended\n(.*\n)*.*unknown flag: --no-such-flag"):
        broken.start()
    assert not any(process.is_running for process in broken.processes)
