"""The generations of the repository password, as the Secret `ark-restic-credentials` holds them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping

from pkg.apis.names import PASSWORD_KEY


def is_password_key(key: str) -> bool:
    """Whether a key of the Secret holds a generation of the password."""
    generation = key.removeprefix(f"{PASSWORD_KEY}-")
    return key == PASSWORD_KEY or (generation != key and generation.isdecimal())


def generation_of(key: str) -> int:
    """The generation that a password key of the Secret names."""
    return 1 if key == PASSWORD_KEY else int(key.removeprefix(f"{PASSWORD_KEY}-"))


def passwords_of(data: Mapping[str, str] | None) -> dict[str, str]:
    """Key to password; what else the Secret holds is left out.

    Args:
        data: The Secret's, with values in base64.

    Raises:
        ValueError: one is not text; its key is named, its value is not.
    """
    found = {}
    for key, encoded in sorted((data or {}).items()):
        if is_password_key(key):
            try:
                found[key] = base64.b64decode(encoded, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise ValueError(f'the value of key "{key}" is not text') from None
    return found


def secret_data(passwords: Mapping[str, str]) -> dict[str, str]:
    """The Secret's data, in base64."""
    return {key: base64.b64encode(password.encode()).decode() for key, password in passwords.items()}
