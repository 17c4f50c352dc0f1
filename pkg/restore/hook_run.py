"""Runs commands in restored pods when they are ready, after every volume has ended.

How many of a pod's hooks have ended is written on the pod, so that another attempt of the restore goes on behind them.
A process that dies between a command's end and that note has it run once more: at least once, never silently none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from structlog.typing import FilteringBoundLogger

from pkg.apis.core import Pod
from pkg.apis.meta import JsonObject
from pkg.apis.names import HOOKS_RUN_ANNOTATION
from pkg.apis.reasons import Reason
from pkg.kube.errors import ApiStatusError, KubeError
from pkg.kube.refs import PODS
from pkg.kube.stop import StopToken
from pkg.restore.errors import RestoreInterruptedError
from pkg.restore.fields import object_at, text_at, texts_at
from pkg.restore.hooks import RestoreHook, pod_hooks
from pkg.restore.job import CANCELED, RestoreApi, RestoreJob
from pkg.restore.results import Results

POLL_SECONDS = 2.0
_OUTPUT_CHARACTERS = 1000


@dataclass(slots=True)
class _Pod:
    """A pod with hooks; `done` of them have ended, and the next one waits since then."""

    namespace: str
    name: str
    uid: str
    hooks: tuple[RestoreHook, ...]
    done: int
    since: float = 0.0

    @property
    def hook(self) -> RestoreHook:
        return self.hooks[self.done]

    @property
    def text(self) -> str:
        which = f"hook {self.done + 1} of {len(self.hooks)}"
        return f"Pod {self.namespace}/{self.name}: {which} after the restore, in container {self.hook.container}"


class HookRun:
    """The hooks of one restore; used by one thread."""

    def __init__(self, job: RestoreJob, api: RestoreApi, results: Results, log: FilteringBoundLogger) -> None:
        self._job = job
        self._api = api
        self._results = results
        self._log = log
        self._pods: list[_Pod] = []

    def add(self, backed_up: JsonObject, live: JsonObject) -> None:
        """Takes on a pod that this restore made."""
        spec = self._job.restore.spec
        namespace, name = text_at(live, "metadata", "namespace"), text_at(live, "metadata", "name")
        if spec.disable_hooks:
            return
        placed: JsonObject = {**backed_up, "metadata": {**object_at(backed_up, "metadata"), "namespace": namespace}}
        hooks = pod_hooks(placed, spec.hooks)
        done = hooks_run(live, self._job.restore.metadata.uid)
        if done < len(hooks):
            self._pods.append(_Pod(namespace, name, text_at(live, "metadata", "uid"), hooks, done))

    def run(self, stop: StopToken, failed_pods: Mapping[str, str]) -> None:
        """Runs every hook, or says why not.

        Args:
            stop: Ends the wait.
            failed_pods: By UID, why a pod never starts.

        Raises:
            RestoreInterruptedError: the process ends, or the Restore is cancelled.
        """
        for pod in self._pods:
            pod.since = self._job.clock.monotonic()
        while self._pods:
            seen = {pod.metadata.uid: pod for pod in self._job.volumes.pods(self._job.restore.metadata.uid)}
            for pod in list(self._pods):
                self._step(pod, seen.get(pod.uid), failed_pods.get(pod.uid, ""), stop)
            if self._pods and (self._job.volumes.wait_changed(stop, POLL_SECONDS) or stop.cancelled):
                self._give_up(stop)

    def _give_up(self, stop: StopToken) -> None:
        for pod in self._pods if stop.reason == CANCELED else ():
            self._results.hooks_failed += 1
            self._results.errors.about(pod.namespace, f"{pod.text}: not run: the Restore was cancelled")
        raise RestoreInterruptedError(stop.reason)

    def _step(self, pod: _Pod, live: Pod | None, failed: str, stop: StopToken) -> None:
        never = pod.hook.problem or (failed and f"its volumes are not restored: {failed}") or self._why_gone(pod, live)
        if never:
            self._fail(pod, f"not run: {never}", last=not pod.hook.problem)
        elif _is_ready(live, pod.hook.container):
            self._exec(pod, stop)
        elif self._job.clock.monotonic() - pod.since >= pod.hook.wait_seconds:
            self._fail(pod, f"not run: the container was not ready in {pod.hook.wait_seconds:.0f} s")

    def _why_gone(self, pod: _Pod, live: Pod | None) -> str:
        if live is not None:
            return f"the pod has ended ({live.status.phase})" if live.status.phase in ("Succeeded", "Failed") else ""
        try:
            uid = text_at(self._api.get_raw(PODS, pod.namespace, pod.name), "metadata", "uid")
        except ApiStatusError as error:
            return f"the pod is gone: {error}"
        return "" if uid == pod.uid else "the pod was replaced by another of its name"

    def _exec(self, pod: _Pod, stop: StopToken) -> None:
        hook = pod.hook
        self._log.info("Hook started", key=f"{pod.namespace}/{pod.name}", container=hook.container)
        try:
            answer = self._job.exec_hook(
                pod.namespace, pod.name, hook.container, hook.command, hook.exec_seconds, stop=stop
            )
        except KubeError as error:
            if stop.cancelled:
                self._give_up(stop)
            self._fail(pod, f"failed: {error}")
            return
        if answer.exit_code:
            output = answer.stderr.decode(errors="replace")[-_OUTPUT_CHARACTERS:]
            self._log.error("Hook failed", key=f"{pod.namespace}/{pod.name}", code=answer.exit_code, output=output)
            self._fail(pod, f"failed with exit code {answer.exit_code}; its output is in the log of the restore")
        else:
            self._log.info("Hook ended", key=f"{pod.namespace}/{pod.name}", container=hook.container)
            self._go_on(pod)

    def _fail(self, pod: _Pod, text: str, *, last: bool = False) -> None:
        """Records a failure; `last` where none of the pod's other hooks can run either."""
        sentence = f"{pod.text}: {Reason.HOOK_FAILED}: {text}"
        if pod.hook.fail or last:
            self._results.hooks_failed += 1
            self._results.errors.about(pod.namespace, sentence)
            self._pods.remove(pod)
        else:
            self._results.warnings.about(pod.namespace, sentence)
            self._go_on(pod)

    def _go_on(self, pod: _Pod) -> None:
        pod.done += 1
        pod.since = self._job.clock.monotonic()
        note = msgspec.json.encode({"restore": self._job.restore.metadata.uid, "done": pod.done}).decode()
        patch: JsonObject = {"metadata": {"uid": pod.uid, "annotations": {HOOKS_RUN_ANNOTATION: note}}}
        try:
            self._api.patch_raw(PODS, pod.namespace, pod.name, patch)
        except ApiStatusError as error:
            self._log.warning("Hook's end not noted", key=f"{pod.namespace}/{pod.name}", error=str(error))
        if pod.done == len(pod.hooks):
            self._pods.remove(pod)


def hooks_run(pod: JsonObject, restore_uid: str) -> int:
    """How many hooks of this restore have ended in a pod."""
    text = texts_at(pod, "metadata", "annotations").get(HOOKS_RUN_ANNOTATION, "")
    try:
        note = msgspec.json.decode(text, type=dict[str, str | int]) if text else {}
    except msgspec.DecodeError:
        return 0
    done = note.get("done", 0)
    return done if note.get("restore") == restore_uid and isinstance(done, int) else 0


def _is_ready(pod: Pod | None, container: str) -> bool:
    statuses = (pod.status.container_statuses if pod else None) or ()
    return any(one.name == container and one.ready for one in statuses)
