"""What changes in objects that name things of the old cluster: storage classes and images get their new names."""

from __future__ import annotations

from collections.abc import Mapping

from pkg.apis.meta import JsonObject
from pkg.restore.archive import Entry
from pkg.restore.fields import containers, object_at, objects_at, text_at
from pkg.restore.plan import Facts
from pkg.restore.pod_specs import pod_spec

_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_NAME_ENDS = "/:@"


def map_class(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Gives a claim or a persistent volume its new storage class."""
    _map_class_of_spec(object_at(obj, "spec"), facts)
    annotations = object_at(obj, "metadata", "annotations")
    if new := facts.storage_classes.get(text_at(annotations, _CLASS_ANNOTATION)):
        annotations[_CLASS_ANNOTATION] = new


def map_classes_of_templates(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """The same for the claims that a stateful set or a pod's ephemeral volumes will make."""
    for template in objects_at(obj, "spec", "volumeClaimTemplates"):
        _map_class_of_spec(object_at(template, "spec"), facts)
    for volume in objects_at(pod_spec(obj, entry.group_resource), "volumes"):
        _map_class_of_spec(object_at(volume, "ephemeral", "volumeClaimTemplate", "spec"), facts)


def map_images(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Gives every container its image from where it is now."""
    for container in containers(pod_spec(obj, entry.group_resource)):
        if image := text_at(container, "image"):
            container["image"] = mapped_image(image, facts.images)


def mapped_image(image: str, mapping: Mapping[str, str]) -> str:
    """The new name of an image; the longest prefix counts, and only whole parts of a name are replaced."""
    for old in sorted(mapping, key=len, reverse=True):
        rest = image.removeprefix(old)
        if image.startswith(old) and (not rest or old[-1:] in _NAME_ENDS or rest[0] in _NAME_ENDS):
            return mapping[old] + rest
    return image


def _map_class_of_spec(spec: JsonObject, facts: Facts) -> None:
    if new := facts.storage_classes.get(text_at(spec, "storageClassName")):
        spec["storageClassName"] = new
