"""The shipped manifests fit the code and each other, and give the agents no more than they need."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import msgspec
import pytest
import yaml

from pkg.apis import names
from pkg.apis.ark import Config
from pkg.cli.cache_option import DEFAULT_SIZE
from pkg.controllers.maintenance_memory import parse_quantity
from pkg.objectstore.location import storage_location
from pkg.restic.cache import DEFAULT_LIMIT_BYTES

Yaml: TypeAlias = "dict[str, Yaml] | list[Yaml] | str | int | bool | None"
Document: TypeAlias = "dict[str, Yaml]"

CONFIG = Path(__file__).resolve().parents[2] / "config"
WORKLOADS = ("Deployment", "DaemonSet")


def documents() -> list[Document]:
    paths = sorted([*(CONFIG / "common").glob("*.yaml"), *(CONFIG / "minio").glob("*.yaml")])
    return [document for path in paths for document in yaml.safe_load_all(path.read_text())]


def dig(document: Yaml, *path: str) -> Yaml:
    for step in path:
        assert isinstance(document, dict), f"no {step} in {document}"
        document = document[step]
    return document


def strings(value: Yaml) -> list[str]:
    assert isinstance(value, list)
    return [str(item) for item in value]


def mappings(value: Yaml) -> list[Document]:
    assert isinstance(value, list)
    return [item for item in value if isinstance(item, dict)]


def find(kind: str, name: str) -> Document:
    found = [one for one in documents() if one["kind"] == kind and dig(one, "metadata", "name") == name]
    assert len(found) == 1, f"{len(found)} {kind}s are named {name}"
    return found[0]


def pod(kind: str, name: str) -> Document:
    spec = dig(find(kind, name), "spec", "template", "spec")
    assert isinstance(spec, dict)
    return spec


def container(kind: str, name: str) -> Document:
    (only,) = mappings(pod(kind, name)["containers"])
    return only


def environment(kind: str, name: str) -> dict[str, Yaml]:
    return {
        str(variable["name"]): variable.get("value", variable.get("valueFrom"))
        for variable in mappings(container(kind, name)["env"])
    }


SERVER = ("Deployment", "ark")
AGENT = ("DaemonSet", names.RESTIC_DAEMONSET)
PROCESSES = [pytest.param(*SERVER, id="server"), pytest.param(*AGENT, id="agent")]


def test_everything_lies_in_arks_namespace() -> None:
    cluster_scoped = {"Namespace", "ClusterRole", "ClusterRoleBinding"}
    namespaces = {dig(one, "metadata", "namespace") for one in documents() if one["kind"] not in cluster_scoped}
    assert namespaces == {names.DEFAULT_NAMESPACE}


def test_the_config_says_where_backups_go() -> None:
    config = msgspec.convert(find("Config", names.CONFIG_NAME), Config)
    assert config.backup_storage_provider is not None
    assert storage_location(config.backup_storage_provider).bucket == "ark"


def test_the_config_has_no_field_that_the_struct_lacks() -> None:
    raw = find("Config", names.CONFIG_NAME)
    again = msgspec.to_builtins(msgspec.convert(raw, Config))
    assert set(raw) <= set(again)
    provider = dig(raw, "backupStorageProvider")
    assert isinstance(provider, dict)
    assert set(provider) <= set(again["backupStorageProvider"])


@pytest.mark.parametrize(("kind", "name"), PROCESSES)
def test_a_process_is_told_who_it_is(kind: str, name: str) -> None:
    told = {
        variable: dig(value, "fieldRef", "fieldPath")
        for variable, value in environment(kind, name).items()
        if isinstance(value, dict)
    }
    expected: dict[str, Yaml] = {
        "HEPTIO_ARK_NAMESPACE": "metadata.namespace",
        "POD_NAME": "metadata.name",
        "POD_UID": "metadata.uid",
    }
    assert told == expected | ({"NODE_NAME": "spec.nodeName"} if kind == "DaemonSet" else {})


def test_the_helpers_image_is_the_servers() -> None:
    assert environment(*SERVER)["ARK_IMAGE"] == container(*SERVER)["image"] == container(*AGENT)["image"]


@pytest.mark.parametrize(("kind", "name"), PROCESSES)
def test_paths_in_the_environment_are_mounted(kind: str, name: str) -> None:
    mounts = {str(mount["mountPath"]) for mount in mappings(container(kind, name)["volumeMounts"])}
    paths = [value for value in environment(kind, name).values() if isinstance(value, str) and value.startswith("/")]
    assert paths
    assert [path for path in paths if not any((path + "/").startswith(f"{mount}/") for mount in mounts)] == []


@pytest.mark.parametrize(("kind", "name"), [*PROCESSES, pytest.param("Deployment", "minio", id="minio")])
def test_a_container_is_locked_down(kind: str, name: str) -> None:
    context = container(kind, name)["securityContext"]
    assert isinstance(context, dict)
    assert dig(context, "allowPrivilegeEscalation") is False
    assert dig(context, "readOnlyRootFilesystem") is True
    assert dig(context, "capabilities", "drop") == ["ALL"]
    assert "privileged" not in context


@pytest.mark.parametrize("name", ["ark", "minio"])
def test_only_agents_are_root(name: str) -> None:
    context = pod("Deployment", name)["securityContext"]
    assert dig(context, "runAsNonRoot") is True
    assert dig(context, "runAsUser") == 65534


def test_agents_hold_only_the_capabilities_that_files_need() -> None:
    files = {"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "MKNOD", "SETFCAP"}
    assert set(strings(dig(container(*AGENT), "securityContext", "capabilities", "add"))) == files


def test_agents_see_volumes_mounted_after_their_start() -> None:
    (mount,) = [one for one in mappings(container(*AGENT)["volumeMounts"]) if one["mountPath"] == "/host_pods"]
    assert mount["mountPropagation"] == "HostToContainer"


def test_agents_see_the_directory_of_pods_and_nothing_else_of_the_host() -> None:
    paths = [dig(one, "hostPath", "path") for one in mappings(pod(*AGENT)["volumes"]) if "hostPath" in one]
    assert paths == ["/var/lib/kubelet/pods"]


def test_agents_run_on_every_node_that_may_be_tainted_noschedule() -> None:
    assert pod(*AGENT)["tolerations"] == [{"operator": "Exists", "effect": "NoSchedule"}]


def test_agents_roll_a_tenth_at_a_time() -> None:
    assert dig(find(*AGENT), "spec", "updateStrategy", "rollingUpdate", "maxUnavailable") == "10%"


def test_agent_pods_carry_the_label_by_which_the_server_finds_them() -> None:
    key, value = names.AGENT_POD_LABEL
    assert dig(find(*AGENT), "spec", "template", "metadata", "labels", key) == value


@pytest.mark.parametrize(("process", "seconds"), [(SERVER, 60), (AGENT, 120)], ids=["server", "agent"])
def test_a_process_gets_its_grace(process: tuple[str, str], seconds: int) -> None:
    assert pod(*process)["terminationGracePeriodSeconds"] == seconds


@pytest.mark.parametrize(("process", "limit"), [(SERVER, "1Gi"), (AGENT, "2Gi")], ids=["server", "agent"])
def test_resources_are_the_documented_defaults(process: tuple[str, str], limit: str) -> None:
    expected = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": limit}}
    assert container(*process)["resources"] == expected


def test_the_volume_behind_the_cache_is_twice_its_size() -> None:
    scratch = next(volume for volume in mappings(pod(*AGENT)["volumes"]) if volume["name"] == "scratch")
    assert dig(scratch, "emptyDir", "sizeLimit") == "8Gi"
    assert parse_quantity("8Gi") == 2 * DEFAULT_LIMIT_BYTES == 2 * parse_quantity(DEFAULT_SIZE)


@pytest.mark.parametrize("kind", WORKLOADS)
def test_selectors_select_their_own_pods(kind: str) -> None:
    for one in documents():
        if one["kind"] == kind:
            assert dig(one, "spec", "selector", "matchLabels") == dig(one, "spec", "template", "metadata", "labels")


def test_the_address_of_the_store_is_the_service() -> None:
    config = find("Config", names.CONFIG_NAME)
    service = find("Service", "minio")
    (port,) = mappings(dig(service, "spec", "ports"))
    address = f"http://minio.{names.DEFAULT_NAMESPACE}.svc:{port['port']}"
    assert dig(config, "backupStorageProvider", "config", "s3Url") == address


def rules(kind: str, name: str) -> set[tuple[str, str, str, str]]:
    return {
        (group, resource, verb, ",".join(strings(rule.get("resourceNames", []))))
        for rule in mappings(find(kind, name)["rules"])
        for group in strings(rule["apiGroups"])
        for resource in strings(rule["resources"])
        for verb in strings(rule["verbs"])
    }


def test_agents_may_do_nothing_in_the_cluster_but_read_pods_and_nodes() -> None:
    expected = {("", kind, verb, "") for kind in ("pods", "nodes") for verb in ("get", "list", "watch")}
    assert rules("ClusterRole", "ark-agent") == expected


def test_agents_may_do_only_this_in_arks_namespace() -> None:
    volumes = ("podvolumebackups", "podvolumerestores", "resticrepositories")
    expected = {(names.GROUP, kind, verb, "") for kind in (*volumes, "configs") for verb in ("get", "list", "watch")}
    expected |= {(names.GROUP, f"{kind}/status", "patch", "") for kind in volumes}
    expected |= {("", "events", verb, "") for verb in ("create", "patch")}
    expected |= {("", "secrets", "get", names.CREDENTIALS_SECRET)}
    expected |= {("", "configmaps", verb, names.LIMITS_CONFIG_MAP) for verb in ("get", "list", "watch")}
    assert rules("Role", "ark-agent") == expected


def test_only_the_servers_account_is_cluster_admin() -> None:
    admins = [
        (dig(subject, "kind"), dig(subject, "name"))
        for one in documents()
        if one["kind"] in ("ClusterRoleBinding", "RoleBinding") and dig(one, "roleRef", "name") == "cluster-admin"
        for subject in mappings(one["subjects"])
    ]
    assert admins == [("ServiceAccount", "ark")]


@pytest.mark.parametrize(("kind", "name"), PROCESSES)
def test_the_account_of_a_process_exists(kind: str, name: str) -> None:
    account = pod(kind, name)["serviceAccountName"]
    assert find("ServiceAccount", str(account))
