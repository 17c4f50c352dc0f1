"""What a queue holds: the name of an object, and no event about it."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """Namespace and name; the namespace is empty for a cluster-scoped object."""

    namespace: str
    name: str

    @classmethod
    def parse(cls, text: str) -> Key:
        """The key of `namespace/name` or `name`.

        Raises:
            ValueError: the text has more than one slash.
        """
        parts = text.split("/")
        if len(parts) > 2:
            raise ValueError(f'invalid key "{text}": write it as namespace/name')
        return cls(parts[0], parts[1]) if len(parts) == 2 else cls("", parts[0])

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name
