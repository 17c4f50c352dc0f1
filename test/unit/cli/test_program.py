"""The program by its two names, its version, and 0.9's commands that do nothing here."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from pkg import __version__
from pkg.apis.meta import JsonObject
from pkg.cli import program
from pkg.kube import refs
from pkg.kube.errors import TransportError
from pkg.kube.resources import ResourceRef
from pkg.testing.fakeapi import RESOURCES, FakeApi

Ark = Callable[..., tuple[int, str, str]]
DEPLOYMENTS = ResourceRef(group="apps", plural="deployments", kind="Deployment")


@pytest.fixture
def api() -> FakeApi:
    made = FakeApi([*RESOURCES, DEPLOYMENTS])
    made.add(refs.NAMESPACES, {"metadata": {"name": "heptio-ark"}})
    return made


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param("/usr/local/bin/ark", "ark", id="by itself"),
        pytest.param("/home/jane/.krew/bin/kubectl-ark", "kubectl ark", id="as kubectl's plug-in"),
        pytest.param("pkg/cli/ark.py", "ark", id="from a checkout"),
    ],
)
def test_the_name_is_that_of_the_file(path: str, name: str) -> None:
    assert program.name_by_path(path) == name


def test_as_a_plug_in_usage_and_hints_say_kubectl_ark(ark: Ark, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-ark"])
    assert ark("backup", "--help")[1].startswith("Usage: kubectl ark backup [OPTIONS]")
    assert "Usage: kubectl ark backup create" in ark("backup", "create")[2]
    assert "Run `kubectl ark backup describe b1` for more details." in ark("backup", "create", "b1")[1]
    assert "`kubectl ark backup get` lists them" in ark("backup", "describe", "b9")[2]


def test_kubectls_name_of_the_context_flag_is_known(ark: Ark) -> None:
    assert ark("backup", "get", "--context", "prod")[0] == 0


def test_the_version_is_0_9s_three_lines_and_the_servers_image(ark: Ark, api: FakeApi) -> None:
    containers: JsonObject = {"containers": [{"image": "ark/ark:1"}]}
    spec: JsonObject = {"template": {"spec": containers}}
    meta: JsonObject = {"name": "ark", "namespace": "heptio-ark"}
    api.add(DEPLOYMENTS, {"metadata": meta, "spec": spec, "status": {"readyReplicas": 1}})
    code, out, err = ark("version")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"Version: v{__version__}"
    assert [line.partition(":")[0] for line in lines] == ["Version", "Git commit", "Git tree state", "Server"]
    assert lines[3] == "Server: ark/ark:1 (ready)"


def test_without_a_cluster_the_version_is_shown_all_the_same(ark: Ark, api: FakeApi) -> None:
    api.fail_next(TransportError("refused"))
    code, out, err = ark("version")
    assert (code, err) == (0, "")
    assert "Server: unknown: the Kubernetes API cannot be reached" in out


def test_the_clients_version_asks_nobody(ark: Ark, api: FakeApi) -> None:
    code, out, _ = ark("version", "--client-only")
    assert (code, api.requests) == (0, [])
    assert "Server" not in out


@pytest.mark.parametrize(
    "arguments",
    [["plugin", "add", "image:1"], ["plugin", "remove", "image"], ["run-plugin", "objectstore", "aws"]],
    ids=" ".join,
)
def test_plug_ins_are_refused_with_the_reason(ark: Ark, api: FakeApi, arguments: list[str]) -> None:
    code, out, err = ark(*arguments)
    assert (code, out, api.requests) == (1, "", [])
    assert "this Ark has no plug-ins" in err
