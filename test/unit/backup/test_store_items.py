"""What cannot change any more is packed at once; pods wait for their snapshots."""

from __future__ import annotations

import io
import tarfile

from pkg.backup.spool import Item, Spool
from pkg.backup.store_items import ItemStore
from pkg.backup.tarball import TarballWriter
from pkg.kube.refs import CONFIG_MAPS, PODS
from pkg.testing.fakeclock import FakeClock


def test_only_pods_wait_for_their_captures() -> None:
    file = io.BytesIO()
    with TarballWriter(file, FakeClock()) as tarball:
        items = ItemStore(tarball, Spool(io.BytesIO()))
        items.append(Item(ref=PODS, namespace="shop", name="db-0", body=b"{}"))
        items.append(Item(ref=CONFIG_MAPS, namespace="shop", name="settings", body=b"{}"))
        assert (items.stored, items.count) == (1, 2)
    file.seek(0)
    with tarfile.open(fileobj=file) as stored:
        assert stored.getnames() == ["resources/configmaps/namespaces/shop/settings.json"]
