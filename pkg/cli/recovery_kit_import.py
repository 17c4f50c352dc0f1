"""Brings a recovery kit into a cluster, and notes that one was verified; nothing that exists is replaced."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.core import Secret
from pkg.apis.meta import JsonObject
from pkg.apis.names import (
    CONFIG_NAME,
    CREDENTIALS_SECRET,
    GENERATED_ANNOTATION,
    RECOVERY_KIT_VERIFIED_ANNOTATION,
)
from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.cli.recovery_kit_cluster import location_of, passwords_in
from pkg.cli.recovery_kit_file import RecoveryKit
from pkg.kube.errors import AlreadyExistsError, ConflictError, InvalidError, NotFoundError
from pkg.kube.refs import CONFIGS, SECRETS
from pkg.restic.password import passwords_digest
from pkg.restic.password_secret import secret_data


def import_passwords(connection: Connection, kit: RecoveryKit) -> str:
    """Makes the Secret, or adds the generations that it lacks; says what was done.

    Raises:
        CliError: the cluster has another password, or Ark's namespace is not there.
    """
    namespace = connection.namespace
    annotations: JsonObject = {GENERATED_ANNOTATION: "true"} if kit.generated else {}
    secret: JsonObject = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": CREDENTIALS_SECRET, "namespace": namespace, "annotations": annotations},
        "type": "Opaque",
        "data": {**secret_data(kit.passwords)},
    }
    try:
        connection.client.create(SECRETS, namespace, secret, Secret)
    except AlreadyExistsError:
        return _add_missing(connection, kit)
    except NotFoundError as error:
        raise CliError(f"namespace {namespace} does not exist: apply Ark's manifests first") from error
    return f"Secret {namespace}/{CREDENTIALS_SECRET} made."


def import_config(connection: Connection, kit: RecoveryKit) -> str:
    """Makes the Config with the kit's location, where there is none; says what was done.

    Raises:
        CliError: there is one with another location.
    """
    namespace = connection.namespace
    config: JsonObject = {
        "apiVersion": CONFIGS.api_version,
        "kind": "Config",
        "metadata": {"name": CONFIG_NAME, "namespace": namespace},
        "backupStorageProvider": location_of(kit.location),
    }
    try:
        connection.client.create(CONFIGS, namespace, config, Config)
    except AlreadyExistsError:
        return _compare_config(connection, kit)
    except NotFoundError as error:
        raise CliError("the cluster does not know Configs: apply config/crd and the manifests first") from error
    except InvalidError as error:
        raise CliError(f"the Config in the kit is refused: {error}") from error
    return f"Config {namespace}/{CONFIG_NAME} made."


def mark_verified(connection: Connection, secret: Secret, passwords: Mapping[str, str]) -> None:
    """Notes on the Secret that a kit with exactly these passwords was verified.

    Raises:
        CliError: the Secret changed meanwhile.
    """
    digest = passwords_digest(passwords, secret.metadata.uid)
    if secret.metadata.annotation(RECOVERY_KIT_VERIFIED_ANNOTATION) == digest:
        return
    patch: JsonObject = {
        "metadata": {
            "uid": secret.metadata.uid,
            "resourceVersion": secret.metadata.resource_version,
            "annotations": {RECOVERY_KIT_VERIFIED_ANNOTATION: digest},
        }
    }
    try:
        connection.client.patch(SECRETS, connection.namespace, CREDENTIALS_SECRET, patch, Secret)
    except ConflictError as error:
        raise CliError("the Secret changed while it was compared: verify again") from error


def _add_missing(connection: Connection, kit: RecoveryKit) -> str:
    namespace = connection.namespace
    where = f"Secret {namespace}/{CREDENTIALS_SECRET}"
    secret = connection.client.get(SECRETS, namespace, CREDENTIALS_SECRET, Secret)
    here = passwords_in(secret)
    different = sorted(key for key, password in here.items() if kit.passwords.get(key, password) != password)
    if different:
        raise CliError(
            f"{where} exists and holds another password ({', '.join(different)}), which may open repositories of this "
            "cluster: it is not overwritten. If nothing was ever backed up with it, save it, delete the Secret, and "
            "import again"
        )
    missing = {key: password for key, password in kit.passwords.items() if key not in here}
    if not missing:
        return f"{where} holds these passwords already."
    patch: JsonObject = {
        "metadata": {"uid": secret.metadata.uid, "resourceVersion": secret.metadata.resource_version},
        "data": {**secret_data(missing)},
    }
    try:
        connection.client.patch(SECRETS, namespace, CREDENTIALS_SECRET, patch, Secret)
    except ConflictError as error:
        raise CliError(f"{where} changed meanwhile: import again") from error
    return f"{where} had some of these passwords; added {', '.join(missing)}."


def _compare_config(connection: Connection, kit: RecoveryKit) -> str:
    where = f"Config {connection.namespace}/{CONFIG_NAME}"
    config = connection.client.get(CONFIGS, connection.namespace, CONFIG_NAME, Config)
    here = location_of(config.backup_storage_provider or StorageProvider())
    in_kit = location_of(kit.location)
    if here != in_kit:
        shown = msgspec.json.encode(in_kit).decode()
        raise CliError(f"{where} exists and names another location; it is left as it is. The kit's is {shown}")
    return f"{where} names this location already."
