"""What can go wrong with the Kubernetes API; no urllib3 or kubernetes exception passes this package.

KubeError
├── TransportError          no answer: refused, reset, timed out, TLS
├── DecodeError             an answer that is not what it claims to be
├── KubeconfigError         no usable configuration; the message names file and field
└── ApiStatusError          an answer that says no
    ├── BadRequestError 400 / InvalidError 422
    ├── UnauthorizedError 401 / ForbiddenError 403
    ├── NotFoundError 404
    ├── ConflictError 409   the resourceVersion is stale
    ├── AlreadyExistsError 409
    ├── ExpiredError 410    the resourceVersion or continue token is too old
    ├── ThrottledError 429
    └── ServerError 5xx
"""

from __future__ import annotations


class KubeError(Exception):
    """Anything about the Kubernetes API."""


class TransportError(KubeError):
    """The server gave no answer."""


class DecodeError(KubeError):
    """The server's answer does not decode."""


class KubeconfigError(KubeError):
    """There is no usable configuration."""


class ApiStatusError(KubeError):
    """The server answered with a Status that says no.

    Attributes:
        code: HTTP status.
        reason: Kubernetes' reason word, such as `NotFound`; empty when the body had none.
        causes: (reason, field, message) of each cause.
        retry_after_seconds: What the server asked for; None when it did not.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int = 0,
        reason: str = "",
        causes: tuple[tuple[str, str, str], ...] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.causes = causes
        self.retry_after_seconds = retry_after_seconds

    @property
    def message(self) -> str:
        """The server's sentence."""
        return str(self)


class BadRequestError(ApiStatusError):
    """400."""


class UnauthorizedError(ApiStatusError):
    """401."""


class ForbiddenError(ApiStatusError):
    """403."""


class NotFoundError(ApiStatusError):
    """404."""


class ConflictError(ApiStatusError):
    """409 with a stale resourceVersion: read again and decide again."""


class AlreadyExistsError(ApiStatusError):
    """409 on create."""


class ExpiredError(ApiStatusError):
    """410, or an ERROR event that says Expired or Gone."""


class InvalidError(ApiStatusError):
    """422."""


class ThrottledError(ApiStatusError):
    """429."""


class ServerError(ApiStatusError):
    """5xx."""


_BY_CODE: dict[int, type[ApiStatusError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
    422: InvalidError,
    429: ThrottledError,
}


def status_error(
    message: str,
    *,
    code: int,
    reason: str = "",
    causes: tuple[tuple[str, str, str], ...] = (),
    retry_after_seconds: float | None = None,
) -> ApiStatusError:
    """The error class that fits a Status; AlreadyExists is told from Conflict by its reason."""
    kind: type[ApiStatusError]
    if reason == "AlreadyExists":
        kind = AlreadyExistsError
    elif reason in ("Expired", "Gone"):
        kind = ExpiredError
    elif code >= 500:
        kind = ServerError
    else:
        kind = _BY_CODE.get(code, ApiStatusError)
    return kind(message, code=code, reason=reason, causes=causes, retry_after_seconds=retry_after_seconds)
