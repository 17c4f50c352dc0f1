"""Words of a Restore that mean nothing in its backup: each is a warning, for it may be a slip of the pen.

A namespace that is misspelt would not be restored, a mapping that is misspelt would let the objects come back where
they were, an exclusion that is misspelt would exclude nothing; and the Restore would be Completed without a word.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pkg.apis.ark import RestoreSpec
from pkg.restore.archive import Entry
from pkg.restore.filters import EVERYTHING, Resolve
from pkg.restore.plan import NAMESPACES


def idle_words(spec: RestoreSpec, entries: Iterable[Entry], resolve: Resolve) -> tuple[str, ...]:
    """The sentences, in the order of the fields.

    Args:
        spec: What is asked for.
        entries: All of the backup.
        resolve: Gives the full name of a resource; None for a name that nothing here knows.
    """
    held = {entry.name if entry.group_resource == NAMESPACES else entry.namespace for entry in entries} - {""}
    lost = "the backup holds nothing of the namespace"
    unknown = [name for name in spec.excluded_resources or () if name != EVERYTHING and not resolve(name)]
    return (
        *(f"{lost} {name}, which includedNamespaces names" for name in _absent(spec.included_namespaces, held)),
        *(f"{lost} {name}, which namespaceMapping renames" for name in _absent(spec.namespace_mapping, held)),
        *(f'excludedResources names "{name}", which neither the cluster nor the backup knows' for name in unknown),
    )


def _absent(names: Collection[str] | None, held: Collection[str]) -> list[str]:
    return [name for name in names or () if name != EVERYTHING and name not in held]
