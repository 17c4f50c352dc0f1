"""What a person reads when the cluster says no, or nothing: one sentence with its cause and a next step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pkg.cli.ark import run
from pkg.cli.sentences import sentence
from pkg.kube import refs
from pkg.kube.errors import DecodeError, KubeconfigError, KubeError, TransportError, status_error
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
FORBIDDEN = 'backups.ark.heptio.com is forbidden: User "jane" cannot list resource "backups"'
NEW_CONNECTION = "GET /apis: NewConnectionError: Failed to establish a new connection: [Errno 111] Connection refused"


@pytest.mark.parametrize(
    ("error", "cause", "step"),
    [
        pytest.param(
            KubeconfigError("kubeconfig /x: the file does not exist"), "/x", "--kubeconfig", id="no kubeconfig"
        ),
        pytest.param(
            KubeconfigError("kubeconfig /x: current-context is not set"), "/x", "--kubecontext", id="no context"
        ),
        pytest.param(TransportError(NEW_CONNECTION), "nothing listens there", "--kubecontext", id="no cluster"),
        pytest.param(
            TransportError("GET /: NameResolutionError: Failed to resolve 'k8s'"),
            "its name is not known",
            "--kubecontext",
            id="an unknown host",
        ),
        pytest.param(
            TransportError("GET /: ConnectTimeoutError: timed out"),
            "did not answer in time",
            "is the cluster up",
            id="no answer",
        ),
        pytest.param(
            TransportError("GET /: SSLError: CERTIFICATE_VERIFY_FAILED"), "certificate", "--kubeconfig", id="a stranger"
        ),
        pytest.param(status_error("Unauthorized", code=401), "may have expired", "log in again", id="an expired token"),
        pytest.param(status_error(FORBIDDEN, code=403), "jane", "ask for a role", id="forbidden"),
        pytest.param(status_error("too many", code=429), "too many", "try again", id="busy"),
        pytest.param(status_error("no leader", code=503), "no leader", "try again", id="ill"),
        pytest.param(DecodeError("not JSON"), "not that of a Kubernetes API", "server's address", id="a web page"),
    ],
)
def test_each_has_a_cause_and_a_next_step(error: KubeError, cause: str, step: str) -> None:
    said = sentence(error)
    assert cause in said
    assert step in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(status_error("Unauthorized", code=401), "log in again", id="an expired token"),
        pytest.param(status_error(FORBIDDEN, code=403), "ask for a role", id="forbidden"),
        pytest.param(
            status_error("the server could not find the requested resource", code=404),
            "Ark is not installed in it",
            id="no definitions",
        ),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [["backup", "get"], ["get", "restores"], ["backup", "describe", "b1"], ["backup", "create", "b1"]],
    ids=" ".join,
)
def test_a_command_ends_with_1_and_that_sentence(
    ark: Ark, api: FakeApi, arguments: list[str], error: KubeError, text: str
) -> None:
    api.fail_next(error)
    code, out, err = ark(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith("An error occurred: ")
    assert text in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["backup", "get"], ["backup", "get", "b1"], ["restore", "describe", "r1"]], ids=" ".join
)
def test_a_namespace_that_is_not_there_is_told_from_an_empty_one(ark: Ark, api: FakeApi, arguments: list[str]) -> None:
    api.remove(refs.NAMESPACES, "", "heptio-ark")
    code, _, err = ark(*arguments)
    assert code == 1
    assert "there is no namespace heptio-ark in this cluster: give Ark's with -n" in err


def test_creating_in_a_namespace_that_is_not_there_says_so(ark: Ark, api: FakeApi) -> None:
    api.fail_next(status_error('namespaces "heptio-ark" not found', code=404, reason="NotFound"), method="POST")
    assert "there is no namespace heptio-ark" in ark("backup", "create", "b1")[2]


def test_who_may_not_read_namespaces_still_gets_an_empty_list(ark: Ark, api: FakeApi) -> None:
    api.fail_next(status_error("no", code=403), ref=refs.NAMESPACES)
    assert ark("backup", "get")[0] == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "is empty or not a map", id="an empty kubeconfig"),
        pytest.param("a: [", "is not YAML", id="a kubeconfig that is none"),
        pytest.param("contexts: []", "current-context is not set: choose one with --kubecontext", id="no context"),
    ],
)
def test_a_kubeconfig_of_no_use_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    assert run(["--kubeconfig", str(file), "backup", "get"]) == 1
    err = capsys.readouterr().err
    assert str(file) in err
    assert said in err


def test_no_kubeconfig_at_all_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--kubeconfig", str(tmp_path / "none"), "backup", "get"]) == 1
    assert "the file does not exist: name one with --kubeconfig or KUBECONFIG" in capsys.readouterr().err
