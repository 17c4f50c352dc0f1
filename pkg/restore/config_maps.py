"""What operators set for every restore in ConfigMaps of Ark's namespace: restic-wait, storage classes, images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pkg.apis.meta import Object
from pkg.apis.names import HELPER_CONFIG_LABEL, IMAGE_CONFIG_LABEL, STORAGE_CLASS_CONFIG_LABEL
from pkg.kube.refs import CONFIG_MAPS
from pkg.restore.job import RestoreApi


class ConfigMap(Object, frozen=True, kw_only=True):
    """A ConfigMap."""

    data: dict[str, str] | None = None


def settings_maps(api: RestoreApi, ark_namespace: str) -> list[ConfigMap]:
    """The ConfigMaps that say something about restores; their label's value says what."""
    return api.list(CONFIG_MAPS, ark_namespace, ConfigMap, label_selector=HELPER_CONFIG_LABEL[0])


def with_label(found: Iterable[ConfigMap], label: tuple[str, str]) -> list[ConfigMap]:
    """Those with a label."""
    return [one for one in found if one.metadata.label(label[0]) == label[1]]


def class_mapping(found: Iterable[ConfigMap], spec: Mapping[str, str] | None) -> dict[str, str]:
    """Old storage classes to new ones: the operator's, and before them the Restore's own."""
    return _merged([one.data or {} for one in with_label(found, STORAGE_CLASS_CONFIG_LABEL)], spec)


def image_mapping(found: Iterable[ConfigMap], spec: Mapping[str, str] | None) -> dict[str, str]:
    """Old prefixes of images to new ones; a ConfigMap's values are `old,new`, for a key cannot hold a slash."""
    values = [value for one in with_label(found, IMAGE_CONFIG_LABEL) for value in (one.data or {}).values()]
    pairs = [value.partition(",") for value in values]
    return _merged([{old.strip(): new.strip() for old, comma, new in pairs if comma}], spec)


def _merged(found: Iterable[Mapping[str, str]], spec: Mapping[str, str] | None) -> dict[str, str]:
    merged: dict[str, str] = {}
    for one in (*found, spec or {}):
        merged |= one
    return {old: new for old, new in merged.items() if old and new}
