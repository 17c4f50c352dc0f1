"""The ConfigMap that sizes and places maintenance Jobs, found by its label; every key is optional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from pkg.apis.meta import JsonObject, Object
from pkg.apis.names import MAINTENANCE_CONFIG_LABEL
from pkg.controllers.maintenance_job import JobOptions
from pkg.controllers.maintenance_memory import parse_quantity
from pkg.kube.client import Client
from pkg.kube.refs import CONFIG_MAPS

T = TypeVar("T")
_QUANTITIES = ("cpuRequest", "memRequest", "cpuLimit", "memLimit")
_PLACES = ("nodeSelector", "tolerations", "affinity")
KEYS = (*_QUANTITIES, *_PLACES)


class OptionsMap(Object, frozen=True, kw_only=True):
    """A ConfigMap."""

    data: dict[str, str] | None = None


def read_options(client: Client, namespace: str) -> JobOptions:
    """The options in force; those of the first ConfigMap by name where there are several.

    Raises:
        ValueError: A key is unknown or cannot be read; the message names it.
        KubeError: They cannot be asked for.
    """
    label, value = MAINTENANCE_CONFIG_LABEL
    found = client.list(CONFIG_MAPS, namespace, OptionsMap, label_selector=f"{label}={value}")
    if not found:
        return JobOptions()
    chosen = min(found, key=lambda one: one.metadata.name)
    try:
        return parse_options(chosen.data or {})
    except ValueError as error:
        raise ValueError(f"ConfigMap {chosen.metadata.key}: {error}") from error


def parse_options(data: Mapping[str, str]) -> JobOptions:
    """The options that the keys of a ConfigMap describe.

    Raises:
        ValueError: A key is unknown or cannot be read.
    """
    unknown = sorted(set(data) - set(KEYS))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}, there are {', '.join(KEYS)}")
    for key in _QUANTITIES:
        if data.get(key):
            parse_quantity(data[key])
    defaults = JobOptions()
    return JobOptions(
        cpu_request=data.get("cpuRequest", defaults.cpu_request),
        memory_request=data.get("memRequest", defaults.memory_request),
        cpu_limit=data.get("cpuLimit", defaults.cpu_limit),
        memory_limit=data.get("memLimit", defaults.memory_limit),
        node_selector={name: str(value) for name, value in _mapping(data, "nodeSelector").items()},
        tolerations=_json(data, "tolerations", list) or (),
        affinity=_mapping(data, "affinity"),
    )


def _mapping(data: Mapping[str, str], key: str) -> JsonObject:
    return _json(data, key, dict) or {}


def _json(data: Mapping[str, str], key: str, kind: type[T]) -> T | None:
    if not data.get(key, "").strip():
        return None
    try:
        return msgspec.json.decode(data[key].encode(), type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"{key} is not the JSON of a pod's {key}: {error}") from error
