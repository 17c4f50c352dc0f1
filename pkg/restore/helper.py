"""How restic-wait runs: its image, resources and security context, by default and as an operator's ConfigMap says.

A ConfigMap in Ark's namespace with the label `ark.heptio.com/plugin-config: restic-restore` has the keys of Velero's. A
value that means nothing is a warning in the restore's results and the default counts, because a pod that the API server
refuses would be worse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import yaml

from pkg.apis.duration import parse_duration
from pkg.apis.meta import Json, JsonObject
from pkg.apis.names import HELPER_CONFIG_LABEL
from pkg.restore.config_maps import ConfigMap

HELPER_COMMAND = "ark-restic-restore-helper"
NOBODY = 65534
SECURITY: JsonObject = {
    "runAsNonRoot": True,
    "runAsUser": NOBODY,
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_QUANTITIES = {
    "cpuRequest": ("requests", "cpu"),
    "memRequest": ("requests", "memory"),
    "cpuLimit": ("limits", "cpu"),
    "memLimit": ("limits", "memory"),
}
_QUANTITY = re.compile(r"\d+(\.\d*)?([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Helper:
    """What restic-wait is made of.

    Attributes:
        resources: `requests` and `limits` that an operator chose; they go before what the pod itself suggests.
        security: The container's whole security context.
        timeout_seconds: How long it waits before it says what is missing and ends; 0 for as long as it takes.
    """

    image: str
    command: tuple[str, ...] = (HELPER_COMMAND,)
    resources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    security: Mapping[str, Json] = field(default_factory=lambda: SECURITY)
    timeout_seconds: float = 0.0


def configured_helper(found: Sequence[ConfigMap], image: str) -> tuple[Helper, list[str]]:
    """The helper, and what is wrong with its configuration."""
    if not found:
        return Helper(image=image), []
    if len(found) > 1:
        names = ", ".join(sorted(one.metadata.name for one in found))
        label, value = HELPER_CONFIG_LABEL
        return Helper(image=image), [f"the label {label}={value} is on more than one ConfigMap ({names}): none counts"]
    reading = _Reading(found[0].data or {})
    helper = Helper(
        image=reading.text("image") or image,
        command=reading.command(),
        resources=reading.resources(),
        security=reading.security(),
        timeout_seconds=reading.timeout(),
    )
    return helper, [f"ConfigMap {found[0].metadata.name}: {text}" for text in (*reading.problems, *reading.unknown())]


class _Reading:
    """Takes the keys of a ConfigMap one after the other."""

    def __init__(self, data: Mapping[str, str]) -> None:
        self._left = dict(data)
        self.problems: list[str] = []

    def text(self, key: str) -> str:
        return self._left.pop(key, "").strip()

    def unknown(self) -> list[str]:
        return [f'"{key}" is no key that restic-wait knows' for key in sorted(self._left)]

    def command(self) -> tuple[str, ...]:
        text = self.text("command")
        if not text.startswith("["):
            return (text,) if text else (HELPER_COMMAND,)
        try:
            return msgspec.json.decode(text, type=tuple[str, ...])
        except msgspec.DecodeError as error:
            self.problems.append(f"command: {error}")
            return (HELPER_COMMAND,)

    def resources(self) -> dict[str, dict[str, str]]:
        chosen: dict[str, dict[str, str]] = {}
        for key, (kind, resource) in _QUANTITIES.items():
            text = self.text(key)
            if text and _QUANTITY.fullmatch(text):
                chosen.setdefault(kind, {})[resource] = text
            elif text:
                self.problems.append(f'{key}: "{text}" is no quantity')
        return chosen

    def security(self) -> JsonObject:
        chosen = dict(SECURITY)
        if text := self.text("secCtx"):
            try:
                chosen = msgspec.json.decode(msgspec.json.encode(yaml.safe_load(text)), type=dict)
            except (yaml.YAMLError, msgspec.MsgspecError, TypeError) as error:
                self.problems.append(f"secCtx is no security context: {error}")
        for key, name in (("secCtxRunAsUser", "runAsUser"), ("secCtxRunAsGroup", "runAsGroup")):
            text = self.text(key)
            if text.isdecimal():
                chosen[name] = int(text)
            elif text:
                self.problems.append(f'{key}: "{text}" is no number')
        if chosen.get("runAsUser") == 0:
            chosen.pop("runAsNonRoot", None)  # with it the kubelet would refuse to start it
        if text := self.text("secCtxAllowPrivilegeEscalation"):
            chosen["allowPrivilegeEscalation"] = text.lower() == "true"
        return chosen

    def timeout(self) -> float:
        text = self.text("timeout")
        try:
            return parse_duration(text) if text else 0.0
        except ValueError as error:
            self.problems.append(f"timeout: {error}")
            return 0.0
