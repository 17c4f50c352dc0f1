"""`ark adopt`: nothing is decided before a person saw what age would delete."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pkg.apis.meta import JsonObject
from pkg.apis.names import ADOPT_ANNOTATION, IMPORTED_ANNOTATION
from pkg.controllers.location_record import LocationRecord, encode_record
from pkg.kube.refs import BACKUPS, CONFIG_MAPS, CONFIGS, NAMESPACES
from pkg.testing.fakeapi import FakeApi
from pkg.testing.fakeclock import FakeClock

Ark = Callable[..., tuple[int, str, str]]
NAMESPACE = "heptio-ark"
US, THEM = "cluster-1", "cluster-2"


def add_backup(api: FakeApi, name: str, cluster: str, *, expiration: str | None = "2020-01-01T00:00:00Z") -> None:
    metadata: JsonObject = {"name": name, "namespace": NAMESPACE, "annotations": {IMPORTED_ANNOTATION: "uid"}}
    status: JsonObject = {"phase": "Completed", "clusterID": cluster, "expiration": expiration}
    api.add(BACKUPS, {"metadata": metadata, "status": status})


def found_state(api: FakeApi, state: str, owner: str) -> None:
    data: JsonObject = dict(encode_record(LocationRecord(place="aws  bucket/", state=state, owner=owner)))
    api.add(CONFIG_MAPS, {"metadata": {"name": "ark-location", "namespace": NAMESPACE}, "data": data})


@pytest.fixture
def installed(api: FakeApi) -> FakeApi:
    api.add(NAMESPACES, {"metadata": {"name": "kube-system", "uid": US}})
    api.add(CONFIGS, {"metadata": {"name": "default", "namespace": NAMESPACE}})
    return api


def asked(api: FakeApi) -> str:
    config = api.get(CONFIGS, NAMESPACE, "default") or {}
    metadata = config["metadata"]
    assert isinstance(metadata, dict)
    annotations = metadata.get("annotations") or {}
    assert isinstance(annotations, dict)
    return str(annotations.get(ADOPT_ANNOTATION, ""))


def test_what_would_expire_is_listed_and_the_decision_is_written(ark: Ark, installed: FakeApi) -> None:
    found_state(installed, "RestoreOnly", THEM)
    add_backup(installed, "old", THEM)
    add_backup(installed, "for-ever", THEM, expiration=None)
    add_backup(installed, "ancient", "")
    add_backup(installed, "mine", US)
    code, out, _ = ark("adopt", "--confirm")
    assert code == 0
    assert "these 2 of 3 backups" in out
    lines = {line.split()[0]: line for line in out.splitlines() if line.startswith(("old", "ancient", "mine", "for"))}
    assert set(lines) == {"old", "ancient"}
    assert lines["old"].split()[3] == "2020-01-01T00:00:00Z"
    assert lines["old"].split()[4] > "2020-01-07"
    clusters, _, when = asked(installed).partition(";")
    assert clusters == f"ark-0.9,{THEM}"
    assert when.endswith("Z")
    assert f"cluster {THEM} must not write there any more" in out


def test_a_no_decides_nothing(ark: Ark, installed: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "n")
    found_state(installed, "RestoreOnly", THEM)
    assert ark("adopt")[0] != 0
    assert asked(installed) == ""


def test_a_contested_place_is_taken_back_by_a_new_decision(ark: Ark, installed: FakeApi, clock: FakeClock) -> None:
    found_state(installed, "Contested", THEM)
    ark("adopt", "--confirm")
    first = asked(installed)
    clock.advance(1)
    ark("adopt", "--confirm")
    assert first.startswith(f"{THEM};")
    assert asked(installed) > first


def test_an_own_place_leaves_nothing_to_adopt(ark: Ark, installed: FakeApi) -> None:
    found_state(installed, "Ours", US)
    add_backup(installed, "mine", US)
    code, out, _ = ark("adopt", "--confirm")
    assert (code, asked(installed)) == (0, "")
    assert "nothing to adopt" in out


@pytest.mark.parametrize(
    ("config", "state", "sentence"),
    [
        pytest.param({"restoreOnlyMode": True}, "RestoreOnly", "restoreOnlyMode: true", id="restoreOnlyMode is set"),
        pytest.param({}, "", "has not looked at the bucket yet", id="no server has looked"),
    ],
)
def test_what_cannot_be_decided_is_said(
    ark: Ark, installed: FakeApi, config: JsonObject, state: str, sentence: str
) -> None:
    installed.remove(CONFIGS, NAMESPACE, "default")
    installed.add(CONFIGS, {"metadata": {"name": "default", "namespace": NAMESPACE}, **config})
    if state:
        found_state(installed, state, THEM)
    code, _, err = ark("adopt", "--confirm")
    assert code == 1
    assert sentence in err
    assert asked(installed) == ""


def test_without_a_config_there_is_nothing_to_adopt_for(ark: Ark, api: FakeApi) -> None:
    code, _, err = ark("adopt", "--confirm")
    assert (code, "Config heptio-ark/default does not exist" in err) == (1, True)
