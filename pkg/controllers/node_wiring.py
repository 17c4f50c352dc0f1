"""Puts together what the server knows of nodes and agents, and what ends the volumes of those that are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from pkg.apis.core import DaemonSet, Node, Pod
from pkg.apis.names import AGENT_POD_LABEL, RESTIC_DAEMONSET
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.change_signal import ChangeSignal
from pkg.controllers.nodes import NodeAgents
from pkg.controllers.stranded import StrandedReconciler
from pkg.informers.informer import SharedInformer
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.refs import DAEMON_SETS, NODES, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES, PODS
from pkg.kube.resources import ResourceRef
from pkg.manager.manager import Manager
from pkg.workqueue.key import Key

NODE_INDEX = "volume-node"

V = TypeVar("V", PodVolumeBackup, PodVolumeRestore)
T = TypeVar("T", Node, Pod)


class NodeWiring:
    """The nodes and agents of one server."""

    def __init__(self, manager: Manager, client: Client, namespace: str, changes: ChangeSignal, clock: Clock) -> None:
        self._manager, self._client, self._namespace, self._clock = manager, client, namespace, clock
        factory, (label, value) = manager.factory, AGENT_POD_LABEL
        self._nodes = factory.informer(NODES, Node)
        self._agent_pods = factory.informer(PODS, Pod, namespace=namespace, label_selector=f"{label}={value}")
        daemon_sets = factory.informer(
            DAEMON_SETS, DaemonSet, namespace=namespace, field_selector=f"metadata.name={RESTIC_DAEMONSET}"
        )
        for informer in (self._nodes, daemon_sets, self._agent_pods):
            informer.add_handler(changes)
        self.agents = NodeAgents(
            namespace,
            nodes=self._nodes.lister,
            daemon_sets=daemon_sets.lister,
            agent_pods=self._agent_pods.lister,
            look=lambda name: client.get(NODES, "", name, Node),
            clock=clock,
        )

    def add_stranded(self) -> None:
        """Adds one controller for each kind of volume."""
        captures = self._manager.factory.informer(POD_VOLUME_BACKUPS, PodVolumeBackup, namespace=self._namespace)
        fillings = self._manager.factory.informer(POD_VOLUME_RESTORES, PodVolumeRestore, namespace=self._namespace)
        self._add("stranded-backups", POD_VOLUME_BACKUPS, captures)
        self._add("stranded-restores", POD_VOLUME_RESTORES, fillings)

    def _add(self, name: str, ref: ResourceRef, volumes: SharedInformer[V]) -> None:
        volumes.add_index(NODE_INDEX, lambda volume: (volume.spec.node,))
        reconciler: StrandedReconciler[V] = StrandedReconciler(
            self._client, ref, volumes.lister, agents=self.agents, clock=self._clock
        )
        controller = self._manager.controller(name, reconciler)
        controller.watch(volumes)
        controller.watch(self._nodes, _on_node(volumes, lambda node: node.metadata.name))
        controller.watch(self._agent_pods, _on_node(volumes, lambda pod: pod.spec.node_name))


def _on_node(volumes: SharedInformer[V], node_of: Callable[[T], str]) -> Callable[[T], Iterable[Key]]:
    def keys(obj: T) -> list[Key]:
        found = volumes.lister.by_index(NODE_INDEX, node_of(obj))
        return [Key(volume.metadata.namespace, volume.metadata.name) for volume in found]

    return keys
