"""What operators configured for every restore, read once at its beginning."""

from __future__ import annotations

from dataclasses import dataclass

from pkg.apis.names import HELPER_CONFIG_LABEL
from pkg.kube.errors import ApiStatusError, DecodeError, NotFoundError
from pkg.kube.resources import ResourceRef
from pkg.restore.config_maps import class_mapping, image_mapping, settings_maps, with_label
from pkg.restore.helper import Helper, configured_helper
from pkg.restore.job import RestoreApi, RestoreJob
from pkg.restore.preparation import Renamed
from pkg.restore.results import Results

_CLASSES = ResourceRef(group="storage.k8s.io", plural="storageclasses", kind="StorageClass", namespaced=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSettings:
    """How restic-wait runs, and what has another name here."""

    helper: Helper
    renamed: Renamed


def read_settings(api: RestoreApi, job: RestoreJob, results: Results) -> RestoreSettings:
    """Reads the ConfigMaps; one that cannot be read or means nothing is a warning, and the defaults count."""
    spec, helper = job.restore.spec, Helper(image=job.helper_image)
    renamed = Renamed(storage_classes=spec.storage_class_mapping or {}, images=spec.image_mapping or {})
    try:
        found = settings_maps(api, job.ark_namespace)
        helper, problems = configured_helper(with_label(found, HELPER_CONFIG_LABEL), job.helper_image)
        renamed = Renamed(
            storage_classes=class_mapping(found, spec.storage_class_mapping),
            images=image_mapping(found, spec.image_mapping),
        )
    except (ApiStatusError, DecodeError) as error:
        problems = [f"the ConfigMaps with settings for restores cannot be read: {error}"]
    for problem in (*problems, *_missing_classes(api, renamed)):
        results.warnings.ark(problem)
    return RestoreSettings(helper=helper, renamed=renamed)


def _missing_classes(api: RestoreApi, renamed: Renamed) -> list[str]:
    """A claim with a class that does not exist waits for ever."""
    missing = []
    for name in sorted(set(renamed.storage_classes.values())):
        try:
            api.get_raw(_CLASSES, "", name)
        except NotFoundError:
            missing.append(f'storageClassMapping names the storage class "{name}", which the cluster does not have')
        except (ApiStatusError, DecodeError) as error:
            missing.append(f'the storage class "{name}" of storageClassMapping cannot be read: {error}')
    return missing
