"""What Ark 0.9 left in a repository is found by its tags, by the real restic."""

from __future__ import annotations

import base64
from pathlib import Path

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import JsonObject, ObjectMeta
from pkg.apis.names import CREDENTIALS_SECRET
from pkg.controllers.config import settings_from
from pkg.controllers.deletion_unlisted import unlisted_snapshots
from pkg.controllers.stores import OpenStores
from pkg.kube.refs import SECRETS
from pkg.kube.stop import StopToken
from pkg.objectstore.cloud import open_restic_store, open_store
from pkg.restic.runner import Runner
from pkg.testing import ark09
from pkg.testing.fakeapi import FakeApi


def test_the_snapshots_of_0_9_are_found_by_their_tags(restic: Runner, volume: Path, tmp_path: Path) -> None:
    (tmp_path / "bucket").mkdir()
    provider = StorageProvider(name="local", bucket="bucket", config={"path": str(tmp_path)})
    config = Config(metadata=ObjectMeta(name="default", namespace="ark"), backup_storage_provider=provider)
    settings = settings_from(config, {}, "ark")
    repository = ark09.Ark09Repository(address=settings.location.restic_identifier(ark09.NAMESPACE), environment={})
    repository.initialize()
    short = [repository.back_up(volume, name) for name in ("data", "scratch")]
    stores = OpenStores(
        settings=settings,
        backups=open_store(settings.location, settings.credentials),
        restic=open_restic_store(settings.location, settings.credentials),
    )
    ark09.write_backups(stores.backups, {"snapshot-of-data": short[0], "snapshot-of-scratch": short[1]})
    api = FakeApi()
    data: JsonObject = {"repository-password": base64.b64encode(ark09.PASSWORD.encode()).decode()}
    api.add(SECRETS, {"metadata": {"name": CREDENTIALS_SECRET, "namespace": "ark"}, "data": data})

    found = unlisted_snapshots(api.client, "ark", restic, tmp_path).find(stores, ark09.BACKUP, StopToken())

    assert found.problems == ()
    (snapshots,) = found.snapshots
    assert sorted(one[:8] for one in snapshots.ids) == sorted(short)
    assert all(len(one) == 64 for one in snapshots.ids)
    assert (snapshots.namespace, snapshots.repository) == (ark09.NAMESPACE, ark09.NAMESPACE)
