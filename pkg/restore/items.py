"""One object on its way into the cluster: created, or found there and compared.

What exists is overwritten only where the Restore says so. An object with this restore's UID is this restore's own from
an earlier attempt; any other is compared, and a difference is a warning or, by policy, a patch that is tied to the
version compared. Service accounts are completed, because every namespace comes with one.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto

from pkg.apis.meta import Json, JsonObject
from pkg.apis.names import RESTORE_UID_LABEL
from pkg.kube.errors import AlreadyExistsError, ApiStatusError, ConflictError, DecodeError, ServerError
from pkg.kube.resources import ResourceRef
from pkg.restore.actions import restored
from pkg.restore.archive import Entry
from pkg.restore.comparison import differences_text, update_patch, without_volatile
from pkg.restore.fields import object_at, objects_at, text_at, texts_at
from pkg.restore.job import RestoreApi
from pkg.restore.plan import Facts
from pkg.restore.update_policy import UpdatePolicy

_ACCOUNTS = "serviceaccounts"
_UPDATE_TRIES = 4


class Outcome(StrEnum):
    """What became of an object."""

    CREATED = auto()
    OWN = auto()
    UNCHANGED = auto()
    MERGED = auto()
    UPDATED = auto()
    DIFFERENT = auto()
    FAILED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """What became of an object; `live` is what the cluster holds, `message` says what is wrong.

    Attributes:
        again: It failed because something was not up, a webhook perhaps, and may succeed later.
    """

    outcome: Outcome
    live: JsonObject
    message: str = ""
    again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An object to restore.

    Attributes:
        ref: Its resource, in the version of the object.
        wanted: What to create, with namespace and labels.
        original: The object of the backup after all changes but those of this restore, to compare with.
        entry: Where it comes from.
        facts: What is known about others.
        policy: What happens to one that exists.
    """

    ref: ResourceRef
    wanted: JsonObject
    original: JsonObject
    entry: Entry
    facts: Facts
    policy: UpdatePolicy

    @property
    def namespace(self) -> str:
        """The namespace that it goes into."""
        return text_at(self.wanted, "metadata", "namespace")

    @property
    def name(self) -> str:
        """Its name."""
        return text_at(self.wanted, "metadata", "name")


def restore_item(api: RestoreApi, item: Item) -> ItemResult:
    """Creates an object if it is not there."""
    try:
        try:
            return ItemResult(outcome=Outcome.CREATED, live=api.create_raw(item.ref, item.namespace, item.wanted))
        except AlreadyExistsError:
            return _existing(api, item, api.get_raw(item.ref, item.namespace, item.name))
    except (ApiStatusError, DecodeError) as error:
        again = isinstance(error, ServerError)
        return ItemResult(outcome=Outcome.FAILED, live={}, message=f"not restored: {error}", again=again)


def _existing(api: RestoreApi, item: Item, live: JsonObject) -> ItemResult:
    own_uid = texts_at(item.wanted, "metadata", "labels")[RESTORE_UID_LABEL]
    if texts_at(live, "metadata", "labels").get(RESTORE_UID_LABEL) == own_uid:
        return ItemResult(outcome=Outcome.OWN, live=live)
    if text_at(live, "metadata", "deletionTimestamp"):
        return ItemResult(outcome=Outcome.FAILED, live=live, message="not restored: it exists and is being deleted")
    if item.entry.group_resource == _ACCOUNTS:
        return _merge_account(api, item.ref, live, item.original)
    found, wanted = _comparable(live, item.entry, item.facts), without_volatile(item.original)
    if found == wanted:
        return ItemResult(outcome=Outcome.UNCHANGED, live=live)
    if item.policy.update:
        why_not = item.policy.why_not(item.entry, live, item.namespace)
        return _different(live, found, wanted, f"not updated: {why_not}") if why_not else _updated(api, item, live)
    text = "not restored: it exists already and is different from the backed-up version"
    return _different(live, found, wanted, text)


def _different(live: JsonObject, found: JsonObject, wanted: JsonObject, text: str) -> ItemResult:
    message = f"{text} ({differences_text(found, wanted)})"
    return ItemResult(outcome=Outcome.DIFFERENT, live=live, message=message)


def _updated(api: RestoreApi, item: Item, live: JsonObject) -> ItemResult:
    """Makes the object like the backup's; one that changes meanwhile is looked at again."""
    wanted = without_volatile(item.original)
    for _ in range(_UPDATE_TRIES):
        patch = update_patch(_comparable(live, item.entry, item.facts), wanted)
        if not patch:
            return ItemResult(outcome=Outcome.UNCHANGED, live=live)
        guard = {key: text_at(live, "metadata", key) for key in ("uid", "resourceVersion")}
        patch["metadata"] = {**object_at(patch, "metadata"), **guard}
        try:
            changed = api.patch_raw(item.ref, item.namespace, item.name, patch)
        except ConflictError:
            live = api.get_raw(item.ref, item.namespace, item.name)
        except ApiStatusError as error:
            return ItemResult(outcome=Outcome.DIFFERENT, live=live, message=f"not updated: {error}")
        else:
            return ItemResult(outcome=Outcome.UPDATED, live=changed)
    return ItemResult(outcome=Outcome.DIFFERENT, live=live, message="not updated: others keep changing it")


def _comparable(live: JsonObject, entry: Entry, facts: Facts) -> JsonObject:
    """The cluster's object under the same changes; its namespaces are target ones already."""
    return without_volatile(restored(live, entry, facts.of_live()))


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
