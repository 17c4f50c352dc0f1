"""A node without a kubelet: pods are real objects with real volume directories, and no containers run.

It registers a Node, and for each pod that the real scheduler binds to it makes the volume directories (claims of
its storage classes as real bind mounts), runs the real restic-wait helper, reports the pod running and finalises
its deletion, all in the way of a kubelet. It never touches an `ark.heptio.com` object. It must run in a mount
namespace of its own (`pkg.testing.standin_process` starts it in one); what wants to see its volumes joins that.
"""

import argparse
import functools
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pkg.kube.refs import PODS, PVCS, PVS
from pkg.testing import standin_node, standin_storage
from pkg.testing.standin_api import Api, ApiError
from pkg.testing.standin_exec import ExecServer, Place
from pkg.testing.standin_kinds import Claim, PersistentVolume, Pod, StorageClass
from pkg.testing.standin_pods import Node, PodLife
from pkg.testing.standin_volumes import Storage

POLL_SECONDS = 0.2
HEARTBEAT_SECONDS = 5


class StandIn:
    """The loop over all pods of the node."""

    def __init__(self, node: Node, stop: threading.Event) -> None:
        self._node = node
        self._stop = stop
        self._lives: dict[str, PodLife] = {}
        self._known_volumes: set[str] = set()
        self._pods: Mapping[tuple[str, str], Pod] = {}
        self._exec_server = ExecServer(node.pods_directory.parent / "pki", node.api.ca, self._volumes_of)

    def run(self) -> None:
        """Register, say that it is ready on standard output, and work until stopped."""
        self._exec_server.start()
        self._retried(self._register)
        print("ready", flush=True)
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        while not self._stop.wait(POLL_SECONDS):
            self._attempt(self._tick)

    def _register(self) -> None:
        standin_node.register(self._node.api, self._node.name, self._exec_server.port)
        standin_storage.register(self._node.api)

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_SECONDS):
            self._attempt(lambda: standin_node.beat(self._node.api, self._node.name, self._exec_server.port))

    def _retried(self, work: Callable[[], None]) -> None:
        while not self._attempt(work) and not self._stop.wait(POLL_SECONDS):
            pass

    def _attempt(self, work: Callable[[], None]) -> bool:
        """An API server that is away is no reason to give up: a kubelet does not either."""
        try:
            work()
        except ApiError as error:
            print(error, file=sys.stderr, flush=True)
            return False
        return True

    def _tick(self) -> None:
        api = self._node.api
        volumes = api.list(PVS, PersistentVolume)
        claims = api.list(PVCS, Claim)
        standin_storage.provision(
            api,
            claims,
            volumes,
            classes={one.metadata.name: one for one in api.list(standin_storage.STORAGE_CLASSES, StorageClass)},
            backing=self._node.backing,
            node=self._node.name,
            known=self._known_volumes,
        )
        storage = Storage(
            claims={(one.metadata.namespace, one.metadata.name): one for one in claims},
            volumes={one.metadata.name: one for one in volumes},
        )
        pods = api.list(PODS, Pod, field_selector=f"spec.nodeName={self._node.name}")
        self._pods = {(one.metadata.namespace, one.metadata.name): one for one in pods}
        for pod in pods:
            self._attempt(functools.partial(self._life(pod.metadata.uid).step, pod, storage))
        self._forget({pod.metadata.uid for pod in pods})

    def _volumes_of(self, namespace: str, name: str, container: str) -> Place | None:
        pod = self._pods.get((namespace, name))
        if not pod or all(one.name != container for one in pod.spec.containers or ()):
            return None
        life = self._life(pod.metadata.uid)
        return Place(directory=life.directory / "volumes", volumes=life.volumes) if life.is_running else None

    def _life(self, uid: str) -> PodLife:
        return self._lives.setdefault(uid, PodLife(self._node, uid))

    def _forget(self, present: set[str]) -> None:
        """Release the volumes of pods that are gone, also of those from before our own start."""
        directories = {path.name for path in self._node.pods_directory.iterdir()}
        for uid in (directories | self._lives.keys()) - present:
            if self._life(uid).release():
                del self._lives[uid]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pkg.testing.standin", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True, help="of an administrator, as the harness writes it")
    parser.add_argument("--node", required=True, help="name of the Node")
    parser.add_argument("--pods-dir", type=Path, required=True, help="what is /var/lib/kubelet/pods elsewhere")
    parser.add_argument("--backing-dir", type=Path, help="data of the volumes; by default `backing` beside the pods")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Run until SIGTERM."""
    arguments = _arguments(argv)
    pods: Path = arguments.pods_dir.resolve()
    node = Node(
        name=arguments.node,
        api=Api(arguments.kubeconfig),
        pods_directory=pods,
        backing=arguments.backing_dir or pods.parent / "backing",
        logs=pods.parent / "logs",
    )
    pods.mkdir(parents=True, exist_ok=True)
    node.backing.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    StandIn(node, stop).run()


if __name__ == "__main__":
    main()
