"""Every fault in the list of Ark 0.9's limitations has a test that it stays away.

Those of backups and restores are beside their engines (backup/test_ark_0_9_bugs.py, restore/test_ark_0_9_bugs.py); the
others are here, and so is the count that none is missing.
"""

from __future__ import annotations

import ast
import gzip
import io
import os
import re
import tarfile
from pathlib import Path

import pytest

from pkg.apis.meta import JsonObject
from pkg.kube.refs import DELETE_BACKUP_REQUESTS
from pkg.restore.archive import open_archive
from pkg.testing.fakedeletion import NAMESPACE, DeletionWorld

TESTS = Path(__file__).resolve().parents[1]
LISTS = ("unit/test_ark_0_9_bugs.py", "unit/backup/test_ark_0_9_bugs.py", "unit/restore/test_ark_0_9_bugs.py")
FIXED_LATER = range(1, 57)
FIXED_IN_0_9 = frozenset({609, 676, 683, 687, 704, 797, 834, 843, 900, 910, 920, 927})

ELSEWHERE = {
    "6 stale locks blocked everything for ever": (
        "unit/controllers/test_lock_sweep.py::test_exactly_the_dead_lock_is_removed"
    ),
    "7 a whole check twice a day": "unit/controllers/test_maintenance_times.py::test_repositories_spread_over_the_week",
    "8 a repository without a last maintenance": (
        "unit/controllers/test_maintenance_plan.py::test_a_new_repository_waits_for_its_turn"
    ),
    "10 flags that restic no longer wants": (
        "unit/restic/test_command.py::test_a_backup_runs_in_the_volume_with_sorted_tags"
    ),
    "28 regions that were swallowed or ignored": (
        "unit/objectstore/test_region.py::test_a_region_in_the_config_is_not_asked_about_and_stands_in_for_one_that_nobody_knows"
    ),
    "28 partitions apart from the rest of the world": (
        "unit/objectstore/test_region.py::test_a_bucket_in_china_has_hosts_of_its_own"
    ),
    "41 a private authority was not trusted": (
        "unit/objectstore/test_credentials.py::test_a_private_authority_is_trusted_by_restic_too"
    ),
    "44 requests were deleted before they expired": (
        "unit/controllers/test_download_request.py::test_an_answered_request_is_kept_until_it_expires_and_then_deleted"
    ),
    "48 Backups outlived their files unsaid": (
        "unit/controllers/test_sync.py::test_an_own_backup_whose_files_are_gone_stays_and_says_so"
    ),
    "53 one minute for all snapshots of a backup": (
        "unit/controllers/test_maintenance_work.py::test_what_is_queued_is_forgotten_and_leaves_the_queue"
    ),
    "55 a restore that failed was Completed afterwards": (
        "unit/controllers/test_pod_volume_restore.py::test_a_failure_is_told_to_the_pod_with_its_reason"
    ),
    "676 a server without definitions ran on": (
        "controlplane/test_drift.py::test_definitions_of_another_version_keep_the_server_from_being_ready"
    ),
    "683 a definition that was missing": "unit/controllers/test_definitions.py::test_a_missing_definition_is_a_drift",
    "687 several requests for one backup": (
        "unit/controllers/test_deletion_requests.py"
        "::test_of_several_requests_for_a_backup_one_works_and_the_older_ones_go"
    ),
    "797 plug-ins were left running": "unit/cli/test_program.py::test_plug_ins_are_refused_with_the_reason",
    "843 token volumes of other accounts": "unit/restore/test_actions.py::test_a_spec_comes_back",
    "910 token volumes in init containers": "unit/restore/test_actions.py::test_a_spec_comes_back",
    "927 pods without an account": "unit/restore/test_actions.py::test_a_spec_comes_back",
}


@pytest.mark.parametrize("place", [pytest.param(place, id=bug) for bug, place in ELSEWHERE.items()])
def test_a_fault_that_another_test_keeps_away(place: str) -> None:
    path, _, name = place.partition("::")
    tree = ast.parse((TESTS / path).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_no_fault_is_left_out() -> None:
    kept_away = {number for path in LISTS for number in numbers_in(ast.parse((TESTS / path).read_text()))}
    assert sorted({*FIXED_LATER, *FIXED_IN_0_9} - kept_away) == []


def numbers_in(tree: ast.AST) -> set[int]:
    """The numbers in the names of tests, and those that a table's keys begin with."""
    names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    keys = [key for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys]
    texts = [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    found = [re.match(r"test_bug_(\d+)_", name) for name in names] + [re.match(r"(\d+) ", text) for text in texts]
    return {int(one[1]) for one in found if one}


def test_bug_51_unpacking_kept_every_file_open() -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for number in range(200):
            info = tarfile.TarInfo(f"resources/configmaps/namespaces/shop/c-{number}.json")
            info.size = 2
            tar.addfile(info, io.BytesIO(b"{}"))
    before = open_files()
    archive = open_archive(io.BytesIO(gzip.compress(raw.getvalue())), sha256="", scratch_dir=None)
    assert [archive.read(entry) for entry in archive.entries] == [{}] * 200
    assert open_files() <= before + 1
    archive.close()
    assert open_files() <= before


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("labels", [None, {}], ids=["null", "none"])
def test_bug_52_a_request_without_labels_ended_the_server(labels: JsonObject | None) -> None:
    world = DeletionWorld()
    world.add_backup("gone")
    metadata: JsonObject = {"name": "by-hand", "namespace": NAMESPACE, "labels": labels}
    world.api.add(DELETE_BACKUP_REQUESTS, {"metadata": metadata, "spec": {"backupName": "gone"}})
    world.process()
    assert not [key for key in world.store.objects if key.startswith("gone/")]
