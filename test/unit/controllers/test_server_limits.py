"""The server's limits change while it runs, and people are told of mistakes where they look."""

from __future__ import annotations

import json

from prometheus_client import CollectorRegistry

from pkg.apis.core import ConfigMap, Node
from pkg.apis.meta import ObjectMeta
from pkg.apis.names import LIMITS_CONFIG_MAP, SLOTS_LABEL
from pkg.apis.volumes import PodVolumeBackup, PodVolumeRestore
from pkg.controllers.admission import Candidate
from pkg.controllers.admission_desk import AdmissionDesk
from pkg.controllers.limits import DEFAULT_LIMITS, ClusterLimits
from pkg.controllers.limits_source import LimitsSource
from pkg.controllers.server_limits import INVALID, AdmissionCollector, ServerLimits, ServerLimitsReconciler
from pkg.kube.refs import EVENTS
from pkg.kube.stop import StopToken
from pkg.manager.events import EventRecorder
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
KEY = Key(NAMESPACE, LIMITS_CONFIG_MAP)


class World:
    """A server's limits, and the Events that came of them."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.events = EventRecorder(self.api.client, "ark-server", FakeClock())
        self.configs: FakeLister[ConfigMap] = FakeLister()
        self.nodes: FakeLister[Node] = FakeLister()
        self.limits = ServerLimits(DEFAULT_LIMITS, LimitsSource(self.configs, NAMESPACE))
        self.reconciler = ServerLimitsReconciler(self.limits, self.configs, self.nodes, self.events)
        self._versions = 0

    def configure(self, **data: str) -> None:
        self._versions += 1
        metadata = ObjectMeta(
            name=LIMITS_CONFIG_MAP, namespace=NAMESPACE, uid="c", resource_version=str(self._versions)
        )
        self.configs.put(ConfigMap(metadata=metadata, data=data))

    def told(self) -> list[tuple[object, object, str]]:
        """Of every Event: on what, why, and its text."""
        stop = StopToken()
        stop.cancel("flush")
        self.events.run(stop)
        found = [one for page in self.api.client.list_pages(EVENTS) for one in page.items]
        return [summary(bytes(one)) for one in found]


def summary(raw: bytes) -> tuple[object, object, str]:
    event = json.loads(raw)
    return event["involvedObject"]["kind"], event["reason"], event["message"]


def test_without_a_configmap_the_flags_hold() -> None:
    assert World().limits.current() == ClusterLimits(per_repository=4, whole_cluster=32)


def test_the_configmap_is_read_while_the_server_runs() -> None:
    world = World()
    world.configure(perRepository="2", wholeCluster="10")
    assert world.limits.current() == ClusterLimits(per_repository=2, whole_cluster=10)
    world.configure(wholeCluster="64")
    assert world.limits.current() == ClusterLimits(per_repository=4, whole_cluster=64)


def test_a_bad_configmap_is_an_event_on_it_and_changes_nothing() -> None:
    world = World()
    world.configure(perRepository="2")
    world.reconciler.reconcile(KEY)
    world.configure(perRepository="0")
    world.reconciler.reconcile(KEY)
    assert world.limits.current().per_repository == 2
    ((kind, reason, message),) = world.told()
    assert (kind, reason) == ("ConfigMap", INVALID)
    assert 'perRepository is "0"' in message
    assert "kubectl -n heptio-ark edit configmap ark-limits" in message


def test_a_bad_label_is_an_event_on_its_node() -> None:
    world = World()
    world.nodes.put(Node(metadata=ObjectMeta(name="n1", uid="n", labels={SLOTS_LABEL: "all"})))
    world.reconciler.reconcile(Key("", "n1"))
    ((kind, reason, message),) = world.told()
    assert (kind, reason) == ("Node", INVALID)
    assert f'label {SLOTS_LABEL} is "all"' in message


def test_a_node_that_is_gone_and_good_labels_are_not_told() -> None:
    world = World()
    world.nodes.put(Node(metadata=ObjectMeta(name="n1", labels={SLOTS_LABEL: "2"})))
    world.reconciler.reconcile(Key("", "n1"))
    world.reconciler.reconcile(Key("", "n2"))
    world.reconciler.reconcile(KEY)
    assert world.told() == []


def test_limits_and_who_waits_at_them_are_metrics() -> None:
    world = World()
    captures: FakeLister[PodVolumeBackup] = FakeLister()
    fillings: FakeLister[PodVolumeRestore] = FakeLister()
    desk = AdmissionDesk(
        captures,
        fillings,
        namespace=NAMESPACE,
        limits=world.limits.current,
        is_closed=lambda repository: False,
        clock=FakeClock(),
    )
    desk.ask("b", [Candidate(name=str(number), repository="app", backup="b") for number in range(6)], [])
    registry = CollectorRegistry()
    registry.register(AdmissionCollector(world.limits, desk))
    assert registry.get_sample_value("ark_volume_backups_limit", {"scope": "repository"}) == 4
    assert registry.get_sample_value("ark_volume_backups_limit", {"scope": "cluster"}) == 32
    assert registry.get_sample_value("ark_volume_backups_waiting") == 2
