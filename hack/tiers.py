"""What a run of tests amounts to: counts per tier, the table at its end, and whether the run is good.

A tier that should run and does not is a failure, and so is one without a test: a green run must mean that
everything was tried.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIERS = ("unit", "controlplane", "cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one tier; `note` says why it did not run, or what went wrong beside its tests."""

    tier: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""

    @property
    def ran(self) -> int:
        """How many tests ran to an end."""
        return self.passed + self.failed


def did_not_run(tier: str, reason: str, *, excused: bool) -> Outcome:
    """A tier that could not start: one skip where that is accepted, otherwise one failure."""
    return Outcome(tier=tier, failed=int(not excused), skipped=int(excused), note=reason)


def outcome_of(tier: str, report: Path, exit_code: int) -> Outcome:
    """What pytest's JUnit report and exit code say; a run without a test or without a report has failed."""
    if not report.exists():
        return Outcome(tier=tier, failed=1, note=f"pytest ended with {exit_code} and no report")
    passed, failed, skipped = _counts(report)
    if passed + failed == 0:
        return Outcome(tier=tier, failed=1, skipped=skipped, note="no test ran")
    if exit_code and not failed:
        return Outcome(
            tier=tier, passed=passed, failed=1, skipped=skipped, note=f"pytest ended with exit code {exit_code}"
        )
    return Outcome(tier=tier, passed=passed, failed=failed, skipped=skipped)


def _counts(report: Path) -> tuple[int, int, int]:
    cases = list(ET.parse(report).iter("testcase"))
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    skipped = sum(1 for case in cases if case.find("skipped") is not None and case.find("error") is None)
    return len(cases) - failed - skipped, failed, skipped


def why_not(tier: str, *, is_root: bool, is_linux: bool, skip_reason: str) -> tuple[str, bool] | None:
    """Why a tier cannot run here, and whether that is accepted; None where it must run.

    Only the cluster needs more than a user's rights. As root it runs, unless a person gave a reason.
    """
    if tier != "cluster":
        return None
    if skip_reason:
        return f"ARK_SKIP_CLUSTER: {skip_reason}", True
    if not is_linux:
        return "a cluster of this machine needs Linux", True
    if not is_root:
        return "a cluster of this machine needs root", True
    return None


def table(outcomes: Sequence[Outcome]) -> str:
    """The lines at the end: a row per tier, and last the sums alone."""
    rows = [("tier", "ran", "passed", "failed", "skipped", "")]
    rows += [(one.tier, str(one.ran), str(one.passed), str(one.failed), str(one.skipped), one.note) for one in outcomes]
    lines = [
        f"{tier:<14}{ran:>6}{passed:>8}{failed:>8}{skipped:>9}  {note}".rstrip()
        for tier, ran, passed, failed, skipped, note in rows
    ]
    return "\n".join([*lines, sums(outcomes)])


def sums(outcomes: Sequence[Outcome]) -> str:
    """The last line, which machines read."""
    passed = sum(one.passed for one in outcomes)
    failed = sum(one.failed for one in outcomes)
    skipped = sum(one.skipped for one in outcomes)
    return f"{passed} passed, {failed} failed, {skipped} skipped"


def is_good(outcomes: Sequence[Outcome]) -> bool:
    """Whether nothing failed and anything at all ran."""
    return not any(one.failed for one in outcomes) and any(one.ran for one in outcomes)
