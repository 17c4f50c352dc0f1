"""One pod on the stand-in node, from its binding to its end.

`step` is called again and again with the pod as the API has it; each call goes as far as it can without waiting.
What is kept between the calls is what a kubelet keeps in memory: how far the init containers are.
"""

import datetime
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pkg.apis.core import Container
from pkg.apis.meta import JsonObject
from pkg.apis.names import GIVEN_UP_ANNOTATION, GIVEN_UP_VOLUME, MARKER_VOLUME, RESTIC_WAIT_CONTAINER
from pkg.kube.refs import PODS
from pkg.testing.processes import Process
from pkg.testing.standin_api import Api, ApiError
from pkg.testing.standin_kinds import Pod, ProgramContainer
from pkg.testing.standin_program import Program, program_of
from pkg.testing.standin_status import KILLED, Progress, Stage, status_of
from pkg.testing.standin_volumes import Storage, plan_directories, set_up, tear_down

HELPER_MODULE = "pkg.cli.restore_helper"
MARKER_DIRECTORY_VARIABLE = "ARK_MARKER_DIR"
GIVEN_UP_FILE_VARIABLE = "ARK_GIVEN_UP_FILE"
GIVEN_UP_FILE = "given-up"
HOLD_ANNOTATION = "standin.test/hold"
NOT_READY_ANNOTATION = "standin.test/not-ready"
EXIT_CODE_ANNOTATION = "standin.test/exit-code"
FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.5, 8.0
PROGRAM_GRACE_SECONDS = 10
FINISHED = ("Succeeded", "Failed")
INVALID = 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What all pods of a stand-in share."""

    name: str
    api: Api
    pods_directory: Path
    backing: Path
    logs: Path


class PodLife:
    """Brings one pod, told apart by its UID, through its life."""

    def __init__(self, node: Node, uid: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.directory = node.pods_directory / uid
        self.is_running = False
        self.volumes: dict[str, Path] = {}
        self._node = node
        self._uid = uid
        self._monotonic = monotonic
        self._started = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
        self._written: JsonObject = {}
        self._init_done = 0
        self._restarts = 0
        self._retry_at = 0.0
        self._helper: Process | None = None
        self._program: Program | None = None
        self._unmount_failures = 0

    def step(self, pod: Pod, storage: Storage) -> None:
        """Go as far as can be gone now."""
        if pod.metadata.deletion_timestamp:
            self._delete(pod)
        elif pod.status.phase in FINISHED:
            self.release()
        elif pod.metadata.annotation(HOLD_ANNOTATION) or not self._set_up(pod, storage):
            self._write(pod, Stage.WAITING)
        elif pod.status.phase == "Running" or self._initialize(pod):
            self._run(pod)

    def release(self) -> bool:
        """Stop what runs and take the volumes away; returns False while somebody holds one of them."""
        self.is_running = False
        if self._helper:
            self._helper.stop(grace_seconds=1)
            self._helper = None
        if self._program:
            self._program.stop(PROGRAM_GRACE_SECONDS)
            self._program = None
        if self._monotonic() < self._retry_at:
            return False
        try:
            tear_down(self.directory)
        except OSError as error:
            print(f"volumes of pod {self._uid} stay: {error}", file=sys.stderr, flush=True)
            self._unmount_failures = self._back_off(self._unmount_failures)
            return False
        return True

    def _back_off(self, failures: int) -> int:
        delay = min(FIRST_BACKOFF_SECONDS * 2**failures, LONGEST_BACKOFF_SECONDS)
        self._retry_at = self._monotonic() + delay
        return failures + 1

    def _delete(self, pod: Pod) -> None:
        """As a kubelet does: containers end, volumes go, and only then the object."""
        self._retry_at = 0.0 if not self._unmount_failures else self._retry_at
        if self.release():
            self._node.api.delete(PODS, pod.metadata.namespace, pod.metadata.name, self._uid)
        elif pod.status.phase not in FINISHED:
            self._write(pod, Stage.ENDED, exit_code=KILLED)

    def _set_up(self, pod: Pod, storage: Storage) -> bool:
        directories = plan_directories(pod, storage)
        for directory in directories or ():
            set_up(directory, self.directory / "volumes", self._node.backing, self._node.name)
            self.volumes[directory.name] = self.directory / "volumes" / directory.path
        return directories is not None or self.is_running  # what runs keeps its volumes, whatever becomes of a claim

    def _initialize(self, pod: Pod) -> bool:
        """Run the next init container; returns True when none is left."""
        containers = pod.spec.init_containers or ()
        while self._init_done < len(containers):
            container = containers[self._init_done]
            if container.name == RESTIC_WAIT_CONTAINER and not self._wait_for_restore(pod, container):
                return False
            self._init_done += 1
            self._restarts = 0
        return True

    def _wait_for_restore(self, pod: Pod, container: Container) -> bool:
        if self._monotonic() < self._retry_at:
            return False
        self._show_given_up(pod)
        helper = self._helper = self._helper or self._start_helper(container)
        match helper.exit_code:
            case None:
                self._write(pod, Stage.INITIALIZING)
                return False
            case 0:
                self._helper = None
                return True
            case exit_code:
                self._helper = None
                self._init_failed(pod, exit_code)
                return False

    def _show_given_up(self, pod: Pod) -> None:
        """Write the annotation that the pod's downward API volume shows, as it is now."""
        if GIVEN_UP_VOLUME in self.volumes:
            (self.volumes[GIVEN_UP_VOLUME] / GIVEN_UP_FILE).write_text(pod.metadata.annotation(GIVEN_UP_ANNOTATION))

    def _start_helper(self, container: Container) -> Process:
        """What it looks at is in the pod's volumes, which lie elsewhere for a process that is no container."""
        markers = self.directory / "volumes" / "kubernetes.io~empty-dir" / MARKER_VOLUME
        given_up = self.directory / "volumes" / "kubernetes.io~downward-api" / GIVEN_UP_VOLUME / GIVEN_UP_FILE
        return Process(
            f"{RESTIC_WAIT_CONTAINER} of {self._uid}",
            [sys.executable, "-m", HELPER_MODULE, *(container.args or ())],
            log=self._node.logs / f"{self._uid}.{RESTIC_WAIT_CONTAINER}.log",
            environment={
                **os.environ,
                MARKER_DIRECTORY_VARIABLE: str(markers),
                GIVEN_UP_FILE_VARIABLE: str(given_up),
            },
        ).start()

    def _init_failed(self, pod: Pod, exit_code: int) -> None:
        if pod.spec.restart_policy == "Never":
            self._write(pod, Stage.ENDED, exit_code=exit_code)
        else:
            self._restarts = self._back_off(self._restarts)
            self._write(pod, Stage.BACKING_OFF, exit_code=exit_code)

    def _run(self, pod: Pod) -> None:
        self._init_done = len(pod.spec.init_containers or ())
        if exit_code := pod.metadata.annotation(EXIT_CODE_ANNOTATION):
            self._write(pod, Stage.ENDED, exit_code=int(exit_code))
        elif container := program_of(pod):
            self._run_program(pod, container)
        else:
            self._write(pod, Stage.RUNNING, ready=not pod.metadata.annotation(NOT_READY_ANNOTATION))

    def _run_program(self, pod: Pod, container: ProgramContainer) -> None:
        program = self._program = self._program or Program(self._node.api, pod, container, self._node.logs)
        if program.exit_code is None:
            self._write(pod, Stage.RUNNING)
        else:
            self._write(pod, Stage.ENDED, exit_code=program.exit_code, message=program.message)

    def _write(self, pod: Pod, stage: Stage, *, exit_code: int = 0, ready: bool = True, message: str = "") -> None:
        progress = Progress(
            stage=stage,
            started=self._started,
            init_done=self._init_done,
            restarts=self._restarts,
            exit_code=exit_code,
            message=message,
            ready=ready,
        )
        self.is_running = stage is Stage.RUNNING
        status = status_of(pod, progress)
        if status == self._written:
            return
        body: JsonObject = {"metadata": {"uid": self._uid}, "status": status}
        try:
            self._node.api.patch(PODS, pod.metadata.namespace, pod.metadata.name, body, subresource="status")
        except ApiError as error:
            if error.status not in (409, INVALID):
                raise  # those two: another pod has taken the name
        self._written = status
