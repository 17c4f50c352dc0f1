"""What the server does next about the captures of a backup."""

from collections.abc import Sequence

from pkg.apis.meta import ObjectMeta
from pkg.apis.reasons import Reason
from pkg.apis.volumes import PodVolumeBackup, PodVolumeBackupSpec, PodVolumeBackupStatus
from pkg.controllers.admission import Candidate
from pkg.controllers.agents import AgentVerdict
from pkg.controllers.capture_plan import CapturePlan, Wanted, plan_captures

READY = AgentVerdict(ready=True)
COMING = AgentVerdict(message="waiting")
NEVER = AgentVerdict(reason=Reason.NO_AGENT, message="taint")


def want(name: str = "c", node: str = "n1") -> Wanted:
    return Wanted(name=name, spec=PodVolumeBackupSpec(node=node, repository="app", volume="data"))


def seen(name: str, phase: str) -> dict[str, PodVolumeBackup]:
    return {name: PodVolumeBackup(metadata=ObjectMeta(name=name), status=PodVolumeBackupStatus(phase=phase))}


def plan(
    *, cache: dict[str, PodVolumeBackup] | None = None, created: frozenset[str] = frozenset(), node: AgentVerdict
) -> CapturePlan:
    return plan_captures([want()], cache or {}, created, lambda _: node, lambda waiting, running: names(waiting))


def names(candidates: Sequence[Candidate]) -> set[str]:
    return {one.name for one in candidates}


def test_a_wanted_capture_is_created_where_an_agent_is_ready() -> None:
    assert [item.name for item in plan(node=READY).create] == ["c"]


def test_a_capture_waits_for_an_agent_that_is_coming() -> None:
    found = plan(node=COMING)
    assert found.create == []
    assert found.finished == {}


def test_a_node_without_an_agent_fails_its_capture_without_an_object() -> None:
    result = plan(node=NEVER).finished["c"]
    assert result.phase == "Failed"
    assert result.reason == "NoAgent"
    assert result.message == "taint"


def test_a_terminal_object_is_the_result() -> None:
    assert plan(cache=seen("c", "Completed"), node=NEVER).finished["c"].phase == "Completed"


def test_a_running_capture_whose_agent_is_gone_for_good_is_abandoned() -> None:
    assert plan(cache=seen("c", "InProgress"), node=NEVER).abandon == {"c": (Reason.NO_AGENT, "taint")}


def test_a_created_capture_that_the_cache_lacks_is_looked_up_and_not_created_again() -> None:
    found = plan(created=frozenset({"c"}), node=READY)
    assert found.unseen == ["c"]
    assert found.create == []
