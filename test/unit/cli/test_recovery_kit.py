"""The recovery kit: what it holds, what proves it, and that an import never replaces a password."""

from __future__ import annotations

import base64
import io
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pkg.apis.meta import Json, JsonObject
from pkg.kube.refs import CONFIGS, NAMESPACES, RESTIC_REPOSITORIES, SECRETS
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
NAMESPACE, SECRET, CLUSTER = "heptio-ark", "ark-restic-credentials", "cluster-1"
VERIFIED = "ark.heptio.com/recovery-kit-verified"
PROVIDER: JsonObject = {"name": "aws", "bucket": "ark", "prefix": "prod", "config": {"region": "minio"}}


def encoded(**passwords: str) -> dict[str, Json]:
    return {key.replace("_", "-"): base64.b64encode(text.encode()).decode() for key, text in passwords.items()}


def add_secret(api: FakeApi, **passwords: str) -> None:
    metadata: JsonObject = {"name": SECRET, "namespace": NAMESPACE, "annotations": {"ark.heptio.com/generated": "true"}}
    api.add(SECRETS, {"metadata": metadata, "data": encoded(**passwords)})


def add_config(api: FakeApi, **changes: Json) -> None:
    provider: Json = {**PROVIDER, **changes}
    api.add(CONFIGS, {"metadata": {"name": "default", "namespace": NAMESPACE}, "backupStorageProvider": provider})


def add_repository(api: FakeApi, name: str, phase: str = "Ready", **status: Json) -> None:
    spec: JsonObject = {"volumeNamespace": name, "resticIdentifier": f"s3:http://minio/ark/restic/{name}"}
    found: Json = {"phase": phase, "repositoryID": f"id-of-{name}", **status}
    api.add(RESTIC_REPOSITORIES, {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec, "status": found})


def add_cluster(api: FakeApi, uid: str = CLUSTER) -> None:
    api.add(NAMESPACES, {"metadata": {"name": "kube-system", "uid": uid}})


@pytest.fixture
def installed(api: FakeApi) -> FakeApi:
    add_cluster(api)
    add_config(api)
    add_secret(api, repository_password="first\n", repository_password_2="second")
    add_repository(api, "shop")
    return api


@pytest.fixture
def kit(ark: Ark, installed: FakeApi, tmp_path: Path) -> Path:
    path = tmp_path / "kit.yaml"
    assert ark("recovery-kit", "export", str(path))[0] == 0
    return path


def new_cluster(ark: Ark, api: FakeApi) -> None:
    for ref, name in ((SECRETS, SECRET), (CONFIGS, "default"), (RESTIC_REPOSITORIES, "shop")):
        api.remove(ref, NAMESPACE, name)
    api.remove(NAMESPACES, "", "kube-system")
    add_cluster(api, "cluster-2")


def annotation(api: FakeApi) -> str:
    secret = api.get(SECRETS, NAMESPACE, SECRET)
    assert secret is not None
    metadata = secret["metadata"]
    assert isinstance(metadata, dict)
    annotations = metadata.get("annotations")
    return str(annotations.get(VERIFIED, "")) if isinstance(annotations, dict) else ""


def test_a_kit_holds_what_is_nowhere_in_the_bucket(kit: Path) -> None:
    document = yaml.safe_load(kit.read_text())
    assert document["clusterID"] == CLUSTER
    assert document["location"] == PROVIDER
    assert document["passwords"] == {"repository-password": "first\n", "repository-password-2": "second"}
    assert document["generated"] is True
    assert document["repositories"] == [
        {
            "name": "shop",
            "volumeNamespace": "shop",
            "identifier": "s3:http://minio/ark/restic/shop",
            "repositoryID": "id-of-shop",
            "passwordGeneration": 1,
        }
    ]


def test_a_kit_says_that_it_is_secret_and_only_its_owner_may_read_it(kit: Path) -> None:
    assert "THIS FILE IS SECRET" in kit.read_text()
    assert stat.S_IMODE(kit.stat().st_mode) == 0o600


def test_an_existing_file_is_never_overwritten(ark: Ark, installed: FakeApi, tmp_path: Path) -> None:
    path = tmp_path / "kit.yaml"
    path.write_text("mine")
    code, _, told = ark("recovery-kit", "export", str(path))
    assert code == 1
    assert "exists already" in told
    assert path.read_text() == "mine"


