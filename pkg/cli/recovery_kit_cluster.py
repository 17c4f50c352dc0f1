"""What a recovery kit and a cluster have to do with each other: read, compared, and brought together.

The comparison is pure. Nothing here changes a password: an import makes the Secret where there is none, adds
generations that are missing, and refuses where one is different.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from pkg import __version__
from pkg.apis.ark import Config, StorageProvider
from pkg.apis.core import Namespace, Secret
from pkg.apis.meta import JsonObject
from pkg.apis.names import CONFIG_NAME, CREDENTIALS_SECRET, GENERATED_ANNOTATION
from pkg.apis.reasons import Reason, RepositoryPhase
from pkg.apis.volumes import ResticRepository
from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.cli.recovery_kit_file import FORMAT, KitRepository, RecoveryKit
from pkg.kube.errors import NotFoundError
from pkg.kube.refs import CONFIGS, NAMESPACES, RESTIC_REPOSITORIES, SECRETS
from pkg.restic.password_secret import passwords_of

_UNFIT = frozenset({Reason.WRONG_PASSWORD.value, Reason.FOREIGN_REPOSITORY.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a cluster holds of what a kit is about; None where it is not there."""

    cluster_id: str
    secret: Secret | None
    passwords: Mapping[str, str] = field(repr=False)
    provider: StorageProvider | None
    repositories: tuple[ResticRepository, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whether a kit fits a cluster: `faults` say why not, `notes` are worth knowing."""

    faults: tuple[str, ...]
    notes: tuple[str, ...]
    opened: tuple[str, ...]


def look(connection: Connection) -> Found:
    """Reads the cluster.

    Raises:
        CliError: the Secret holds something that is no password.
        KubeError: it does not answer, or does not allow it.
    """
    client, namespace = connection.client, connection.namespace
    try:
        secret = client.get(SECRETS, namespace, CREDENTIALS_SECRET, Secret)
    except NotFoundError:
        secret = None
    try:
        provider = client.get(CONFIGS, namespace, CONFIG_NAME, Config).backup_storage_provider
    except NotFoundError:
        provider = None
    return Found(
        cluster_id=client.get(NAMESPACES, "", "kube-system", Namespace).metadata.uid,
        secret=secret,
        passwords=passwords_in(secret) if secret else {},
        provider=provider,
        repositories=tuple(client.list(RESTIC_REPOSITORIES, namespace, ResticRepository)),
    )


def passwords_in(secret: Secret) -> dict[str, str]:
    """Key to password.

    Raises:
        CliError: the Secret holds something that is no password.
    """
    try:
        return passwords_of(secret.data)
    except ValueError as error:
        raise CliError(f"Secret {secret.metadata.key}: {error}") from error


def kit_of(found: Found, *, namespace: str, created_at: str) -> RecoveryKit:
    """The kit of a cluster.

    Raises:
        CliError: there is nothing to save yet.
    """
    if not found.passwords:
        raise CliError(
            f"Secret {namespace}/{CREDENTIALS_SECRET} holds no password yet: the first backup of a volume makes one"
        )
    if found.provider is None:
        raise CliError(f"Config {namespace}/{CONFIG_NAME} is missing: a kit without the bucket's name is of no use")
    annotations = (found.secret.metadata.annotations if found.secret else None) or {}
    return RecoveryKit(
        recovery_kit=FORMAT,
        created_at=created_at,
        ark_version=__version__,
        cluster_id=found.cluster_id,
        namespace=namespace,
        location=found.provider,
        passwords=dict(found.passwords),
        generated=annotations.get(GENERATED_ANNOTATION) == "true",
        repositories=tuple(
            _kit_repository(one) for one in sorted(found.repositories, key=lambda one: one.metadata.key)
        ),
    )


def location_of(provider: StorageProvider) -> JsonObject:
    """A `backupStorageProvider` as JSON, without what is empty."""
    built: JsonObject = msgspec.to_builtins(provider)
    return {name: value for name, value in built.items() if value}


def compare(kit: RecoveryKit, found: Found, *, namespace: str) -> Comparison:
    """Whether the kit opens what the cluster's server opens."""
    faults = [*_password_faults(kit, found, namespace), *_location_faults(kit, found, namespace)]
    notes: list[str] = []
    opened: list[str] = []
    known = {one.name: one for one in kit.repositories}
    for repository in found.repositories:
        name, status = repository.metadata.name, repository.status
        in_kit = known.get(name)
        if in_kit and in_kit.repository_id and status.repository_id not in ("", in_kit.repository_id):
            faults.append(
                f"repository {name} has the id {status.repository_id}, in the kit it is {in_kit.repository_id}"
            )
        elif status.phase == RepositoryPhase.READY:
            opened.append(name)
        elif status.reason in _UNFIT:
            faults.append(f"repository {name} does not open: {status.reason}: {status.message}")
        else:
            notes.append(f"repository {name} is {status.phase or 'New'} and proves nothing now: {status.message}")
    if not found.repositories:
        notes.append("no repository is known to this cluster yet: only the password and the location were compared")
    return Comparison(faults=tuple(faults), notes=tuple(notes), opened=tuple(opened))


def _password_faults(kit: RecoveryKit, found: Found, namespace: str) -> list[str]:
    where = f"Secret {namespace}/{CREDENTIALS_SECRET}"
    if not found.passwords:
        return [f"{where} holds no password: bring it back with `ark recovery-kit import FILE`"]
    return [
        f"{key} in {where} is {'not in the kit' if key not in kit.passwords else 'another one than in the kit'}: "
        "the kit is old, or of another cluster"
        for key, password in found.passwords.items()
        if kit.passwords.get(key) != password
    ]


def _location_faults(kit: RecoveryKit, found: Found, namespace: str) -> list[str]:
    if found.provider is None:
        return [f"Config {namespace}/{CONFIG_NAME} is missing"]
    here = location_of(found.provider)
    in_kit = location_of(kit.location)
    names = sorted(name for name in here.keys() | in_kit.keys() if here.get(name) != in_kit.get(name))
    return [
        f"{name} is {in_kit.get(name)!r} in the kit and {here.get(name)!r} in Config {namespace}/{CONFIG_NAME}"
        for name in names
    ]


def _kit_repository(repository: ResticRepository) -> KitRepository:
    return KitRepository(
        name=repository.metadata.name,
        volume_namespace=repository.spec.volume_namespace,
        identifier=repository.spec.restic_identifier,
        repository_id=repository.status.repository_id,
        password_generation=max(1, repository.status.password_generation),
    )
