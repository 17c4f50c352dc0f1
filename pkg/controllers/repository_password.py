"""The one repository password of an installation.

A password is made only where none exists and nothing could have been encrypted with another: the restic location
was listed and held no repository (operators.md 7). Everything else keeps and uses what is there.
"""

from __future__ import annotations

import base64

import structlog

from pkg.apis.core import Secret
from pkg.apis.meta import JsonObject
from pkg.apis.names import CREDENTIALS_SECRET, GENERATED_ANNOTATION
from pkg.apis.reasons import Reason
from pkg.controllers.agent import VolumeFailure, password_key, read_password
from pkg.controllers.recovery_kit import IMPORT_COMMAND, SAVE_COMMAND, VERIFY_COMMAND
from pkg.kube.client import Client
from pkg.kube.errors import AlreadyExistsError, NotFoundError
from pkg.kube.refs import SECRETS
from pkg.objectstore.store import ObjectStore
from pkg.restic.password import Password, generate_password
from pkg.restic.password_secret import generation_of, is_password_key

log = structlog.get_logger()


def find_repositories(store: ObjectStore) -> list[str]:
    """Names of the restic repositories below a restic location."""
    return [name for name in store.list_directories("") if store.head(f"{name}/config") is not None]


def generations(client: Client, namespace: str) -> list[int]:
    """The generations that the Secret holds, the newest first; none where there is no Secret.

    Raises:
        KubeError: it cannot be read.
    """
    try:
        secret = client.get(SECRETS, namespace, CREDENTIALS_SECRET, Secret)
    except NotFoundError:
        return []
    numbers = {generation_of(key) for key in secret.data or {} if is_password_key(key)}
    return sorted(numbers, reverse=True)


def ensure_password(client: Client, namespace: str, restic_store: ObjectStore, generation: int) -> Password:
    """The password, made when this is the first use of an empty location.

    Raises:
        VolumeFailure: PasswordMissing where repositories exist and the Secret does not.
    """
    try:
        return read_password(client, namespace, generation)
    except VolumeFailure as error:
        if error.reason is not Reason.PASSWORD_MISSING or generation > 1 or generations(client, namespace):
            raise
    existing = find_repositories(restic_store)
    if existing and not _was_made_meanwhile(client, namespace, generation):
        raise VolumeFailure(
            Reason.PASSWORD_MISSING,
            f"the store holds restic repositories ({', '.join(existing[:5])}) but Secret "
            f"{namespace}/{CREDENTIALS_SECRET} is missing; bring the old password back: {IMPORT_COMMAND} "
            f"(without a recovery kit: kubectl -n {namespace} create secret generic {CREDENTIALS_SECRET} "
            f"--from-file={password_key(1)}=FILE)",
        )
    if not existing:
        _create(client, namespace)
    return read_password(client, namespace, generation)


def _was_made_meanwhile(client: Client, namespace: str, generation: int) -> bool:
    """Whether the Secret appeared while the location was listed, with another namespace's first repository."""
    try:
        read_password(client, namespace, generation)
    except VolumeFailure:
        return False
    return True


def _create(client: Client, namespace: str) -> None:
    secret: JsonObject = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": CREDENTIALS_SECRET,
            "namespace": namespace,
            "annotations": {GENERATED_ANNOTATION: "true"},
        },
        "type": "Opaque",
        "data": {password_key(1): base64.b64encode(generate_password().encode()).decode()},
    }
    try:
        client.create(SECRETS, namespace, secret, Secret)
    except AlreadyExistsError:
        log.info("Repository password was made by somebody else meanwhile", namespace=namespace)
        return
    log.warning(
        "Repository password generated; save it outside this cluster, without it no volume can be restored",
        secret=f"{namespace}/{CREDENTIALS_SECRET}",
        save=SAVE_COMMAND,
        prove=VERIFY_COMMAND,
    )
