"""Turns the server's Status objects into our errors, whatever the body turns out to be."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pkg.kube.errors import ApiStatusError, status_error

_SHOWN_BODY_BYTES = 200


class StatusCause(msgspec.Struct, frozen=True):
    """Why one field was refused."""

    reason: str = ""
    field: str = ""
    message: str = ""


class StatusDetails(msgspec.Struct, frozen=True, rename="camel"):
    """What a Status says besides its sentence."""

    causes: tuple[StatusCause, ...] | None = None
    retry_after_seconds: float = 0


class Status(msgspec.Struct, frozen=True):
    """meta/v1 Status."""

    message: str = ""
    reason: str = ""
    code: int = 0
    details: StatusDetails | None = None


def error_from_status(status: Status, *, code: int = 0, retry_after_seconds: float | None = None) -> ApiStatusError:
    """The error for a Status; `code` is HTTP's where there was an HTTP status."""
    details = status.details or StatusDetails()
    return status_error(
        status.message or status.reason or f"the server answered {code or status.code}",
        code=code or status.code,
        reason=status.reason,
        causes=tuple((cause.reason, cause.field, cause.message) for cause in details.causes or ()),
        retry_after_seconds=retry_after_seconds or details.retry_after_seconds or None,
    )


def error_from_response(request: str, code: int, headers: Mapping[str, str], body: bytes) -> ApiStatusError:
    """The error for an answer of 300 and above; `request` names it when the body has no sentence."""
    try:
        status = msgspec.json.decode(body, type=Status)
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = Status()
    if not status.message:
        shown = body[:_SHOWN_BODY_BYTES].decode("utf-8", "replace").strip()
        status = Status(message=f"{request} was answered {code}{': ' if shown else ''}{shown}", reason=status.reason)
    return error_from_status(status, code=code, retry_after_seconds=_retry_after(headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
