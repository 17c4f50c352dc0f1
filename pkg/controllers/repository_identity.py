"""Which repository an object stands for, and what happens when another one, or none, lies at its address.

The id that was found first is pinned. Another one is never taken by itself and never written over: `init` is restic's
and refuses where a repository is. Somebody who knows that the pinned one is gone for good gives it up by an annotation
that names it. That counts once: afterwards another id is pinned, and the annotation names none that is.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from pkg.apis.meta import Json, JsonObject
from pkg.apis.names import DAMAGED_CONDITION, REPLACE_ANNOTATION
from pkg.apis.reasons import Reason
from pkg.apis.volumes import ReplacedRepository, ResticRepository
from pkg.controllers.conditions import without_condition
from pkg.controllers.status import to_json

NONE_PINNED = "none"
KEPT_REPLACED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFinding:
    """What a look at the repository found; `repository_id` is empty where it is not usable.

    Attributes:
        interrupted: The look was stopped and found nothing.
    """

    repository_id: str = ""
    generation: int = 1
    fast_key_id: str = ""
    reason: str = ""
    message: str = ""
    interrupted: bool = False


def is_given_up(repository: ResticRepository) -> bool:
    """Whether somebody gave up the repository that is pinned, or, where none is, wants one made."""
    wish = repository.metadata.annotation(REPLACE_ANNOTATION).strip()
    return bool(wish) and wish == (repository.status.repository_id or NONE_PINNED)


def refusal_to_make(repository: ResticRepository, *, restore_only: bool = False) -> str | None:
    """Why a missing repository must not be made, or None where it may."""
    where, pinned = repository.spec.restic_identifier, repository.status.repository_id
    given_up = is_given_up(repository)
    if pinned and not given_up:
        return (
            f"pinned is {pinned}, and there is no repository at {where} any more; bring it back, or, where it is gone "
            f"for good, let a new one be made: {_command(repository)}; the volumes of all backups before are then lost"
        )
    if restore_only:
        return f"there is no repository at {where}, and an installation that only restores makes none"
    if not repository.spec.initialize and not given_up:
        return (
            f"there is no repository at {where}, and only the first backup of a namespace makes one; where the volumes "
            f"of its backups are lost, let a new one be made: {_command(repository)}"
        )
    return None


def compare_identity(repository: ResticRepository, found: str, generation: int) -> RepositoryFinding:
    """Whether the id that restic told is the pinned one, or may be pinned instead."""
    pinned = repository.status.repository_id
    if pinned and found != pinned and not is_given_up(repository):
        message = (
            f"the repository at {repository.spec.restic_identifier} has the id {found}, pinned is {pinned}; bring that "
            f"one back, or, where it is gone for good, go on with the other: {_command(repository)}; the volumes of "
            f"backups whose snapshots are not in it are then lost"
        )
        return RepositoryFinding(reason=Reason.FOREIGN_REPOSITORY.value, message=message)
    return RepositoryFinding(repository_id=found, generation=generation)


def replaced(repository: ResticRepository, found: str, now: datetime.datetime) -> JsonObject:
    """The status fields that change where another repository takes the place of the pinned one; none where it does not.

    What was known of the old one holds no longer: what was queued to be forgotten in it, its cheap key, its damage.
    """
    pinned = repository.status.repository_id
    if not pinned or pinned == found:
        return {}
    lost = len(repository.status.pending_forget or ())
    message = f"{found} took its place; what only it held cannot be restored from here"
    if lost:
        message += f", and {lost} snapshots that were to be forgotten in it are not"
    before = ReplacedRepository(id=pinned, replaced_at=now.replace(microsecond=0), message=message)
    earlier: list[Json] = [to_json(one) for one in repository.status.replaced or ()]
    return {
        "replaced": [to_json(before), *earlier][:KEPT_REPLACED],
        "pendingForget": None,
        "fastKeyID": "",
        "clusterID": "",
        "verification": None,
        "conditions": without_condition(repository.status.conditions, DAMAGED_CONDITION),
    }


def _command(repository: ResticRepository) -> str:
    meta = repository.metadata
    pinned = repository.status.repository_id or NONE_PINNED
    return (
        f"kubectl -n {meta.namespace} annotate resticrepository {meta.name} --overwrite {REPLACE_ANNOTATION}={pinned}"
    )