def test_without_a_file_nothing_is_shown(ark: Ark, installed: FakeApi) -> None:
    code, out, _ = ark("recovery-kit", "export")
    assert code == 64
    assert "first" not in out


def test_a_dash_means_standard_output(ark: Ark, installed: FakeApi) -> None:
    code, out, told = ark("recovery-kit", "export", "-")
    assert code == 0
    assert yaml.safe_load(out)["passwords"]["repository-password-2"] == "second"
    assert "second" not in told


def test_there_is_no_kit_before_there_is_a_password(ark: Ark, api: FakeApi, tmp_path: Path) -> None:
    add_cluster(api)
    add_config(api)
    code, _, told = ark("recovery-kit", "export", str(tmp_path / "kit"))
    assert code == 1
    assert "the first backup of a volume makes one" in told
    assert not (tmp_path / "kit").exists()


def test_a_kit_that_fits_is_noted_on_the_secret_without_its_passwords(ark: Ark, installed: FakeApi, kit: Path) -> None:
    code, out, _ = ark("recovery-kit", "verify", str(kit))
    assert code == 0
    assert "which open shop" in out
    assert annotation(installed).startswith("scrypt:")
    assert "first" not in annotation(installed)


def test_a_kit_is_verified_from_standard_input(
    ark: Ark, installed: FakeApi, kit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(kit.read_text()))
    assert ark("recovery-kit", "verify", "-")[0] == 0


def test_a_rotated_password_makes_the_old_kit_unfit_and_a_new_one_fit(
    ark: Ark, installed: FakeApi, kit: Path, tmp_path: Path
) -> None:
    assert ark("recovery-kit", "verify", str(kit))[0] == 0
    before = annotation(installed)
    secret = installed.get(SECRETS, NAMESPACE, SECRET)
    assert secret is not None
    installed.client.patch_raw(SECRETS, NAMESPACE, SECRET, {"data": encoded(repository_password_3="third")})
    code, _, told = ark("recovery-kit", "verify", str(kit))
    assert code == 1
    assert "repository-password-3" in told
    assert "third" not in told
    assert ark("recovery-kit", "export", str(tmp_path / "new"))[0] == 0
    assert ark("recovery-kit", "verify", str(tmp_path / "new"))[0] == 0
    assert annotation(installed) not in ("", before)


def change_secret(api: FakeApi, password: str) -> None:
    api.remove(SECRETS, NAMESPACE, SECRET)
    add_secret(api, repository_password=password)


def change_config(api: FakeApi) -> None:
    api.remove(CONFIGS, NAMESPACE, "default")
    add_config(api, bucket="new")


def change_repository(api: FakeApi, phase: str = "Ready", **status: Json) -> None:
    api.remove(RESTIC_REPOSITORIES, NAMESPACE, "shop")
    add_repository(api, "shop", phase, **status)


