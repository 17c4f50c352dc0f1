"""What is wrong with a Backup, before anything is read or written."""

from __future__ import annotations

from collections.abc import Collection

from pkg.apis.ark import Backup, BackupSpec
from pkg.apis.duration import parse_duration
from pkg.apis.hooks import BackupHooks
from pkg.apis.label_selector import selector_problems
from pkg.apis.name_lists import EVERYTHING, list_problems
from pkg.apis.names import DEFAULT_LOCATION, RESERVED_BACKUP_NAMES, SCHEDULE_LABEL
from pkg.backup.selection import resolve_resource
from pkg.kube.discovery import Discovery

# Stores on a file system, MinIO among them, take 255 characters between two slashes: `<name>-volumes.json.gz`.
MAX_NAME_CHARACTERS = 255 - len("-volumes.json.gz")


def validate_backup(
    backup: Backup,
    *,
    discovery: Discovery,
    namespaces: Collection[str],
    restic_location: str = "",
    prefix: str = "",
) -> list[str]:
    """The sentences for `status.validationErrors`; empty when the backup may run.

    Args:
        backup: As a person wrote it.
        discovery: What the server serves.
        namespaces: The names of the namespaces that exist.
        restic_location: The storage location's `bucket` or `bucket/prefix` of repositories; empty for the default.
        prefix: The storage location's prefix of backups.
    """
    return [
        *_name_problems(backup.metadata.name, restic_location, prefix),
        *_resource_problems(backup, discovery),
        *_namespace_problems(backup, namespaces),
        *_selector_problems(backup),
        *_field_problems(backup),
    ]


def template_problems(template: BackupSpec) -> list[str]:
    """What is wrong with the template of a Schedule whatever the cluster holds; empty when nothing is.

    A namespace or a kind that is missing today may be there at the next run, so each Backup is asked for those.
    """
    spec, backup = template, Backup(spec=template)
    resources = list_problems(spec.included_resources, spec.excluded_resources)
    namespaces = list_problems(spec.included_namespaces, spec.excluded_namespaces)
    return [
        *(f"Invalid included/excluded resource lists: {one}" for one in resources),
        *(f"Invalid included/excluded namespace lists: {one}" for one in namespaces),
        *_selector_problems(backup),
        *_field_problems(backup),
    ]


def reserved_names(restic_location: str, prefix: str) -> frozenset[str]:
    """Names whose directory in the bucket would be something else's."""
    path = restic_location.partition("/")[2].strip("/")
    own = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    return RESERVED_BACKUP_NAMES | ({path.removeprefix(own).split("/")[0]} - {""})


def _name_problems(name: str, restic_location: str, prefix: str) -> list[str]:
    problems = []
    if len(name) > MAX_NAME_CHARACTERS:
        problems.append(
            f"the name is too long: it has {len(name)} characters, and the files that begin with it in the bucket "
            f"leave room for {MAX_NAME_CHARACTERS}"
        )
    if name in reserved_names(restic_location, prefix):
        problems.append(f'the name "{name}" is reserved: in the bucket it is the directory of something else')
    return problems


def _resource_problems(backup: Backup, discovery: Discovery) -> list[str]:
    included, excluded = backup.spec.included_resources, backup.spec.excluded_resources
    problems = [f"Invalid included/excluded resource lists: {one}" for one in list_problems(included, excluded)]
    names = dict.fromkeys([*(included or ()), *(excluded or ())])
    unknown = [name for name in names if name != EVERYTHING and resolve_resource(discovery, name) is None]
    return problems + [
        f'Invalid included/excluded resource lists: the server has no resource "{name}"' for name in unknown
    ]


def _namespace_problems(backup: Backup, namespaces: Collection[str]) -> list[str]:
    included, excluded = backup.spec.included_namespaces, backup.spec.excluded_namespaces
    problems = [f"Invalid included/excluded namespace lists: {one}" for one in list_problems(included, excluded)]
    missing = [name for name in dict.fromkeys(included or ()) if name != EVERYTHING and name not in namespaces]
    if backup.metadata.label(SCHEDULE_LABEL) and len(missing) < len(set(included or ())):
        missing = []  # one that went away must not end the backups of the others; the backup itself tells of it
    return problems + [f'Invalid included/excluded namespace lists: there is no namespace "{name}"' for name in missing]


def _selector_problems(backup: Backup) -> list[str]:
    selector = backup.spec.label_selector
    return [f"Invalid label selector: {one}" for one in selector_problems(selector)] if selector else []


def _field_problems(backup: Backup) -> list[str]:
    spec, problems = backup.spec, []
    if spec.location not in ("", DEFAULT_LOCATION):
        problems.append(f'there is no storage location "{spec.location}"')
    if spec.snapshot_volumes:
        problems.append("Server is not configured for PV snapshots")
    ttl = _seconds(spec.ttl, "ttl", problems)
    if ttl < 0:
        problems.append(f'Invalid ttl "{spec.ttl}": it is negative; 0 means never')
    max_freeze = _seconds(spec.max_freeze, "maxFreeze", problems)
    if max_freeze < 0 or (spec.max_freeze and not max_freeze and not problems):
        problems.append(f'Invalid maxFreeze "{spec.max_freeze}": it must be more than 0')
    return [*problems, *_hook_problems(spec.hooks)]


def _seconds(text: str, field: str, problems: list[str]) -> float:
    """A duration; what is none becomes a problem, and counts as 0."""
    try:
        return parse_duration(text) if text else 0.0
    except ValueError as error:
        problems.append(f"Invalid {field}: {error}")
        return 0.0


def _hook_problems(hooks: BackupHooks | None) -> list[str]:
    """A hook that the spec gets wrong would leave an application unprotected without anybody seeing it."""
    problems = []
    for spec in (hooks.resources if hooks else None) or ():
        what = f'Invalid hook "{spec.name}"'
        if spec.label_selector:
            problems += [f"{what}: label selector: {one}" for one in selector_problems(spec.label_selector)]
        for hook in (*(spec.pre or ()), *(spec.hooks or ()), *(spec.post or ())):
            if hook.exec is None or not hook.exec.command:
                problems.append(f"{what}: it has no command")
            else:
                _seconds(hook.exec.timeout, f'timeout of hook "{spec.name}"', problems)
    return problems
