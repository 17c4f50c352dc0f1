#!/usr/bin/env python3
"""Show the main job of Ark: an application loses its namespace and gets everything back.

As root on a whole cluster of this machine, otherwise on a control plane with a stand-in for the node.

    KEEP=1                        leave the cluster up and say how to look around
    DEMO_DAMAGE=content           damage the restored data: the comparison must see it, and the demo fail
                                  (content owner mode mtime hole hardlink xattr root; all: each in turn, undone again)
    TIER=controlplane             the stand-in, also as root
    ARK_TEST_EXISTING_CLUSTER=1   the cluster of KUBECONFIG; needs IMAGE= and APP_IMAGE=

Ends with 0 only if nothing differs.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # it runs from anywhere, not installed

from hack.demo_cluster import ClusterStage, StandingClusterStage
from hack.demo_controlplane import ControlPlaneStage
from hack.demo_existing import ExistingStage
from hack.demo_stage import ROOT, DemoError, Refusal, Stage
from hack.demo_steps import Steps, say, show
from hack.demo_story import DAMAGES, Snapshot, Story, all_differences, show_differences, table_of_counts
from pkg.testing.access import existing_cluster
from pkg.testing.processes import HarnessError

NOT_A_CLUSTER_RUN = "NOT A CLUSTER RUN: no kubelet, no containers; as root `make demo` runs on a whole cluster"


def place(environ: Mapping[str, str], *, is_root: bool) -> str:
    """Decide where the demo takes place; as root it is a whole cluster unless a person says otherwise."""
    tier = environ.get("TIER") or ("cluster" if is_root else "controlplane")
    if tier not in ("cluster", "controlplane"):
        raise DemoError(f"TIER={tier} is not a tier of the demo: cluster or controlplane")
    if environ.get("ARK_TEST_EXISTING_CLUSTER") == "1":
        return "existing"
    return "standing" if tier == "cluster" and is_kept(environ) else tier


def is_kept(environ: Mapping[str, str]) -> bool:
    """Whether the cluster is to stay."""
    return environ.get("KEEP") == "1"


def make_stage(chosen: str, workdir: Path) -> Stage:
    """Make the stage of a place."""
    if access := existing_cluster(workdir):
        return ExistingStage(access)
    match chosen:
        case "standing":
            return StandingClusterStage()
        case "controlplane":
            return ControlPlaneStage(workdir)
        case _:
            return ClusterStage(workdir)


def tell(stage: Stage, steps: Steps, damage: str) -> bool:
    """Tell the whole story and return whether everything came back."""
    with steps.step(f"Start {stage.title}"):
        stage.start()
    with steps.step("Install Ark and a MinIO"):
        stage.install()
    story = Story(stage, steps, ROOT / "build" / "demo")
    before = story.deploy()
    story.back_up()
    story.lose(before)
    after = story.restore()
    if damage in DAMAGES:
        story.damage(damage)
        after = Snapshot(listings=story.list_again("damaged"), objects=after.objects, identities=after.identities)
    differences = all_differences(before, after)
    if differences:
        show_differences(differences, before, after)
        return False
    unseen = story.try_all_damages(before) if damage == "all" else []
    show("\n".join(unseen))
    say(f"\n{table_of_counts(before, after)}")
    return not unseen


def run(workdir: Path, damage: str) -> bool:
    """Tell the story and clean up, or leave the cluster and say how to look at it."""
    stage = make_stage(place(os.environ, is_root=os.geteuid() == 0), workdir)
    steps = Steps()
    try:
        is_same = tell(stage, steps, damage)
    except Refusal:
        raise
    except (DemoError, HarnessError) as error:
        say(f"\n{stage.diagnosis()}\n\nTHE DEMO FAILED: {error}")
        is_same = False
    finally:
        if is_kept(os.environ) and stage.look_around():
            say(f"\n{stage.look_around()}")
        else:
            stage.stop()
            if is_kept(os.environ):
                say("KEEP=1: only a cluster can stay; this was processes of the demo, and they have ended.")
    say(f"\n{steps.table()}\n")
    say("Everything came back as it was." if is_same else "NOT everything came back as it was.")
    if not stage.is_cluster:
        say(NOT_A_CLUSTER_RUN)
    return is_same


def main() -> int:
    """Read what was asked for, run it, return the exit code."""
    damage = os.environ.get("DEMO_DAMAGE", "")
    if damage not in ("", "all", *DAMAGES):
        say(f"DEMO_DAMAGE={damage} is not one of {', '.join(DAMAGES)}, all")
        return 64
    with tempfile.TemporaryDirectory(prefix="ark-demo-") as directory:
        try:
            return 0 if run(Path(directory), damage) else 1
        except (DemoError, HarnessError) as error:
            say(f"demo: {error}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
