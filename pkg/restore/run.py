"""The creating half of a restore: one object after the other, in order, each outcome recorded once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from structlog.typing import FilteringBoundLogger

from pkg.apis.ark import ItemProgress
from pkg.apis.label_selector import matches
from pkg.apis.meta import JsonObject
from pkg.apis.names import RESTORE_LABEL, RESTORE_UID_LABEL
from pkg.kube.discovery import Discovery
from pkg.kube.errors import ApiStatusError, DecodeError
from pkg.kube.refs import PVCS
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.restore.actions import labelled, restored
from pkg.restore.api import discovered
from pkg.restore.archive import Entry
from pkg.restore.captures import PodVolume
from pkg.restore.definitions import wait_until_served
from pkg.restore.errors import BackupDamagedError, RestoreInterruptedError
from pkg.restore.fields import text_at, texts_at
from pkg.restore.in_use import claim_in_use
from pkg.restore.items import ItemResult, Outcome, restore_item
from pkg.restore.job import RestoreApi, RestoreJob, RestoreProgress
from pkg.restore.namespaces import Namespaces
from pkg.restore.plan import CLAIMS, CRDS, PODS
from pkg.restore.podvolumes import with_restic_wait
from pkg.restore.preparation import Prepared
from pkg.restore.refusals import is_of_pod, refusal_of
from pkg.restore.results import Results
from pkg.restore.side_by_side import SideBySide
from pkg.restore.volume_wait import POLL_SECONDS, VolumeWait
from pkg.volumes.naming import label_value

ONE_BY_ONE = frozenset({CRDS, CLAIMS, PODS, "persistentvolumes"})
"""Kinds whose objects look at what became of the one before."""
_PRESENT = (Outcome.CREATED, Outcome.OWN)


class Run:
    """One attempt at a restore; used by one thread."""

    def __init__(
        self,
        job: RestoreJob,
        prepared: Prepared,
        *,
        api: RestoreApi,
        discovery: Discovery,
        namespaces: Namespaces,
        waiting: VolumeWait,
        results: Results,
        log: FilteringBoundLogger,
        stop: StopToken,
    ) -> None:
        self._job = job
        self._prepared = prepared
        self._api = api
        self._discovery = discovery
        self._namespaces = namespaces
        self._waiting = waiting
        self._results = results
        self._log = log
        self._stop = stop
        self._labels = own_labels(job)
        self._done = 0
        self._pumped_at = job.clock.monotonic()
        self._side_by_side: SideBySide[ItemResult] = SideBySide()
        self._definitions: list[str] = []
        self._new_claims: dict[tuple[str, str], str] = {}
        self._found_claims: set[tuple[str, str]] = set()
        self._filled_claims: set[tuple[str, str]] = set()

    @property
    def items(self) -> ItemProgress:
        """How many objects are done."""
        return ItemProgress(total_items=len(self._prepared.entries), items_done=self._done)

    def create_all(self) -> None:
        """Creates every object of the plan.

        Raises:
            RestoreInterruptedError: the token was cancelled.
        """
        previous = ""
        with self._side_by_side as side_by_side:
            for entry in self._prepared.entries:
                if self._stop.cancelled:
                    raise RestoreInterruptedError(self._stop.reason)
                if previous != entry.group_resource:
                    side_by_side.finish()  # kinds come one after the other
                if previous == CRDS != entry.group_resource:
                    self._wait_for_definitions()
                previous = entry.group_resource
                self._restore(entry)
                self._pump_sometimes()
            side_by_side.finish()
        self._report_empty_claims()

    def report_progress(self) -> None:
        """Tells how far it is."""
        self._job.on_progress(RestoreProgress(items=self.items, volumes=self._waiting.counts()))

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
        """Begins with an object; returns whether it goes on beside the next ones."""
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
        elif self._has_namespace(entry, target):
            return self._create(entry, {**obj, "apiVersion": ref.api_version}, ref, target)
        return False

    def _is_selected(self, entry: Entry, obj: JsonObject) -> bool:
        """A claim comes with the pod that needs it: without it the pod would wait for ever."""
        if entry.group_resource == CLAIMS and (entry.namespace, entry.name) in self._prepared.facts.needed_claims:
            return True
        return matches(self._job.restore.spec.label_selector, texts_at(obj, "metadata", "labels"))

    def _has_namespace(self, entry: Entry, target: str) -> bool:
        problem, first = self._namespaces.ensure(entry.namespace, target) if target else ("", False)
        if problem and first:
            self._results.errors.about(target, f"{problem}; nothing is restored into it")
            self._log.error("Namespace unusable", namespace=target, error=problem)
        return not problem

    def _create(self, entry: Entry, obj: JsonObject, ref: ResourceRef, target: str) -> bool:
        facts = self._prepared.facts
        original = restored(obj, entry, facts)
        volumes = self._prepared.captures.of_pod(obj) if entry.group_resource == PODS else ()
        if self._is_in_use(entry, target, volumes):
            return False
        wanted = labelled(original, namespace=target, labels=self._labels)
        uid, image = self._job.restore.metadata.uid, self._job.helper_image
        wanted = with_restic_wait(wanted, volumes, restore_uid=uid, image=image)

        def restore() -> ItemResult:
            return restore_item(self._api, ref, wanted=wanted, original=original, entry=entry, facts=facts)

        if entry.group_resource not in ONE_BY_ONE:
            self._side_by_side.start(restore, lambda result: self._record_done(entry, target, result))
            return True
        result = restore()
        self._record(entry, target, result)
        if entry.group_resource == CLAIMS:
            self._record_claim(entry, target, result, was_bound=bool(text_at(obj, "spec", "volumeName")))
        elif volumes:
            self._record_volumes(entry, target, result, volumes)
        if entry.group_resource == PODS and result.outcome in _PRESENT:
            for text in self._prepared.captures.lacking.get((entry.namespace, entry.name), ()):
                self._results.warnings.about(target, f"{about(entry, target)}: {text}")
        return False

    def _is_in_use(self, entry: Entry, target: str, volumes: Sequence[PodVolume]) -> bool:
        claims = {volume.claim for volume in volumes if volume.claim and self._was_there((target, volume.claim))}
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
        self._record(entry, target, result)
        self._done += 1

    def _record(self, entry: Entry, target: str, result: ItemResult) -> None:
        if result.outcome is Outcome.FAILED:
            self._error(entry, target, result.message)
        elif result.outcome is Outcome.DIFFERENT:
            self._results.warnings.about(target, f"{about(entry, target)}: {result.message}")
            self._log.warning("Object differs", resource=entry.group_resource, key=entry.key)
        else:
            self._log.info("Object restored", resource=entry.group_resource, key=entry.key, outcome=str(result.outcome))
        if entry.group_resource == CRDS and result.outcome in _PRESENT:
            self._definitions.append(entry.name)

    def _record_claim(self, entry: Entry, target: str, result: ItemResult, *, was_bound: bool) -> None:
        claim = (target, entry.name)
        captured = (entry.namespace, entry.name) in self._prepared.captures.by_claim
        if result.outcome is Outcome.FAILED:
            return
        if result.outcome not in _PRESENT:
            self._found_claims.add(claim)
        elif captured:
            self._new_claims[claim] = about(entry, target)
        elif was_bound and not text_at(result.live, "spec", "volumeName"):
            text = f"{about(entry, target)} is made anew and empty: the backup does not hold its contents"
            self._results.warnings.about(target, text)

    def _record_volumes(self, entry: Entry, target: str, result: ItemResult, volumes: Sequence[PodVolume]) -> None:
        if result.outcome in _PRESENT:
            self._waiting.add(target, entry.name, text_at(result.live, "metadata", "uid"), volumes)
            self._warn_of_found_claims(target, volumes)
            self._filled_claims |= {(target, volume.claim) for volume in volumes if volume.claim}
        elif result.outcome is not Outcome.FAILED:
            names = ", ".join(volume.volume for volume in volumes)
            self._results.pods_existing += 1
            text = f"existed already, so its volumes are not restored ({names}): delete the pod and restore again"
            self._error(entry, target, text)

    def _warn_of_found_claims(self, target: str, volumes: Sequence[PodVolume]) -> None:
        for volume in volumes:
            claim = (target, volume.claim)
            if volume.claim and claim not in self._filled_claims and self._was_there(claim):
                text = f"PersistentVolumeClaim {target}/{volume.claim} existed before this restore and is filled"
                self._results.warnings.about(target, text)

    def _was_there(self, claim: tuple[str, str]) -> bool:
        """Whether a claim is not this restore's; one that the restore's filters left out is looked for."""
        if claim in self._found_claims or claim in self._new_claims:
            return claim in self._found_claims
        try:
            live = self._api.get_raw(PVCS, *claim)
        except ApiStatusError:
            return False
        return not is_of_pod(live)

    def _report_empty_claims(self) -> None:
        """A claim whose contents restic holds but that no restored pod mounts stays empty."""
        pods_wanted = self._prepared.scope.resources.takes(PODS)
        for (namespace, name), text in self._new_claims.items():
            if (namespace, name) in self._filled_claims:
                continue
            sentence = f"{text} is empty: its contents are in the backup, but no restored pod mounts it"
            if pods_wanted:
                self._results.volumes_failed += 1
                self._results.errors.about(namespace, sentence)
            else:
                self._results.warnings.about(namespace, sentence)

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
