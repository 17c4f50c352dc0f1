"""Puts an agent's two reconcilers together: informers, operations, slots, and pods that wake their volumes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pkg.apis.core import Pod
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.agent import Agent
from pkg.controllers.volume_reconciler import VolumeKind, VolumeOutcome, VolumeReconciler
from pkg.informers.informer import SharedInformer
from pkg.manager.controller import Controller
from pkg.manager.manager import Manager
from pkg.manager.operations import Operations
from pkg.manager.slots import Slots
from pkg.workqueue.key import Key

POD_INDEX = "pod-uid"
WORKERS = 2

V = TypeVar("V", PodVolumeBackup, PodVolumeRestore)


class VolumeWiring:
    """Adds volume controllers to an agent's manager."""

    def __init__(self, manager: Manager, agent: Agent, pods: SharedInformer[Pod]) -> None:
        self._manager = manager
        self._agent = agent
        self._pods = pods

    def add(self, name: str, kind: VolumeKind[V], informer: SharedInformer[V], *, slots: Slots) -> Controller:
        """Reconciles the objects of an informer; a change of a pod wakes the objects that name it."""
        informer.add_index(POD_INDEX, lambda obj: (obj.spec.pod.uid,))
        controllers: list[Controller] = []

        def enqueue(key: Key) -> None:
            controllers[0].enqueue(key)

        operations: Operations[VolumeOutcome] = Operations(name, clock=self._agent.clock, on_finished=enqueue)
        reconciler = VolumeReconciler(
            self._agent, kind, informer.lister, operations=operations, slots=slots, wake=enqueue
        )
        controller = self._manager.controller(name, reconciler, workers=WORKERS)
        controllers.append(controller)
        self._manager.add_operations(operations)

        def of_pod(pod: Pod) -> Iterable[Key]:
            found = informer.lister.by_index(POD_INDEX, pod.metadata.uid)
            return [Key(obj.metadata.namespace, obj.metadata.name) for obj in found]

        controller.watch(informer)
        controller.watch(self._pods, of_pod)
        return controller