UNFIT: dict[str, tuple[Callable[[FakeApi], None], str]] = {
    "another password": (lambda api: change_secret(api, "other"), "another one than in the kit"),
    "no Secret": (lambda api: api.remove(SECRETS, NAMESPACE, SECRET), "holds no password"),
    "no Config": (lambda api: api.remove(CONFIGS, NAMESPACE, "default"), "Config heptio-ark/default is missing"),
    "another bucket": (change_config, "bucket is 'ark' in the kit and 'new' in Config"),
    "a repository made anew": (lambda api: change_repository(api, repositoryID="x"), "has the id x"),
    "a password that does not open": (
        lambda api: change_repository(api, phase="NotReady", reason="WrongPassword", message="wrong"),
        "does not open: WrongPassword",
    ),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_kit_that_does_not_fit_is_not_noted(ark: Ark, installed: FakeApi, kit: Path, what: str) -> None:
    change, expected = UNFIT[what]
    change(installed)
    code, out, told = ark("recovery-kit", "verify", str(kit))
    assert code == 1
    assert expected in told
    assert "fits" not in out
    if installed.get(SECRETS, NAMESPACE, SECRET):
        assert annotation(installed) == ""


def test_a_repository_that_cannot_be_reached_now_is_a_note(ark: Ark, installed: FakeApi, kit: Path) -> None:
    change_repository(installed, phase="NotReady", reason="BackendUnreachable", message="no route")
    code, _, told = ark("recovery-kit", "verify", str(kit))
    assert code == 0
    assert "proves nothing now: no route" in told


DAMAGE: dict[str, Callable[[str], str]] = {
    "a line is missing": lambda text: text.replace("    passwordGeneration: 1\n", "").replace(
        "  passwordGeneration: 1\n", ""
    ),
    "cut in the middle": lambda text: text[: len(text) * 2 // 3],
    "another password": lambda text: text.replace("second", "secone"),
    "not YAML": lambda text: "passwords: [second",
    "empty": lambda text: "",
    "no digest": lambda text: text[: text.index("digest:")],
    "a newer format": lambda text: text.replace("recoveryKit: 1", "recoveryKit: 9"),
    "something else": lambda text: "kind: Pod\n",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("verb", ["verify", "import"])
def test_a_damaged_kit_is_refused_without_showing_it(
    ark: Ark, installed: FakeApi, kit: Path, damage: str, verb: str
) -> None:
    kit.write_text(DAMAGE[damage](kit.read_text()))
    code, out, told = ark("recovery-kit", verb, str(kit))
    assert code == 1
    assert "secon" not in out + told


def test_windows_line_ends_and_comments_do_no_harm(ark: Ark, installed: FakeApi, kit: Path) -> None:
    kit.write_text("# printed and typed\r\n" + kit.read_text().replace("\n", "\r\n"))
    assert ark("recovery-kit", "verify", str(kit))[0] == 0


def test_a_kit_that_others_may_read_is_warned_of(ark: Ark, installed: FakeApi, kit: Path) -> None:
    kit.chmod(0o644)
    assert "chmod 600" in ark("recovery-kit", "verify", str(kit))[2]


def test_an_import_into_a_new_cluster_makes_the_same_secret(ark: Ark, installed: FakeApi, kit: Path) -> None:
    before = installed.get(SECRETS, NAMESPACE, SECRET)
    new_cluster(ark, installed)
    code, out, _ = ark("recovery-kit", "import", str(kit))
    assert code == 0
    assert "made" in out
    after = installed.get(SECRETS, NAMESPACE, SECRET)
    assert before is not None
    assert after is not None
    assert after["data"] == before["data"]
    assert annotation(installed) == ""
    assert installed.get(CONFIGS, NAMESPACE, "default") is None


def test_an_import_with_config_makes_the_config_too(ark: Ark, installed: FakeApi, kit: Path) -> None:
    new_cluster(ark, installed)
    assert ark("recovery-kit", "import", str(kit), "--config")[0] == 0
    config = installed.get(CONFIGS, NAMESPACE, "default")
    assert config is not None
    assert config["backupStorageProvider"] == PROVIDER


def test_an_import_twice_changes_nothing(ark: Ark, installed: FakeApi, kit: Path) -> None:
    new_cluster(ark, installed)
    ark("recovery-kit", "import", str(kit), "--config")
    before = installed.get(SECRETS, NAMESPACE, SECRET)
    code, out, _ = ark("recovery-kit", "import", str(kit), "--config")
    assert code == 0
    assert "already" in out
    assert installed.get(SECRETS, NAMESPACE, SECRET) == before


def test_an_import_adds_generations_that_are_missing(ark: Ark, installed: FakeApi, kit: Path) -> None:
    new_cluster(ark, installed)
    add_secret(installed, repository_password="first\n")
    code, out, _ = ark("recovery-kit", "import", str(kit))
    assert code == 0
    assert "added repository-password-2" in out
    secret = installed.get(SECRETS, NAMESPACE, SECRET)
    assert secret is not None
    assert secret["data"] == encoded(repository_password="first\n", repository_password_2="second")


def test_an_import_never_replaces_another_password(ark: Ark, installed: FakeApi, kit: Path) -> None:
    new_cluster(ark, installed)
    add_secret(installed, repository_password="other")
    code, _, told = ark("recovery-kit", "import", str(kit))
    assert code == 1
    assert "not overwritten" in told
    secret = installed.get(SECRETS, NAMESPACE, SECRET)
    assert secret is not None
    assert secret["data"] == encoded(repository_password="other")


def test_an_import_never_changes_another_config(ark: Ark, installed: FakeApi, kit: Path) -> None:
    new_cluster(ark, installed)
    add_config(installed, bucket="elsewhere")
    code, _, told = ark("recovery-kit", "import", str(kit), "--config")
    assert code == 1
    assert "names another location" in told
