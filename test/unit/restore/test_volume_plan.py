"""One data restore per claim, markers after it, and the same decision from the same objects."""

from __future__ import annotations

import pytest

from pkg.apis.core import Pod, PodSpec
from pkg.apis.meta import ObjectMeta
from pkg.apis.volumes import PodVolumeRestoreStatus, VolumeProgress
from pkg.restore.captures import Capture, PodVolume
from pkg.restore.volume_plan import Filling, next_starts, signature

CAPTURE = Capture(namespace="shop", snapshot_id="1")
DATA, MARKER = False, True


def filling(pod: str, claim: str = "data", *, read_only: bool = False) -> Filling:
    volume = PodVolume(volume="data", claim=claim, capture=CAPTURE, read_only=read_only)
    return Filling(name=f"r-{pod}", namespace="shop", pod=pod, pod_uid=f"uid-{pod}", volume=volume)


def pods(**nodes: str) -> dict[str, Pod]:
    return {
        f"uid-{name}": Pod(metadata=ObjectMeta(name=name), spec=PodSpec(node_name=node)) for name, node in nodes.items()
    }


BOTH = (filling("a"), filling("b"))
ON_NODES = pods(a="n1", b="n2")


@pytest.mark.parametrize(
    ("phases", "started", "ended", "expected"),
    [
        pytest.param({}, (), (), [("r-a", DATA)], id="the first pod brings the data"),
        pytest.param({}, ("r-a",), (), [], id="one that was just created counts though the view lags"),
        pytest.param({"r-a": "New"}, (), (), [], id="after a restart the first one is known by its name"),
        pytest.param({"r-a": "InProgress"}, (), (), [], id="the others wait while it runs"),
        pytest.param({"r-a": "Completed"}, (), (), [("r-b", MARKER)], id="the others get their marker after it"),
        pytest.param({"r-a": "Completed", "r-b": "New"}, (), (), [], id="nothing is created twice"),
        pytest.param({"r-a": "Failed"}, (), ("r-a",), [("r-b", DATA)], id="the next one tries when it failed"),
        pytest.param({"r-a": "New"}, (), ("r-a",), [("r-b", DATA)], id="the next one tries when it was given up"),
        pytest.param({}, (), ("r-a", "r-b"), [], id="nothing is left"),
    ],
)
def test_what_starts_next(
    phases: dict[str, str], started: tuple[str, ...], ended: tuple[str, ...], expected: list[tuple[str, bool]]
) -> None:
    statuses = {name: PodVolumeRestoreStatus(phase=phase) for name, phase in phases.items()}
    found = next_starts(BOTH, statuses=statuses, started=started, ended=ended, pods=ON_NODES)
    assert [(one.filling.name, one.marker_only) for one in found] == expected


def starts(*fillings: Filling, **nodes: str) -> list[str]:
    found = next_starts(fillings, statuses={}, started=(), ended=(), pods=pods(**nodes))
    return [one.filling.name for one in found]


def test_a_pod_without_a_node_waits_and_another_goes_ahead() -> None:
    assert starts(*BOTH, a="", b="n2") == ["r-b"]


def test_a_pod_that_is_not_seen_yet_waits() -> None:
    assert starts(*BOTH) == []


def test_a_pod_that_may_write_goes_before_one_that_may_only_read() -> None:
    assert starts(filling("a", read_only=True), filling("b"), a="n1", b="n2") == ["r-b"]


def test_volumes_without_a_claim_are_each_pods_own() -> None:
    assert starts(filling("a", ""), filling("b", ""), a="n1", b="n2") == ["r-a", "r-b"]


@pytest.mark.parametrize(
    "status",
    [
        PodVolumeRestoreStatus(phase="InProgress"),
        PodVolumeRestoreStatus(phase="New", attempts=1),
        PodVolumeRestoreStatus(phase="New", progress=VolumeProgress(bytes_done=1)),
    ],
)
def test_whatever_moves_counts_as_progress(status: PodVolumeRestoreStatus) -> None:
    before = signature(BOTH, {"r-a": PodVolumeRestoreStatus(phase="New")}, ON_NODES)
    assert signature(BOTH, {"r-a": status}, ON_NODES) != before
    assert signature(BOTH, {"r-a": PodVolumeRestoreStatus(phase="New")}, ON_NODES) == before
