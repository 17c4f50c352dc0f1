"""restic's environment: an allow-list from ours, then what restic must have; nothing else reaches the child.

Secrets travel in the child's environment only: argv is world-readable in /proc, and a file would outlive a crash.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

from pkg.objectstore.credentials import CloudCredentials
from pkg.objectstore.location import StorageLocation
from pkg.restic.password import Password

PROGRESS_PER_SECOND = "2"
_ANY_CASE = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
STORE_VARIABLES = frozenset(
    {
        *_ANY_CASE,
        *(name.lower() for name in _ANY_CASE),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "RESTIC_CACERT"),
        # workload identity of the three clouds
        *("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_SESSION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"),
        *("AWS_STS_REGIONAL_ENDPOINTS", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
        *("AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        *("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST"),
        *("AZURE_ENDPOINT_SUFFIX", "GOOGLE_PROJECT_ID", "GCE_METADATA_HOST"),
    }
)
"""How a process gets to its store: proxies, certificates, and who it is. Names and paths, no secret among them."""
ALLOWED = STORE_VARIABLES | {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "GOMEMLIMIT", "GOMAXPROCS", "GOGC"}
_SECRET_WORDS = ("SECRET", "KEY", "TOKEN", "SAS", "PASSWORD")
_HIDDEN = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResticEnvironment:
    """How restic reaches one repository.

    Attributes:
        repository: restic's address of it.
        cloud: The variables of restic's backend, secrets among them.
        cache_dir: restic's cache; must belong to our uid. Empty: restic keeps none.
        key_hint: Id of the key to try first; empty for none.
        options: restic's `-o` options for this backend.
        repository_id: What the repository's part of the cache is called; empty where it is not known.
        go_memory_bytes: What restic's garbage collector keeps it below; 0 for nothing. An operator's own counts more.
    """

    repository: str
    password: Password
    cloud: Mapping[str, str] = field(default_factory=dict, repr=False)
    cache_dir: str
    key_hint: str = ""
    options: tuple[str, ...] = ()
    repository_id: str = ""
    go_memory_bytes: int = 0

    def variables(self, base: Mapping[str, str]) -> dict[str, str]:
        """The child's whole environment, built from a base by the allow-list."""
        ours = {
            **self.cloud,
            "RESTIC_REPOSITORY": self.repository,
            "RESTIC_PASSWORD": self.password.reveal(),
            "RESTIC_PROGRESS_FPS": PROGRESS_PER_SECOND,
        }
        if self.cache_dir:
            ours["RESTIC_CACHE_DIR"] = self.cache_dir
        if self.key_hint:
            ours["RESTIC_KEY_HINT"] = self.key_hint
        bound = {"GOMEMLIMIT": str(self.go_memory_bytes)} if self.go_memory_bytes else {}
        return {**bound, **allowed(base), **ours}

    def with_key_hint(self, key_id: str) -> ResticEnvironment:
        """The same with another key to try first."""
        return dataclasses.replace(self, key_hint=key_id)

    def redacted(self, text: str) -> str:
        """The text without any secret of this environment."""
        secret_values = {v for name, v in self.cloud.items() if any(word in name for word in _SECRET_WORDS)}
        for secret in sorted({self.password.reveal(), *secret_values}, key=len, reverse=True):
            if secret:
                text = text.replace(secret, _HIDDEN)
        return text


def allowed(base: Mapping[str, str]) -> dict[str, str]:
    """What of an environment may reach restic."""
    return {name: value for name, value in base.items() if name in ALLOWED}


def restic_environment(
    *,
    repository: str,
    password: Password,
    location: StorageLocation,
    credentials: CloudCredentials,
    cache_dir: str,
    key_hint: str = "",
    repository_id: str = "",
) -> ResticEnvironment:
    """The environment for a repository of a storage location, with the credentials that obstore uses too."""
    return ResticEnvironment(
        repository=repository,
        password=password,
        cloud=credentials.restic_environment(),
        cache_dir=cache_dir,
        key_hint=key_hint,
        options=location.restic_options,
        repository_id=repository_id,
    )
