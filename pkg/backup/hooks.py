"""Which commands are to be run in a pod before and after its volumes are captured, with 0.9's rules. Pure.

Annotations of the pod replace the hooks of the backup's spec. What is not valid in an annotation falls back to the
default, as in 0.9: a hook that somebody mistyped must still quiesce the application.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

import msgspec

from pkg.apis.ark import BackupSpec
from pkg.apis.core import Pod
from pkg.apis.duration import parse_duration
from pkg.apis.hooks import BackupHooks, BackupResourceHook, BackupResourceHookSpec, ExecHook
from pkg.apis.label_selector import matches
from pkg.apis.names import POST_HOOK_PREFIXES, PRE_HOOK_PREFIXES
from pkg.backup.includes import includes

_POD_NAMES = frozenset({"pods", "pod", "po"})
_CONTINUE = "Continue"
MAX_FREEZE_SECONDS = 600.0


class When(Enum):
    """Before or after; the default time limit in seconds is the value (thawing deserves patience)."""

    PRE = 30.0
    POST = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A command in a container.

    Attributes:
        container: A container of the pod; empty where the pod has not the one that was asked for.
        fail: An error of the command keeps the pod's volumes from being captured; otherwise it is only logged.
        problem: Why it cannot be run at all; empty when it can.
    """

    container: str
    command: tuple[str, ...]
    fail: bool
    timeout_seconds: float
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookedPod:
    """A pod with hooks.

    Attributes:
        pre: It has commands to be run before.
        post: It has commands to be run after.
    """

    namespace: str
    name: str
    uid: str
    pre: bool = True
    post: bool = True

    @property
    def key(self) -> str:
        """For texts."""
        return f"{self.namespace}/{self.name}"

    @property
    def freezes(self) -> bool:
        """Whether it may stand still between its hooks; a lone command before or after freezes nothing."""
        return self.pre and self.post


def pod_hooks(pod: Pod, hooks: BackupHooks | None, when: When) -> tuple[Hook, ...]:
    """The commands for a pod, in their order."""
    annotated = _annotated(pod, when)
    if annotated is not None:
        return (annotated,)
    specs = [spec for spec in (hooks.resources if hooks else None) or () if _applies(spec, pod)]
    return tuple(_hook(pod, one.exec, when) for spec in specs for one in _of_spec(spec, when) if one.exec)


def hooked_pod(pod: Pod, hooks: BackupHooks | None) -> HookedPod | None:
    """The pod as one with hooks; None where it has none at all."""
    pre, post = bool(pod_hooks(pod, hooks, When.PRE)), bool(pod_hooks(pod, hooks, When.POST))
    if not pre and not post:
        return None
    own = pod.metadata
    return HookedPod(namespace=own.namespace, name=own.name, uid=own.uid, pre=pre, post=post)


def _annotated(pod: Pod, when: When) -> Hook | None:
    prefixes = PRE_HOOK_PREFIXES if when is When.PRE else POST_HOOK_PREFIXES
    annotations = pod.metadata.annotations or {}
    prefix = next((one for one in prefixes if annotations.get(f"{one}command")), "")
    if not prefix:
        return None
    wanted = ExecHook(
        container=annotations.get(f"{prefix}container", ""),
        command=_words(annotations[f"{prefix}command"]),
        on_error=annotations.get(f"{prefix}on-error", ""),
        timeout=annotations.get(f"{prefix}timeout", ""),
    )
    return _hook(pod, wanted, when)


def _words(text: str) -> tuple[str, ...]:
    """A JSON array where it is one, else the text as a single word; no shell splits it."""
    if text.startswith("["):
        try:
            return msgspec.json.decode(text, type=tuple[str, ...])
        except msgspec.DecodeError:
            return (text,)
    return (text,)


def _applies(spec: BackupResourceHookSpec, pod: Pod) -> bool:
    namespaces = includes(spec.included_namespaces, spec.excluded_namespaces)
    resources = includes(spec.included_resources, spec.excluded_resources, _pod_name)
    wanted = pod.metadata.namespace in namespaces and "pods" in resources
    return wanted and matches(spec.label_selector, pod.metadata.labels)


def _pod_name(name: str) -> str:
    return "pods" if name.lower() in _POD_NAMES else name


def _of_spec(spec: BackupResourceHookSpec, when: When) -> Iterable[BackupResourceHook]:
    return (spec.pre or spec.hooks or ()) if when is When.PRE else (spec.post or ())


def _hook(pod: Pod, wanted: ExecHook, when: When) -> Hook:
    containers = [container.name for container in pod.spec.containers or ()]
    container = wanted.container or next(iter(containers), "")
    problem = "" if container in containers else f'no such container: "{container}"'
    return Hook(
        container="" if problem else container,
        command=wanted.command or (),
        fail=wanted.on_error != _CONTINUE,
        timeout_seconds=_timeout(wanted.timeout, when),
        problem=problem or ("" if wanted.command else "the hook has no command"),
    )


def _timeout(text: str, when: When) -> float:
    try:
        seconds = parse_duration(text) if text else 0.0
    except ValueError:
        seconds = 0.0
    return seconds if seconds > 0 else when.value


def max_freeze_seconds(spec: BackupSpec) -> float:
    """How long a pod may stand still between its hooks; what is not valid was refused before the run."""
    try:
        return (parse_duration(spec.max_freeze) if spec.max_freeze else 0.0) or MAX_FREEZE_SECONDS
    except ValueError:
        return MAX_FREEZE_SECONDS
