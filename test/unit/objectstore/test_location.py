import dataclasses

import pytest

from pkg.apis.ark import StorageProvider
from pkg.apis.reasons import Reason
from pkg.objectstore.errors import LocationInvalidError
from pkg.objectstore.location import storage_location


@pytest.mark.parametrize(
    ("provider", "restic_region", "namespace", "identifier"),
    [
        pytest.param(
            StorageProvider(name="aws", bucket="backups", restic_location="bucket/prefix"),
            "",
            "repo-1",
            "s3:s3.amazonaws.com/bucket/prefix/repo-1",
            id="aws whose region nobody knows",
        ),
        pytest.param(
            StorageProvider(name="aws", bucket="backups", restic_location="bucket"),
            "us-west-2",
            "repo-1",
            "s3:s3-us-west-2.amazonaws.com/bucket/repo-1",
            id="aws with a region and no path",
        ),
        pytest.param(
            StorageProvider(
                name="aws", bucket="backups", restic_location="bucket/prefix", config={"s3Url": "alternate-url"}
            ),
            "",
            "repo-1",
            "s3:alternate-url/bucket/prefix/repo-1",
            id="an s3Url is taken verbatim",
        ),
        pytest.param(
            StorageProvider(
                name="aws",
                bucket="backups",
                restic_location="restic/repos",
                config={"s3Url": "http://minio.heptio-ark.svc:9000/", "region": "minio"},
            ),
            "",
            "foo",
            "s3:http://minio.heptio-ark.svc:9000/restic/repos/foo",
            id="an s3Url with http and a slash at its end",
        ),
        pytest.param(
            StorageProvider(name="azure", bucket="backups", restic_location="bucket/prefix"),
            "",
            "repo-1",
            "azure:bucket:/prefix/repo-1",
            id="azure",
        ),
        pytest.param(
            StorageProvider(name="azure", bucket="backups", restic_location="bucket"),
            "",
            "repo-1",
            "azure:bucket:/repo-1",
            id="azure without a path",
        ),
        pytest.param(
            StorageProvider(name="gcp", bucket="backups", restic_location="bucket-2/prefix-2"),
            "",
            "repo-2",
            "gs:bucket-2:/prefix-2/repo-2",
            id="gcp",
        ),
        pytest.param(
            StorageProvider(name="gcp", bucket="backups", prefix="/some/prefix/"),
            "",
            "ns",
            "gs:backups:/some/prefix/restic/ns",
            id="without a resticLocation it lies below the prefix",
        ),
        pytest.param(
            StorageProvider(name="local", bucket="backups", config={"path": "/srv/"}),
            "",
            "ns",
            "/srv/backups/restic/ns",
            id="a local directory",
        ),
    ],
)
def test_identifiers_are_those_of_0_9(
    provider: StorageProvider, restic_region: str, namespace: str, identifier: str
) -> None:
    location = dataclasses.replace(storage_location(provider), restic_region=restic_region)
    assert location.restic_identifier(namespace) == identifier


