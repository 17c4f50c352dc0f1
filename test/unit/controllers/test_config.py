"""Config as frozen settings, or a sentence why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pkg.apis.ark import Config, StorageProvider
from pkg.apis.meta import ObjectMeta
from pkg.apis.reasons import Reason
from pkg.controllers.config import ConfigReconciler, SettingsError, settings_from
from pkg.manager.reconciler import done
from pkg.objectstore.region import AGAIN_SECONDS, Regions
from pkg.testing.fakeclock import FakeClock
from pkg.testing.fakes import FakeLister
from pkg.workqueue.key import Key

NAMESPACE = "heptio-ark"
LOCAL = StorageProvider(name="local", bucket="bucket", config={"path": "/srv"})


def config(
    provider: StorageProvider | None = LOCAL, *, name: str = "default", version: str = "1", timeout: str = ""
) -> Config:
    return Config(
        metadata=ObjectMeta(name=name, namespace=NAMESPACE, uid="uid-1", resource_version=version),
        backup_storage_provider=provider,
        pod_volume_operation_timeout=timeout,
    )


def test_what_config_says_is_taken_over() -> None:
    made = Config(
        metadata=ObjectMeta(name="default", namespace=NAMESPACE),
        backup_storage_provider=LOCAL,
        pod_volume_operation_timeout="90m",
        resource_priorities=("namespaces", "pods"),
        restore_only_mode=True,
    )
    settings = settings_from(made, {}, NAMESPACE)
    assert (settings.location.bucket, settings.restore_only) == ("bucket", True)
    assert settings.pod_volume_timeout_seconds == 5400
    assert settings.resource_priorities == ("namespaces", "pods")


def test_what_config_leaves_out_has_its_default() -> None:
    settings = settings_from(config(), {}, NAMESPACE)
    assert settings.pod_volume_timeout_seconds == 0
    assert settings.resource_priorities == ()
    assert not settings.restore_only


@pytest.mark.parametrize(
    ("given", "environ", "reason", "text"),
    [
        pytest.param(None, {}, Reason.CONFIG_MISSING, "heptio-ark/default", id="no Config"),
        pytest.param(config(None), {}, Reason.CONFIG_INVALID, "backupStorageProvider", id="no provider"),
        pytest.param(
            config(StorageProvider(name="floppy", bucket="abc")), {}, Reason.CONFIG_INVALID, "floppy", id="its name"
        ),
        pytest.param(
            config(StorageProvider(name="aws")), {}, Reason.CONFIG_INVALID, "bucket", id="a bucket that is missing"
        ),
        pytest.param(config(timeout="soon"), {}, Reason.CONFIG_INVALID, "podVolumeOperationTimeout", id="a timeout"),
        pytest.param(
            config(StorageProvider(name="aws", bucket="abc")),
            {"AWS_SHARED_CREDENTIALS_FILE": "/nowhere/cloud"},
            Reason.CREDENTIALS_REFUSED,
            "/nowhere/cloud",
            id="credentials that cannot be read",
        ),
    ],
)
def test_what_cannot_be_used_is_named(given: Config | None, environ: dict[str, str], reason: Reason, text: str) -> None:
    with pytest.raises(SettingsError, match=text) as raised:
        settings_from(given, environ, NAMESPACE)
    assert raised.value.reason is reason


def test_settings_do_not_show_their_credentials(tmp_path: Path) -> None:
    file = tmp_path / "cloud"
    file.write_text("[default]\naws_access_key_id=AKIDEXAMPLE\naws_secret_access_key=hunter2\n")
    provider = StorageProvider(name="aws", bucket="abc")
    settings = settings_from(config(provider), {"AWS_SHARED_CREDENTIALS_FILE": str(file)}, NAMESPACE)
    assert settings.credentials.restic_environment()["AWS_SECRET_ACCESS_KEY"] == "hunter2"
    assert "hunter2" not in repr(settings)


def test_settings_are_as_new_as_the_cache_and_the_same_until_it_changes() -> None:
    lister = FakeLister([config()])
    reconciler = ConfigReconciler(lister, {}, NAMESPACE)
    first = reconciler.settings()
    assert reconciler.settings() is first
    lister.put(config(StorageProvider(name="local", bucket="other", config={"path": "/srv"}), version="2"))
    assert reconciler.settings().location.bucket == "other"


def test_a_config_that_goes_away_or_breaks_takes_its_settings_along() -> None:
    lister = FakeLister([config()])
    reconciler = ConfigReconciler(lister, {}, NAMESPACE)
    reconciler.settings()
    lister.remove(NAMESPACE, "default")
    with pytest.raises(SettingsError):
        reconciler.settings()
    lister.put(config(timeout="soon", version="2"))
    with pytest.raises(SettingsError):
        reconciler.settings()
    lister.put(config(version="3"))
    assert reconciler.settings().location.bucket == "bucket"


@pytest.mark.parametrize(
    ("objects", "name", "said"),
    [
        pytest.param([config()], "default", "Config in force", id="a good one"),
        pytest.param([config(None)], "default", "Config not usable", id="a bad one"),
        pytest.param([config(name="mine")], "mine", "Config ignored, only the one named default counts", id="another"),
    ],
)
def test_the_log_says_what_a_config_means_and_nothing_fails(objects: list[Config], name: str, said: str) -> None:
    with capture_logs() as logs:
        assert ConfigReconciler(FakeLister(objects), {}, NAMESPACE).reconcile(Key(NAMESPACE, name)) == done()
    assert [entry["event"] for entry in logs] == [said]


def test_credentials_that_were_replaced_in_their_file_count_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "cloud"
    file.write_text("[default]\naws_access_key_id = old\naws_secret_access_key = secret\n")
    lister = FakeLister([config(StorageProvider(name="aws", bucket="bucket", config={"region": "eu-west-1"}))])
    reconciler = ConfigReconciler(lister, {"AWS_SHARED_CREDENTIALS_FILE": str(file)}, NAMESPACE)
    before = reconciler.settings()
    assert reconciler.settings() is before
    fresh = tmp_path / "fresh"
    fresh.write_text("[default]\naws_access_key_id = new\naws_secret_access_key = secret\n")
    fresh.replace(file)
    assert reconciler.settings().credentials.restic["AWS_ACCESS_KEY_ID"] == "new"


def test_a_region_that_nobody_told_is_found_later_and_the_settings_stay_the_same_until_then() -> None:
    clock, answers = FakeClock(), ["", "eu-west-1"]
    lister = FakeLister([config(StorageProvider(name="aws", bucket="bucket"))])
    regions = Regions(lambda bucket: answers.pop(0), clock=clock)
    reconciler = ConfigReconciler(lister, {}, NAMESPACE, regions=regions)
    first = reconciler.settings()
    assert (first.location.region, reconciler.settings() is first, len(answers)) == ("", True, 1)
    clock.advance(AGAIN_SECONDS)
    assert reconciler.settings().location.region == "eu-west-1"
    assert reconciler.settings() is reconciler.settings()
