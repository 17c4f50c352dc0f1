"""One sentence with a next step for each way in which the Kubernetes API can say no, or nothing."""

from __future__ import annotations

import re

from pkg.kube.errors import (
    DecodeError,
    ForbiddenError,
    KubeconfigError,
    KubeError,
    ServerError,
    ThrottledError,
    TransportError,
    UnauthorizedError,
)

_REFUSED = re.compile(r"NewConnectionError|ConnectionRefused|Connection refused")
_UNKNOWN_HOST = re.compile(r"NameResolutionError|Name or service not known|getaddrinfo")
_TIMED_OUT = re.compile(r"TimeoutError|timed out|Timeout")
_CERTIFICATE = re.compile(r"SSLError|CERTIFICATE_VERIFY_FAILED|certificate")


def sentence(error: KubeError) -> str:
    """What a person reads."""
    match error:
        case KubeconfigError():
            return _of_kubeconfig(str(error))
        case UnauthorizedError():
            return (
                f"the cluster does not accept your credentials ({error}): they may have expired; log in again, or "
                "choose others with --kubecontext or --kubeconfig"
            )
        case ForbiddenError():
            return (
                f"you are not allowed to do this: {error}: ask for a role that allows it, or use another account "
                "with --kubecontext"
            )
        case TransportError():
            return _of_transport(str(error))
        case ThrottledError() | ServerError():
            return f"the Kubernetes API cannot answer now: {error}: try again in a minute"
        case DecodeError():
            return f"the answer is not that of a Kubernetes API: {error}: check the server's address in the kubeconfig"
        case _:
            return str(error)


def _of_kubeconfig(text: str) -> str:
    if "does not exist" in text and "tokenFile" not in text:
        return f"{text}: name one with --kubeconfig or KUBECONFIG"
    if "current-context is not set" in text:
        return f"{text}: choose one with --kubecontext"
    return text


def _of_transport(text: str) -> str:
    for pattern, cause in (
        (_CERTIFICATE, "it and this program do not trust each other's certificate"),
        (_UNKNOWN_HOST, "its name is not known here"),
        (_REFUSED, "nothing listens there"),
        (_TIMED_OUT, "it did not answer in time"),
    ):
        if pattern.search(text):
            return f"the Kubernetes API cannot be reached: {cause}: {_NEXT} ({text})"
    return f"the Kubernetes API cannot be reached: {_NEXT} ({text})"


_NEXT = "is the cluster up, and is it the one you mean (--kubecontext, --kubeconfig)?"
