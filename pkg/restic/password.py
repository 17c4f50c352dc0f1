"""The repository password: random where Ark makes it, and never shown."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Password:
    """A password whose repr shows nothing; `reveal` is called only where restic's environment is built."""

    _value: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self._value:
            raise ValueError("an empty password is not a password")

    def reveal(self) -> str:
        """The password itself."""
        return self._value

    def __str__(self) -> str:
        return "Password(***)"


def generate_password() -> str:
    """A new password of 256 random bits, printable and without characters that a shell would read."""
    return secrets.token_urlsafe(RANDOM_BYTES)
