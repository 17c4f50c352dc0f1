"""Volumes that are measured: through Ark as an operator starts it, and through restic by hand on the same data."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hack.bench_bare import BareRestic, beside_ark, own_repository
from hack.bench_stage import NODE, stage
from hack.bench_watch import PhaseWatch
from pkg.apis.meta import JsonObject
from pkg.apis.names import BACKUP_NAME_LABEL, NODE_LABEL, RESTORE_NAME_LABEL
from pkg.kube.client import Client
from pkg.kube.refs import BACKUPS, NAMESPACES, POD_VOLUME_BACKUPS, POD_VOLUME_RESTORES
from pkg.kube.resources import ResourceRef
from pkg.restic.command import backup, restore, snapshots
from pkg.restore.fields import object_at, text_at
from pkg.testing.application import Application
from pkg.testing.countingproxy import CountingProxy
from pkg.testing.installation import NAMESPACE, Installation
from pkg.testing.processes import HarnessError

END_SECONDS = 900.0


@dataclass(slots=True, kw_only=True)
class ResticStage:
    """An installation, watches that time its volumes, and a place for what restic restores by hand."""

    installation: Installation
    client: Client
    backups: PhaseWatch
    captures: PhaseWatch
    restores: PhaseWatch
    workdir: Path
    proxy: CountingProxy | None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def application(self, namespace: str, script: str, *, scratch_volumes: int = 0) -> Application:
        """Deploys a pod with the volume `data`, fills it by a script, and opts its volumes in."""
        extra = [f"v{number}" for number in range(scratch_volumes)]
        annotations = {"backup.ark.heptio.com/backup-volumes": ",".join(extra or ["data"])}
        made = Application(self.installation.access, self.installation.nodes[NODE], namespace, annotations=annotations)
        made.deploy(*({"name": name, "emptyDir": {}} for name in extra), mounted=extra)
        made.shell("data", script)
        for name in extra:
            made.shell(name, f"echo {name} > file; {script}")
        return made

    def back_up(self, namespace: str) -> tuple[str, list[JsonObject]]:
        """Backs a namespace up; the Backup's name and the captures."""
        name = f"bench-{next(self._numbers)}"
        spec: JsonObject = {"includedNamespaces": [namespace]}
        self.client.create_raw(BACKUPS, NAMESPACE, {"metadata": {"name": name}, "spec": spec})
        self.seconds(self.backups, name)
        return name, self._of(POD_VOLUME_BACKUPS, f"{BACKUP_NAME_LABEL}={name}")

    def capture(self, spec: JsonObject) -> float:
        """Captures a volume again as the server would have it done; seconds to its end."""
        name = f"bench-{next(self._numbers)}"
        labels: JsonObject = {NODE_LABEL: NODE}
        self.client.create_raw(
            POD_VOLUME_BACKUPS, NAMESPACE, {"metadata": {"name": name, "labels": labels}, "spec": spec}
        )
        return self.seconds(self.captures, name)

    def restore(self, backup_name: str, namespace: str) -> float:
        """Restores a backup into a new namespace that is removed again; seconds of its one volume."""
        name = f"bench-{next(self._numbers)}"
        self.installation.ark(
            *("restore", "create", name, "--from-backup", backup_name, "--wait"),
            *("--namespace-mappings", f"{namespace}:{name}"),
        )
        (found,) = self._of(POD_VOLUME_RESTORES, f"{RESTORE_NAME_LABEL}={name}")
        seconds = self.seconds(self.restores, name_of(found))
        self.client.delete(NAMESPACES, "", name)
        return seconds

    def seconds(self, watch: PhaseWatch, name: str) -> float:
        """From an object's creation to its end, which must be a good one."""
        seconds, phase = watch.seconds_to_end(name, timeout_seconds=END_SECONDS)
        if phase != "Completed":
            raise HarnessError(f"{name}: {phase}\n{self.installation.tails()}")
        return seconds

    def by_hand(self, identifier: str) -> BareRestic:
        """Restic on one of Ark's repositories."""
        return beside_ark(self.installation, NODE, identifier)

    def new_by_hand(self) -> BareRestic:
        """Restic on a repository of its own."""
        return own_repository(self.installation, NODE, self.workdir / "bare-cache")

    def restore_by_hand(self, restic: BareRestic, snapshot_id: str) -> float:
        """Restores a snapshot into an empty directory."""
        target = Path(tempfile.mkdtemp(dir=self.workdir))
        try:
            return restic.run(restore(snapshot_id=snapshot_id, target=str(target), options=restic.environment.options))
        finally:
            shutil.rmtree(target)

    def _of(self, ref: ResourceRef, selector: str) -> list[JsonObject]:
        pages = self.client.list_pages(ref, NAMESPACE, label_selector=selector)
        return [msgspec.json.decode(raw, type=dict) for page in pages for raw in page.items]


def backup_by_hand(restic: BareRestic, directory: Path, *, parent: str = "") -> float:
    """One bare `restic backup`."""
    call = backup(directory=str(directory), tags={"by": "hand"}, parent=parent, options=restic.environment.options)
    return restic.run(call)


def backup_and_list_by_hand(restic: BareRestic, directory: Path) -> float:
    """`restic backup` and `restic snapshots`, as 0.9 and its successors ran them for each volume."""
    listing = snapshots(tags={"by": "hand"}, options=restic.environment.options)
    return backup_by_hand(restic, directory) + restic.run(listing)


def spec_of(capture: JsonObject) -> JsonObject:
    """The spec of a capture."""
    return object_at(capture, "spec")


def snapshot_of(capture: JsonObject) -> str:
    """The snapshot that a capture made."""
    return text_at(capture, "status", "snapshotID")


def name_of(obj: JsonObject) -> str:
    """An object's name."""
    return text_at(obj, "metadata", "name")


@contextmanager
def restic_stage(workdir: Path, *, counted: bool = False) -> Iterator[ResticStage]:
    """Starts everything and takes it down again; `counted` puts a proxy before the store."""
    with stage(workdir, counted=counted) as made, ExitStack() as stack:
        yield ResticStage(
            installation=made.installation,
            client=made.client,
            backups=stack.enter_context(PhaseWatch(made.client, BACKUPS, NAMESPACE)),
            captures=stack.enter_context(PhaseWatch(made.client, POD_VOLUME_BACKUPS, NAMESPACE)),
            restores=stack.enter_context(PhaseWatch(made.client, POD_VOLUME_RESTORES, NAMESPACE)),
            workdir=workdir,
            proxy=made.proxy,
        )
