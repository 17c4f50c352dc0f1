"""The kubernetes package's part of a connection: configuration, credentials and urllib3's pool.

Refreshing credentials is not safe in that package when many threads do it: 16 threads start 16 credential
plugins. So there is one lock, and what was read is good for some seconds. That lock is held across the refresh on
purpose: the other threads need exactly its result.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import urllib3
from kubernetes.client.api_client import ApiClient
from kubernetes.client.configuration import Configuration
from kubernetes.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_HOST_ENV_NAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes.config.kube_config import load_kube_config

from pkg.kube.abort import announce_connections
from pkg.kube.errors import KubeconfigError
from pkg.kube.kubeconfig import check_kubeconfig, split_paths
from pkg.kube.sockets import socket_options

POOL_CONNECTIONS: Final = 32
AUTHORIZATION_SECONDS: Final = 10.0
SERVICE_NAMESPACE_FILENAME: Final = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
DEFAULT_KUBECONFIG: Final = "~/.kube/config"

# These are untyped in the kubernetes package.
_load_kubeconfig: Callable[..., None] = load_kube_config
_service_account: Callable[..., InClusterConfigLoader] = InClusterConfigLoader


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a configuration comes from; `load` may be called again to get fresh credentials."""

    description: str
    namespace: str
    load: Callable[[], Configuration]


def kubeconfig_source(paths: str, context: str = "") -> Source:
    """A kubeconfig file, or a list of them as in KUBECONFIG."""
    selected = check_kubeconfig(paths, context)

    def load() -> Configuration:
        configuration = _configuration()
        existing = os.pathsep.join(str(path) for path in split_paths(paths))
        try:
            _load_kubeconfig(existing, selected.context, configuration, persist_config=False)
        except Exception as error:  # that loader lets KeyError, TypeError and others through
            raise KubeconfigError(f"kubeconfig {paths}: context {selected.context}: {error}") from error
        return configuration

    return Source(description=f"kubeconfig {paths}", namespace=selected.namespace, load=load)


def in_cluster_source() -> Source:
    """The service account of this pod."""

    def load() -> Configuration:
        configuration = _configuration()
        try:
            load_and_set: Callable[..., None] = _service_account(
                SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME
            ).load_and_set
            load_and_set(configuration)
        except Exception as error:  # whatever it is, the configuration is not usable
            raise KubeconfigError(f"service account {SERVICE_TOKEN_FILENAME}: {error}") from error
        return configuration

    return Source(description="service account", namespace=_service_namespace(), load=load)


def find_source(kubeconfig: str = "", context: str = "") -> Source:
    """The first of: the flag, KUBECONFIG, the pod's service account, ~/.kube/config."""
    named = kubeconfig or os.environ.get("KUBECONFIG", "")
    if named:
        return kubeconfig_source(named, context)
    if os.environ.get(SERVICE_HOST_ENV_NAME) and Path(SERVICE_TOKEN_FILENAME).is_file() and not context:
        return in_cluster_source()
    return kubeconfig_source(DEFAULT_KUBECONFIG, context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one request is sent with."""

    pool: urllib3.PoolManager
    authorization: str


class Session:
    """One pool of connections with the credentials that go with it; thread-safe."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._lock = threading.Lock()
        self._refreshed_at = float("-inf")
        self._use(source.load())

    def _use(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self._identity = _identity(configuration)
        self.pool: urllib3.PoolManager = ApiClient(configuration).rest_client.pool_manager
        announce_connections(self.pool)
        self._authorization = ""
        self._read_at = float("-inf")

    @property
    def host(self) -> str:
        """The server's address without a slash at its end."""
        return str(self.configuration.host).rstrip("/")

    def authorization(self) -> str:
        """The value of the Authorization header, empty where the client is known by its certificate."""
        return self.credentials().authorization

    def credentials(self) -> Credentials:
        """What the next request is to be sent with."""
        with self._lock:
            if time.monotonic() - self._read_at > AUTHORIZATION_SECONDS:
                self._authorization = self._read_authorization()
                self._read_at = time.monotonic()
            return Credentials(pool=self.pool, authorization=self._authorization)

    def refresh(self, refused: Credentials) -> bool:
        """Reads everything again after a 401 or a refused certificate; returns whether it is something else now."""
        with self._lock:
            if self._authorization != refused.authorization or self.pool is not refused.pool:
                return True
            if time.monotonic() - self._refreshed_at < AUTHORIZATION_SECONDS:
                return False  # a credential plugin must not run for every request of a client that is refused
            self._refreshed_at = time.monotonic()
            fresh = self.source.load()
            if _identity(fresh) == self._identity:
                self.configuration = fresh
            else:
                self._use(fresh)
                refused.pool.clear()
            self._authorization = self._read_authorization()
            self._read_at = time.monotonic()
            return self._authorization != refused.authorization or self.pool is not refused.pool

    def _read_authorization(self) -> str:
        try:
            setting = self.configuration.auth_settings().get("BearerToken")
        except Exception as error:  # plugins and token files fail in many ways
            raise KubeconfigError(f"{self.source.description}: credentials cannot be read: {error}") from error
        return str(setting["value"]) if setting else ""

    def twin(self) -> Session:
        """The same server and credentials with connections of its own."""
        return Session(self.source)

    def close(self) -> None:
        """Closes what is idle."""
        self.pool.clear()


def _identity(configuration: Configuration) -> tuple[object, ...]:
    """What kept connections cannot change: the server and what the certificate files hold, whatever their names."""
    files = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
    return (configuration.host, *(_content(file) for file in files))


def _content(file: str | None) -> bytes | None:
    try:
        return Path(file).read_bytes() if file else None
    except OSError:
        return None  # the next connection will say so


def _configuration() -> Configuration:
    configuration = Configuration()
    configuration.retries = False  # urllib3 would send PUT and DELETE again after a reset
    configuration.connection_pool_maxsize = POOL_CONNECTIONS
    configuration.socket_options = socket_options()
    return configuration


def _service_namespace() -> str:
    try:
        return Path(SERVICE_NAMESPACE_FILENAME).read_text().strip()
    except OSError:
        return ""
