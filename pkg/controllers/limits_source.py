"""The ConfigMap `ark-limits` as the cache holds it; while it is wrong, what was right before stays in force."""

from __future__ import annotations

import threading

from pkg.apis.core import ConfigMap
from pkg.apis.names import LIMITS_CONFIG_MAP
from pkg.controllers.limits import LimitsConfig
from pkg.controllers.limits_parsing import parse_limits
from pkg.informers.lister import Lister

Version = tuple[str, str]


class LimitsSource:
    """Reads the ConfigMap whenever somebody asks, and parses it only when it changed."""

    def __init__(self, configs: Lister[ConfigMap], namespace: str) -> None:
        self._configs = configs
        self._namespace = namespace
        self._lock = threading.Lock()
        self._of: Version | None = None
        self._config = LimitsConfig()
        self._problem = ""

    @property
    def problem(self) -> str:
        """What is wrong with it and what to do, in one sentence; empty when it is right or not there."""
        with self._lock:
            return self._problem

    def config(self) -> LimitsConfig:
        """What is in force; without a ConfigMap nothing is said."""
        found = self._configs.get(self._namespace, LIMITS_CONFIG_MAP)
        version = None if found is None else (found.metadata.uid, found.metadata.resource_version)
        with self._lock:
            if version != self._of:
                self._of = version
                self._take(found)
            return self._config

    def _take(self, found: ConfigMap | None) -> None:
        self._problem = ""
        if found is None:
            self._config = LimitsConfig()
            return
        try:
            self._config = parse_limits(found.data or {})
        except ValueError as error:
            self._problem = (
                f"ConfigMap {self._namespace}/{LIMITS_CONFIG_MAP}: {error}; the limits before stay in force: "
                f"kubectl -n {self._namespace} edit configmap {LIMITS_CONFIG_MAP}"
            )
