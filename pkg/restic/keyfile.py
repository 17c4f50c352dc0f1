"""restic's key files: JSON named by its SHA-256 that holds the master key, sealed under scrypt of a password.

The format is restic's own (its doc/design, "Keys, Encryption and MAC"): AES-256-CTR with Poly1305-AES as the MAC. A
file made here is valid for every restic; what differs is only how dear its scrypt is. The master key leaves this
module in no form but sealed.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR, ECB
from cryptography.hazmat.primitives.poly1305 import Poly1305

from pkg.restic.password import Password

CHEAP_N, CHEAP_R, CHEAP_P = 1024, 8, 1
USER = "ark-fast"
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 64, 16, 16
_ENCRYPTION_KEY_BYTES, _MAC_KEY_BYTES = 32, 16
_MAX_SCRYPT_BYTES = 256 << 20
_MAX_N, _MAX_R, _MAX_P = 1 << 20, 64, 64


class KeyFileError(Exception):
    """A key file does not decode, or is not of this password."""


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a key file; bytes in base64."""

    created: str
    username: str
    hostname: str
    kdf: str
    N: int
    r: int
    p: int
    salt: str
    data: str

    @property
    def is_cheap(self) -> bool:
        """Whether its scrypt costs as little as that of the files made here."""
        return (self.kdf, self.N, self.r, self.p) == ("scrypt", CHEAP_N, CHEAP_R, CHEAP_P)


@dataclass(frozen=True, slots=True)
class MasterKey:
    """What encrypts a repository, as the JSON that a key file seals."""

    _value: bytes = field(repr=False)

    def __str__(self) -> str:
        return "MasterKey(***)"

    def sealed(self, password: Password, *, now: datetime.datetime) -> bytes:
        """A new key file with cheap scrypt; sound only for a password of 256 random bits."""
        salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
        keys = _derive(password, salt, CHEAP_N, CHEAP_R, CHEAP_P)
        text = _crypt(keys, nonce, self._value)
        made = KeyFile(
            created=now.isoformat(),
            username=USER,
            hostname="ark",
            kdf="scrypt",
            N=CHEAP_N,
            r=CHEAP_R,
            p=CHEAP_P,
            salt=base64.b64encode(salt).decode(),
            data=base64.b64encode(nonce + text + _tag(keys, nonce, text)).decode(),
        )
        return msgspec.json.encode(made)


def read_key_file(data: bytes) -> KeyFile:
    """Decodes a key file.

    Raises:
        KeyFileError: it is none.
    """
    try:
        return msgspec.json.decode(data, type=KeyFile)
    except msgspec.DecodeError as error:
        raise KeyFileError(f"a key file does not decode: {error}") from error


def open_key_file(file: KeyFile, password: Password) -> MasterKey:
    """The master key in a key file; costs what its scrypt costs.

    Raises:
        KeyFileError: it is sealed with another password, damaged, or asks for an absurd scrypt.
    """
    if file.kdf != "scrypt" or not (1 < file.N <= _MAX_N and 0 < file.r <= _MAX_R and 0 < file.p <= _MAX_P):
        raise KeyFileError(f"a key file asks for {file.kdf} with N={file.N} r={file.r} p={file.p}")
    try:
        salt, sealed = base64.b64decode(file.salt, validate=True), base64.b64decode(file.data, validate=True)
        keys = _derive(password, salt, file.N, file.r, file.p)
    except ValueError as error:
        raise KeyFileError("a key file has a damaged field") from error
    nonce, text, tag = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:-_TAG_BYTES], sealed[-_TAG_BYTES:]
    if len(nonce) < _NONCE_BYTES or not hmac.compare_digest(tag, _tag(keys, nonce, text)):
        raise KeyFileError("a key file is of another password")
    return MasterKey(_crypt(keys, nonce, text))


@dataclass(frozen=True, slots=True)
class _Keys:
    encryption: bytes
    mac_k: bytes
    mac_r: bytes


def _derive(password: Password, salt: bytes, n: int, r: int, p: int) -> _Keys:
    derived = hashlib.scrypt(password.reveal().encode(), salt=salt, n=n, r=r, p=p, maxmem=_MAX_SCRYPT_BYTES, dklen=64)
    return _Keys(derived[:_ENCRYPTION_KEY_BYTES], derived[32:48], derived[48:64])


def _crypt(keys: _Keys, nonce: bytes, text: bytes) -> bytes:
    """AES-256-CTR, which is its own inverse."""
    cipher = Cipher(AES(keys.encryption), CTR(nonce)).encryptor()
    return cipher.update(text) + cipher.finalize()


def _tag(keys: _Keys, nonce: bytes, text: bytes) -> bytes:
    """Poly1305-AES of the ciphertext: the one-time key is r beside the nonce under AES-128 with k."""
    block = Cipher(AES(keys.mac_k), ECB()).encryptor()
    return Poly1305.generate_tag(keys.mac_r + block.update(nonce) + block.finalize(), text)
