"""Whether anything may be deleted at all: asked before each deletion and between any two steps of one.

The freeze is read from the Config object itself, so that it holds also while the rest of the Config cannot be used.
"""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.ark import Config
from pkg.apis.names import CONFIG_NAME
from pkg.controllers.config import DEFAULT_GC_PERIOD_SECONDS, SettingsError
from pkg.controllers.stores import Stores
from pkg.informers.lister import Lister


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionGate:
    """`ark freeze-deletions` and restoreOnly mode."""

    configs: Lister[Config]
    namespace: str
    stores: Stores

    def frozen(self) -> str:
        """Why deletions are frozen; empty when they are not."""
        config = self.configs.get(self.namespace, CONFIG_NAME)
        return config.deletions_frozen.strip() if config is not None else ""

    def restore_only(self) -> bool:
        """Whether nothing in the store may change; without usable settings nothing can."""
        try:
            return self.stores.settings().restore_only
        except SettingsError:
            return False

    def why(self) -> str:
        """Why nothing may be deleted now; empty when it may."""
        if frozen := self.frozen():
            return f"deletions are frozen: {frozen}; ark unfreeze-deletions ends that"
        return "the server is in restoreOnly mode" if self.restore_only() else ""

    def period_seconds(self) -> float:
        """How often what is held is looked at again."""
        try:
            return self.stores.settings().gc_period_seconds
        except SettingsError:
            return DEFAULT_GC_PERIOD_SECONDS
