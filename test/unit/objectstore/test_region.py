import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from obstore.store import S3Store

import pkg
from pkg.apis.ark import StorageProvider
from pkg.kube.clock import REAL_CLOCK, Clock
from pkg.objectstore.clients import open_client
from pkg.objectstore.credentials import CloudCredentials
from pkg.objectstore.location import storage_location
from pkg.objectstore.region import AGAIN_SECONDS, Regions, bucket_region
from pkg.testing.fakeclock import FakeClock


class _S3(http.server.BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(self.path)
        self.send_response(403)
        if not self.path.startswith("/unknown"):
            self.send_header("x-amz-bucket-region", f"region-of-{self.path.strip('/')}")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the name is http.server's
        pass


DEAD = "http://127.0.0.1:1"


@pytest.fixture
def s3() -> Iterator[str]:
    _S3.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _S3) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def asking(*hosts: str, clock: Clock = REAL_CLOCK) -> Regions:
    return Regions(lambda bucket: bucket_region(bucket, hosts=hosts), clock=clock)


def test_both_buckets_are_looked_up_and_a_refusal_tells_too(s3: str) -> None:
    location = storage_location(StorageProvider(name="aws", bucket="backups", restic_location="repos"))
    found = asking(s3)(location)
    assert (found.region, found.restic_region) == ("region-of-backups", "region-of-repos")
    assert found.restic_identifier("ns") == "s3:s3-region-of-repos.amazonaws.com/repos/ns"
    assert (found.region_of("backups"), found.region_of("repos")) == ("region-of-backups", "region-of-repos")


def test_what_was_found_is_not_asked_again(s3: str) -> None:
    location, regions = storage_location(StorageProvider(name="aws", bucket="backups")), asking(s3)
    assert regions(location) == regions(location)
    assert not regions.is_due(regions(location))
    assert _S3.asked == ["/backups"]


def test_a_lookup_that_fails_leaves_the_region_free_host_and_is_repeated_after_a_minute(s3: str) -> None:
    location = storage_location(StorageProvider(name="aws", bucket="unknown"))
    for host in (s3, DEAD):
        clock = FakeClock()
        regions = asking(host, clock=clock)
        assert regions.is_due(location)
        found = regions(location)
        assert found.restic_identifier("ns") == "s3:s3.amazonaws.com/unknown/restic/ns"
        assert not regions.is_due(found)
        clock.advance(AGAIN_SECONDS)
        assert regions.is_due(found)
    assert _S3.asked == ["/unknown"]


def test_a_region_in_the_config_is_not_asked_about_and_stands_in_for_one_that_nobody_knows(s3: str) -> None:
    config = {"region": "eu-west-1"}
    location = storage_location(StorageProvider(name="aws", bucket="backups", config=config))
    found = asking(s3)(location)
    assert (found.region, found.restic_region, _S3.asked) == ("eu-west-1", "eu-west-1", [])
    other = storage_location(StorageProvider(name="aws", bucket="backups", restic_location="unknown", config=config))
    assert asking(s3)(other).restic_region == "eu-west-1"


def test_clouds_apart_are_asked_where_the_rest_of_the_world_says_nothing(s3: str) -> None:
    location = storage_location(StorageProvider(name="aws", bucket="backups"))
    assert asking(f"{s3}/unknown?", s3)(location).region == "region-of-backups"
    assert asking(DEAD, s3)(location).region == "", "where nobody answers the others will not either"


def test_a_bucket_in_china_has_hosts_of_its_own() -> None:
    config = {"region": "cn-north-1"}
    location = asking()(storage_location(StorageProvider(name="aws", bucket="backups", config=config)))
    assert location.restic_identifier("ns") == "s3:s3.cn-north-1.amazonaws.com.cn/backups/restic/ns"
    assert location.endpoint == "s3.cn-north-1.amazonaws.com.cn"
    client = open_client(location, CloudCredentials(provider="aws"), bucket="backups", prefix="")
    assert isinstance(client, S3Store)
    assert client.config.get("endpoint") == "https://s3.cn-north-1.amazonaws.com.cn"


def test_a_store_of_ones_own_is_not_asked_about() -> None:
    config = {"s3Url": "http://minio:9000"}
    location = storage_location(StorageProvider(name="aws", bucket="backups", config=config))
    regions = asking(DEAD)
    assert regions(location) == location
    assert not regions.is_due(location)


@pytest.mark.parametrize("root", ["controllers/server_wiring.py", "cli/restic_server.py", "cli/maintenance.py"])
def test_each_program_looks_regions_up(root: str) -> None:
    """Nothing else would notice: the tests' own store has none."""
    assert "regions=Regions()" in (Path(pkg.__file__).parent / root).read_text()
