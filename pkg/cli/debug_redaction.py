"""What may leave a cluster in a bundle for others to read: pure functions, and when in doubt it is taken out.

Objects lose every value that could be a secret by its place (environment, hook commands, annotations that are not
ours, unknown settings of a provider) or by its name; every text loses what looks like one.
"""

from __future__ import annotations

import re

from pkg.apis import names
from pkg.apis.meta import Json, JsonObject

REDACTED = "<redacted>"

_KEPT_ANNOTATIONS = frozenset(
    {
        names.BACKUP_VOLUMES_ANNOTATION,
        names.BACKUP_VOLUMES_EXCLUDES_ANNOTATION,
        names.IMPORTED_ANNOTATION,
        names.GENERATED_ANNOTATION,
        names.ADOPT_ANNOTATION,
        names.ADOPTED_ANNOTATION,
        names.SOURCE_CLUSTER_ANNOTATION,
        names.SCHEMA_HASH_ANNOTATION,
        names.PINNED_ANNOTATION,
        names.DELETION_CONFIRMED_ANNOTATION,
        names.MIRROR_POD_ANNOTATION,
        "ark.heptio.com/kind",
    }
)
_KEPT_SETTINGS = frozenset({"region", "s3Url", "publicUrl", "s3ForcePathStyle", "path", "resourceGroup", "location"})
_DROPPED = frozenset({"managedFields"})
_COMMANDS = frozenset({"command", "args"})
_SECRET_NAME = re.compile(r"(?i)passw|token|secret|credential|signature|downloadurl|api.?key|access.?key|private.?key")
# Names of objects, not their contents.
_HARMLESS = frozenset({"secretName", "secretKeyRef", "secretRef", "serviceAccountToken", "passwordGeneration"})

_WORDS = r"passw(?:or)?d|passphrase|secret|token|credential|signature|api[-_]?key|access[-_]?key|private[-_]?key"
_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL), REDACTED),
    (re.compile(r"([a-z][a-z0-9+.-]*:(?:s3:)?//)[^/@\s\"']+@"), rf"\1{REDACTED}@"),
    (re.compile(r"(://[^\s\"'?<>]+)\?[^\s\"'<>]+"), rf"\1?{REDACTED}"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {REDACTED}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+){1,2}"), REDACTED),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{12,}\b"), REDACTED),
    (
        re.compile(rf"(?i)([\w.-]*(?:{_WORDS})[\w.-]*[\"']?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&\"']+)"),
        rf"\1{REDACTED}",
    ),
    (re.compile(rf"(?i)(--?[\w-]*(?:{_WORDS})[\w-]*\s+)[^\s-]\S*"), rf"\1{REDACTED}"),
)


def scrubbed(text: str) -> str:
    """A text without what looks like a secret."""
    for pattern, replacement in _TEXTS:
        text = pattern.sub(replacement, text)
    return text


def redacted(value: Json) -> Json:
    """An object, or a part of one, without what is or could be a secret."""
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, list):
        return [redacted(item) for item in value]
    if isinstance(value, dict):
        return {key: _field(key, content) for key, content in value.items() if key not in _DROPPED}
    return value


def _field(key: str, value: Json) -> Json:
    if key == "annotations" and isinstance(value, dict):
        return {name: _text(text) if name in _KEPT_ANNOTATIONS else REDACTED for name, text in value.items()}
    if key == "config" and isinstance(value, dict):
        return {name: _text(text) if name in _KEPT_SETTINGS else REDACTED for name, text in value.items()}
    if key == "env" and isinstance(value, list):
        return [_variable(item) for item in value if isinstance(item, dict)]
    if key in _COMMANDS and isinstance(value, list | str):
        return REDACTED
    if key not in _HARMLESS and isinstance(value, str) and value and _SECRET_NAME.search(key):
        return REDACTED
    return redacted(value)


def _text(value: Json) -> Json:
    return scrubbed(value) if isinstance(value, str) else redacted(value)


def _variable(variable: JsonObject) -> JsonObject:
    """A variable's name, and where its value comes from, but never the value."""
    shown: JsonObject = {"name": variable.get("name")}
    if "value" in variable:
        shown["value"] = REDACTED
    if "valueFrom" in variable:
        shown["valueFrom"] = redacted(variable["valueFrom"])
    return shown
