"""The shipped alerts are PromQL: each expression and template is read by the part of the grammar that they use.

What is outside of that part is refused here, so that whoever needs more of PromQL adds it on purpose.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

RULES_FILE = Path(__file__).resolve().parents[3] / "config" / "common" / "alerts" / "rules.yaml"
RULES = [rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]]
AGGREGATIONS = frozenset({"max", "min", "sum", "count"})
FUNCTIONS = {"absent": 1, "time": 0, "abs": 1, "vector": 1}
LEVELS = (("unless", "and", "or"), ("==", "!=", ">=", "<=", ">", "<"), ("+", "-"), ("*", "/"))
TOKEN = re.compile(r'\s*("[^"]*"|==|!=|>=|<=|=~|!~|[-+*/(){}=<>,]|[0-9]+(?:\.[0-9]+)?|[a-zA-Z_][a-zA-Z0-9_]*)')
TEMPLATE = re.compile(r"\{\{ \$labels\.([a-z_]+) \}\}|\{\{ \$value(?: \| (?:humanizeDuration|humanize))? \}\}")


class Reader:
    """Reads one expression; `labels` are those that its result has, None where nobody can tell."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        at, text = 0, text.strip()
        while at < len(text):
            found = TOKEN.match(text, at)
            assert found, f"not PromQL: {text[at:]}"
            self.tokens.append(found[1])
            at = found.end()

    def read(self) -> frozenset[str] | None:
        labels = self.binary(0)
        assert not self.tokens, f"left over: {self.tokens}"
        return labels

    def take(self, *expected: str) -> str:
        assert self.tokens, f"the end, expected one of {expected}"
        token = self.tokens.pop(0)
        assert not expected or token in expected, f"{token}, expected one of {expected}"
        return token

    def binary(self, level: int) -> frozenset[str] | None:
        if level == len(LEVELS):
            return self.operand()
        labels = self.binary(level + 1)
        while self.tokens and self.tokens[0] in LEVELS[level]:
            self.take()
            other = self.binary(level + 1)
            assert not labels or not other or labels == other, f"{labels} is compared with {other}"
            labels = labels or other
        return labels

    def operand(self) -> frozenset[str] | None:
        token = self.take()
        if token == "(":
            labels = self.binary(0)
            self.take(")")
            return labels
        if token[0].isdigit():
            return frozenset()
        assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", token), f"{token} begins no operand"
        if token in AGGREGATIONS:
            return self.aggregation()
        if self.tokens[:1] == ["("]:
            return self.call(token)
        self.selector(token)
        return None

    def aggregation(self) -> frozenset[str]:
        labels: frozenset[str] = frozenset()
        if self.tokens[0] == "by":
            self.take("by")
            labels = self.names()
        self.take("(")
        self.binary(0)
        self.take(")")
        return labels

    def names(self) -> frozenset[str]:
        self.take("(")
        found = {self.take()}
        while self.take(",", ")") == ",":
            found.add(self.take())
        return frozenset(found)

    def call(self, name: str) -> frozenset[str] | None:
        assert name in FUNCTIONS, f"{name} is no function that is known here"
        self.take("(")
        if FUNCTIONS[name]:
            self.binary(0)
        self.take(")")
        return None if FUNCTIONS[name] else frozenset()

    def selector(self, name: str) -> None:
        assert name.startswith("ark_"), f"{name} is no series of Ark's"
        if self.tokens[:1] == ["{"]:
            self.take("{")
            while True:
                self.take()
                self.take("=", "!=", "=~", "!~")
                assert self.take().startswith('"')
                if self.take(",", "}") == "}":
                    return


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_can_be_read_and_its_texts_name_labels_that_it_has(rule: dict[str, object]) -> None:
    labels = Reader(str(rule["expr"])).read()
    annotations = rule["annotations"]
    assert isinstance(annotations, dict)
    for text in annotations.values():
        assert "{{" not in TEMPLATE.sub("", text)
        named = {found for found in TEMPLATE.findall(text) if found}
        assert labels is None or named <= labels


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_has_a_severity_and_a_time_that_prometheus_reads(rule: dict[str, object]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Ark[A-Za-z]+", str(rule["alert"]))
    assert re.fullmatch(r"([0-9]+(ms|[smhdwy]))+", str(rule.get("for", "0s")))
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"}, {"severity": "info"})
    assert rule["annotations"].keys() == {"summary", "description"}  # type: ignore[attr-defined]  # YAML


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("max by (schedule) (ark_schedule_held == 1", id="a bracket that is not closed"),
        pytest.param("max by schedule (ark_schedule_held)", id="labels without brackets"),
        pytest.param("maximum(ark_schedule_held)", id="an unknown function"),
        pytest.param("ark_schedules{phase=FailedValidation} > 0", id="a value without quotes"),
        pytest.param("ark_schedules > ", id="half a comparison"),
        pytest.param("max by (a) (ark_schedules) > max by (b) (ark_schedules)", id="labels that do not match"),
        pytest.param("up == 0", id="somebody else's series"),
    ],
)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(AssertionError):
        Reader(text).read()
