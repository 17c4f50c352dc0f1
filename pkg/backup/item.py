"""Objects as raw JSON: enough is read to place one in the tarball, and nothing of it is lost."""

from __future__ import annotations

import datetime

import msgspec

from pkg.apis.meta import Json
from pkg.apis.names import SNAPSHOT_ANNOTATION_PREFIX
from pkg.kube.resources import ResourceRef

_PREFIX_BYTES = SNAPSHOT_ANNOTATION_PREFIX.encode()


class HeadMeta(msgspec.Struct, frozen=True, rename="camel"):
    """The metadata that places an object."""

    name: str
    namespace: str = ""
    uid: str = ""
    deletion_timestamp: datetime.datetime | None = None
    labels: dict[str, str] | None = None


class Head(msgspec.Struct, frozen=True, rename="camel"):
    """The beginning of an object."""

    metadata: HeadMeta
    api_version: str = ""
    kind: str = ""


_DECODER = msgspec.json.Decoder(Head)


def read_head(body: bytes) -> Head:
    """Reads what places an object; raises msgspec.DecodeError when it is no object of the API."""
    return _DECODER.decode(body)


def with_kind(ref: ResourceRef, head: Head, body: bytes) -> bytes:
    """The object with apiVersion and kind, which the items of a list lack; nothing else is touched."""
    if head.kind and head.api_version:
        return body
    inside = body.lstrip()[1:]
    return f'{{"apiVersion":"{ref.api_version}","kind":"{ref.kind}",'.encode() + inside


def has_snapshot_annotations(body: bytes) -> bool:
    """Whether a pod may carry annotations of an earlier backup; a cheap look that may say yes too often."""
    return _PREFIX_BYTES in body


def with_snapshots(body: bytes, snapshots: dict[str, str]) -> bytes:
    """A pod with exactly this backup's snapshot annotations, by volume; those of earlier backups are gone.

    A restored pod carries the annotations of the backup it came from; in a later backup they would name snapshots
    that are not this backup's.
    """
    pod = msgspec.json.decode(body)
    metadata: dict[str, Json] = pod["metadata"]
    annotations = metadata.get("annotations") or {}
    assert isinstance(annotations, dict)
    kept: dict[str, Json] = {
        key: value for key, value in annotations.items() if not key.startswith(SNAPSHOT_ANNOTATION_PREFIX)
    }
    added: dict[str, Json] = {
        f"{SNAPSHOT_ANNOTATION_PREFIX}{volume}": snapshot for volume, snapshot in sorted(snapshots.items())
    }
    if kept or added:
        metadata["annotations"] = kept | added
    else:
        metadata.pop("annotations", None)
    return msgspec.json.encode(pod)
