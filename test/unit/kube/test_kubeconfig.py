"""A wrong kubeconfig is one sentence that names the file and the field."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pkg.kube.errors import KubeconfigError
from pkg.kube.kubeconfig import check_kubeconfig
from pkg.kube.transport import load_transport
from pkg.testing.pki import Authority

Config = dict[str, Any]  # JSON that the cases break on purpose
Change = Callable[[Config], object]


def good() -> Config:
    made: Config = json.loads(
        """{
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "ns"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:6443"}}],
        "users": [{"name": "u", "user": {"token": "t"}}]
        }"""
    )
    return made


def write(path: Path, content: object) -> str:
    path.write_text(json.dumps(content))
    return str(path)


def test_a_good_one_gives_context_namespace_and_server(tmp_path: Path) -> None:
    selected = check_kubeconfig(write(tmp_path / "config", good()))
    assert (selected.context, selected.namespace, selected.server) == ("c", "ns", "https://127.0.0.1:6443")


CASES: list[tuple[str, Change, str]] = [
    ("no current context", lambda c: c.pop("current-context"), "current-context is not set"),
    ("a context that is not there", lambda c: c.update({"current-context": "x"}), "current-context names 'x'"),
    ("no contexts", lambda c: c.pop("contexts"), "which is not in contexts"),
    ("contexts that are no list", lambda c: c.update(contexts=5), "contexts is not a list"),
    ("a context without content", lambda c: c["contexts"][0].pop("context"), "contexts[c].context is not set"),
    (
        "a context without cluster",
        lambda c: c["contexts"][0]["context"].pop("cluster"),
        "contexts[c].context.cluster is not set",
    ),
    ("a cluster that is not there", lambda c: c.update(clusters=[]), "contexts[c].cluster names 'k'"),
    ("a user that is not there", lambda c: c.update(users=None), "contexts[c].user names 'u'"),
    ("no server", lambda c: c["clusters"][0]["cluster"].pop("server"), "clusters[k].cluster.server is not set"),
    (
        "a server without a scheme",
        lambda c: c["clusters"][0]["cluster"].update(server="127.0.0.1:6443"),
        "clusters[k].cluster.server is not an http(s) address",
    ),
    (
        "an authority that is not base64",
        lambda c: c["clusters"][0]["cluster"].update({"certificate-authority-data": "%%%"}),
        "clusters[k].cluster.certificate-authority-data is not base64",
    ),
    (
        "an authority that is no certificate",
        lambda c: c["clusters"][0]["cluster"].update(
            {"certificate-authority-data": base64.b64encode(b"hello").decode()}
        ),
        "clusters[k].cluster.certificate-authority holds no certificate",
    ),
    (
        "an authority file that is not there",
        lambda c: c["clusters"][0]["cluster"].update({"certificate-authority": "ca.crt"}),
        "clusters[k].cluster.certificate-authority cannot be read: ca.crt",
    ),
    (
        "a certificate without its key",
        lambda c: c["users"][0]["user"].update(
            {"client-certificate-data": base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()}
        ),
        "users[u].user.client-key is not set",
    ),
    (
        "a key that is not PEM",
        lambda c: c["users"][0]["user"].update({"client-certificate-data": "aGVsbG8=", "client-key-data": "aGVsbG8="}),
        "users[u].user.client-certificate is not PEM",
    ),
    (
        "a token file that is not there",
        lambda c: c["users"][0]["user"].update(tokenFile="token"),
        "users[u].user.tokenFile names a file that does not exist: token",
    ),
    (
        "a plugin without a command",
        lambda c: c["users"][0].update(user={"exec": {}}),
        "users[u].user.exec.command is not set",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), [pytest.param(change, text, id=name) for name, change, text in CASES])
def test_a_wrong_one_names_file_and_field(tmp_path: Path, change: Change, sentence: str) -> None:
    content = copy.deepcopy(good())
    change(content)
    path = write(tmp_path / "config", content)
    with pytest.raises(KubeconfigError) as raised:
        load_transport(path)
    assert str(raised.value).startswith(f"kubeconfig {path}: ")
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("", "is empty or not a map", id="an empty file"),
        pytest.param("- 1\n", "is empty or not a map", id="a list"),
        pytest.param("a: [1\nb: 2\n", "is not YAML at line 2", id="no YAML"),
        pytest.param("a: \x00", "is not YAML", id="binary"),
    ],
)
def test_a_file_that_is_no_map_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match=sentence):
        load_transport(str(path))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="missing: the file does not exist"):
        load_transport(str(tmp_path / "missing"))


def test_a_context_of_the_flag_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError, match="--context names 'other'"):
        load_transport(write(tmp_path / "config", good()), "other")


def test_files_are_merged_and_the_first_wins(tmp_path: Path) -> None:
    first, second = good(), good()
    first["users"] = []
    first["clusters"] = []
    second["clusters"][0]["cluster"]["server"] = "https://second:1"
    second["contexts"][0]["context"]["namespace"] = "other"
    paths = f"{write(tmp_path / 'a', first)}:{write(tmp_path / 'b', second)}:{tmp_path / 'missing'}"
    transport = load_transport(paths)
    assert (transport.host, transport.namespace) == ("https://second:1", "ns")


@pytest.mark.parametrize("variable", [True, False])
def test_the_flag_wins_over_the_variable_which_wins_over_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: bool
) -> None:
    named, home = good(), good()
    named["clusters"][0]["cluster"]["server"] = "https://named:1"
    home["clusters"][0]["cluster"]["server"] = "https://home:1"
    (tmp_path / ".kube").mkdir()
    write(tmp_path / ".kube" / "config", home)
    path = write(tmp_path / "named", named)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", path if variable else "")
    assert load_transport().host == ("https://named:1" if variable else "https://home:1")
    assert load_transport(path).host == "https://named:1"


def test_certificates_are_taken_from_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    user = authority.issue("user", common_name="me")
    content = good()
    content["clusters"][0]["cluster"]["certificate-authority"] = f"pki/{authority.ca_file.name}"
    content["users"][0]["user"] = {
        "client-certificate": str(user.certificate_file.relative_to(tmp_path)),
        "client-key": str(user.key_file.relative_to(tmp_path)),
    }
    load_transport(write(tmp_path / "config", content)).close()
