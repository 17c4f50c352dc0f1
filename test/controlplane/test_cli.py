"""The command line as a process against a real API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pkg.testing.access import ClusterAccess
from pkg.testing.assets import REPOSITORY, binary
from pkg.testing.ports import free_port

CRD_DIRECTORY = Path(REPOSITORY) / "config" / "crd"
Ark = Callable[..., subprocess.CompletedProcess[str]]


def run(kubeconfig: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "KUBECONFIG": kubeconfig, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "pkg.cli.ark", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


@pytest.fixture
def ark(control_plane: ClusterAccess, namespace: str) -> Ark:
    control_plane.kubectl("apply", "--server-side", "--filename", str(CRD_DIRECTORY))
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(CRD_DIRECTORY))
    return lambda *arguments: run(str(control_plane.kubeconfig), "-n", namespace, *arguments)


def test_a_backup_is_created_listed_and_described(ark: Ark) -> None:
    made = ark("backup", "create", "b1", "--include-namespaces", "default", "-l", "app=web", "--snapshot-volumes")
    assert (made.returncode, made.stderr) == (0, "")
    assert ark("backup", "get").stdout.splitlines()[1].split() == ["b1", "New", "<n/a>", "29d", "app=web"]
    assert json.loads(ark("backup", "get", "b1", "-o", "json").stdout)["spec"]["labelSelector"] == {
        "matchLabels": {"app": "web"}
    }
    assert "Label selector:  app=web" in ark("backup", "describe", "b1", "--details").stdout
    assert ark("backup", "create", "b1").returncode == 1


def test_a_restore_is_created_listed_and_described(ark: Ark) -> None:
    ark("backup", "create", "b1")
    assert ark("restore", "create", "r1", "--from-backup", "b1", "--namespace-mappings", "a:b").returncode == 0
    assert ark("get", "restores").stdout.splitlines()[1].split()[:3] == ["r1", "b1", "New"]
    assert "a=b" in ark("describe", "restore", "r1").stdout
    assert ark("restic", "repo", "get").returncode == 0


def test_waiting_times_out_with_124(ark: Ark) -> None:
    waited = ark("backup", "create", "b1", "--wait", "--timeout", "2s")
    assert waited.returncode == 124
    assert "goes on" in waited.stderr


def test_a_name_that_the_server_refuses_is_one_sentence(ark: Ark) -> None:
    refused = ark("backup", "create", "Not_A_Name")
    assert refused.returncode == 1
    assert refused.stderr.startswith('An error occurred: backup "Not_A_Name" is refused: ')
    assert refused.stderr.count("\n") == 1


def test_a_log_without_a_server_times_out_and_leaves_no_request(
    ark: Ark, control_plane: ClusterAccess, namespace: str
) -> None:
    ark("backup", "create", "b1")
    status = '{"status":{"phase":"Completed"}}'
    control_plane.kubectl(
        "-n", namespace, "patch", "backup.ark.heptio.com", "b1", "--subresource=status", "--type=merge", "-p", status
    )
    asked = ark("backup", "logs", "b1", "--timeout", "1s")
    assert asked.returncode == 124
    assert "timed out waiting for download URL" in asked.stderr
    assert not str(control_plane.kubectl("-n", namespace, "get", "downloadrequests", "-o", "name")).strip()


def test_no_cluster_is_one_sentence_in_seconds(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    cluster = {"name": "c", "cluster": {"server": f"https://127.0.0.1:{free_port()}"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    users = [{"name": "u", "user": {"token": "t"}}]
    content = {"clusters": [cluster], "contexts": [context], "users": users, "current-context": "c"}
    kubeconfig.write_text(json.dumps(content))
    for path in (str(kubeconfig), str(tmp_path / "not-there")):
        began = time.monotonic()
        failed = run(path, "backup", "get")
        assert failed.returncode == 1
        assert failed.stderr.startswith("An error occurred: ")
        assert (failed.stderr.count("\n"), "Traceback" in failed.stderr) == (1, False)
        assert time.monotonic() - began < 40  # and not the minutes of a server that is waited for


def test_a_wrong_flag_ends_the_process_with_64(control_plane: ClusterAccess) -> None:
    refused = run(str(control_plane.kubeconfig), "backup", "get", "-o", "xml")
    assert refused.returncode == 64


def test_a_reader_that_goes_away_hears_no_complaint() -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    line = f"{sys.executable} -m pkg.cli.ark --help | true"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""


def test_kubectl_runs_it_as_its_plug_in(control_plane: ClusterAccess, tmp_path: Path) -> None:
    plugin = tmp_path / "kubectl-ark"
    plugin.write_text(f"#!{sys.executable}\nfrom pkg.cli.ark import main\nmain()\n")
    plugin.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(REPOSITORY),
        "KUBECONFIG": str(control_plane.kubeconfig),
    }

    def kubectl(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(binary("kubectl")), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    assert kubectl("ark", "version", "--client-only").stdout.startswith("Version: v")
    assert kubectl("ark", "backup", "--help").stdout.startswith("Usage: kubectl ark backup ")
    refused = kubectl("ark", "backup", "get", "-o", "xml")
    assert (refused.returncode, "kubectl ark backup get" in refused.stderr) == (64, True)
