"""Label selectors: as the API's query text, as a test on labels, and from what a person types.

An empty selector matches everything, as in Kubernetes. A selector that is not valid is refused with a sentence;
it never silently selects more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pkg.apis.meta import LabelSelector, LabelSelectorRequirement

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DNS = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_SET = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")
_SET_OPERATORS = ("In", "NotIn")
_WITHOUT_VALUES = ("Exists", "DoesNotExist")


def selector_string(selector: LabelSelector | None) -> str:
    """The `labelSelector` query text; empty for a selector that matches everything.

    Raises:
        ValueError: the selector is not valid.
    """
    if selector is None:
        return ""
    problems = selector_problems(selector)
    if problems:
        raise ValueError(problems[0])
    parts = [f"{key}={value}" for key, value in sorted((selector.match_labels or {}).items())]
    return ",".join([*parts, *(_requirement_string(one) for one in selector.match_expressions or ())])


def matches(selector: LabelSelector | None, labels: Mapping[str, str] | None) -> bool:
    """Whether labels satisfy every part of a selector."""
    if selector is None:
        return True
    found = labels or {}
    wanted = (selector.match_labels or {}).items()
    if any(found.get(key) != value for key, value in wanted):
        return False
    return all(_satisfies(one, found) for one in selector.match_expressions or ())


def parse_selector(text: str) -> LabelSelector:
    """A selector from kubectl's form: `a=b,c!=d,e in (x,y),!f,g`.

    Raises:
        ValueError: the text is not a selector; the message quotes the part that is not.
    """
    labels: dict[str, str] = {}
    expressions: list[LabelSelectorRequirement] = []
    for part in _split(text):
        requirement = _parse_requirement(part)
        single = requirement.operator == "In" and "(" not in part and requirement.key not in labels
        if single and requirement.values:
            labels[requirement.key] = requirement.values[0]
        else:
            expressions.append(requirement)
    selector = LabelSelector(match_labels=labels or None, match_expressions=tuple(expressions) or None)
    problems = selector_problems(selector)
    if problems:
        raise ValueError(f'invalid label selector "{text}": {problems[0]}')
    return selector


def selector_problems(selector: LabelSelector) -> list[str]:
    """What is wrong with a selector, one sentence each; empty when it is valid."""
    problems = []
    for key, value in (selector.match_labels or {}).items():
        problems += _key_problems(key) + _value_problems(value)
    for one in selector.match_expressions or ():
        problems += _key_problems(one.key) + _expression_problems(one)
        problems += [problem for value in one.values or () for problem in _value_problems(value)]
    return problems


def _requirement_string(one: LabelSelectorRequirement) -> str:
    values = ",".join(sorted(one.values or ()))
    match one.operator:
        case "In":
            return f"{one.key} in ({values})"
        case "NotIn":
            return f"{one.key} notin ({values})"
        case "Exists":
            return one.key
        case _:
            return f"!{one.key}"


def _satisfies(one: LabelSelectorRequirement, labels: Mapping[str, str]) -> bool:
    match one.operator:
        case "In":
            return one.key in labels and labels[one.key] in (one.values or ())
        case "NotIn":
            return one.key not in labels or labels[one.key] not in (one.values or ())
        case "Exists":
            return one.key in labels
        case "DoesNotExist":
            return one.key not in labels
        case _:
            return False


def _split(text: str) -> list[str]:
    if not text.strip():
        return []
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", text)]
    if not all(parts):
        raise ValueError(f'invalid label selector "{text}": it has an empty part')
    return parts


def _parse_requirement(part: str) -> LabelSelectorRequirement:
    as_set = _SET.fullmatch(part)
    if as_set:
        operator = "In" if as_set["operator"] == "in" else "NotIn"
        inside = as_set["values"].strip()
        values = tuple(value.strip() for value in inside.split(",")) if inside else ()
        return LabelSelectorRequirement(key=as_set["key"], operator=operator, values=values)
    for sign, operator in (("!=", "NotIn"), ("==", "In"), ("=", "In")):
        key, found, value = part.partition(sign)
        if found:
            return LabelSelectorRequirement(key=key.strip(), operator=operator, values=(value.strip(),))
    if part.startswith("!"):
        return LabelSelectorRequirement(key=part[1:].strip(), operator="DoesNotExist")
    return LabelSelectorRequirement(key=part, operator="Exists")


def _key_problems(key: str) -> list[str]:
    prefix, slash, name = key.rpartition("/")
    prefix_ok = not slash or (len(prefix) <= 253 and _DNS.fullmatch(prefix) is not None)
    return [] if prefix_ok and _NAME.fullmatch(name) else [f'"{key}" is not a label name']


def _value_problems(value: str) -> list[str]:
    return [] if not value or _NAME.fullmatch(value) else [f'"{value}" is not a label value']


def _expression_problems(one: LabelSelectorRequirement) -> list[str]:
    if one.operator in _SET_OPERATORS:
        return [] if one.values else [f'operator {one.operator} of "{one.key}" needs values']
    if one.operator in _WITHOUT_VALUES:
        return [f'operator {one.operator} of "{one.key}" takes no values'] if one.values else []
    return [f'"{one.operator}" is not an operator: use In, NotIn, Exists or DoesNotExist']
