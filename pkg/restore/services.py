"""What changes in a service that comes back: addresses and ports that the old cluster had chosen.

A node port stays only where a person chose it, which the `last-applied-configuration` annotation shows: a chosen
one has the same name there with a node port, as in 0.9.
"""

from __future__ import annotations

import msgspec

from pkg.apis.meta import JsonObject
from pkg.restore.archive import Entry
from pkg.restore.fields import drop, object_at, objects_at, text_at, texts_at
from pkg.restore.plan import Facts

_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def drop_addresses(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Takes away cluster addresses (but a headless service stays one) and node ports that nobody chose."""
    applied = _last_applied(obj)
    if text_at(obj, "spec", "clusterIP") != "None":
        drop(obj, "spec", "clusterIP")
        drop(obj, "spec", "clusterIPs")
    if "healthCheckNodePort" not in object_at(applied, "spec"):
        drop(obj, "spec", "healthCheckNodePort")
    chosen = {text_at(port, "name") for port in objects_at(applied, "spec", "ports") if port.get("nodePort")}
    for port in objects_at(obj, "spec", "ports"):
        if text_at(port, "name") not in chosen:
            port.pop("nodePort", None)


def _last_applied(obj: JsonObject) -> JsonObject:
    text = texts_at(obj, "metadata", "annotations").get(_LAST_APPLIED, "")
    try:
        return msgspec.json.decode(text, type=dict) if text else {}
    except msgspec.DecodeError:
        return {}
