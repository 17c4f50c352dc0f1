import http.server
import threading
from collections.abc import Iterator

import pytest

from pkg.apis.ark import StorageProvider
from pkg.objectstore.location import storage_location
from pkg.objectstore.region import with_regions


class _S3(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(403)
        if self.path != "/unknown":
            self.send_header("x-amz-bucket-region", f"region-of-{self.path.strip('/')}")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 # the name is http.server's
        pass


@pytest.fixture
def s3() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _S3) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_both_buckets_are_looked_up_and_a_refusal_tells_too(s3: str) -> None:
    location = storage_location(StorageProvider(name="aws", bucket="backups", restic_location="repos"))
    found = with_regions(location, host=s3)
    assert (found.region, found.restic_region) == ("region-of-backups", "region-of-repos")
    assert found.restic_identifier("ns") == "s3:s3-region-of-repos.amazonaws.com/repos/ns"


def test_a_lookup_that_fails_leaves_the_region_free_host(s3: str) -> None:
    location = storage_location(StorageProvider(name="aws", bucket="unknown"))
    for host in (s3, "http://127.0.0.1:1"):
        found = with_regions(location, host=host)
        assert found.restic_identifier("ns") == "s3:s3.amazonaws.com/unknown/restic/ns"


def test_a_store_of_ones_own_is_not_asked_about() -> None:
    config = {"s3Url": "http://minio:9000"}
    location = storage_location(StorageProvider(name="aws", bucket="backups", config=config))
    assert with_regions(location, host="http://127.0.0.1:1") == location
