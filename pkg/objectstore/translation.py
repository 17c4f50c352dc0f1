"""Foreign exceptions into ours: obstore says most things in text only, so the text is read here and nowhere else.

The status code and the store's own error code come from obstore's sentence; the rest of it (it holds request
addresses and a debug dump) goes no further than the chained exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from obstore import exceptions as foreign

from pkg.objectstore.errors import (
    BucketMissingError,
    ConditionalPutUnsupportedError,
    CredentialsInvalidError,
    CredentialsRefusedError,
    LocationInvalidError,
    ObjectNotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnreachableError,
)

_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r'<Code>(\w+)</Code>|"code":\s*"(\w+)"')
_BUCKET_CODES = {"NoSuchBucket", "ContainerNotFound", "InvalidBucketName"}
_REGION_CODES = {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
_METADATA_ADDRESSES = ("169.254.169.254", "169.254.170.2", "metadata.google.internal")
_REFUSALS = {"AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation"}  # Azure's, with 400
_UNANSWERED = ("HTTP error", "error sending request", "operation timed out", "connection")
_BAD_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w+)")
_CONNECT_FAILURES = {
    "TunnelUnsuccessful": "the proxy does not lead there",
    "dns error": "its name is not known here",
    "ConnectionRefused": "the connection is refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request went, for messages."""

    bucket: str
    endpoint: str

    def __str__(self) -> str:
        return f"bucket {self.bucket!r} at {self.endpoint}"


@contextmanager
def door(place: Place, key: str = "", *, key_is_needed: bool = True) -> Iterator[None]:
    """Lets only our own exceptions out.

    Args:
        place: Where the request goes.
        key: The object it is about; empty for a listing.
        key_is_needed: Whether "not found" may speak of the key; otherwise it is the bucket that is missing.
    """
    try:
        yield
    except StoreError:
        raise
    except (foreign.BaseError, OSError, ValueError, NotImplementedError) as error:
        raise translated(error, place, key, key_is_needed=key_is_needed and bool(key)) from error


def translated(error: Exception, place: Place, key: str, *, key_is_needed: bool) -> StoreError:
    """Our exception for a foreign one; one clear sentence."""
    text = str(error)
    status, code = _status_and_code(text)
    if isinstance(error, foreign.AlreadyExistsError | foreign.PreconditionError) or status in (409, 412):
        return PreconditionFailedError(f"{place}: another object is at {key!r}")
    if isinstance(error, foreign.NotSupportedError | NotImplementedError) or status == 501 or "not implemented" in text:
        return ConditionalPutUnsupportedError(f"{place} does not support this request")
    if code in _BUCKET_CODES:
        return BucketMissingError(f"{place} does not exist ({code})")
    if isinstance(error, FileNotFoundError) or status == 404:
        return _not_found(place, key, key_is_needed=key_is_needed)
    if any(address in text for address in _METADATA_ADDRESSES):
        return CredentialsInvalidError(f"{place}: no credentials were given and this machine offers none")
    if _is_refusal(error, status) or code in _REFUSALS:
        return CredentialsRefusedError(f"{place} refuses the credentials ({code or status or 'no reason given'})")
    return _rest(error, place, status, code)


def _not_found(place: Place, key: str, *, key_is_needed: bool) -> StoreError:
    if not key_is_needed:
        return BucketMissingError(f"{place} does not exist")
    return ObjectNotFoundError(f"{place} has no object {key!r}")


def _is_refusal(error: Exception, status: int) -> bool:
    kinds = foreign.PermissionDeniedError | foreign.UnauthenticatedError | PermissionError
    return isinstance(error, kinds) or status in (401, 403)


def _rest(error: Exception, place: Place, status: int, code: str) -> StoreError:
    if code in _REGION_CODES or status in (301, 307):
        return LocationInvalidError(f"{place} is in another region than configured ({code or status})")
    if status >= 500 or status == 429:
        return StoreUnreachableError(f"{place} answers {status} {code}".rstrip())
    if not status and (found := _BAD_CERTIFICATE.search(str(error))):
        return StoreUnreachableError(
            f"{place} shows a certificate that is not trusted ({found[1]}); RESTIC_CACERT names its authority's file"
        )
    if not status and any(sign in str(error) for sign in _UNANSWERED):
        return StoreUnreachableError(f"{place} does not answer{_why_unanswered(str(error))}")
    detail = f"{status} {code}".strip() if status else type(error).__name__
    return StoreError(f"{place}: the request failed ({detail})")


def _why_unanswered(text: str) -> str:
    return next((f" ({reason})" for sign, reason in _CONNECT_FAILURES.items() if sign in text), "")


def _status_and_code(text: str) -> tuple[int, str]:
    status, code = _STATUS.search(text), _CODE.search(text)
    return int(status[1]) if status else 0, (code[1] or code[2]) if code else ""
