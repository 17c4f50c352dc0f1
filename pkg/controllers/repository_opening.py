"""Opening a repository, and making it where that is allowed: on restic's own word that there is none, and never else.

The password's generation is pinned with the id. Where it does not open the repository (a kit that holds several in a
new cluster, or a key that somebody took away after a rotation) the other generations are tried, newest first.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import structlog

from pkg.apis.reasons import Reason
from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import read_password
from pkg.controllers.fast_keys import FastKeys
from pkg.controllers.repository_identity import RepositoryFinding, compare_identity, is_given_up, refusal_to_make
from pkg.controllers.repository_password import ensure_password, generations
from pkg.controllers.stores import OpenStores
from pkg.kube.client import Client
from pkg.kube.stop import StopToken
from pkg.objectstore.location import StorageLocation
from pkg.restic.environment import ResticEnvironment, restic_environment
from pkg.restic.errors import RepositoryMissingError, WrongPasswordError
from pkg.restic.password import Password
from pkg.restic.repository import init_repository, open_repository
from pkg.restic.runner import ResticRunner

LOCKS = "locks"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A repository that restic opened: its id, and how it is reached."""

    repository_id: str
    generation: int
    environment: ResticEnvironment


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryOpener:
    """Opens repositories."""

    client: Client
    namespace: str
    runner: ResticRunner
    scratch_dir: Path
    fast_keys: FastKeys | None

    def open_or_make(self, repository: ResticRepository, stores: OpenStores, stop: StopToken) -> RepositoryFinding:
        """What lies at the address; blocks.

        Raises:
            ResticError: it cannot be opened.
            VolumeFailure: there is no password.
            StoreError: the store does not answer.
            KubeError: the API does not.
        """
        try:
            opened = self.open(repository, stores, stop)
        except RepositoryMissingError:
            refusal = refusal_to_make(repository, restore_only=stores.restore_only) or _remains(repository, stores)
            if refusal:
                return RepositoryFinding(reason=Reason.REPOSITORY_MISSING.value, message=refusal)
            opened = self._make(repository, stores, stop)
        finding = compare_identity(repository, opened.repository_id, opened.generation)
        if not finding.repository_id or self.fast_keys is None or not self.fast_keys.wanted(repository):
            return finding
        fast_key = self.fast_keys.ensure(repository, stores, opened.environment, stop)
        return dataclasses.replace(finding, fast_key_id=fast_key)

    def open(self, repository: ResticRepository, stores: OpenStores, stop: StopToken) -> Opened:
        """Opens what is there, by whichever generation of the password does.

        Raises:
            ResticError: RepositoryMissingError, WrongPasswordError …
            VolumeFailure: there is no password.
            KubeError: it cannot be read.
        """
        first = self._first_generation(repository)
        environment = self._environment(repository, stores, first)
        try:
            found = open_repository(self.runner, environment, stop)
        except WrongPasswordError as error:
            return self._by_another(repository, stores, first, error, stop)
        return Opened(repository_id=found, generation=first, environment=environment)

    def _make(self, repository: ResticRepository, stores: OpenStores, stop: StopToken) -> Opened:
        generation = self._first_generation(repository)
        environment = self._environment(repository, stores, generation)
        made = init_repository(self.runner, environment, stop)
        log.info("Repository initialized", key=repository.metadata.key, repository_id=made)
        return Opened(repository_id=made, generation=generation, environment=environment)

    def _first_generation(self, repository: ResticRepository) -> int:
        """The pinned one; the newest for a repository that was never opened."""
        pinned = repository.status.password_generation
        return pinned or next(iter(generations(self.client, self.namespace)), 1)

    def _by_another(
        self,
        repository: ResticRepository,
        stores: OpenStores,
        tried: int,
        error: WrongPasswordError,
        stop: StopToken,
    ) -> Opened:
        """By which other generation it opens; the error of the first where it opens by none."""
        for generation in generations(self.client, self.namespace):
            if generation == tried:
                continue
            environment = self._environment(repository, stores, generation)
            try:
                found = open_repository(self.runner, environment, stop)
            except WrongPasswordError:
                log.info("Password does not open the repository", key=repository.metadata.key, generation=generation)
            else:
                return Opened(repository_id=found, generation=generation, environment=environment)
        raise error

    def _environment(self, repository: ResticRepository, stores: OpenStores, generation: int) -> ResticEnvironment:
        return restic_environment(
            repository=repository.spec.restic_identifier,
            password=self._password(stores, generation),
            location=stores.settings.location,
            credentials=stores.settings.credentials,
            cache_dir=str(self.scratch_dir / "restic-cache"),
            key_hint=repository.status.fast_key_id,
        )

    def _password(self, stores: OpenStores, generation: int) -> Password:
        if stores.restore_only:  # what is here was encrypted by somebody else, so a new password opens none of it
            return read_password(self.client, self.namespace, generation)
        return ensure_password(self.client, self.namespace, stores.restic, generation)


def _remains(repository: ResticRepository, stores: OpenStores) -> str:
    """Why a repository that was given up is not made anew: something of it is left, which a prune would remove."""
    if not is_given_up(repository):
        return ""
    directory = repository.volume_namespace
    if not _is_here(repository, stores.settings.location):
        return (
            f"{repository.spec.restic_identifier} is not where the Config has the repositories; nothing is made there"
        )
    left = next((one.key for one in stores.restic.list(directory) if f"/{LOCKS}/" not in f"/{one.key}"), "")
    if not left:
        return ""
    return (
        f"there is no repository at {repository.spec.restic_identifier}, but files of one are left ({left}); bring its "
        f"config and keys back, or move the files away before a new one is made in their place"
    )


def _is_here(repository: ResticRepository, location: StorageLocation) -> bool:
    return repository.spec.restic_identifier == location.restic_identifier(repository.volume_namespace)
