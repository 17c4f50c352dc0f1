"""The cloud's credentials: read once from what Ark 0.9's users have, given to obstore and to restic alike.

The AWS tools' INI file is parsed here, because obstore does not read it and restic must not need it. Where nothing
is configured the cloud's own identity (workload identity, instance role) is left to the two clients. Secrets never
show in a repr.
"""

from __future__ import annotations

import base64
import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from pkg.objectstore.errors import CredentialsInvalidError
from pkg.objectstore.location import AWS, AZURE, GCP

_CA_VARIABLES = ("RESTIC_CACERT", "AWS_CA_BUNDLE")
_FILE_VARIABLES = ("AWS_SHARED_CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS", *_CA_VARIABLES)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudCredentials:
    """One set of credentials.

    Attributes:
        restic: The variables that restic's backends read.
        store: The same as obstore's configuration keys.
        ca_file: PEM file of certificates to trust beside the system's; empty for none.
    """

    provider: str
    restic: Mapping[str, str] = field(default_factory=dict, repr=False)
    store: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str = ""

    def restic_environment(self) -> dict[str, str]:
        """The variables for restic's environment."""
        return {**self.restic, **({"RESTIC_CACERT": self.ca_file} if self.ca_file else {})}


def load_credentials(provider: str, environ: Mapping[str, str]) -> CloudCredentials:
    """The credentials that the environment names.

    Raises:
        CredentialsInvalidError: With a sentence that names the file or variable, never its content.
    """
    match provider:
        case "aws":
            restic, store = _aws(environ)
        case "gcp":
            restic, store = _gcp(environ)
        case "azure":
            restic, store = _azure(environ)
        case _:
            restic, store = {}, {}
    return CloudCredentials(provider=provider, restic=restic, store=store, ca_file=ca_file_of(environ))


def ca_file_of(environ: Mapping[str, str]) -> str:
    """The PEM file of certificates to trust beside the system's; empty for none."""
    return next((environ[name] for name in _CA_VARIABLES if environ.get(name)), "")


def credentials_stamp(environ: Mapping[str, str]) -> tuple[tuple[int, int], ...]:
    """What changes when a file of credentials is replaced, as the kubelet does where their Secret changed."""
    return tuple(_file_stamp(environ[name]) for name in _FILE_VARIABLES if environ.get(name))


def _file_stamp(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return (0, 0)
    return found.st_ino, found.st_mtime_ns


def _aws(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    path = environ.get("AWS_SHARED_CREDENTIALS_FILE", "")
    values = _ini_profile(Path(path), environ.get("AWS_PROFILE") or "default") if path else _lowered(environ)
    key, secret = values.get("aws_access_key_id", ""), values.get("aws_secret_access_key", "")
    if bool(key) != bool(secret) or (path and not key):
        where = f"{AWS} credentials file {path}" if path else "environment"
        raise CredentialsInvalidError(f"the {where} needs both aws_access_key_id and aws_secret_access_key")
    if not key:
        return {}, {}
    token = values.get("aws_session_token", "")
    restic = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    store = {"access_key_id": key, "secret_access_key": secret}
    if token:
        return {**restic, "AWS_SESSION_TOKEN": token}, {**store, "session_token": token}
    return restic, store


def _lowered(environ: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in environ.items()}


def _ini_profile(path: Path, profile: str) -> Mapping[str, str]:
    parser = configparser.ConfigParser(interpolation=None, default_section="", strict=False)
    try:
        parser.read_string(path.read_text())
    except (OSError, UnicodeError) as error:
        raise CredentialsInvalidError(f"the {AWS} credentials file {path} cannot be read") from error
    except configparser.Error:
        # The parser quotes the offending line, which may be the secret: neither repeat it nor chain it.
        raise CredentialsInvalidError(f"the {AWS} credentials file {path} is not an INI file") from None
    for name in (profile, f"profile {profile}"):
        if parser.has_section(name):
            return {key: value.strip().strip("'\"") for key, value in parser[name].items()}
    raise CredentialsInvalidError(f"the {AWS} credentials file {path} has no profile [{profile}]")


def _gcp(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    path = environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if not path:
        return {}, {}
    try:
        content: object = msgspec.json.decode(Path(path).read_bytes())
    except OSError as error:
        raise CredentialsInvalidError(f"the {GCP} credentials file {path} cannot be read") from error
    except msgspec.DecodeError:
        raise CredentialsInvalidError(f"the {GCP} credentials file {path} is not JSON") from None
    restic = {"GOOGLE_APPLICATION_CREDENTIALS": path}
    project = environ.get("GOOGLE_PROJECT_ID") or (content.get("project_id") if isinstance(content, dict) else "")
    if isinstance(project, str) and project:
        restic["GOOGLE_PROJECT_ID"] = project
    return restic, {"application_credentials": path}


def _azure(environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    name = _first(environ, "AZURE_STORAGE_ACCOUNT_ID", "AZURE_ACCOUNT_NAME")
    key = _first(environ, "AZURE_STORAGE_KEY", "AZURE_ACCOUNT_KEY")
    if not name:
        raise CredentialsInvalidError(f"{AZURE} needs AZURE_STORAGE_ACCOUNT_ID (or AZURE_ACCOUNT_NAME)")
    restic, store = {"AZURE_ACCOUNT_NAME": name}, {"account_name": name}
    if suffix := _first(environ, "AZURE_ENDPOINT_SUFFIX"):  # another of Azure's clouds; restic is handed the variable
        store["endpoint"] = f"https://{name}.blob.{suffix}"
    if key:
        return {**restic, "AZURE_ACCOUNT_KEY": key}, {**store, "account_key": _azure_key(key)}
    if secret := _first(environ, "AZURE_CLIENT_SECRET"):  # a service principal, whose other names both clients read
        restic["AZURE_CLIENT_SECRET"] = secret
    return restic, store


def _first(environ: Mapping[str, str], *names: str) -> str:
    """The first of these that is set, without the newline that a Secret made of a file ends with."""
    return next((value for name in names if (value := environ.get(name, "").strip())), "")


def _azure_key(key: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except ValueError:
        raise CredentialsInvalidError(f"the storage key of {AZURE} (AZURE_STORAGE_KEY) is not one: no base64") from None
    return key
