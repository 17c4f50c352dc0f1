"""Flags as Ark 0.9's users type them, and those that every command has.

Lists are split on commas, maps are `k=v,k2=v2`, and a boolean may stand alone or with `=true` or `=false`, whatever
follows it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:  # imports msgspec; `ark --help` must not
    from pkg.cli.client import Connection

C = TypeVar("C", bound=click.Command)
F = TypeVar("F", bound=Callable[..., object])
OUTPUTS = ("table", "json", "yaml", "wide", "name")
# glog's flags, which 0.9 had on every command; scripts that give them go on to work, and nothing comes of it.
_GLOG_SWITCHES = ("--alsologtostderr", "--logtostderr")
_GLOG_VALUES = (("--log_backtrace_at",), ("--log_dir",), ("--stderrthreshold",), ("-v", "--v"), ("--vmodule",))


def _connect(flags: ClusterFlags) -> Connection:
    from pkg.cli.client import connect  # the import costs what help must not

    return connect(kubeconfig=flags.kubeconfig, kubecontext=flags.kubecontext, namespace=flags.namespace)


@dataclass(slots=True)
class ClusterFlags:
    """Which cluster, and which namespace of it; what is empty is found as client.py says."""

    kubeconfig: str = ""
    kubecontext: str = ""
    namespace: str = ""
    connector: Callable[[ClusterFlags], Connection] = field(default=_connect)

    def connect(self) -> Connection:
        """Opens the connection."""
        return self.connector(self)


class CommaList(click.ParamType[tuple[str, ...]]):
    """`a,b,c`."""

    name = "list"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Splits the text."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in str(value).split(",") if part.strip())


class Pairs(click.ParamType[dict[str, str]]):
    """`k=v,k2=v2`, with another sign between on demand."""

    name = "map"

    def __init__(self, sign: str = "=") -> None:
        self._sign = sign

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """Splits the text."""
        if isinstance(value, dict):
            return value
        found = {}
        for part in str(value).split(","):
            key, sign, text = part.strip().partition(self._sign)
            if not sign or not key:
                self.fail(f'error parsing "{part}": write it as key{self._sign}value', param, ctx)
            found[key] = text
        return found


_WORDS = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


class Switch(click.ParamType[bool]):
    """A boolean; a bare flag means true."""

    name = "boolean"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bool:
        """Reads true or false."""
        if isinstance(value, bool):
            return value
        found = _WORDS.get(str(value).lower())
        if found is None:
            self.fail(f'"{value}" is neither true nor false', param, ctx)
        return found


class Seconds(click.ParamType[float]):
    """A Go duration, such as 1m30s."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads the duration."""
        from pkg.apis.duration import parse_duration  # only here is it needed

        if isinstance(value, float):
            return value
        try:
            return parse_duration(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Output(click.Choice[str]):
    """A form of printing."""

    name = "format"

    def __init__(self) -> None:
        super().__init__(OUTPUTS)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Checks the word."""
        if value not in OUTPUTS:
            *first, last = (f"'{form}'" for form in OUTPUTS)
            valid = f"{', '.join(first)}, and {last}"
            self.fail(f'invalid output format "{value}" - valid values are {valid}', param, ctx)
        return str(value)


class _WithClusterFlags(click.Command):
    """Has the flags that every command has, and no bare boolean flag swallows the argument after it."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own, then everybody's."""
        return [*super().get_params(ctx), *_cluster_params()]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Writes `--wait` out as `--wait=true`, then parses."""
        long_names = {
            name: max(option.opts, key=len)
            for option in self.get_params(ctx)
            if isinstance(option, click.Option) and isinstance(option.type, Switch)
            for name in option.opts
        }
        end = args.index("--") if "--" in args else len(args)
        written = [f"{long_names[arg]}=true" if arg in long_names else arg for arg in args[:end]]
        return super().parse_args(ctx, [*written, *args[end:]])


class ArkCommand(_WithClusterFlags):
    """A command."""


class ArkGroup(_WithClusterFlags, click.Group):
    """A group."""


def switch(*names: str, help_text: str, default: bool | None = None) -> Callable[[F], F]:
    """A boolean flag."""
    return click.option(*names, type=Switch(), default=default, help=help_text)


@functools.cache
def _cluster_params() -> tuple[click.Option, ...]:
    """--kubeconfig, --kubecontext, -n/--namespace and glog's flags, which may stand anywhere in the line."""
    texts = {
        ("--kubeconfig",): "Path of the kubeconfig; else $KUBECONFIG, the pod's account, or ~/.kube/config.",
        ("--kubecontext", "--context"): "Context of the kubeconfig.",
        ("-n", "--namespace"): "Namespace that Ark runs in; else the client configuration's, else heptio-ark.",
    }
    return (
        *(
            click.Option(names, default="", expose_value=False, callback=_store, help=text)
            for names, text in texts.items()
        ),
        *(click.Option([name], type=Switch(), expose_value=False, hidden=True) for name in _GLOG_SWITCHES),
        *(click.Option(names, expose_value=False, hidden=True) for names in _GLOG_VALUES),
    )


def cluster_options(command: C) -> C:
    """Adds the flags that every command has to one that is neither an ArkCommand nor an ArkGroup."""
    if not isinstance(command, _WithClusterFlags):
        command.params.extend(_cluster_params())
    return command


def _store(ctx: click.Context, param: click.Parameter, value: str) -> None:
    flags = ctx.ensure_object(ClusterFlags)
    if value and param.name:
        setattr(flags, param.name, value)
