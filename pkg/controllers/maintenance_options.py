"""The ConfigMap that sizes and places maintenance Jobs and limits what they read; every key is optional."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from pkg.apis.meta import JsonObject, Object
from pkg.apis.names import MAINTENANCE_CONFIG_LABEL
from pkg.controllers.maintenance_job import JobOptions
from pkg.controllers.maintenance_memory import parse_quantity
from pkg.controllers.verification_plan import VerificationLimits
from pkg.kube.client import Client
from pkg.kube.refs import CONFIG_MAPS

T = TypeVar("T")
_QUANTITIES = ("cpuRequest", "memRequest", "cpuLimit", "memLimit")
_PLACES = ("nodeSelector", "tolerations", "affinity")
_LIMITS = ("verifyPercentPerDay", "verifyBytesPerDay", "verifyColdClasses")
KEYS = (*_QUANTITIES, *_PLACES, *_LIMITS)


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
    return _parsed(found, parse_options)


def limits_of(found: Sequence[OptionsMap]) -> VerificationLimits:
    """How much may be read to verify it, by the first ConfigMap of these.

    Raises:
        ValueError: A key is unknown or cannot be read; the message names it.
    """
    return _parsed(found, parse_limits) if found else VerificationLimits()


def _parsed(found: Sequence[OptionsMap], parse: Callable[[Mapping[str, str]], T]) -> T:
    chosen = min(found, key=lambda one: one.metadata.name)
    try:
        return parse(chosen.data or {})
    except ValueError as error:
        raise ValueError(f"ConfigMap {chosen.metadata.key}: {error}") from error


def parse_options(data: Mapping[str, str]) -> JobOptions:
    """The options that the keys of a ConfigMap describe.

    Raises:
        ValueError: A key is unknown or cannot be read.
    """
    _refuse_unknown(data)
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


def parse_limits(data: Mapping[str, str]) -> VerificationLimits:
    """The limits of verification that the keys of a ConfigMap describe.

    Raises:
        ValueError: A key is unknown or cannot be read.
    """
    _refuse_unknown(data)
    defaults = VerificationLimits()
    percent = _number(data, "verifyPercentPerDay") if data.get("verifyPercentPerDay") else defaults.percent_a_day
    cold = data.get("verifyColdClasses", "false").strip().lower()
    if percent > 100:
        raise ValueError(f"verifyPercentPerDay is {percent:g}, 100 is all")
    if cold not in ("true", "false"):
        raise ValueError(f'verifyColdClasses is "{cold}", neither true nor false')
    return VerificationLimits(
        percent_a_day=percent,
        bytes_a_day=_size(data, "verifyBytesPerDay") if data.get("verifyBytesPerDay") else defaults.bytes_a_day,
        cold_classes=cold == "true",
    )


def _refuse_unknown(data: Mapping[str, str]) -> None:
    unknown = sorted(set(data) - set(KEYS))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]}, there are {', '.join(KEYS)}")


def _number(data: Mapping[str, str], key: str) -> float:
    if not re.fullmatch(r"\d+(\.\d+)?", data[key].strip()):
        raise ValueError(f'{key} is "{data[key]}", not a number such as 1 or 0.5')
    return float(data[key])


def _size(data: Mapping[str, str], key: str) -> int:
    try:
        return int(parse_quantity(data[key]))
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _mapping(data: Mapping[str, str], key: str) -> JsonObject:
    return _json(data, key, dict) or {}


def _json(data: Mapping[str, str], key: str, kind: type[T]) -> T | None:
    if not data.get(key, "").strip():
        return None
    try:
        return msgspec.json.decode(data[key].encode(), type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"{key} is not the JSON of a pod's {key}: {error}") from error
