"""Whether a node has an agent that can take a volume (operators.md 13), decided from what is seen.

A node that the DaemonSet excludes gets the answer at once, with the taint or label that excludes it, and so does one
that was removed or taken out of service. An agent that is coming is waited for, and so is a node that is not Ready,
as it is while it restarts: up to five minutes, counted for a node from when Kubernetes saw it go.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from pkg.apis.core import DaemonSet, Node, NodeCondition, Pod, PodSpec, Taint, Toleration
from pkg.apis.names import RESTIC_DAEMONSET
from pkg.apis.reasons import Reason

AGENT_WAIT_SECONDS = 300.0
NODE_WAIT_SECONDS = 300.0  # then Kubernetes evicts its pods, too
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"  # set by who knows that the machine is off
_KEEPS_OUT = ("NoSchedule", "NoExecute")
# The DaemonSet controller adds tolerations for these itself.
_TOLERATED_BY_ALL_DAEMONS = frozenset(
    {
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
        "node.kubernetes.io/disk-pressure",
        "node.kubernetes.io/memory-pressure",
        "node.kubernetes.io/pid-pressure",
        "node.kubernetes.io/unschedulable",
        "node.kubernetes.io/network-unavailable",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentVerdict:
    """Whether work can be given to a node; `reason` is None when it can, or when waiting is worth it.

    Attributes:
        ready: An agent runs there and is Ready.
        reason: NoAgent or NodeGone where waiting does not help.
        message: What is wrong, or what is waited for.
    """

    ready: bool = False
    reason: Reason | None = None
    message: str = ""


def verdict(
    node_name: str,
    *,
    node: Node | None,
    daemon_set: DaemonSet | None,
    agent_pods: Sequence[Pod],
    waited_seconds: float,
    now: datetime.datetime,
) -> AgentVerdict:
    """Judges one node.

    Args:
        node_name: Its name, for the messages.
        node: As the cache holds it; None when it does not exist.
        daemon_set: The agents' DaemonSet; None when it does not exist.
        agent_pods: All agent pods of the cluster.
        waited_seconds: How long this node was waited for already.
        now: The time, to compare with when the node went away.
    """
    if node is None or _is_out_of_service(node):
        why = "does not exist any more" if node is None else f"is out of service (taint {OUT_OF_SERVICE})"
        return AgentVerdict(reason=Reason.NODE_GONE, message=f"node {node_name} {why}")
    if any(_is_ready_on(pod, node_name) for pod in agent_pods):
        return AgentVerdict(ready=True)
    exclusion = excluded_by(node, daemon_set.spec.template.spec) if daemon_set else ""
    if exclusion:
        return AgentVerdict(reason=Reason.NO_AGENT, message=f"no agent on node {node_name}: {exclusion}")
    not_ready = _not_ready(node)
    if not_ready is not None:
        return _of_absent_node(node_name, not_ready, waited_seconds, now)
    # One that is deleted and made again must not end what its agents go on with.
    missing = "" if daemon_set else f"; there is no DaemonSet {RESTIC_DAEMONSET}"
    if waited_seconds >= AGENT_WAIT_SECONDS:
        minutes = f"{AGENT_WAIT_SECONDS / 60:.0f} minutes"
        message = f"no agent became ready on node {node_name} within {minutes}{missing}"
        return AgentVerdict(reason=Reason.NO_AGENT, message=message)
    return AgentVerdict(message=f"waiting for the agent of node {node_name}{missing}")


def _is_out_of_service(node: Node) -> bool:
    return any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints or ())


def _not_ready(node: Node) -> NodeCondition | None:
    found = (condition for condition in node.status.conditions or () if condition.type == "Ready")
    return next((condition for condition in found if condition.status != "True"), None)


def _of_absent_node(
    node_name: str, condition: NodeCondition, waited_seconds: float, now: datetime.datetime
) -> AgentVerdict:
    since = condition.last_transition_time
    seconds = (now - since).total_seconds() if since is not None else waited_seconds
    why = f"{condition.reason}: {condition.message}".strip(": ") or "no reason given"
    if seconds >= NODE_WAIT_SECONDS:
        minutes = f"{seconds / 60:.0f} minutes"
        return AgentVerdict(reason=Reason.NODE_GONE, message=f"node {node_name} is not Ready for {minutes} ({why})")
    return AgentVerdict(message=f"waiting for node {node_name}, which is not Ready ({why})")


def excluded_by(node: Node, template: PodSpec) -> str:
    """Why a DaemonSet's pods never run on a node; empty when they may."""
    labels = node.metadata.labels or {}
    for key, value in sorted((template.node_selector or {}).items()):
        if labels.get(key) != value:
            return f"the DaemonSet's nodeSelector wants {key}={value}"
    for taint in node.spec.taints or ():
        if taint.effect in _KEEPS_OUT and not _tolerated(taint, template.tolerations or ()):
            value = f"={taint.value}" if taint.value else ""
            return f"the DaemonSet does not tolerate the taint {taint.key}{value}:{taint.effect}"
    return ""


def _tolerated(taint: Taint, tolerations: Sequence[Toleration]) -> bool:
    if taint.key in _TOLERATED_BY_ALL_DAEMONS:
        return True
    return any(_tolerates(toleration, taint) for toleration in tolerations)


def _tolerates(toleration: Toleration, taint: Taint) -> bool:
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if not toleration.key:
        return toleration.operator == "Exists"
    if toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or toleration.value == taint.value


def _is_ready_on(pod: Pod, node_name: str) -> bool:
    if pod.spec.node_name != node_name or pod.metadata.deletion_timestamp is not None:
        return False
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions or ())
