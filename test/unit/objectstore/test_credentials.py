from pathlib import Path

import pytest

from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.errors import CredentialsInvalidError

INI = """
[default]
aws_access_key_id = AKIA
aws_secret_access_key="s3%cret"

[other]
aws_access_key_id=OTHER
aws_secret_access_key=osecret
aws_session_token=otoken
"""


def write(path: Path, text: str) -> dict[str, str]:
    path.write_text(text)
    return {"AWS_SHARED_CREDENTIALS_FILE": str(path)}


def test_the_default_profile_is_read_and_never_shown(tmp_path: Path) -> None:
    credentials = load_credentials("aws", write(tmp_path / "cloud", INI))
    assert credentials.restic_environment() == {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s3%cret"}
    assert credentials.store == {"access_key_id": "AKIA", "secret_access_key": "s3%cret"}
    assert "s3%cret" not in repr(credentials)
    assert "AKIA" not in repr(credentials)


def test_another_profile_and_its_token_are_read(tmp_path: Path) -> None:
    credentials = load_credentials("aws", {**write(tmp_path / "cloud", INI), "AWS_PROFILE": "other"})
    assert credentials.restic_environment()["AWS_SESSION_TOKEN"] == "otoken"
    assert credentials.store["session_token"] == "otoken"


def test_the_file_wins_over_variables(tmp_path: Path) -> None:
    environ = {**write(tmp_path / "cloud", INI), "AWS_ACCESS_KEY_ID": "ENV", "AWS_SECRET_ACCESS_KEY": "ENV"}
    assert load_credentials("aws", environ).store["access_key_id"] == "AKIA"


def test_without_anything_the_cloud_decides() -> None:
    assert load_credentials("aws", {}).restic_environment() == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("SECRETVALUE", "is not an INI file", id="no section"),
        pytest.param("[x]\naws_access_key_id=a\n", r"no profile \[default\]", id="no such profile"),
        pytest.param("[default]\naws_access_key_id=a\n", "needs both", id="half a key"),
        pytest.param("[default]\nrole_arn=a\n", "needs both", id="no key"),
    ],
)
def test_a_bad_file_is_named_and_not_quoted(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(CredentialsInvalidError, match=sentence) as caught:
        load_credentials("aws", write(tmp_path / "cloud", text))
    assert str(tmp_path) in str(caught.value)
    assert "SECRETVALUE" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CredentialsInvalidError, match="cannot be read"):
        load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no")})


def test_google_gives_restic_the_project_too(tmp_path: Path) -> None:
    path = tmp_path / "cloud"
    path.write_text('{"type": "service_account", "project_id": "p1"}')
    credentials = load_credentials("gcp", {"GOOGLE_APPLICATION_CREDENTIALS": str(path)})
    assert credentials.restic_environment() == {
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        "GOOGLE_PROJECT_ID": "p1",
    }


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"AZURE_STORAGE_ACCOUNT_ID": "n", "AZURE_STORAGE_KEY": "a2V5"}, id="Ark's names"),
        pytest.param({"AZURE_ACCOUNT_NAME": "n", "AZURE_ACCOUNT_KEY": "a2V5"}, id="restic's names"),
    ],
)
def test_azure_is_read_under_both_names(environ: dict[str, str]) -> None:
    credentials = load_credentials("azure", environ)
    assert credentials.restic_environment() == {"AZURE_ACCOUNT_NAME": "n", "AZURE_ACCOUNT_KEY": "a2V5"}
    assert credentials.store == {"account_name": "n", "account_key": "a2V5"}


def test_azure_without_a_key_leaves_the_identity_to_both_clients_and_a_principal_s_secret_to_restic() -> None:
    account = {"AZURE_STORAGE_ACCOUNT_ID": "n"}
    assert load_credentials("azure", account).restic_environment() == {"AZURE_ACCOUNT_NAME": "n"}
    principal = load_credentials("azure", {**account, "AZURE_CLIENT_SECRET": "s3cret"})
    assert principal.restic_environment()["AZURE_CLIENT_SECRET"] == "s3cret"
    with_key = load_credentials("azure", {**account, "AZURE_CLIENT_SECRET": "s3cret", "AZURE_STORAGE_KEY": "a2V5"})
    assert "AZURE_CLIENT_SECRET" not in with_key.restic_environment()


def test_another_of_azure_s_clouds_is_asked_by_both_clients() -> None:
    environ = {"AZURE_STORAGE_ACCOUNT_ID": "n", "AZURE_ENDPOINT_SUFFIX": "core.chinacloudapi.cn"}
    assert load_credentials("azure", environ).store["endpoint"] == "https://n.blob.core.chinacloudapi.cn"


def test_a_storage_key_that_is_none_is_told_without_repeating_it() -> None:
    with pytest.raises(CredentialsInvalidError, match="AZURE_STORAGE_KEY") as caught:
        load_credentials("azure", {"AZURE_STORAGE_ACCOUNT_ID": "n", "AZURE_STORAGE_KEY": "not a key!"})
    assert "not a key!" not in str(caught.value)


def test_a_private_authority_is_trusted_by_restic_too() -> None:
    credentials = load_credentials("local", {"AWS_CA_BUNDLE": "/ca.pem"})
    assert credentials.restic_environment() == {"RESTIC_CACERT": "/ca.pem"}


def test_azures_secrets_may_end_with_a_newline() -> None:
    written = {"AZURE_STORAGE_ACCOUNT_ID": "shop\n", "AZURE_STORAGE_KEY": "a2V5\n"}
    clean = {name: value.strip() for name, value in written.items()}
    assert load_credentials("azure", written) == load_credentials("azure", clean)
    principal = {"AZURE_STORAGE_ACCOUNT_ID": "shop", "AZURE_CLIENT_SECRET": "s\r\n"}
    assert load_credentials("azure", principal).restic_environment()["AZURE_CLIENT_SECRET"] == "s"
