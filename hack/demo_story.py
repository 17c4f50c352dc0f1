"""The story of the demo: an application, its backup, its loss, its return, and a comparison of everything."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hack.demo_compare import Difference, Kind, compare, counts
from hack.demo_listing import parse
from hack.demo_objects import COMPARED, Object, compare_objects, not_renewed
from hack.demo_stage import APPLICATION, ARK_NAMESPACE, MOUNTS, SCRIPTS, DemoError, Stage
from hack.demo_steps import Steps, say, show

BACKUP = "demo"
RESTORE = "demo-restored"
DAMAGES = {
    "content": Kind.CONTENT,
    "owner": Kind.OWNER,
    "mode": Kind.MODE,
    "mtime": Kind.MTIME,
    "hole": Kind.HOLE,
    "hardlink": Kind.HARDLINK,
    "xattr": Kind.XATTR,
    "root": Kind.ROOT,
}
VOLUME = "name of the volume"
SHOWN_DIFFERENCES = 20
APPLICATION_SECONDS = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The application at one moment."""

    listings: Mapping[str, str]
    objects: Mapping[str, Object]
    identities: Mapping[str, str]


class Story:
    """Tells it on one stage; `results` is where the listings are kept."""

    def __init__(self, stage: Stage, steps: Steps, results: Path) -> None:
        self._stage = stage
        self._steps = steps
        self._results = results

    def deploy(self) -> Snapshot:
        """Deploy the application and look at it."""
        with self._steps.step("Deploy an application with files that are hard to restore"):
            manifest = (SCRIPTS / "app.yaml").read_text().replace("APP_IMAGE", self._stage.application_image)
            namespace, _, rest = manifest.partition("\n---\n")
            self._stage.kubectl("apply", "-f", "-", stdin=namespace)
            self._stage.kubectl(
                "create", "configmap", "scripts", "-n", APPLICATION, f"--from-file={SCRIPTS / 'fill.sh'}"
            )
            self._stage.kubectl("apply", "-f", "-", stdin=rest)
            self._wait_for_application()
            self._stage.show_kubectl("get", "pods,pvc,services,configmaps,secrets", "-n", APPLICATION)
        with self._steps.step("List every file of its volumes, inside its container"):
            return self._look("before")

    def back_up(self) -> None:
        """Back the namespace up and show what that made."""
        with self._steps.step("Back its namespace up"):
            self._stage.ark("backup", "create", BACKUP, "--include-namespaces", APPLICATION, "--wait")
        with self._steps.step("Look at the backup"):
            self._stage.ark("backup", "describe", BACKUP)
            kinds = "backups,podvolumebackups,resticrepositories"
            self._stage.show_kubectl("get", kinds, "-n", ARK_NAMESPACE)

    def lose(self, before: Snapshot) -> None:
        """Delete the namespace and wait until nothing of it is left, its volume included."""
        with self._steps.step("Delete the namespace"):
            self._stage.kubectl("delete", "namespace", APPLICATION, "--timeout=120s", timeout_seconds=130)
            self._stage.kubectl(
                "wait", "--for=delete", f"pv/{before.identities[VOLUME]}", "--timeout=60s", timeout_seconds=70
            )

    def restore(self) -> Snapshot:
        """Restore the backup and look at the application again."""
        with self._steps.step("Restore it from the backup"):
            self._stage.ark("restore", "create", RESTORE, "--from-backup", BACKUP, "--wait")
        with self._steps.step("Look at the restore"):
            self._wait_for_application()
            self._stage.ark("restore", "describe", RESTORE)
            self._stage.show_kubectl("get", "restores,podvolumerestores", "-n", ARK_NAMESPACE)
            self._stage.show_kubectl("get", "pods,pvc", "-n", APPLICATION)
        with self._steps.step("List every file again"):
            return self._look("after")

    def _wait_for_application(self) -> None:
        self._stage.wait_for_rollout(f"deployment/{APPLICATION}", APPLICATION, APPLICATION_SECONDS)
        show(self._stage.fill())

    def _look(self, when: str) -> Snapshot:
        return Snapshot(
            listings=self.list_again(when),
            objects={name: self._object(name) for name in COMPARED},
            identities={
                "UID of the namespace": self._field("namespace", APPLICATION, "{.metadata.uid}"),
                VOLUME: self._field("pvc", "data", "{.spec.volumeName}"),
            },
        )

    def list_again(self, when: str) -> Mapping[str, str]:
        """List the volumes once more."""
        return {volume: self._listing(volume, when) for volume in MOUNTS}

    def _listing(self, volume: str, when: str) -> str:
        text = self._stage.in_volume("listing.sh", volume)
        self._results.mkdir(parents=True, exist_ok=True)
        (self._results / f"{when}-{volume}.txt").write_text(text)
        return text

    def _object(self, name: str) -> Object:
        found: Object = json.loads(self._stage.kubectl("get", name, "-n", APPLICATION, "-o", "json"))
        return found

    def _field(self, kind: str, name: str, path: str) -> str:
        return self._stage.kubectl("get", kind, name, "-n", APPLICATION, "-o", f"jsonpath={path}")

    def damage(self, kind: str) -> None:
        """Damage the restored data, to show that the comparison sees it."""
        with self._steps.step(f"Damage the restored data: {kind}"):
            self._stage.in_volume("damage.sh", "data", "do", kind)

    def try_all_damages(self, before: Snapshot) -> list[str]:
        """Damage, compare and undo each kind in turn; returns a sentence for each that was not seen as what it is."""
        unseen = []
        possible = {kind: DAMAGES[kind] for kind in DAMAGES if kind != "owner" or self._stage.has_owners}
        for kind, expected in possible.items():
            with self._steps.step(f"Damage the restored data, compare, undo: {kind}"):
                self._stage.in_volume("damage.sh", "data", "do", kind)
                found = volume_differences("data", before.listings["data"], self._listing("data", f"damaged-{kind}"))
                self._stage.in_volume("damage.sh", "data", "undo", kind)
                seen = {one.kind for one in found}
                show(f"seen: {found[0]}" if found else "NOT SEEN")
                if seen != {expected}:
                    unseen.append(f"damage of {kind} was seen as {', '.join(sorted(seen)) or 'nothing'}")
        with self._steps.step("Compare once more"):
            left = volume_differences("data", before.listings["data"], self._listing("data", "undone"))
            return unseen + [f"after all damages were undone: {one}" for one in left]


