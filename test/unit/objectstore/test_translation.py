import pytest
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
from pkg.objectstore.translation import Place, door

PLACE = Place(bucket="b", endpoint="http://e")
GET = "Generic S3 error: Error performing GET http://e/b?x-secret=1 in 1ms"


def answer(status: int, code: str) -> str:
    return f"{GET} - Server returned non-2xx status code: {status} X: <Error><Code>{code}</Code></Error>\n\nDebug"


@pytest.mark.parametrize(
    ("error", "kind", "sentence"),
    [
        pytest.param(FileNotFoundError("x"), ObjectNotFoundError, "no object 'k'", id="not found"),
        pytest.param(FileNotFoundError(answer(404, "NoSuchBucket")), BucketMissingError, "NoSuchBucket", id="bucket"),
        pytest.param(
            foreign.GenericError(answer(404, "NoSuchBucket")), BucketMissingError, "does not exist", id="list"
        ),
        pytest.param(foreign.GenericError(answer(400, "InvalidBucketName")), BucketMissingError, "Invalid", id="name"),
        pytest.param(foreign.PermissionDeniedError("x"), CredentialsRefusedError, "refuses", id="denied"),
        pytest.param(
            foreign.GenericError(answer(403, "AccessDenied")), CredentialsRefusedError, "AccessDenied", id="403"
        ),
        pytest.param(foreign.UnauthenticatedError("x"), CredentialsRefusedError, "refuses", id="unauthenticated"),
        pytest.param(foreign.AlreadyExistsError("x"), PreconditionFailedError, "'k'", id="exists"),
        pytest.param(foreign.PreconditionError("x"), PreconditionFailedError, "'k'", id="precondition"),
        pytest.param(
            foreign.GenericError(answer(409, "ConditionalRequestConflict")), PreconditionFailedError, "'k'", id="409"
        ),
        pytest.param(foreign.NotSupportedError("x"), ConditionalPutUnsupportedError, "support", id="unsupported"),
        pytest.param(NotImplementedError("x"), ConditionalPutUnsupportedError, "support", id="not implemented"),
        pytest.param(
            foreign.GenericError(answer(501, "NotImplemented")), ConditionalPutUnsupportedError, "support", id="501"
        ),
        pytest.param(
            foreign.GenericError(f"{GET} - HTTP error: error sending request"),
            StoreUnreachableError,
            "does not answer",
            id="refused",
        ),
        pytest.param(
            foreign.GenericError(
                f"{GET} - HTTP error: error sending request\n\nDebug source:\n InvalidCertificate(\n  UnknownIssuer,"
            ),
            StoreUnreachableError,
            r"certificate that is not trusted \(UnknownIssuer\); RESTIC_CACERT",
            id="a certificate of nobody's",
        ),
        pytest.param(
            foreign.GenericError(f"{GET} - HTTP error: error sending request\n\nConnect,\n TunnelUnsuccessful,"),
            StoreUnreachableError,
            r"does not answer \(the proxy does not lead there\)",
            id="a proxy that says no",
        ),
        pytest.param(
            foreign.GenericError(answer(400, "InvalidAuthenticationInfo")),
            CredentialsRefusedError,
            "InvalidAuthenticationInfo",
            id="Azure's refusal with 400",
        ),
        pytest.param(foreign.GenericError(answer(503, "SlowDown")), StoreUnreachableError, "503 SlowDown", id="503"),
        pytest.param(
            foreign.GenericError(answer(301, "PermanentRedirect")), LocationInvalidError, "another region", id="region"
        ),
        pytest.param(
            foreign.GenericError("Error performing PUT http://169.254.169.254/latest - HTTP error: error sending"),
            CredentialsInvalidError,
            "no credentials were given",
            id="no credentials at all",
        ),
        pytest.param(foreign.GenericError("strange"), StoreError, "GenericError", id="anything else"),
        pytest.param(ValueError("strange"), StoreError, "ValueError", id="a ValueError"),
        pytest.param(IsADirectoryError("strange"), StoreError, "IsADirectoryError", id="an OSError"),
    ],
)
def test_every_foreign_error_becomes_one_of_ours(error: Exception, kind: type[StoreError], sentence: str) -> None:
    with pytest.raises(kind, match=sentence) as caught, door(PLACE, "k"):
        raise error
    assert type(caught.value) is kind
    assert "'b' at http://e" in str(caught.value)
    assert "x-secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("key", ["", "k"])
def test_what_needs_no_key_can_only_miss_the_bucket(key: str) -> None:
    with pytest.raises(BucketMissingError), door(PLACE, key, key_is_needed=False):
        raise FileNotFoundError("x")


def test_our_own_errors_pass_as_they_are() -> None:
    mine = StoreError("mine")
    with pytest.raises(StoreError) as caught, door(PLACE):
        raise mine
    assert caught.value is mine
