"""Whether a repository gets a cheap key: only where its password is one that Ark made, and so has 256 random bits.

A person's password keeps its dear scrypt. Without a cheap key everything works and every restic start costs half a
second more, so what goes wrong here is a line in the log and no reason to be not Ready.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from pkg.apis.core import Secret
from pkg.apis.names import CREDENTIALS_SECRET, GENERATED_ANNOTATION
from pkg.apis.volumes import ResticRepository
from pkg.controllers.stores import OpenStores
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError
from pkg.kube.refs import SECRETS
from pkg.kube.stop import StopToken
from pkg.objectstore.errors import StoreError
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import CancelledError, ResticError
from pkg.restic.fastkey import FastKeyError, ensure_fast_key
from pkg.restic.runner import ResticRunner

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True)
class FastKeys:
    """Makes cheap keys, at most one attempt for each repository in the life of the process."""

    client: Client
    namespace: str
    runner: ResticRunner
    clock: Clock
    _tried: set[str] = field(default_factory=set)

    def wanted(self, repository: ResticRepository) -> bool:
        """Whether there is no cheap key and it was not tried."""
        return not repository.status.fast_key_id and repository.metadata.uid not in self._tried

    def try_again(self, repository: ResticRepository) -> None:
        """Lets another attempt be made: it is another repository now."""
        self._tried.discard(repository.metadata.uid)

    def ensure(
        self, repository: ResticRepository, stores: OpenStores, environment: ResticEnvironment, stop: StopToken
    ) -> str:
        """The id of the repository's cheap key; empty where there is none and none may or can be made.

        Raises:
            CancelledError: the token was cancelled.
        """
        self._tried.add(repository.metadata.uid)
        directory = repository.volume_namespace
        if stores.restore_only or not repository.spec.restic_identifier.endswith(f"/{directory}"):
            return ""
        try:
            if not self._is_generated():
                return ""
            return ensure_fast_key(
                stores.restic, directory, environment, runner=self.runner, now=self.clock.now(), stop=stop
            )
        except CancelledError:
            self._tried.discard(repository.metadata.uid)
            raise
        except (FastKeyError, KubeError, ResticError, StoreError) as error:
            log.warning("No cheap key; restic starts slower", key=repository.metadata.key, error=str(error))
            return ""

    def _is_generated(self) -> bool:
        secret = self.client.get(SECRETS, self.namespace, CREDENTIALS_SECRET, Secret)
        return secret.metadata.annotation(GENERATED_ANNOTATION) == "true"
