"""Which commands are to be run in a restored pod once it is ready. Pure.

Annotations of the pod replace the hooks of the Restore's spec, as with a backup's hooks. A command that fails is an
error of the restore unless its `on-error` says Continue: an application that was not brought up is not restored.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pkg.apis.duration import parse_duration
from pkg.apis.hooks import RestoreExecHook, RestoreHooks, RestoreResourceHookSpec
from pkg.apis.label_selector import matches
from pkg.apis.meta import JsonObject
from pkg.apis.names import POST_RESTORE_HOOK_PREFIX
from pkg.restore.fields import objects_at, text_at, texts_at

EXEC_SECONDS = 30.0
WAIT_SECONDS = 600.0
_CONTINUE = "Continue"
_EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreHook:
    """A command in a container of a restored pod.

    Attributes:
        fail: Its failure is an error and ends the pod's hooks; otherwise it is a warning and the next one goes on.
        exec_seconds: How long the command may take.
        wait_seconds: How long the container may take to be ready.
        problem: Why it cannot be run at all; empty when it can.
    """

    container: str
    command: tuple[str, ...]
    fail: bool = True
    exec_seconds: float = EXEC_SECONDS
    wait_seconds: float = WAIT_SECONDS
    problem: str = ""


def pod_hooks(pod: JsonObject, hooks: RestoreHooks | None) -> tuple[RestoreHook, ...]:
    """The commands for a restored pod, in their order; its namespace is the one that it was restored into."""
    annotated = _annotated(pod)
    if annotated is not None:
        return (_hook(pod, annotated),)
    specs = [spec for spec in (hooks.resources if hooks else None) or () if _applies(spec, pod)]
    return tuple(_hook(pod, one.exec) for spec in specs for one in spec.post_hooks or () if one.exec)


def _annotated(pod: JsonObject) -> RestoreExecHook | None:
    annotations = texts_at(pod, "metadata", "annotations")
    command = annotations.get(f"{POST_RESTORE_HOOK_PREFIX}command", "")
    if not command:
        return None
    return RestoreExecHook(
        container=annotations.get(f"{POST_RESTORE_HOOK_PREFIX}container", ""),
        command=_words(command),
        on_error=annotations.get(f"{POST_RESTORE_HOOK_PREFIX}on-error", ""),
        timeout=annotations.get(f"{POST_RESTORE_HOOK_PREFIX}exec-timeout", ""),
        wait_timeout=annotations.get(f"{POST_RESTORE_HOOK_PREFIX}wait-timeout", ""),
    )


def _words(text: str) -> tuple[str, ...]:
    """A JSON array where it is one, else the text as a single word; no shell splits it."""
    if text.startswith("["):
        try:
            return msgspec.json.decode(text, type=tuple[str, ...])
        except msgspec.DecodeError:
            return (text,)
    return (text,)


def _applies(spec: RestoreResourceHookSpec, pod: JsonObject) -> bool:
    namespace, included = text_at(pod, "metadata", "namespace"), spec.included_namespaces or ()
    taken = not included or _EVERYTHING in included or namespace in included
    wanted = taken and namespace not in (spec.excluded_namespaces or ())
    return wanted and matches(spec.label_selector, texts_at(pod, "metadata", "labels"))


def _hook(pod: JsonObject, wanted: RestoreExecHook) -> RestoreHook:
    containers = [text_at(container, "name") for container in objects_at(pod, "spec", "containers")]
    container = wanted.container or next(iter(containers), "")
    problem = "" if container in containers else f'no such container: "{container}"'
    return RestoreHook(
        container=container,
        command=wanted.command or (),
        fail=wanted.on_error != _CONTINUE,
        exec_seconds=_seconds(wanted.timeout, EXEC_SECONDS),
        wait_seconds=_seconds(wanted.wait_timeout, WAIT_SECONDS),
        problem=problem or ("" if wanted.command else "the hook has no command"),
    )


def _seconds(text: str, default: float) -> float:
    try:
        seconds = parse_duration(text) if text else 0.0
    except ValueError:
        seconds = 0.0
    return seconds if seconds > 0 else default
