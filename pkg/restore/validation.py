"""Whether a Restore can mean anything, before anything is claimed or read; what it says is shown to its author."""

from __future__ import annotations

from pkg.apis.ark import Restore, RestoreSpec
from pkg.apis.duration import parse_duration
from pkg.apis.label_selector import selector_problems
from pkg.apis.name_lists import EVERYTHING, list_problems
from pkg.kube.discovery import Discovery
from pkg.restore.plan import CLAIMS, CRDS, NAMESPACES, PODS, VOLUMES
from pkg.restore.refusals import refusal_of_resource
from pkg.restore.update_policy import POLICIES

_NEVER_LAST = frozenset({PODS, CLAIMS, VOLUMES, NAMESPACES, CRDS})


def validate_restore(restore: Restore, discovery: Discovery) -> list[str]:
    """The sentences for `status.validationErrors`; empty when the restore may run."""
    spec = restore.spec
    if not spec.backup_name and not spec.schedule_name:
        return ["BackupName must be non-empty and correspond to the name of a backup in object storage."]
    namespaces = list_problems(spec.included_namespaces, spec.excluded_namespaces)
    resources = list_problems(spec.included_resources, spec.excluded_resources)
    problems = [f"Invalid included/excluded namespace lists: {one}" for one in namespaces]
    problems += [f"Invalid included/excluded resource lists: {one}" for one in resources]
    problems += _never_restored(spec, discovery)
    problems += _mapping_problems(spec)
    problems += _option_problems(spec)
    if spec.label_selector is not None:
        problems += [f"Invalid label selector: {one}" for one in selector_problems(spec.label_selector)]
    return problems


def _option_problems(spec: RestoreSpec) -> list[str]:
    problems = []
    if spec.backup_name and spec.schedule_name:
        problems.append("backupName and scheduleName are both set: name a backup or a schedule")
    if spec.existing_resource_policy not in POLICIES:
        problems.append(f'existingResourcePolicy "{spec.existing_resource_policy}" is neither "none" nor "update"')
    return [*problems, *_hook_problems(spec)]


def _hook_problems(spec: RestoreSpec) -> list[str]:
    problems = []
    for resource in (spec.hooks.resources if spec.hooks else None) or ():
        for exec_hook in (one.exec for one in resource.post_hooks or () if one.exec):
            if not exec_hook.command:
                problems.append(f'hook "{resource.name}" has no command')
            if exec_hook.on_error not in ("", "Fail", "Continue"):
                problems.append(f'hook "{resource.name}": onError "{exec_hook.on_error}" is neither Fail nor Continue')
            problems += _duration_problems(resource.name, exec_hook.timeout, exec_hook.wait_timeout)
    return problems


def _duration_problems(hook: str, *texts: str) -> list[str]:
    problems = []
    for text in texts:
        try:
            parse_duration(text or "0s")
        except ValueError as error:
            problems.append(f'hook "{hook}": {error}')
    return problems


def _never_restored(spec: RestoreSpec, discovery: Discovery) -> list[str]:
    problems = []
    for name in spec.restore_last or ():
        found = discovery.resolve(name)
        if (found.ref.group_resource if found else name) in _NEVER_LAST:
            problems.append(f"restoreLast cannot name {name}: volumes cannot be filled without them")
    for name in spec.included_resources or ():
        found = discovery.resolve(name) if name != EVERYTHING else None
        refusal = refusal_of_resource(found.ref.group_resource) if found is not None else ""
        if refusal:
            problems.append(f"{name} are non-restorable resources: {refusal}")
    return problems


def _mapping_problems(spec: RestoreSpec) -> list[str]:
    targets: dict[str, str] = {}
    problems = []
    for source, target in sorted((spec.namespace_mapping or {}).items()):
        if not target:
            problems.append(f'Invalid namespace mapping: "{source}" is mapped to nothing')
        elif target in targets:
            problems.append(f'Invalid namespace mapping: "{targets[target]}" and "{source}" both go to "{target}"')
        targets[target] = source
    return problems
