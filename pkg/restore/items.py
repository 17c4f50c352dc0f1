"""One object on its way into the cluster: created, or found there and compared.

What exists is never overwritten. An object with this restore's UID is this restore's own from an earlier attempt;
any other is compared, and a difference is a warning. Service accounts are completed, because every namespace comes
with one.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from enum import StrEnum, auto

from pkg.apis.meta import Json, JsonObject
from pkg.apis.names import RESTORE_UID_LABEL
from pkg.kube.errors import AlreadyExistsError, ApiStatusError, DecodeError, NotFoundError
from pkg.kube.resources import ResourceRef
from pkg.restore.actions import restored
from pkg.restore.archive import Entry
from pkg.restore.fields import object_at, objects_at, text_at, texts_at
from pkg.restore.job import RestoreApi
from pkg.restore.plan import Facts

_ACCOUNTS = "serviceaccounts"


class Outcome(StrEnum):
    """What became of an object."""

    CREATED = auto()
    OWN = auto()
    UNCHANGED = auto()
    MERGED = auto()
    DIFFERENT = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """What became of an object; `live` is what the cluster holds, `message` says what is wrong."""

    outcome: Outcome
    live: JsonObject
    message: str = ""


def restore_item(
    api: RestoreApi, ref: ResourceRef, *, wanted: JsonObject, original: JsonObject, entry: Entry, facts: Facts
) -> ItemResult:
    """Creates an object if it is not there.

    Args:
        api: The cluster.
        ref: Its resource, in the version of the object.
        wanted: What to create, with namespace and labels.
        original: The object of the backup after all changes but those of this restore, to compare with.
        entry: Where it comes from.
        facts: What is known about others.
    """
    namespace, name = text_at(wanted, "metadata", "namespace"), text_at(wanted, "metadata", "name")
    uid = texts_at(wanted, "metadata", "labels")[RESTORE_UID_LABEL]
    try:
        try:
            return ItemResult(outcome=Outcome.CREATED, live=api.create_raw(ref, namespace, wanted))
        except AlreadyExistsError:
            return _existing(api, ref, api.get_raw(ref, namespace, name), original, entry, facts, uid)
    except NotFoundError as error:
        return ItemResult(outcome=Outcome.FAILED, live={}, message=f"not restored: {error}")
    except (ApiStatusError, DecodeError) as error:
        return ItemResult(outcome=Outcome.FAILED, live={}, message=f"not restored: {error}")


def _existing(
    api: RestoreApi, ref: ResourceRef, live: JsonObject, original: JsonObject, entry: Entry, facts: Facts, uid: str
) -> ItemResult:
    if texts_at(live, "metadata", "labels").get(RESTORE_UID_LABEL) == uid:
        return ItemResult(outcome=Outcome.OWN, live=live)
    if text_at(live, "metadata", "deletionTimestamp"):
        return ItemResult(outcome=Outcome.FAILED, live=live, message="not restored: it exists and is being deleted")
    if entry.group_resource == _ACCOUNTS:
        return _merge_account(api, ref, live, original)
    if _comparable(live, entry, facts) == original:
        return ItemResult(outcome=Outcome.UNCHANGED, live=live)
    message = "not restored: it exists already and is different from the backed-up version"
    return ItemResult(outcome=Outcome.DIFFERENT, live=live, message=message)


def _comparable(live: JsonObject, entry: Entry, facts: Facts) -> JsonObject:
    """The cluster's object under the same changes; its namespaces are target ones already."""
    return restored(live, entry, dataclasses.replace(facts, namespace_mapping={}))


def _merge_account(api: RestoreApi, ref: ResourceRef, live: JsonObject, original: JsonObject) -> ItemResult:
    patch = account_patch(live, original)
    if not patch:
        return ItemResult(outcome=Outcome.UNCHANGED, live=live)
    namespace, name = text_at(live, "metadata", "namespace"), text_at(live, "metadata", "name")
    return ItemResult(outcome=Outcome.MERGED, live=api.patch_raw(ref, namespace, name, patch))


def account_patch(live: JsonObject, original: JsonObject) -> JsonObject:
    """What completes the cluster's service account from the backup's; what it has stays, as in 0.9."""
    name = text_at(live, "metadata", "name")
    patch: JsonObject = {}
    for field in ("secrets", "imagePullSecrets"):
        present = objects_at(live, field)
        names = {text_at(item, "name") for item in present}
        missing = [item for item in objects_at(original, field) if text_at(item, "name") not in names]
        missing = [item for item in missing if not text_at(item, "name").startswith(f"{name}-token-")]
        if missing:
            items: list[Json] = [*present, *missing]
            patch[field] = items
    metadata: JsonObject = {}
    for field in ("labels", "annotations"):
        known = object_at(live, "metadata", field)
        added = {key: value for key, value in object_at(original, "metadata", field).items() if key not in known}
        if added:
            metadata[field] = added
    return {**patch, "metadata": metadata} if metadata else patch
