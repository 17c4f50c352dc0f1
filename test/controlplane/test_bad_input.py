"""Bad input gets a clear answer in status and on the command line, within seconds, and never a stack trace."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from pkg.testing.application import Application
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import wait_until

FAILED, PARTIALLY_FAILED, FAILED_VALIDATION = 1, 2, 3
ANNOTATION = "backup.ark.heptio.com/backup-volumes"


def unique(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(3)}"


def status_of(installation: Installation, kind: str, name: str) -> dict[str, object]:
    status = installation.get(kind, name)["status"]
    assert isinstance(status, dict)
    return status


def back_up(installation: Installation, *options: str, name: str = "") -> tuple[str, int, str]:
    name = name or unique("bad")
    done = installation.ark("backup", "create", name, *options, "--wait", "--timeout", "60s", check=False)
    output = done.stdout + done.stderr
    assert "Traceback" not in output
    return name, done.returncode, output


@pytest.fixture
def default_config(installation: Installation) -> Iterator[None]:
    yield
    installation.apply_config()
    backup = unique("healthy")
    wait_until(
        lambda: back_up(installation, "--include-namespaces", "default", name=unique(backup))[1] == 0,
        timeout_seconds=90,
        what="the Config to be in force again",
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        pytest.param(["--include-namespaces", "no-such-place"], "no-such-place", id="a namespace that does not exist"),
        pytest.param(["--include-resources", "gizmos"], "gizmos", id="a resource that does not exist"),
        pytest.param(
            ["--include-namespaces", "default", "--exclude-namespaces", "default"], "default", id="in and out at once"
        ),
    ],
)
def test_a_backup_that_cannot_mean_anything_is_refused(
    installation: Installation, options: list[str], text: str
) -> None:
    name, code, output = back_up(installation, *options)
    status = status_of(installation, "backup", name)
    assert status["phase"] == "FailedValidation"
    assert text in str(status["validationErrors"])
    assert code == FAILED_VALIDATION
    assert text in output


@pytest.mark.parametrize("name", ["restic", "backups", "restores", "metadata"])
def test_a_reserved_name_is_refused(installation: Installation, name: str) -> None:
    _, code, output = back_up(installation, "--include-namespaces", "default", name=name)
    assert code == FAILED_VALIDATION
    assert name in output


def test_an_invalid_selector_is_refused_before_anything_is_sent(installation: Installation) -> None:
    done = installation.ark("backup", "create", unique("sel"), "--selector", "a in (", check=False)
    assert done.returncode == 64
    assert "selector" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_invalid_selector_in_the_object_is_refused_by_the_server(installation: Installation) -> None:
    name = unique("sel")
    backup = {
        "apiVersion": "ark.heptio.com/v1",
        "kind": "Backup",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"labelSelector": {"matchExpressions": [{"key": "a", "operator": "Near", "values": ["b"]}]}},
    }
    installation.access.apply(backup)
    wait_until(
        lambda: '"FailedValidation"' in json.dumps(installation.get("backup", name).get("status")),
        timeout_seconds=60,
        what=f"{name} to be refused",
    )
    status = status_of(installation, "backup", name)
    assert status["phase"] == "FailedValidation"
    assert "Near" in str(status["validationErrors"])


def test_a_restore_of_a_backup_that_does_not_exist_is_refused(installation: Installation) -> None:
    done = installation.ark("restore", "create", unique("r"), "--from-backup", "never-made", "--wait", check=False)
    assert done.returncode in (FAILED, FAILED_VALIDATION)
    assert "never-made" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_restore_object_of_a_backup_that_does_not_exist_is_refused_by_the_server(installation: Installation) -> None:
    name = unique("r")
    restore = {
        "apiVersion": "ark.heptio.com/v1",
        "kind": "Restore",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"backupName": "never-made"},
    }
    installation.access.apply(restore)
    wait_until(
        lambda: '"FailedValidation"' in json.dumps(installation.get("restore", name).get("status")),
        timeout_seconds=60,
        what="the Restore to be refused",
    )
    assert "never-made" in str(status_of(installation, "restore", name)["validationErrors"])


def test_a_missing_config_is_named(installation: Installation, default_config: None) -> None:
    with installation.config_seen():
        installation.access.kubectl("delete", "config.ark.heptio.com", "default", "-n", NAMESPACE)
    name, code, output = back_up(installation)
    assert code == FAILED_VALIDATION
    assert status_of(installation, "backup", name)["reason"] == "ConfigMissing"
    assert "Config" in output


def test_a_restic_location_that_is_the_bucket_itself_is_refused(
    installation: Installation, default_config: None
) -> None:
    installation.apply_config(resticLocation=installation.bucket)
    name, code, output = back_up(installation)
    assert code == FAILED_VALIDATION
    assert status_of(installation, "backup", name)["reason"] == "ConfigInvalid"
    assert "resticLocation" in output


def test_a_missing_bucket_fails_within_seconds(installation: Installation, default_config: None) -> None:
    installation.apply_config(bucket="never-made")
    name, code, output = back_up(installation)
    assert code == FAILED
    assert status_of(installation, "backup", name)["reason"] == "BucketMissing"
    assert "never-made" in output


def test_wrong_credentials_fail_within_seconds(
    installation: Installation, default_config: None, tmp_path: Path
) -> None:
    credentials = next(path for path in installation.credentials_files() if "server" in str(path))
    right = credentials.read_text()
    try:
        credentials.write_text("[default]\naws_access_key_id = nobody\naws_secret_access_key = wrong-wrong\n")
        installation.apply_config(config={**installation.store_config(), "region": "minio", "touched": "1"})
        name, code, output = back_up(installation)
    finally:
        credentials.write_text(right)
    assert code == FAILED
    assert status_of(installation, "backup", name)["reason"] == "CredentialsRefused"
    assert "wrong-wrong" not in output


def test_every_volume_that_cannot_be_captured_has_its_reason(installation: Installation) -> None:
    annotations = {ANNOTATION: "data, hosts, loose, phantom, settings"}
    application = Application(
        installation.access, installation.nodes["node1"], unique("reasons"), annotations=annotations
    )
    application.deploy(
        {"name": "hosts", "hostPath": {"path": "/tmp"}},
        {"name": "loose", "emptyDir": {}},
        {"name": "settings", "configMap": {"name": "kube-root-ca.crt"}},
        mounted=("hosts", "settings"),
    )
    name, code, output = back_up(installation, "--include-namespaces", application.namespace)
    assert code == PARTIALLY_FAILED
    status = status_of(installation, "backup", name)
    assert status["phase"] == "PartiallyFailed"
    entries = json.loads(json.dumps(status["volumes"]))["entries"]
    reasons = {entry["volume"]: entry.get("reason", "") for entry in entries}
    assert reasons["hosts"] == "HostPath"
    assert reasons["loose"] == "NotMounted"
    assert reasons["phantom"] == "UnknownVolume"
    assert "HostPath" in output or "hosts" in output
    described = installation.ark("backup", "describe", name, "--details").stdout
    assert "phantom" in described
    assert "UnknownVolume" in described


def test_a_pod_that_is_not_running_is_told(installation: Installation) -> None:
    namespace = unique("pending")
    access = installation.access
    access.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stuck", "namespace": namespace, "annotations": {ANNOTATION: "scratch"}},
        "spec": {
            "nodeSelector": {"never": "there"},
            "containers": [
                {"name": "c", "image": "none", "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}
            ],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        },
    }
    access.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=20s")
    access.apply(pod)
    name, code, _ = back_up(installation, "--include-namespaces", namespace)
    assert code == PARTIALLY_FAILED
    assert "NotRunning" in json.dumps(status_of(installation, "backup", name))


def test_a_node_that_the_daemon_set_excludes_is_told_at_once(installation: Installation) -> None:
    application = Application(installation.access, installation.nodes["node1"], unique("tainted"))
    application.deploy()
    access = installation.access
    patch = {"spec": {"template": {"spec": {"nodeSelector": {"agents": "wanted"}}}}}
    access.kubectl("patch", "daemonset", "restic", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(patch))
    try:
        wait_until(
            lambda: not installation.objects("pods", selector="name=restic"),
            timeout_seconds=60,
            what="the agent's pod to go away",
        )
        name, code, output = back_up(installation, "--include-namespaces", application.namespace)
    finally:
        remove = [{"op": "remove", "path": "/spec/template/spec/nodeSelector"}]
        access.kubectl("patch", "daemonset", "restic", "-n", NAMESPACE, "--type=json", "-p", json.dumps(remove))
        installation.replace_agent("node1")
    assert code == PARTIALLY_FAILED
    text = json.dumps(status_of(installation, "backup", name))
    assert "NoAgent" in text
    assert "agents=wanted" in text
    assert "node1" in output
