"""Runs the hooks of one pod: in the pod that is meant, one after another, with their output in the backup's log.

A pod of the same name that took the place of the one that is meant is never touched. The command is not logged, for
it may carry a password; of its output at most the last 4 KiB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog.typing

from pkg.apis.core import Pod
from pkg.apis.hooks import BackupHooks
from pkg.backup.hooks import Hook, HookedPod, When, pod_hooks
from pkg.kube.backoff import Backoff, retry_transient
from pkg.kube.client import Client
from pkg.kube.clock import Clock
from pkg.kube.errors import KubeError, NotFoundError, ThrottledError, TransportError
from pkg.kube.exec import ExecResult, ExecTimeoutError
from pkg.kube.refs import PODS
from pkg.kube.stop import StopToken

OUTPUT_BYTES = 4096
POST_ATTEMPTS = 3
PAUSE_SECONDS = 2.0


class Execute(Protocol):
    """Runs a command in a container; `pkg.kube.exec.exec_in_pod` over the server's transport."""

    def __call__(
        self,
        namespace: str,
        pod: str,
        container: str,
        command: tuple[str, ...],
        timeout_seconds: float,
        *,
        stop: StopToken | None,
    ) -> ExecResult:
        """Blocks until it ended; raises KubeError when nobody can say how."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HookReport:
    """How the hooks of one kind went.

    Attributes:
        errors: Of hooks that must not fail, one sentence each.
        warnings: How many of the others failed.
        gone: The pod is no more, or going.
    """

    errors: tuple[str, ...] = ()
    warnings: int = 0
    gone: bool = False


class HookRunner:
    """Runs hooks for one backup; may be used by several threads."""

    def __init__(
        self,
        client: Client,
        execute: Execute,
        hooks: BackupHooks | None,
        *,
        clock: Clock,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._client = client
        self._execute = execute
        self._hooks = hooks
        self._clock = clock
        self._log = log

    def pre(self, pod: HookedPod, stop: StopToken) -> HookReport:
        """Runs the commands before; the first that must not fail and does ends it. A pod that is going has none."""
        found = self._find(pod, stop)
        if found is None or found.metadata.deletion_timestamp is not None:
            return HookReport(gone=True)
        warnings = 0
        for hook in pod_hooks(found, self._hooks, When.PRE):
            problem = self._run(pod, hook, When.PRE, stop)
            if problem and hook.fail:
                return HookReport(errors=(problem,), warnings=warnings)
            warnings += bool(problem)
        return HookReport(warnings=warnings)

    def post(self, pod: HookedPod) -> HookReport:
        """Runs all commands after, whatever the others did: the application must go on. Nothing stops it."""
        calm = StopToken()
        found = self._find(pod, calm)
        if found is None:
            self._log.info("Pod is gone, there is nothing to thaw", pod=pod.key)
            return HookReport(gone=True)
        hooks = pod_hooks(found, self._hooks, When.POST)
        problems = [(hook, self._run(pod, hook, When.POST, calm)) for hook in hooks]
        return HookReport(
            errors=tuple(problem for hook, problem in problems if problem and hook.fail),
            warnings=sum(bool(problem) and not hook.fail for hook, problem in problems),
        )

    def _find(self, pod: HookedPod, stop: StopToken) -> Pod | None:
        """The very pod, as it is now."""
        try:
            found = retry_transient(
                lambda: self._client.get(PODS, pod.namespace, pod.name, Pod), stop=stop, clock=self._clock
            )
        except NotFoundError:
            return None
        return found if found.metadata.uid == pod.uid else None

    def _run(self, pod: HookedPod, hook: Hook, when: When, stop: StopToken) -> str:
        """Runs one command; returns what went wrong, as a sentence, or nothing."""
        started = self._clock.monotonic()
        name = when.name.lower()
        problem = hook.problem
        if not problem:
            problem = self._attempt(lambda: self._once(pod, hook, name, stop), when, stop)
        seconds = round(self._clock.monotonic() - started, 1)
        if not problem:
            self._log.info("Hook done", pod=pod.key, hook=name, container=hook.container, seconds=seconds)
            return ""
        tell = self._log.error if hook.fail else self._log.warning
        tell("Hook failed", pod=pod.key, hook=name, container=hook.container, seconds=seconds, error=problem)
        return f"{name} hook of pod {pod.key}, container {hook.container or '?'}: {problem}"

    def _attempt(self, run: Callable[[], str], when: When, stop: StopToken) -> str:
        """A post hook whose connection broke is run again: a command twice is better than an application that stands.

        A pre hook is not: it may have frozen what a second one would find frozen, and fail on.
        """
        again = (TransportError, ThrottledError) if when is When.POST else ThrottledError
        delays = Backoff(initial_seconds=PAUSE_SECONDS, cap_seconds=PAUSE_SECONDS, jitter=0.0, clock=self._clock)
        for attempt in range(1, POST_ATTEMPTS + 1):
            try:
                return run()
            except ExecTimeoutError as error:
                return str(error)
            except KubeError as error:
                last = attempt == POST_ATTEMPTS or not isinstance(error, again)
                if last or self._clock.wait(stop, delays.next()):
                    return str(error)
        raise AssertionError("there is a last attempt")

    def _once(self, pod: HookedPod, hook: Hook, name: str, stop: StopToken) -> str:
        result = self._execute(pod.namespace, pod.name, hook.container, hook.command, hook.timeout_seconds, stop=stop)
        output = tail(result)
        if output:
            self._log.info("Hook said", pod=pod.key, hook=name, container=hook.container, output=output)
        return f"exit code {result.exit_code}" if result.exit_code else ""


def tail(result: ExecResult) -> str:
    """The end of what a command printed; errors last, for they say why."""
    parts = [part.decode(errors="replace").strip() for part in (result.stdout, result.stderr)]
    return "\n".join(part for part in parts if part).encode()[-OUTPUT_BYTES:].decode(errors="ignore")
