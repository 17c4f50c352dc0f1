"""Whether a Restore can mean anything, before anything is claimed or read; what it says is shown to its author."""

from __future__ import annotations

from pkg.apis.ark import Restore, RestoreSpec
from pkg.apis.label_selector import selector_problems
from pkg.apis.name_lists import EVERYTHING, list_problems
from pkg.kube.discovery import Discovery
from pkg.restore.refusals import refusal_of_resource


def validate_restore(restore: Restore, discovery: Discovery) -> list[str]:
    """The sentences for `status.validationErrors`; empty when the restore may run."""
    spec = restore.spec
    if not spec.backup_name:
        return ["BackupName must be non-empty and correspond to the name of a backup in object storage."]
    namespaces = list_problems(spec.included_namespaces, spec.excluded_namespaces)
    resources = list_problems(spec.included_resources, spec.excluded_resources)
    problems = [f"Invalid included/excluded namespace lists: {one}" for one in namespaces]
    problems += [f"Invalid included/excluded resource lists: {one}" for one in resources]
    problems += _never_restored(spec, discovery)
    problems += _mapping_problems(spec)
    if spec.label_selector is not None:
        problems += [f"Invalid label selector: {one}" for one in selector_problems(spec.label_selector)]
    return problems


def _never_restored(spec: RestoreSpec, discovery: Discovery) -> list[str]:
    problems = []
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
