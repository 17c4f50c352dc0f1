"""The repository password: random where Ark makes it, and never shown."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

RANDOM_BYTES = 32
_SCRYPT_COST, _SCRYPT_BLOCK, _SCRYPT_MEMORY_BYTES = 2**14, 8, 64 * 2**20


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


def passwords_digest(passwords: Mapping[str, str], salt: str) -> str:
    """A digest of all generations of the password, by which two sets of them are compared; empty without any.

    It is shown to people, and a password that a person chose must not be guessed from it, so it is slow (50 ms).

    Args:
        passwords: Key in the Secret to password.
        salt: The UID of the Secret.
    """
    if not passwords:
        return ""
    text = json.dumps(sorted(passwords.items()), separators=(",", ":")).encode()
    digest = hashlib.scrypt(
        text, salt=salt.encode(), n=_SCRYPT_COST, r=_SCRYPT_BLOCK, p=1, maxmem=_SCRYPT_MEMORY_BYTES, dklen=16
    )
    return f"scrypt:{digest.hex()}"
