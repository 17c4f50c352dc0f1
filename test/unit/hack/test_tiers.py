from __future__ import annotations

from pathlib import Path

import pytest

from hack import tiers
from hack.tiers import Outcome

CASES = {
    "pass": "<testcase name='a'/>",
    "fail": "<testcase name='b'><failure message='no'/></testcase>",
    "error": "<testcase name='c'><error message='setup'/></testcase>",
    "skip": "<testcase name='d'><skipped message='later'/></testcase>",
}


def report(directory: Path, *kinds: str) -> Path:
    path = directory / "junit.xml"
    cases = "".join(CASES[kind] for kind in kinds)
    path.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    return path


@pytest.mark.parametrize(
    ("kinds", "exit_code", "expected"),
    [
        pytest.param(["pass", "pass"], 0, (2, 0, 0), id="all passed"),
        pytest.param(["pass", "fail"], 1, (1, 1, 0), id="a failure is counted"),
        pytest.param(["pass", "error"], 1, (1, 1, 0), id="an error in a fixture is a failure"),
        pytest.param(["pass", "skip"], 0, (1, 0, 1), id="a skip is not a pass"),
        pytest.param([], 5, (0, 1, 0), id="no tests at all is a failure"),
        pytest.param(["skip", "skip"], 0, (0, 1, 2), id="a tier in which all was skipped is a failure"),
        pytest.param(["pass"], 3, (1, 1, 0), id="a crash of pytest after its tests is a failure"),
    ],
)
def test_a_report_and_an_exit_code_become_counts(
    tmp_path: Path, kinds: list[str], exit_code: int, expected: tuple[int, int, int]
) -> None:
    outcome = tiers.outcome_of("unit", report(tmp_path, *kinds), exit_code)
    assert (outcome.passed, outcome.failed, outcome.skipped) == expected


def test_a_run_without_a_report_is_a_failure(tmp_path: Path) -> None:
    assert tiers.outcome_of("unit", tmp_path / "absent.xml", 0).failed == 1


@pytest.mark.parametrize(
    ("tier", "is_root", "is_linux", "skip_reason", "runs"),
    [
        pytest.param("unit", False, False, "", True, id="unit tests run anywhere"),
        pytest.param("controlplane", False, True, "too slow", True, id="only the cluster can be skipped"),
        pytest.param("cluster", True, True, "", True, id="root on Linux must run the cluster"),
        pytest.param("cluster", True, True, "no netns here", False, id="a reason skips the cluster"),
        pytest.param("cluster", False, True, "", False, id="a user cannot run the cluster"),
    ],
)
def test_what_may_stay_out(tier: str, is_root: bool, is_linux: bool, skip_reason: str, runs: bool) -> None:
    assert (tiers.why_not(tier, is_root=is_root, is_linux=is_linux, skip_reason=skip_reason) is None) is runs


def test_the_last_line_of_the_table_is_the_sums_alone() -> None:
    outcomes = [Outcome(tier="unit", passed=3, skipped=1), tiers.did_not_run("cluster", "no root", excused=True)]
    assert tiers.table(outcomes).splitlines()[-1] == "3 passed, 0 failed, 2 skipped"


@pytest.mark.parametrize(
    ("outcomes", "good"),
    [
        pytest.param([Outcome(tier="unit", passed=1)], True, id="something ran and nothing failed"),
        pytest.param([Outcome(tier="unit", passed=9, failed=1)], False, id="one failure is enough"),
        pytest.param([], False, id="nothing ran"),
        pytest.param([tiers.did_not_run("cluster", "why", excused=True)], False, id="only skips"),
        pytest.param(
            [Outcome(tier="unit", passed=1), tiers.did_not_run("cluster", "broken", excused=False)],
            False,
            id="a tier that should have run did not",
        ),
    ],
)
def test_when_a_run_is_good(outcomes: list[Outcome], good: bool) -> None:
    assert tiers.is_good(outcomes) is good
