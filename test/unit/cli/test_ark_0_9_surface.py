"""Every command path, alias, argument, flag and column of Ark 0.9's command line, against ours."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

import click
import pytest

from pkg.apis.ark import Backup, Restore, Schedule
from pkg.apis.volumes import ResticRepository
from pkg.cli.ark import command
from pkg.cli.listing import Listing
from pkg.cli.tables import BACKUP_LISTING, REPOSITORY_LISTING, RESTORE_LISTING, SCHEDULE_LISTING

Flags = dict[str, tuple[str, object]]  # name -> short form, default; a boolean may stand bare where that is a bool
UNSET = None
BARE = "a boolean that may stand bare"

CLUSTER: Flags = {"--kubeconfig": ("", ""), "--kubecontext": ("", ""), "--namespace": ("-n", "")}
GLOG = ("--alsologtostderr", "--log_backtrace_at", "--log_dir", "--logtostderr", "--stderrthreshold", "-v", "--vmodule")
SELECTOR: Flags = {"--selector": ("-l", "")}
LABELS: Flags = {"--label-columns": ("", ""), "--show-labels": ("", False)}
ON_CREATE: Flags = {"--output": ("-o", UNSET), **LABELS}
ON_GET: Flags = {"--output": ("-o", "table"), **LABELS, **SELECTOR}
DESCRIBE: Flags = {**SELECTOR, "--volume-details": ("", False)}
LOGS: Flags = {"--timeout": ("", "1m")}
SCOPE: Flags = {
    "--include-namespaces": ("", "*"),
    "--exclude-namespaces": ("", ""),
    "--include-resources": ("", ""),
    "--exclude-resources": ("", ""),
    "--labels": ("", UNSET),
    **SELECTOR,
    "--include-cluster-resources": ("", UNSET),
}
BACKUP: Flags = {"--ttl": ("", "720h0m0s"), **SCOPE, "--snapshot-volumes": ("", UNSET), **ON_CREATE}
RESTORE: Flags = {
    "--from-backup": ("", ""),
    **SCOPE,
    "--namespace-mappings": ("", UNSET),
    "--restore-volumes": ("", UNSET),
    **ON_CREATE,
}
SCHEDULE: Flags = {**BACKUP, "--schedule": ("", "")}
ONE, SOME, NONE, MAYBE = (1, True), (-1, False), (0, False), (1, False)  # how many arguments, and whether they must be

# Path -> arguments and flags, as in 0.9.
COMMANDS: dict[str, tuple[tuple[int, bool], Flags]] = {
    "backup create": (ONE, BACKUP),
    "backup get": (SOME, ON_GET),
    "backup describe": (SOME, DESCRIBE),
    "backup logs": (ONE, LOGS),
    "backup download": (ONE, {"--output": ("-o", ""), "--force": ("", False), "--timeout": ("", "1m")}),
    "backup delete": (SOME, {"--confirm": ("", False)}),
    "restore create": (MAYBE, RESTORE),
    "restore get": (SOME, ON_GET),
    "restore describe": (SOME, DESCRIBE),
    "restore logs": (ONE, LOGS),
    "restore delete": (SOME, {}),
    "schedule create": (ONE, SCHEDULE),
    "schedule get": (SOME, ON_GET),
    "schedule describe": (SOME, SELECTOR),
    "schedule delete": (SOME, {}),
    "restic repo get": (SOME, ON_GET),
    "plugin add": (ONE, {"--image-pull-policy": ("", "IfNotPresent")}),
    "plugin remove": (ONE, {}),
    "client config get": (SOME, {}),
    "client config set": (SOME, {}),
    "completion": (ONE, {}),
    "version": (NONE, {}),
    "run-plugin": ((-1, False), {}),
}
# Daemons take what their manifests say; they know no context.
DAEMONS: dict[str, Flags] = {
    "server": {"--log-level": ("", "info"), "--metrics-address": ("", ":8085"), "--plugin-dir": ("", "/plugins")},
    "restic server": {"--log-level": ("", "info")},
}
ALIASES: dict[str, str] = {
    f"{verb} {alias}": f"{kind} {verb}"
    for verb, kinds in {
        "get": ("backup", "schedule", "restore"),
        "describe": ("backup", "schedule", "restore"),
        "delete": ("backup", "schedule", "restore"),
    }.items()
    for kind in kinds
    for alias in (kind, f"{kind}s")
} | {f"create {kind}": f"{kind} create" for kind in ("backup", "schedule", "restore")}


def found(path: str) -> click.Command | None:
    """The command at a path of our tree."""
    here: click.Command | None = command
    for name in path.split():
        if not isinstance(here, click.Group):
            return None
        here = here.get_command(click.Context(here), name)
    return here


def present(path: str) -> click.Command:
    here = found(path)
    assert here is not None, f"there is no ark {path}"
    return here


def options_of(one: click.Command) -> dict[str, click.Option]:
    params = one.get_params(click.Context(one))
    return {name: option for option in params if isinstance(option, click.Option) for name in option.opts}


def check_flags(one: click.Command, flags: Flags) -> None:
    options = options_of(one)
    for name, (short, default) in flags.items():
        assert name in options, f"{name} is missing"
        option = options[name]
        assert not short or short in option.opts, f"{name} has no {short}"
        if name not in ("--from-backup", "--schedule"):  # those must be given, so they have no default
            assert default_of(option) == default, name


def default_of(option: click.Option) -> object:
    default = option.to_info_dict()["default"]
    return {'("*",)': "*"}.get(str(default), default)


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_of_0_9_is_there_with_its_arguments_and_flags(path: str) -> None:
    one = present(path)
    (count, required), flags = COMMANDS[path]
    arguments = [param for param in one.params if isinstance(param, click.Argument)]
    if count == 1 and required:
        assert [argument.required for argument in arguments] == [True]
    assert bool(arguments) == (count != 0)
    if count == -1:
        assert arguments[0].nargs == -1
    check_flags(one, {**CLUSTER, **flags})


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_takes_the_logging_flags_of_0_9_and_does_not_show_them(path: str) -> None:
    options = options_of(present(path))
    assert [name for name in GLOG if name not in options] == []
    assert [name for name in GLOG if not options[name].hidden] == []


@pytest.mark.parametrize("path", DAEMONS)
def test_a_daemon_of_0_9_takes_its_flags(path: str) -> None:
    check_flags(present(path), DAEMONS[path])


@pytest.mark.parametrize("alias", ALIASES)
def test_the_verb_may_come_first(alias: str) -> None:
    one = present(alias)
    assert one is present(ALIASES[alias])


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_the_shells_of_0_9(shell: str) -> None:
    argument = next(param for param in present("completion").params if isinstance(param, click.Argument))
    assert isinstance(argument.type, click.Choice)
    assert shell in argument.type.choices


def headings(listing: Listing[Backup] | Listing[Restore] | Listing[Schedule] | Listing[ResticRepository]) -> list[str]:
    return [column.heading for column in listing.columns(datetime.datetime.now(datetime.UTC)) if not column.wide]


def test_the_tables_have_the_columns_of_0_9() -> None:
    assert headings(BACKUP_LISTING) == ["NAME", "STATUS", "CREATED", "EXPIRES", "SELECTOR"]
    assert headings(RESTORE_LISTING) == ["NAME", "BACKUP", "STATUS", "WARNINGS", "ERRORS", "CREATED", "SELECTOR"]
    assert headings(REPOSITORY_LISTING) == ["NAME", "STATUS", "LAST MAINTENANCE"]
    schedules = ["NAME", "STATUS", "CREATED", "SCHEDULE", "BACKUP TTL", "LAST BACKUP", "SELECTOR"]
    assert headings(SCHEDULE_LISTING) == schedules


def paths(group: click.Group, prefix: str = "") -> Iterator[str]:
    for name in group.list_commands(click.Context(group)):
        one = group.get_command(click.Context(group), name)
        assert one is not None
        yield prefix + name
        if isinstance(one, click.Group):
            yield from paths(one, f"{prefix}{name} ")


@pytest.mark.parametrize("path", sorted(paths(command)))
def test_every_command_says_what_it_does(path: str) -> None:
    one = found(path)
    assert one is not None
    assert one.help
