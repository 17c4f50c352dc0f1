"""Whether a node has an agent that can take work."""

import datetime

import pytest

from pkg.apis.core import (
    DaemonSet,
    DaemonSetSpec,
    Node,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
    PodTemplate,
    Taint,
    Toleration,
)
from pkg.apis.meta import ObjectMeta
from pkg.apis.reasons import Reason
from pkg.controllers.agents import AGENT_WAIT_SECONDS, NODE_WAIT_SECONDS, OUT_OF_SERVICE, AgentVerdict, verdict

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
GPU = Taint(key="gpu", value="yes", effect="NoSchedule")


def node(*taints: Taint, labels: dict[str, str] | None = None) -> Node:
    return Node(metadata=ObjectMeta(name="n1", labels=labels), spec=NodeSpec(taints=taints))


def daemon_set(*tolerations: Toleration, selector: dict[str, str] | None = None) -> DaemonSet:
    template = PodTemplate(spec=PodSpec(tolerations=tolerations, node_selector=selector))
    return DaemonSet(spec=DaemonSetSpec(template=template))


def agent(node_name: str = "n1", ready: str = "True") -> Pod:
    return Pod(
        metadata=ObjectMeta(name="restic-x", namespace="heptio-ark"),
        spec=PodSpec(node_name=node_name),
        status=PodStatus(conditions=(PodCondition(type="Ready", status=ready),)),
    )


def judge(*, of: Node | None, by: DaemonSet | None, pods: tuple[Pod, ...] = (), waited: float = 0.0) -> AgentVerdict:
    return verdict("n1", node=of, daemon_set=by, agent_pods=pods, waited_seconds=waited, now=NOW)


def not_ready(seconds: float, status: str = "Unknown") -> Node:
    """A node whose kubelet has not been heard of for so long."""
    condition = NodeCondition(
        type="Ready",
        status=status,
        reason="NodeStatusUnknown",
        message="Kubelet stopped posting node status.",
        last_transition_time=NOW - datetime.timedelta(seconds=seconds),
    )
    return Node(metadata=ObjectMeta(name="n1"), status=NodeStatus(conditions=(condition,)))


def test_a_ready_agent_takes_work() -> None:
    assert judge(of=node(), by=daemon_set(), pods=(agent(),)).ready


@pytest.mark.parametrize(
    ("pods", "why"),
    [
        pytest.param((), "no pod", id="no agent pod yet"),
        pytest.param((agent(ready="False"),), "not ready", id="an agent that is not ready yet"),
        pytest.param((agent(node_name="n2"),), "elsewhere", id="an agent of another node"),
    ],
)
def test_an_agent_that_is_coming_is_waited_for(pods: tuple[Pod, ...], why: str) -> None:
    found = judge(of=node(), by=daemon_set(), pods=pods)
    assert not found.ready, why
    assert found.reason is None
    assert "n1" in found.message


def test_a_node_that_may_be_restarting_is_waited_for() -> None:
    found = judge(of=not_ready(NODE_WAIT_SECONDS - 1), by=daemon_set(), waited=AGENT_WAIT_SECONDS)
    assert (found.ready, found.reason) == (False, None)
    assert "n1, which is not Ready (NodeStatusUnknown" in found.message


def test_a_node_that_came_back_is_a_node() -> None:
    assert judge(of=not_ready(NODE_WAIT_SECONDS, status="True"), by=daemon_set(), pods=(agent(),)).ready


@pytest.mark.parametrize(
    ("of", "by", "waited", "reason", "text"),
    [
        pytest.param(None, daemon_set(), 0.0, Reason.NODE_GONE, "n1", id="a node that is gone"),
        pytest.param(
            node(Taint(key=OUT_OF_SERVICE, value="nodeshutdown", effect="NoExecute")),
            daemon_set(),
            0.0,
            Reason.NODE_GONE,
            "n1 is out of service",
            id="a node that somebody said is off",
        ),
        pytest.param(
            not_ready(NODE_WAIT_SECONDS),
            daemon_set(),
            0.0,
            Reason.NODE_GONE,
            "n1 is not Ready for 5 minutes (NodeStatusUnknown: Kubelet stopped posting",
            id="a node that has been away for five minutes, however short this backup has waited",
        ),
        pytest.param(
            node(), None, AGENT_WAIT_SECONDS, Reason.NO_AGENT, "there is no DaemonSet", id="no DaemonSet at all"
        ),
        pytest.param(node(GPU), daemon_set(), 0.0, Reason.NO_AGENT, "gpu=yes:NoSchedule", id="the taint is named"),
        pytest.param(
            node(), daemon_set(selector={"disk": "ssd"}), 0.0, Reason.NO_AGENT, "disk=ssd", id="the label is named"
        ),
        pytest.param(
            node(), daemon_set(), AGENT_WAIT_SECONDS, Reason.NO_AGENT, "5 minutes", id="nobody came within 5 minutes"
        ),
    ],
)
def test_no_agent_is_said_with_the_cause(
    of: Node | None, by: DaemonSet | None, waited: float, reason: Reason, text: str
) -> None:
    found = judge(of=of, by=by, waited=waited)
    assert found.reason is reason
    assert text in found.message


@pytest.mark.parametrize(
    "toleration",
    [
        pytest.param(Toleration(operator="Exists"), id="everything"),
        pytest.param(Toleration(operator="Exists", effect="NoSchedule"), id="every NoSchedule"),
        pytest.param(Toleration(key="gpu", operator="Exists"), id="the key"),
        pytest.param(Toleration(key="gpu", value="yes", effect="NoSchedule"), id="key and value"),
    ],
)
def test_a_tolerated_taint_does_not_exclude(toleration: Toleration) -> None:
    assert judge(of=node(GPU), by=daemon_set(toleration)).reason is None


@pytest.mark.parametrize(
    "taint",
    [
        pytest.param(Taint(key="x", effect="PreferNoSchedule"), id="a preference"),
        pytest.param(Taint(key="node.kubernetes.io/not-ready", effect="NoExecute"), id="what all daemons tolerate"),
    ],
)
def test_a_taint_that_keeps_no_daemon_out_does_not_exclude(taint: Taint) -> None:
    assert judge(of=node(taint), by=daemon_set()).reason is None
