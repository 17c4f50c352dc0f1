"""What both daemons read from their surroundings, once: flags, environment, the pod they run in."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import click

from pkg.apis.names import DEFAULT_NAMESPACE

SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
LOG_LEVELS = ("debug", "info", "warning", "error", "fatal", "panic")

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSettings:
    """One daemon's surroundings.

    Attributes:
        holder: `<pod uid>/<start>`: unlike the pod's UID it differs after a container's restart.
        environ: The environment as it was at start; never logged.
    """

    namespace: str
    pod_name: str
    pod_uid: str
    holder: str
    scratch_dir: Path
    environ: Mapping[str, str] = field(repr=False)


def process_settings(namespace: str, environ: Mapping[str, str]) -> ProcessSettings:
    """Reads what the manifests hand to a daemon; every value has a default that works in a shell."""
    pod_uid = environ.get("POD_UID") or f"local-{secrets.token_hex(4)}"
    scratch = Path(environ.get("ARK_SCRATCH_DIR") or "/tmp")
    return ProcessSettings(
        namespace=namespace or environ.get("HEPTIO_ARK_NAMESPACE") or _own_namespace(),
        pod_name=environ.get("POD_NAME") or os.uname().nodename,
        pod_uid=pod_uid,
        holder=f"{pod_uid}/{time.time_ns() // 1_000_000}",
        scratch_dir=scratch,
        environ=dict(environ),
    )


def _own_namespace() -> str:
    try:
        return SERVICE_ACCOUNT_NAMESPACE.read_text().strip()
    except OSError:
        return DEFAULT_NAMESPACE


def daemon_options(function: F) -> F:
    """The flags that both daemons have."""
    options = [
        click.option("--log-level", type=click.Choice(LOG_LEVELS), default="info", show_default=True),
        click.option("--log-format", type=click.Choice(["logfmt", "json"]), default="logfmt", show_default=True),
        click.option("--metrics-address", default=":8085", show_default=True, callback=_check_address),
        click.option("--kubeconfig", default="", help="Kubernetes configuration file; default: the pod's own account."),
        click.option("--namespace", "-n", default="", help="Ark's namespace; default: HEPTIO_ARK_NAMESPACE."),
    ]
    for option in reversed(options):
        function = option(function)
    return function


def _check_address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not re.fullmatch(r"[^:]*:\d+|\[[^]]*\]:\d+", value):
        raise click.BadParameter(f'"{value}" is not HOST:PORT', ctx=context, param=parameter)
    return value
