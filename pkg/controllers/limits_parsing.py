"""Reads limits from the ConfigMap `ark-limits` and from a node's labels.

Strict: an unknown key, a number out of its range or a selector that would select more than was meant is a sentence that
says what to correct, and never half of a configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from pkg.apis.label_selector import selector_problems
from pkg.apis.names import RESTORE_SLOTS_LABEL, SLOTS_LABEL
from pkg.controllers.limits import LimitsConfig, NodeRule

MOST_SLOTS = 64
MOST_IN_CLUSTER = 10_000
MOST_KIB = 1 << 31
_WHOLE = re.compile(r"\d{1,12}")
_RANGES = {
    "backupSlots": (1, MOST_SLOTS),
    "restoreSlots": (1, MOST_SLOTS),
    "perRepository": (1, MOST_SLOTS),
    "wholeCluster": (1, MOST_IN_CLUSTER),
    "limitUploadKiB": (0, MOST_KIB),
    "limitDownloadKiB": (0, MOST_KIB),
}
KEYS = (*_RANGES, "nodes")


def parse_limits(data: Mapping[str, str]) -> LimitsConfig:
    """The limits that a ConfigMap's data describes.

    Raises:
        ValueError: A key is unknown, or its value cannot be meant.
    """
    unknown = sorted(set(data) - set(KEYS))
    if unknown:
        raise ValueError(f'"{unknown[0]}" is not one of the keys {", ".join(KEYS)}')
    numbers = {key: _number(key, data[key].strip()) for key in _RANGES if key in data}
    return LimitsConfig(
        backup_slots=numbers.get("backupSlots"),
        restore_slots=numbers.get("restoreSlots"),
        per_repository=numbers.get("perRepository"),
        whole_cluster=numbers.get("wholeCluster"),
        upload_kib=numbers.get("limitUploadKiB"),
        download_kib=numbers.get("limitDownloadKiB"),
        rules=_rules(data.get("nodes", "")),
    )


def label_slots(labels: Mapping[str, str] | None, label: str) -> int | None:
    """The slots that a node's label asks for; None without it.

    Raises:
        ValueError: Its value is no number of slots.
    """
    text = (labels or {}).get(label)
    return None if text is None else _checked(f"label {label}", text, 1, MOST_SLOTS)


def label_problems(labels: Mapping[str, str] | None) -> list[str]:
    """What is wrong with a node's labels, one sentence each."""
    problems = []
    for label in (SLOTS_LABEL, RESTORE_SLOTS_LABEL):
        try:
            label_slots(labels, label)
        except ValueError as error:
            problems.append(str(error))
    return problems


def _number(key: str, text: str) -> int:
    return _checked(key, text, *_RANGES[key])


def _checked(what: str, text: str, lowest: int, highest: int) -> int:
    if not _WHOLE.fullmatch(text) or not lowest <= int(text) <= highest:
        raise ValueError(f'{what} is "{text}", it must be a whole number from {lowest} to {highest}')
    return int(text)


def _rules(text: str) -> tuple[NodeRule, ...]:
    if not text.strip():
        return ()
    try:
        rules = msgspec.json.decode(text.encode(), type=tuple[NodeRule, ...])
    except msgspec.DecodeError as error:
        raise ValueError(f"nodes is not a JSON list of rules: {error}") from error
    for position, rule in enumerate(rules, 1):
        problems = _rule_problems(rule)
        if problems:
            raise ValueError(f"rule {position} of nodes: {problems[0]}")
    return rules


def _rule_problems(rule: NodeRule) -> list[str]:
    values = {
        "backupSlots": rule.backup_slots,
        "restoreSlots": rule.restore_slots,
        "limitUploadKiB": rule.upload_kib,
        "limitDownloadKiB": rule.download_kib,
    }
    problems = selector_problems(rule.selector)
    if not rule.node_selector.match_labels and not rule.node_selector.match_expressions:
        problems.append("nodeSelector is empty; what is meant for every node belongs in the keys beside nodes")
    if all(value is None for value in values.values()):
        problems.append(f"it limits nothing; it may have {', '.join(values)}")
    for key, value in values.items():
        lowest, highest = _RANGES[key]
        if value is not None and not lowest <= value <= highest:
            problems.append(f"{key} is {value}, it must be a whole number from {lowest} to {highest}")
    return problems
