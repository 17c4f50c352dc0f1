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
        pytest.param({"AZURE_STORAGE_ACCOUNT_ID": "n", "AZURE_STORAGE_KEY": "k"}, id="Ark's names"),
        pytest.param({"AZURE_ACCOUNT_NAME": "n", "AZURE_ACCOUNT_KEY": "k"}, id="restic's names"),
    ],
)
def test_azure_is_read_under_both_names(environ: dict[str, str]) -> None:
    credentials = load_credentials("azure", environ)
    assert credentials.restic_environment() == {"AZURE_ACCOUNT_NAME": "n", "AZURE_ACCOUNT_KEY": "k"}
    assert credentials.store == {"account_name": "n", "account_key": "k"}


def test_a_private_authority_is_trusted_by_restic_too() -> None:
    credentials = load_credentials("local", {"AWS_CA_BUNDLE": "/ca.pem"})
    assert credentials.restic_environment() == {"RESTIC_CACERT": "/ca.pem"}
