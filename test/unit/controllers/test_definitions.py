"""Definitions in the cluster that are not this program's."""

import msgspec

from pkg.apis.schema import crds
from pkg.controllers.definitions import COMMAND, drift
from pkg.kube.refs import CRDS
from pkg.testing.fakeapi import FakeApi


def installed() -> FakeApi:
    api = FakeApi()
    for crd in crds():
        api.add(CRDS, crd)
    return api


def test_the_definitions_of_this_program_are_no_drift() -> None:
    assert drift(installed().client) is None


def test_a_definition_of_another_version_is_named_with_the_command_that_mends_it() -> None:
    api = installed()
    old = msgspec.json.decode(msgspec.json.encode(crds()[0]), type=dict)
    old["metadata"]["annotations"] = {"ark.heptio.com/schema-hash": "of-another-version"}
    api.remove(CRDS, "", "backups.ark.heptio.com")
    api.add(CRDS, old)
    found = drift(api.client)
    assert found is not None
    assert "backups.ark.heptio.com" in found
    assert "restores.ark.heptio.com" not in found
    assert COMMAND in found


def test_a_missing_definition_is_a_drift() -> None:
    api = installed()
    api.remove(CRDS, "", "configs.ark.heptio.com")
    assert "configs.ark.heptio.com" in (drift(api.client) or "")
