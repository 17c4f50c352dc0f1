"""The creating half of a restore: one object after the other, in order, each outcome recorded once.

Four things change the order while it runs: objects of a namespace that is still being deleted come when it is gone,
what a webhook refused because it is not up is tried again when the others are there (its pods may be among them),
objects that wait for the data come when every volume has ended, and webhooks and aggregated APIs come last of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from structlog.typing import FilteringBoundLogger

from pkg.apis.ark import ItemProgress
from pkg.apis.label_selector import matches
from pkg.apis.meta import JsonObject
from pkg.apis.names import RESTORE_LABEL, RESTORE_UID_LABEL
from pkg.kube.discovery import Discovery
from pkg.kube.errors import ApiStatusError, DecodeError
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.restore.actions import labelled, restored
from pkg.restore.api import discovered
from pkg.restore.archive import Entry
from pkg.restore.captures import PodVolume
from pkg.restore.claims import PRESENT, Claims
from pkg.restore.definitions import wait_until_served
from pkg.restore.errors import BackupDamagedError, RestoreInterruptedError
from pkg.restore.fields import text_at, texts_at
from pkg.restore.held import WORKLOADS, claims_used
from pkg.restore.helper import Helper
from pkg.restore.hook_run import HookRun
from pkg.restore.in_use import claim_in_use
from pkg.restore.items import Item, ItemResult, Outcome, restore_item
from pkg.restore.job import RestoreApi, RestoreJob, RestoreProgress
from pkg.restore.namespaces import POLL_SECONDS as NAMESPACE_POLL_SECONDS
from pkg.restore.namespaces import Namespaces
from pkg.restore.plan import CLAIMS, CRDS, LAST, PODS
from pkg.restore.podvolumes import with_restic_wait
from pkg.restore.preparation import Prepared
from pkg.restore.refusals import refusal_of
from pkg.restore.results import Results
from pkg.restore.side_by_side import SideBySide
from pkg.restore.update_policy import update_policy
from pkg.restore.volume_wait import POLL_SECONDS, VolumeWait
from pkg.volumes.naming import label_value

ONE_BY_ONE = frozenset({CRDS, CLAIMS, PODS, "persistentvolumes"})
"""Kinds whose objects look at what became of the one before."""
AGAIN_SECONDS, AGAIN_POLL_SECONDS = 120.0, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a run works with."""

    api: RestoreApi
    discovery: Discovery
    namespaces: Namespaces
    waiting: VolumeWait
    helper: Helper
    hooks: HookRun
    results: Results
    log: FilteringBoundLogger


