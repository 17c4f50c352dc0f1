"""How the server's own restic calls reach a repository: its generation of the password, its cheap key, one cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pkg.apis.volumes import ResticRepository
from pkg.controllers.agent import read_password
from pkg.controllers.config import Settings
from pkg.kube.client import Client
from pkg.restic.environment import ResticEnvironment, restic_environment


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryAccess:
    """Builds environments."""

    client: Client
    namespace: str
    scratch_dir: Path

    def environment(self, repository: ResticRepository, settings: Settings) -> ResticEnvironment:
        """The environment of a repository.

        Raises:
            VolumeFailure: the password's Secret or its key is missing.
            KubeError: it cannot be read.
        """
        return restic_environment(
            repository=repository.spec.restic_identifier,
            password=read_password(self.client, self.namespace, max(1, repository.status.password_generation)),
            location=settings.location,
            credentials=settings.credentials,
            cache_dir=str(self.scratch_dir / "restic-cache"),
            key_hint=repository.status.fast_key_id,
        )
