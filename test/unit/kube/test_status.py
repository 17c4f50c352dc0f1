"""Which error an answer becomes."""

from __future__ import annotations

import msgspec
import pytest

from pkg.apis.meta import Json
from pkg.kube import errors
from pkg.kube.status import error_from_response


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", errors.BadRequestError),
        (401, "Unauthorized", errors.UnauthorizedError),
        (403, "Forbidden", errors.ForbiddenError),
        (404, "NotFound", errors.NotFoundError),
        (409, "Conflict", errors.ConflictError),
        (409, "AlreadyExists", errors.AlreadyExistsError),
        (410, "Gone", errors.ExpiredError),
        (410, "Expired", errors.ExpiredError),
        (422, "Invalid", errors.InvalidError),
        (429, "TooManyRequests", errors.ThrottledError),
        (500, "InternalError", errors.ServerError),
        (503, "ServiceUnavailable", errors.ServerError),
        (415, "UnsupportedMediaType", errors.ApiStatusError),
        (302, "", errors.ApiStatusError),
    ],
)
def test_a_status_becomes_the_error_of_its_code_and_reason(
    code: int, reason: str, expected: type[errors.ApiStatusError]
) -> None:
    body = msgspec.json.encode({"kind": "Status", "message": "no", "reason": reason, "code": code})
    error = error_from_response("GET /x", code, {}, body)
    assert type(error) is expected
    assert (error.code, error.reason, error.message) == (code, reason, "no")


def test_causes_name_the_fields() -> None:
    details: Json = {"causes": [{"reason": "FieldValueInvalid", "message": "bad", "field": "spec.x"}]}
    body = msgspec.json.encode({"message": "no", "code": 422, "details": details})
    assert error_from_response("GET /x", 422, {}, body).causes == (("FieldValueInvalid", "spec.x", "bad"),)


@pytest.mark.parametrize(
    ("headers", "details", "seconds"),
    [
        ({"Retry-After": "7"}, None, 7.0),
        ({}, {"retryAfterSeconds": 3}, 3.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None, None),
        ({"Retry-After": "-1"}, None, None),
        ({"Retry-After": "²"}, None, None),
        ({}, None, None),
    ],
)
def test_what_the_server_asks_to_wait_is_reported(
    headers: dict[str, str], details: Json, seconds: float | None
) -> None:
    body = msgspec.json.encode({"message": "no", "code": 429, "details": details})
    assert error_from_response("GET /x", 429, headers, body).retry_after_seconds == seconds


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Bad Gateway</html>", b"\xff\xfe", b"[]", b'{"message": 5}', b'{"code": "x"}', b'"text"', b"{}"],
)
def test_a_body_that_is_no_status_still_becomes_an_error_that_names_the_request(body: bytes) -> None:
    error = error_from_response("GET /x", 502, {}, body)
    assert isinstance(error, errors.ServerError)
    assert error.message.startswith("GET /x was answered 502")


def test_a_long_body_is_shown_in_part() -> None:
    assert len(error_from_response("GET /x", 502, {}, b"x" * 100_000).message) < 300
