"""What a Restore says and means nothing in its backup is warned about."""

from __future__ import annotations

import pytest

from pkg.apis.ark import RestoreSpec
from pkg.apis.meta import JsonObject
from pkg.testing.fakerestore import RestoreWorld


def obj(kind: str, name: str, namespace: str = "") -> JsonObject:
    metadata: JsonObject = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata}


@pytest.fixture
def world() -> RestoreWorld:
    made = RestoreWorld()
    made.store_backup(obj("ConfigMap", "settings", "shop"), obj("Namespace", "empty"))
    return made


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        pytest.param(
            RestoreSpec(backup_name="b1", included_namespaces=("shop", "shpo")),
            "the backup holds nothing of the namespace shpo, which includedNamespaces names",
            id="a namespace to restore",
        ),
        pytest.param(
            RestoreSpec(backup_name="b1", namespace_mapping={"shpo": "copy"}),
            "the backup holds nothing of the namespace shpo, which namespaceMapping renames",
            id="a namespace to rename: its objects would come back where they were",
        ),
        pytest.param(
            RestoreSpec(backup_name="b1", excluded_resources=("secrts",)),
            'excludedResources names "secrts", which neither the cluster nor the backup knows',
            id="a resource to leave out",
        ),
        pytest.param(
            RestoreSpec(
                backup_name="b1",
                included_namespaces=("shop", "empty"),
                namespace_mapping={"shop": "copy"},
                excluded_resources=("secrets",),
            ),
            "",
            id="everything means something",
        ),
        pytest.param(RestoreSpec(backup_name="b1", included_namespaces=("*",)), "", id="everything"),
    ],
)
def test_a_word_that_means_nothing_is_a_warning(world: RestoreWorld, spec: RestoreSpec, warning: str) -> None:
    outcome = world.restore(spec)
    assert (outcome.phase, outcome.warnings) == ("Completed", 1 if warning else 0)
    assert world.results().warnings.ark == ((warning,) if warning else None)