def volume_differences(volume: str, before: str, after: str) -> list[Difference]:
    """Compare two listings of one volume."""
    if not parse(before).contents:
        raise DemoError(f"the volume {volume} held no file: nothing was shown")
    return compare(parse(before), parse(after))


def all_differences(before: Snapshot, after: Snapshot) -> list[Difference]:
    """Everything that is not as it should be after the restore."""
    volumes = [
        one
        for volume in before.listings
        for one in volume_differences(volume, before.listings[volume], after.listings[volume])
    ]
    objects = compare_objects(before.objects, after.objects)
    return [*volumes, *objects, *not_renewed(before.identities, after.identities)]


def show_differences(differences: list[Difference], before: Snapshot, after: Snapshot) -> None:
    """Print what differs, by kind and as a diff of the listings."""
    say(f"\n{len(differences)} DIFFERENCES")
    show("\n".join(str(one) for one in differences[:SHOWN_DIFFERENCES]))
    for volume, text in before.listings.items():
        lines = _lines(text), _lines(after.listings[volume])
        names = f"before-{volume}.txt", f"after-{volume}.txt"
        shown = list(difflib.unified_diff(*lines, *names, n=0, lineterm=""))[: 2 * SHOWN_DIFFERENCES]
        if shown:
            show("\n".join(shown))


def _lines(listing: str) -> list[str]:
    """The lines of a listing but the bytes on disk, which may differ a little; see `hack/demo_compare.py`."""
    return listing.partition("== allocated")[0].split("\n")


def table_of_counts(before: Snapshot, after: Snapshot) -> str:
    """What was compared, by volume, and the objects; then what must be new."""
    columns = {volume: counts(parse(text)) for volume, text in before.listings.items()}
    rows = [f"  {'verified the same':<34}" + "".join(f"{volume:>14}" for volume in columns)]
    for what in next(iter(columns.values())):
        rows.append(f"  {what:<34}" + "".join(f"{column[what]:>14,}" for column in columns.values()))
    rows.append(f"  {'objects':<34}{len(before.objects):>14,}")
    for what, old in before.identities.items():
        rows.append(f"  new: {what}: {old} → {after.identities[what]}")
    return "\n".join(rows)
