"""What limits the work on volumes, whose word counts, and what is refused."""

from __future__ import annotations

import json

import pytest

from pkg.apis.names import RESTORE_SLOTS_LABEL, SLOTS_LABEL
from pkg.controllers.limits import ClusterLimits, LimitsConfig, NodeLimits, cluster_limits, node_limits
from pkg.controllers.limits_parsing import label_problems, parse_limits

FLAGS = NodeLimits(backup_slots=4, restore_slots=3, upload_kib=100, download_kib=0)
SLOW = {"disk": "slow"}


def rule(labels: dict[str, str], **values: object) -> dict[str, object]:
    return {"nodeSelector": {"matchLabels": labels}, **values}


def rules(*given: object) -> LimitsConfig:
    return parse_limits({"nodes": json.dumps(given)})


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(LimitsConfig(), FLAGS, id="flags hold where nothing else is said"),
        pytest.param(
            parse_limits({"backupSlots": "8", "limitDownloadKiB": "50"}),
            NodeLimits(backup_slots=8, restore_slots=3, upload_kib=100, download_kib=50),
            id="the ConfigMap comes before the flags, key by key",
        ),
        pytest.param(
            parse_limits({"limitUploadKiB": "0"}),
            NodeLimits(backup_slots=4, restore_slots=3),
            id="the ConfigMap takes a flag's limit away",
        ),
        pytest.param(
            rules(rule(SLOW, backupSlots=2, limitUploadKiB=7)),
            NodeLimits(backup_slots=2, restore_slots=3, upload_kib=7),
            id="a rule comes before the flags",
        ),
        pytest.param(
            rules(rule(SLOW, backupSlots=8), rule({"zone": "a"}, backupSlots=2, restoreSlots=1)),
            NodeLimits(backup_slots=2, restore_slots=1, upload_kib=100),
            id="the smallest value of the rules that match counts",
        ),
        pytest.param(
            rules(rule(SLOW, limitUploadKiB=0), rule({"zone": "a"}, limitUploadKiB=9)),
            NodeLimits(backup_slots=4, restore_slots=3, upload_kib=9),
            id="no limit is the largest bandwidth",
        ),
        pytest.param(rules(rule({"disk": "fast"}, backupSlots=9)), FLAGS, id="a rule for other nodes does not count"),
    ],
)
def test_what_holds_on_a_node(config: LimitsConfig, expected: NodeLimits) -> None:
    assert node_limits(FLAGS, config, {**SLOW, "zone": "a"}) == expected


def test_a_rule_comes_before_the_other_keys_of_the_configmap() -> None:
    config = parse_limits({"backupSlots": "8", "nodes": json.dumps([rule(SLOW, backupSlots=16)])})
    assert node_limits(FLAGS, config, SLOW).backup_slots == 16
    assert node_limits(FLAGS, config, {}).backup_slots == 8


def test_the_configmap_comes_before_the_servers_flags() -> None:
    flags = ClusterLimits(per_repository=4, whole_cluster=32)
    assert cluster_limits(flags, LimitsConfig()) == flags
    found = cluster_limits(flags, parse_limits({"perRepository": "2"}))
    assert found == ClusterLimits(per_repository=2, whole_cluster=32)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param({"backupslots": "4"}, '"backupslots" is not one of the keys', id="an unknown key"),
        pytest.param({"backupSlots": "four"}, 'backupSlots is "four"', id="no number"),
        pytest.param({"backupSlots": "0"}, "from 1 to 64", id="no slot at all"),
        pytest.param({"restoreSlots": "-1"}, 'restoreSlots is "-1"', id="a negative number"),
        pytest.param({"wholeCluster": ""}, 'wholeCluster is ""', id="an empty value"),
        pytest.param({"limitUploadKiB": "10M"}, 'limitUploadKiB is "10M"', id="a unit"),
        pytest.param({"nodes": "- nodeSelector"}, "nodes is not a JSON list", id="no JSON"),
        pytest.param({"nodes": json.dumps([{"backupSlots": 1}])}, "nodeSelector", id="a rule without a selector"),
        pytest.param(
            {"nodes": json.dumps([{"nodeSelector": {"matchLables": {}}, "backupSlots": 1}])},
            "matchLables",
            id="a misspelt selector",
        ),
        pytest.param(
            {"nodes": json.dumps([{"nodeSelector": {}, "backupSlots": 1}])}, "is empty", id="a selector of everything"
        ),
        pytest.param({"nodes": json.dumps([rule(SLOW)])}, "limits nothing", id="a rule without a limit"),
        pytest.param({"nodes": json.dumps([rule(SLOW, backupSlots=0)])}, "backupSlots is 0", id="a rule with no slot"),
        pytest.param({"nodes": json.dumps([rule(SLOW, slots=2)])}, "slots", id="an unknown key in a rule"),
        pytest.param({"nodes": json.dumps([rule({"a b": "c"}, backupSlots=1)])}, '"a b"', id="no label's name"),
        pytest.param(
            {
                "nodes": json.dumps(
                    [
                        {
                            "nodeSelector": {"matchExpressions": [{"key": "disk", "operator": "in"}]},
                            "backupSlots": 1,
                        }
                    ]
                )
            },
            '"in" is not an operator',
            id="an operator that is none",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(data: dict[str, str], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_limits(data)


def test_a_selector_may_have_expressions() -> None:
    selector = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["slow", "slower"]}]}
    config = rules({"nodeSelector": selector, "backupSlots": 1})
    assert node_limits(FLAGS, config, SLOW).backup_slots == 1
    assert node_limits(FLAGS, config, {"disk": "fast"}).backup_slots == 4


def test_bad_labels_are_told_each() -> None:
    assert label_problems({SLOTS_LABEL: "2", RESTORE_SLOTS_LABEL: "1"}) == []
    assert len(label_problems({SLOTS_LABEL: "many", RESTORE_SLOTS_LABEL: "0"})) == 2
