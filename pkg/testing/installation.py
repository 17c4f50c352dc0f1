"""Ark on a control plane: its CRDs, its RBAC and its DaemonSet as shipped, its programs as processes of their own.

Server and agents run with tokens of the shipped ServiceAccounts, never as an administrator. Nodes are stand-ins, so
the agents' pods exist and are Ready while the agents themselves are processes here, which a test can kill.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from pkg.testing.access import ClusterAccess
from pkg.testing.assets import binary
from pkg.testing.minio import Minio
from pkg.testing.ports import free_port
from pkg.testing.processes import HarnessError, Process, wait_until
from pkg.testing.standin_process import StandInNode

ROOT = Path(__file__).resolve().parent.parent.parent
NAMESPACE = "heptio-ark"
READY_SECONDS = 60
SERVER_MANIFEST = "20-deployment.yaml"  # the server is a process here, and no pod of its name may answer for it


class Installation:
    """One Ark; a context manager.

    Args:
        access: The cluster, as an administrator.
        minio: The object store.
        workdir: Holds logs, kubeconfigs and the nodes' directories.
        bucket: The bucket of the Config; it exists.
        nodes: Names of the stand-in nodes to start, each with an agent.
    """

    def __init__(
        self, access: ClusterAccess, minio: Minio, workdir: Path, *, bucket: str, nodes: Sequence[str] = ("node1",)
    ) -> None:
        self.access = access
        self.minio = minio
        self.bucket = bucket
        self._workdir = workdir
        backing = workdir / "backing"
        self.nodes = {name: StandInNode(workdir / name, access.kubeconfig, name, backing=backing) for name in nodes}
        self.server: Process
        self.agents: dict[str, Process] = {}
        self._addresses: dict[str, str] = {}
        self._given: dict[str, str] = {}

    def start(self) -> Self:
        """Installs the manifests, starts nodes, server and agents, and waits until all are ready."""
        try:
            self._install()
            for node in self.nodes.values():
                node.start()
            self.server = self._server().start()
            for name in self.nodes:
                self.agents[name] = self._agent(name).start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Ends every process; the objects stay."""
        for process in self.processes:
            process.stop()
        for node in self.nodes.values():
            node.stop()

    @property
    def processes(self) -> list[Process]:
        """Server and agents."""
        server = [self.server] if hasattr(self, "server") else []
        return [*self.agents.values(), *server]

    @contextmanager
    def elsewhere(self, environment: Mapping[str, str], **provider: object) -> Iterator[None]:
        """Server and agents with another store, and with more in their environment, for a while."""
        self._restart(environment, provider)
        try:
            yield
        finally:
            self._restart({}, {})

    def _restart(self, environment: Mapping[str, str], provider: Mapping[str, object]) -> None:
        for process in self.processes:
            process.stop()
        self._given = dict(environment)
        self.apply_config(**provider)
        self.server = self._server().start()
        for name in self.nodes:
            self.agents[name] = self._agent(name).start()
        self.wait_ready()

    def revive(self) -> None:
        """Starts what is dead, as after an API server that was away for longer than the server's lease."""
        dead = [process for process in self.processes if not process.is_running]
        for process in dead:
            process.start()
        if dead:
            self.wait_ready()

    def wait_ready(self) -> None:
        """Waits until server and agents answer that they are ready."""
        for process in self.processes:
            wait_until(
                functools.partial(self._answers, process),
                timeout_seconds=READY_SECONDS,
                what=f"{process.name} to be ready",
                watched=[process],
            )

    def metrics_address(self, process: Process) -> str:
        """Host and port of a process's health and metrics."""
        return self._addresses[process.name]

    def ark(
        self, *arguments: str, check: bool = True, timeout_seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Runs the CLI as an administrator would."""
        command = [
            sys.executable,
            str(ROOT / "cmd" / "ark.py"),
            "--kubeconfig",
            str(self.access.kubeconfig),
            *arguments,
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, env=self._environment())
        if check and done.returncode:
            raise HarnessError(
                f"ark {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}{self.tails()}"
            )
        return done

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> dict[str, object]:
        """An object as JSON."""
        found: dict[str, object] = json.loads(self.access.kubectl("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def objects(self, kind: str, namespace: str = NAMESPACE, *, selector: str = "") -> list[dict[str, object]]:
        """Objects as JSON."""
        asked = ["get", kind, "-n", namespace, "-o", "json", *(["-l", selector] if selector else [])]
        items: list[dict[str, object]] = json.loads(self.access.kubectl(*asked))["items"]
        return items

    def apply_config(self, **provider: object) -> None:
        """Applies the Config, changed at backupStorageProvider, and waits until the server that runs has seen it."""
        own = {"name": "aws", "bucket": self.bucket, "config": self.store_config()}
        config = {
            "apiVersion": "ark.heptio.com/v1",
            "kind": "Config",
            "metadata": {"name": "default", "namespace": NAMESPACE},
            "backupStorageProvider": {**own, **provider},
        }
        with self.config_seen():
            self.access.apply(config)

    @contextmanager
    def config_seen(self) -> Iterator[None]:
        """Waits at the end until the server that runs has seen how the Config was changed."""
        told, version = self._config_lines(), self._config_version()
        yield
        if hasattr(self, "server") and self.server.is_running and self._config_version() != version:
            wait_until(
                lambda: self._config_lines() > told,
                timeout_seconds=READY_SECONDS,
                what="the server to see the Config",
                watched=[self.server],
            )

    def _config_lines(self) -> int:
        log = self._workdir / "server.log"
        text = log.read_text(errors="replace") if log.exists() else ""
        return text.count("Config in force") + text.count("Config not usable")

    def _config_version(self) -> str:
        path = "jsonpath={.metadata.resourceVersion}"
        named = ("config.ark.heptio.com", "default", "-n", NAMESPACE)
        return self.access.kubectl("get", *named, "-o", path, "--ignore-not-found")

    def store_config(self) -> dict[str, str]:
        """What the Config says of the object store."""
        return {"region": "minio", "s3ForcePathStyle": "true", "s3Url": self.minio.endpoint}

    def credentials_files(self) -> list[Path]:
        """The object store's credentials as each program reads them."""
        return sorted(self._workdir.glob("*/cloud"))

    def replace_agent(self, node: str, *, without: str = "", within: Sequence[str] = ()) -> None:
        """Starts the agent of a node again, as the pod that the DaemonSet has there now.

        Args:
            node: Which.
            without: A capability that it shall lack, such as `chown`; then it stands for storage that refuses that.
            within: Command words that start it in other surroundings, such as a control group.
        """
        self.agents[node].stop()
        lacking = ("setpriv", "--bounding-set", f"-{without}", "--") if without else ()
        self.agents[node] = self._agent(node, (*within, *lacking)).start()
        self.wait_ready()

    def run_beside_server(self, words: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        """Runs the program as an exec into the server's container would: with its environment and its account."""
        directory = self._workdir / "server"
        command = [sys.executable, str(ROOT / "cmd" / "ark.py"), *words]
        environment = {**self._surroundings(directory), "KUBECONFIG": str(directory / "kubeconfig")}
        return subprocess.run(command, capture_output=True, timeout=60, env=environment)

    def tails(self) -> str:
        """The ends of all logs, for a failure's message."""
        return "\n".join(process.tail() for process in self.processes)

    def _install(self) -> None:
        self.access.kubectl("apply", "--server-side", "-f", str(ROOT / "config" / "crd"))
        names = [f"crd/{path.stem}.ark.heptio.com" for path in sorted((ROOT / "config" / "crd").glob("*.yaml"))]
        self.access.kubectl("wait", "--for=condition=Established", *names, "--timeout=30s")
        for manifest in sorted((ROOT / "config" / "common").glob("*.yaml")):
            if manifest.name != SERVER_MANIFEST:
                self.access.kubectl("apply", "--server-side", "-f", str(manifest))
        self.apply_config()

    def _server(self) -> Process:
        return self._program("server", "ark", ["server"], {"POD_NAME": "ark-server", "POD_UID": "server-pod-uid"})

    def _agent(self, node: str, lacking: Sequence[str] = ()) -> Process:
        wait_until(
            lambda: self._agent_pod(node) is not None,
            timeout_seconds=READY_SECONDS,
            what=f"the agent's pod on {node}",
            watched=[self.nodes[node].process],
        )
        name, uid = self._agent_pod(node) or ("", "")
        environment = {
            "NODE_NAME": node,
            "POD_NAME": name,
            "POD_UID": uid,
            "ARK_HOST_PODS": str(self.nodes[node].pods_directory),
        }
        prefix = (*self.nodes[node].prefix, *named_host(name), *lacking)
        return self._program(f"agent-{node}", "ark-agent", ["restic", "server"], environment, prefix)

    def _agent_pod(self, node: str) -> tuple[str, str] | None:
        text = self.access.kubectl("get", "pods", "-n", NAMESPACE, "-l", "name=restic", "-o", "json")
        for pod in json.loads(text)["items"]:
            if pod["spec"].get("nodeName") == node and "deletionTimestamp" not in pod["metadata"]:
                return pod["metadata"]["name"], pod["metadata"]["uid"]
        return None

    def _program(
        self, name: str, account: str, words: Sequence[str], own: dict[str, str], prefix: Sequence[str] = ()
    ) -> Process:
        directory = self._workdir / name
        directory.mkdir(parents=True, exist_ok=True)
        kubeconfig = self.access.kubeconfig_for_service_account(NAMESPACE, account, directory / "kubeconfig")
        address = f"127.0.0.1:{free_port()}"
        self._addresses[name] = address
        environment = {**self._surroundings(directory), **own}
        options = ["--kubeconfig", str(kubeconfig), "--metrics-address", address, "--log-level", "debug"]
        command = [sys.executable, str(ROOT / "cmd" / "ark.py"), *words, *options]
        return Process(name, command, log=self._workdir / f"{name}.log", prefix=prefix, environment=environment)

    def _surroundings(self, directory: Path) -> dict[str, str]:
        return {
            **self._environment(),
            "HEPTIO_ARK_NAMESPACE": NAMESPACE,
            "AWS_SHARED_CREDENTIALS_FILE": str(self.minio.write_credentials_file(directory / "cloud")),
            "ARK_SCRATCH_DIR": str(directory),
            "ARK_IMAGE": "ark/ark:latest",
            **self._given,
        }

    def _environment(self) -> dict[str, str]:
        path = f"{binary('restic').parent}:{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}

    def _answers(self, process: Process) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._addresses[process.name]}/readyz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def named_host(name: str) -> tuple[str, ...]:
    """Command words that start a process on a host of that name, as a container's is its pod's."""
    return ("unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name)