class Run:
    """One attempt at a restore; used by one thread."""

    def __init__(self, job: RestoreJob, prepared: Prepared, tools: Tools, stop: StopToken) -> None:
        self._job = job
        self._prepared = prepared
        self._tools = tools
        self._api = tools.api
        self._discovery = tools.discovery
        self._waiting = tools.waiting
        self._results = tools.results
        self._log = tools.log
        self._stop = stop
        self._labels = own_labels(job)
        self._policy = update_policy(job.restore.spec, job.ark_namespace)
        self._claims = Claims(tools.api, tools.results, pods_wanted=prepared.scope.resources.takes(PODS))
        self._done = 0
        self._pumped_at = job.clock.monotonic()
        self._side_by_side: SideBySide[ItemResult] = SideBySide()
        self._definitions: list[str] = []
        self._late: dict[str, list[Entry]] = {}
        self._held: list[Entry] = []
        self._holding = True
        self._refused: set[str] = set()
        self._again: list[Entry] = []
        self._patient = True

    @property
    def items(self) -> ItemProgress:
        """How many objects are done."""
        return ItemProgress(total_items=len(self._prepared.entries), items_done=self._done)

    def create_all(self) -> None:
        """Creates every object of the plan.

        Raises:
            RestoreInterruptedError: the token was cancelled.
        """
        with self._side_by_side:
            self._create_each(one for one in self._prepared.entries if one.group_resource not in LAST)
            self._create_late()
            self._create_again()
            self._claims.report_empty()
            if self._held and self._waiting.finish(self._stop):
                raise RestoreInterruptedError(self._stop.reason)
            self._holding = False
            self._create_each(self._held)
            self._create_each(one for one in self._prepared.entries if one.group_resource in LAST)

    def report_progress(self) -> None:
        """Tells how far it is."""
        self._job.on_progress(RestoreProgress(items=self.items, volumes=self._waiting.counts()))

    def _create_each(self, entries: Iterable[Entry]) -> None:
        previous = ""
        for entry in entries:
            if self._stop.cancelled:
                raise RestoreInterruptedError(self._stop.reason)
            if previous != entry.group_resource:
                self._side_by_side.finish()  # kinds come one after the other
            if previous == CRDS != entry.group_resource:
                self._wait_for_definitions()
            previous = entry.group_resource
            self._restore(entry)
            self._pump_sometimes()
        self._side_by_side.finish()

    def _create_late(self) -> None:
        """Creates what goes into namespaces that were being deleted, each when its own is gone."""
        while self._late:
            for target in list(self._late):
                if not self._tools.namespaces.ensure(self._late[target][0].namespace, target).waiting:
                    self._create_each(self._late.pop(target))
            self._pump_sometimes()
            if self._late and self._job.clock.wait(self._stop, NAMESPACE_POLL_SECONDS):
                raise RestoreInterruptedError(self._stop.reason)

    def _create_again(self) -> None:
        """Tries again what was not up; a kind whose first object still fails is not asked for all of them."""
        until = self._job.clock.monotonic() + AGAIN_SECONDS
        while self._again:
            self._patient = self._job.clock.monotonic() < until
            tried, self._again = self._again, []
            for _, entries in groupby(tried, key=lambda one: one.group_resource):
                first, *others = entries
                put_off = len(self._again)
                self._create_each([first])
                if len(self._again) > put_off:
                    self._again += others
                else:
                    self._create_each(others)
            self._pump_sometimes()
            if self._again and self._job.clock.wait(self._stop, AGAIN_POLL_SECONDS):
                raise RestoreInterruptedError(self._stop.reason)
        self._patient = False

    def _pump_sometimes(self) -> None:
        now = self._job.clock.monotonic()
        if now - self._pumped_at >= POLL_SECONDS:
            self._pumped_at = now
            self._waiting.pump()
            self.report_progress()

    def _restore(self, entry: Entry) -> None:
        if not self._start(entry):
            self._done += 1

    def _start(self, entry: Entry) -> bool:
        """Begins with an object; returns whether it goes on beside the next ones, or is put off."""
        target = self._prepared.facts.target(entry.namespace) if entry.namespace else ""
        try:
            obj = self._prepared.archive.read(entry)
        except BackupDamagedError as error:
            self._error(entry, target, str(error))
            return False
        if not self._is_selected(entry, obj):
            return False
        refusal = refusal_of(obj, entry, self._prepared.facts)
        if refusal:
            self._log.info("Object left out", resource=entry.group_resource, key=entry.key, reason=refusal)
            return False
        ref = served(self._discovery, entry, obj)
        if ref is None:
            version, kind = text_at(obj, "apiVersion"), text_at(obj, "kind")
            self._error(entry, target, f"the cluster does not serve {version} {kind}")
            return False
        if self._put_off(entry, obj, target):
            return True
        if self._lacks_namespace(entry, target) or self._lacks_data(entry, obj, target):
            return False
        return self._create(entry, {**obj, "apiVersion": ref.api_version}, ref, target)

    def _is_selected(self, entry: Entry, obj: JsonObject) -> bool:
        """A claim comes with the pod that needs it: without it the pod would wait for ever."""
        if entry.group_resource == CLAIMS and (entry.namespace, entry.name) in self._prepared.facts.needed_claims:
            return True
        return matches(self._job.restore.spec.label_selector, texts_at(obj, "metadata", "labels"))

    def _put_off(self, entry: Entry, obj: JsonObject, target: str) -> bool:
        """Whether an object comes later: its namespace is still going, or it waits for the data."""
        if target and self._tools.namespaces.ensure(entry.namespace, target).waiting:
            if target not in self._late:
                self._log.info("Namespace is being deleted, waiting for its end", namespace=target)
            self._late.setdefault(target, []).append(entry)
            return True
        waits = self._holding and self._waits_for_data(entry, obj)
        if waits:
            self._held.append(entry)
        return waits

    def _waits_for_data(self, entry: Entry, obj: JsonObject) -> bool:
        if entry.group_resource in self._prepared.held:
            return True
        claims = self._prepared.facts.needed_claims if entry.group_resource in WORKLOADS else ()
        names = [name for namespace, name in claims if namespace == entry.namespace]
        return bool(claims_used(obj, entry.group_resource, names))

    def _lacks_namespace(self, entry: Entry, target: str) -> bool:
        found = self._tools.namespaces.ensure(entry.namespace, target) if target else None
        if found is None or not found.problem:
            return False
        if target not in self._refused:
            self._refused.add(target)
            self._results.namespaces_terminating += found.terminating
            self._results.errors.about(target, f"{found.problem}; nothing is restored into it")
            self._log.error("Namespace unusable", namespace=target, error=found.problem)
        return True

    def _lacks_data(self, entry: Entry, obj: JsonObject, target: str) -> bool:
        """Whether the pods of a workload would start on a claim without its contents."""
        barred = self._claims.must_not_be_used(self._waiting.unfilled_claims) if not self._holding else frozenset()
        used = claims_used(obj, entry.group_resource, [name for namespace, name in barred if namespace == target])
        if used:
            text = f"not restored: its pods would start without the contents of {', '.join(used)}, which did not come"
            self._error(entry, target, text)
        return bool(used)

    def _create(self, entry: Entry, obj: JsonObject, ref: ResourceRef, target: str) -> bool:
        facts = self._prepared.facts
        original = restored(obj, entry, facts)
        volumes = self._prepared.captures.of_pod(obj) if entry.group_resource == PODS else ()
        if self._is_in_use(entry, target, volumes):
            return False
        wanted = labelled(original, namespace=target, labels=self._labels)
        uid = self._job.restore.metadata.uid
        wanted = with_restic_wait(wanted, volumes, restore_uid=uid, helper=self._tools.helper)
        item = Item(ref=ref, wanted=wanted, original=original, entry=entry, facts=facts, policy=self._policy)
        if entry.group_resource not in ONE_BY_ONE:
            self._side_by_side.start(
                lambda: restore_item(self._api, item), lambda result: self._record_done(entry, target, result)
            )
            return True
        result = restore_item(self._api, item)
        if not self._record(entry, target, result):
            return True
        if entry.group_resource == CLAIMS:
            self._record_claim(entry, target, result, was_bound=bool(text_at(obj, "spec", "volumeName")))
        elif entry.group_resource == PODS:
            self._record_pod(entry, obj, target, result, volumes)
        return False

    def _is_in_use(self, entry: Entry, target: str, volumes: Sequence[PodVolume]) -> bool:
        claims = {one.claim for one in volumes if one.claim and self._claims.was_there((target, one.claim))}
        uid = self._job.restore.metadata.uid
        try:
            text = claim_in_use(self._api, target, entry.name, claims, restore_uid=uid)
        except (ApiStatusError, DecodeError) as error:
            text = f"not restored: the pods beside it cannot be listed: {error}"
        if text:
            self._results.volumes_failed += 1
            self._error(entry, target, text)
        return bool(text)

    def _record_done(self, entry: Entry, target: str, result: ItemResult) -> None:
        self._done += self._record(entry, target, result)

    def _record(self, entry: Entry, target: str, result: ItemResult) -> bool:
        """Whether that is the end of it; otherwise it is tried again."""
        if result.again and self._patient:
            self._again.append(entry)
            self._log.warning("Object put off", resource=entry.group_resource, key=entry.key, error=result.message)
            return False
        if result.outcome is Outcome.FAILED:
            self._error(entry, target, result.message)
        elif result.outcome is Outcome.DIFFERENT:
            self._results.warnings.about(target, f"{about(entry, target)}: {result.message}")
            self._log.warning("Object differs", resource=entry.group_resource, key=entry.key)
        else:
            self._log.info("Object restored", resource=entry.group_resource, key=entry.key, outcome=str(result.outcome))
        if entry.group_resource == CRDS and result.outcome in PRESENT:
            self._definitions.append(entry.name)
        return True

    def _record_claim(self, entry: Entry, target: str, result: ItemResult, *, was_bound: bool) -> None:
        captures = self._prepared.captures
        captured = not captures.without_claims and (entry.namespace, entry.name) in captures.by_claim
        self._claims.record(
            (target, entry.name), result, about=about(entry, target), captured=captured, was_bound=was_bound
        )

    def _record_pod(
        self, entry: Entry, obj: JsonObject, target: str, result: ItemResult, volumes: Sequence[PodVolume]
    ) -> None:
        if result.outcome in PRESENT:
            self._record_present_pod(entry, obj, target, result, volumes)
        elif volumes and result.outcome is not Outcome.FAILED:
            names = ", ".join(volume.volume for volume in volumes)
            self._results.pods_existing += 1
            text = f"existed already, so its volumes are not restored ({names}): delete the pod and restore again"
            self._error(entry, target, text)

    def _record_present_pod(
        self, entry: Entry, obj: JsonObject, target: str, result: ItemResult, volumes: Sequence[PodVolume]
    ) -> None:
        if volumes:
            self._waiting.add(target, entry.name, text_at(result.live, "metadata", "uid"), volumes)
            self._claims.fill(target, volumes)
        self._tools.hooks.add(obj, result.live)
        warnings = [*self._prepared.captures.lacking.get((entry.namespace, entry.name), ())]
        for one in self._prepared.captures.left_out(obj):
            warnings.append(f"volume {one.volume} is not restored: the Restore leaves out claims or volumes")
        for text in warnings:
            self._results.warnings.about(target, f"{about(entry, target)}: {text}")

    def _wait_for_definitions(self) -> None:
        if not self._definitions:
            return
        self._discovery, late = wait_until_served(
            self._definitions,
            api=self._api,
            discover=lambda: discovered(self._job.discover, stop=self._stop, clock=self._job.clock),
            timeout_seconds=self._job.definition_timeout_seconds,
            clock=self._job.clock,
            stop=self._stop,
        )
        for name in late:
            self._results.errors.about("", f"CustomResourceDefinition {name} was not Established in time")

    def _error(self, entry: Entry, target: str, text: str) -> None:
        self._results.errors.about(target, f"{about(entry, target)}: {text}")
        self._log.error("Object not restored", resource=entry.group_resource, key=entry.key, error=text)


def own_labels(job: RestoreJob) -> Mapping[str, str]:
    """The labels of everything that a restore makes."""
    return {RESTORE_LABEL: label_value(job.restore.metadata.name), RESTORE_UID_LABEL: job.restore.metadata.uid}


def about(entry: Entry, target: str) -> str:
    """An object in a message."""
    return f"{entry.group_resource} {target}/{entry.name}" if target else f"{entry.group_resource} {entry.name}"


def served(discovery: Discovery, entry: Entry, obj: JsonObject) -> ResourceRef | None:
    """The version that an object can be created in: its own, or what its group or successor group serves."""
    exact = discovery.for_kind(text_at(obj, "apiVersion"), text_at(obj, "kind"))
    if exact is not None:
        return exact.ref
    plural, _, group = entry.group_resource.partition(".")
    other = discovery.resolve(entry.group_resource)
    if other is None and group == "extensions":
        other = discovery.resolve(plural)
    return other.ref if other is not None else None