@pytest.mark.parametrize(
    ("provider", "sentence"),
    [
        pytest.param(StorageProvider(name="ftp", bucket="backups"), "must be aws, azure or gcp", id="unknown provider"),
        pytest.param(StorageProvider(name="aws"), "bucket is missing", id="no bucket"),
        pytest.param(StorageProvider(name="aws", bucket="bk"), "'bk' is not a bucket's name", id="a name too short"),
        pytest.param(StorageProvider(name="aws", bucket="a/b/c"), "not a bucket's name", id="a path for a name"),
        pytest.param(StorageProvider(name="aws", bucket="good", prefix="a/../b"), "segment", id="dots in the prefix"),
        pytest.param(StorageProvider(name="local", bucket="good"), "absolute path", id="local without a path"),
        pytest.param(
            StorageProvider(name="aws", bucket="good", config={"s3Url": "http://a b"}), "not an address", id="bad s3Url"
        ),
        pytest.param(
            StorageProvider(name="aws", bucket="good", restic_location="good"),
            "own its repository",
            id="resticLocation is the backup bucket",
        ),
        pytest.param(
            StorageProvider(name="aws", bucket="good", prefix="a/b", restic_location="good/a/b"),
            "own its repository",
            id="resticLocation is the backups' directory",
        ),
        pytest.param(
            StorageProvider(name="aws", bucket="good", prefix="a/b", restic_location="good/a"),
            "own its repository",
            id="resticLocation is above the backups",
        ),
        pytest.param(
            StorageProvider(name="aws", bucket="good", config={"checksumAlgorithm": "md5"}),
            "checksumAlgorithm is 'MD5', it must be SHA256 or none",
            id="a checksum that nobody computes",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(provider: StorageProvider, sentence: str) -> None:
    with pytest.raises(LocationInvalidError, match=sentence) as caught:
        storage_location(provider)
    assert caught.value.reason is Reason.CONFIG_INVALID


@pytest.mark.parametrize(
    ("prefix", "restic_location", "more"),
    [
        pytest.param("", "good/repos/x", {"repos"}, id="repositories beside the backups"),
        pytest.param("p", "good/p/repos", {"repos"}, id="repositories below the prefix"),
        pytest.param("p", "good/q", set(), id="repositories elsewhere in the bucket"),
        pytest.param("", "other", set(), id="repositories in another bucket"),
    ],
)
def test_a_backup_may_not_be_named_like_the_repositories(prefix: str, restic_location: str, more: set[str]) -> None:
    provider = StorageProvider(name="aws", bucket="good", prefix=prefix, restic_location=restic_location)
    names = storage_location(provider).reserved_backup_names
    assert names == {"restic", "backups", "restores", "metadata"} | more


@pytest.mark.parametrize(
    ("name", "config", "options"),
    [
        pytest.param("aws", {}, (), id="amazon without a region"),
        pytest.param("aws", {"s3Url": "http://m:9"}, ("s3.bucket-lookup=path",), id="a store of one's own"),
        pytest.param(
            "aws",
            {"s3Url": "http://m:9", "region": "eu"},
            ("s3.region=eu", "s3.bucket-lookup=path"),
            id="a store of one's own with a region",
        ),
        pytest.param("aws", {"s3Url": "http://m:9", "s3ForcePathStyle": "false"}, (), id="host style on request"),
        pytest.param("gcp", {"region": "eu"}, (), id="google needs none"),
    ],
)
def test_restic_is_told_how_to_address_the_bucket(name: str, config: dict[str, str], options: tuple[str, ...]) -> None:
    assert storage_location(StorageProvider(name=name, bucket="good", config=config)).restic_options == options


@pytest.mark.parametrize(
    ("config", "identifier", "same"),
    [
        pytest.param({}, "s3:s3.amazonaws.com/good/restic/ns", True, id="the region-free host"),
        pytest.param({}, "s3:s3-us-west-2.amazonaws.com/good/restic/ns", True, id="0.9's host of a region"),
        pytest.param({}, "s3:https://s3.us-west-2.amazonaws.com/good/restic/ns", True, id="the host of today"),
        pytest.param({}, "s3:s3.cn-north-1.amazonaws.com.cn/good/restic/ns", False, id="another cloud's"),
        pytest.param({}, "s3:s3-us-west-2.amazonaws.com/other/restic/ns", False, id="another bucket"),
        pytest.param({}, "s3:s3-us-west-2.amazonaws.com/good/restic/ns-2", False, id="another namespace"),
        pytest.param({"s3Url": "http://minio:9000/"}, "s3:http://minio:9000//good/restic/ns", True, id="0.9's slashes"),
        pytest.param({"s3Url": "http://minio:9000"}, "s3:http://minio:9001/good/restic/ns", False, id="another store"),
    ],
)
def test_a_repository_is_recognised_by_its_place_and_not_by_the_form_of_its_address(
    config: dict[str, str], identifier: str, same: bool
) -> None:
    location = storage_location(StorageProvider(name="aws", bucket="good", config=config))
    assert location.is_at(identifier, "ns") is same
