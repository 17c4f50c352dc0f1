"""What looking into a bucket costs that holds nothing new: requests of one sync of a thousand known backups."""

from __future__ import annotations

import functools
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from hack.bench_bare import credentials_file
from hack.bench_figures import Row, Samples, limit_row
from hack.bench_stage import BUCKET, NODE, Stage, stage
from pkg.apis.ark import StorageProvider
from pkg.objectstore.catalog import read_metadata
from pkg.objectstore.cloud import open_store
from pkg.objectstore.credentials import load_credentials
from pkg.objectstore.layout import backup_keys
from pkg.objectstore.location import storage_location
from pkg.objectstore.store import ObjectStore
from pkg.restore.fields import object_at
from pkg.testing.installation import NAMESPACE
from pkg.testing.processes import HarnessError, wait_until

SUITE = "engines"
KNOWN = 1_000
PERIOD_SECONDS, PASSES = 20, 3
REQUESTS = 2  # a page of a listing has 1,000 names, and the bucket's root holds a few more than the backups
PUTTERS = 8


def sync_row() -> Row:
    """One listing per thousand backups."""
    samples = Samples(values=_measured(), references=())
    return limit_row(SUITE, f"sync of {KNOWN:,} known backups", samples, limit=REQUESTS, unit="requests")


@functools.cache
def _measured() -> tuple[float, ...]:
    print("engines: sync ...", file=sys.stderr, flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="ark-bench-") as workdir, stage(Path(workdir), counted=True) as made:
            return (requests_per_sync(made),)
    except (HarnessError, TimeoutError) as error:
        print(f"sync: not measured: {error}", file=sys.stderr)
        return ()


def requests_per_sync(made: Stage) -> float:
    """Fills the bucket, waits until the server knows all of it, and counts for some periods."""
    if made.proxy is None:
        raise HarnessError("there is no proxy")
    installation = made.installation
    installation.ark("backup", "create", "first", "--include-namespaces", "default", "--wait")
    fill(_store(made))
    period = f'{{"backupSyncPeriod": "{PERIOD_SECONDS}s"}}'
    installation.access.kubectl(
        "patch", "config.ark.heptio.com", "default", "-n", NAMESPACE, "--type=merge", "-p", period
    )
    wait_until(
        lambda: len(installation.objects("backups")) > KNOWN,
        timeout_seconds=300,
        what=f"{KNOWN} backups to be known",
        watched=installation.processes,
    )
    time.sleep(PERIOD_SECONDS)
    before = made.proxy.counts.total()
    time.sleep(PERIOD_SECONDS * PASSES)
    return (made.proxy.counts.total() - before) / PASSES


def fill(store: ObjectStore) -> None:
    """Puts the metadata of as many backups beside the first one's."""
    raw = read_metadata(store, "first").raw

    def put(number: int) -> None:
        name = f"known-{number}"
        metadata = {**object_at(raw, "metadata"), "name": name, "uid": str(uuid.uuid4())}
        store.put(backup_keys(name).metadata, msgspec.json.encode({**raw, "metadata": metadata}))

    with ThreadPoolExecutor(PUTTERS) as pool:
        list(pool.map(put, range(KNOWN)))


def _store(made: Stage) -> ObjectStore:
    installation = made.installation
    cloud = credentials_file(installation, NODE)
    location = storage_location(StorageProvider(name="aws", bucket=BUCKET, config=installation.store_config()))
    return open_store(location, load_credentials("aws", {"AWS_SHARED_CREDENTIALS_FILE": str(cloud)}))
