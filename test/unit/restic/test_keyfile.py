"""Key files: what restic wrote opens, what is made here opens again, anything else is refused."""

from __future__ import annotations

import base64
import datetime

import msgspec
import pytest

from pkg.restic.keyfile import KeyFile, KeyFileError, MasterKey, open_key_file, read_key_file
from pkg.restic.password import Password

NOW = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
PASSWORD = Password("a password of 256 random bits")
MASTER = MasterKey(b'{"mac":{"k":"aw==","r":"cg=="},"encrypt":"ZQ=="}')


def made() -> KeyFile:
    return read_key_file(MASTER.sealed(PASSWORD, now=NOW))


def test_a_key_that_is_sealed_is_opened_by_its_password_only() -> None:
    assert open_key_file(made(), PASSWORD) == MASTER
    with pytest.raises(KeyFileError, match="another password"):
        open_key_file(made(), Password("guessed"))


def test_its_scrypt_is_cheap_and_its_salt_its_own() -> None:
    assert made().is_cheap
    assert made().salt != made().salt


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"data": ""}, id="nothing sealed"),
        pytest.param({"data": "%%%"}, id="no base64"),
        pytest.param({"data": base64.b64encode(bytes(64)).decode()}, id="another text"),
        pytest.param({"kdf": "md5"}, id="another derivation"),
        pytest.param({"N": 1 << 30}, id="more memory than there is"),
        pytest.param({"N": 1000}, id="a cost that scrypt does not know"),
        pytest.param({"p": 0}, id="no rounds"),
    ],
)
def test_a_damaged_file_is_refused(change: dict[str, object]) -> None:
    fields = msgspec.to_builtins(made()) | change
    with pytest.raises(KeyFileError):
        open_key_file(msgspec.convert(fields, KeyFile), PASSWORD)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b'{"kdf": 3}'])
def test_what_is_no_key_file_is_refused(data: bytes) -> None:
    with pytest.raises(KeyFileError, match="does not decode"):
        read_key_file(data)


def test_no_secret_shows_in_a_repr() -> None:
    assert "mac" not in f"{MASTER!r}{MASTER}"
