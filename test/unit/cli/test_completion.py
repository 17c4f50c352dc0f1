"""Completion: scripts that a shell accepts, commands and flags, and names from the cluster or silence."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from pkg.apis.meta import JsonObject
from pkg.cli.ark import command
from pkg.cli.completion import kubectl_lines, script
from pkg.cli.flags import ClusterFlags
from pkg.kube import refs
from pkg.kube.errors import TransportError
from pkg.kube.resources import ResourceRef
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).resolve().parents[3]


def add(api: FakeApi, ref: ResourceRef, name: str) -> None:
    metadata: JsonObject = {"name": name, "namespace": "heptio-ark"}
    api.add(ref, {"metadata": metadata})


@pytest.fixture
def complete(api: FakeApi, cluster: ClusterFlags) -> Callable[..., list[str]]:
    """What fits after some words, the last of which is begun."""

    def call(*words: str) -> list[str]:
        shell = BashComplete(command, {"obj": dataclasses.replace(cluster)}, "ark", "_ARK_COMPLETE")
        return [str(item.value) for item in shell.get_completions(list(words[:-1]), words[-1])]

    add(api, refs.BACKUPS, "nightly-1")
    add(api, refs.BACKUPS, "nightly-2")
    add(api, refs.BACKUPS, "weekly")
    add(api, refs.RESTORES, "back")
    add(api, refs.RESTIC_REPOSITORIES, "shop")
    return call


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["bac"], ["backup"], id="a command"),
        pytest.param(["backup", "des"], ["describe"], id="a command of a group"),
        pytest.param(["get", "backups", "-o", "y"], ["yaml"], id="a form of output"),
        pytest.param(["completion", ""], ["bash", "zsh", "fish"], id="a shell"),
        pytest.param(["backup", "get", "night"], ["nightly-1", "nightly-2"], id="names of backups"),
        pytest.param(["get", "backups", "nightly-1", "night"], ["nightly-2"], id="no name twice"),
        pytest.param(["describe", "backup", "we"], ["weekly"], id="names after the verb"),
        pytest.param(["backup", "logs", "we"], ["weekly"], id="the one name of a command"),
        pytest.param(["backup", "download", "we"], ["weekly"], id="the backup to download"),
        pytest.param(["restore", "logs", ""], ["back"], id="names of restores"),
        pytest.param(["restore", "create", "--from-backup", "we"], ["weekly"], id="the value of a flag"),
        pytest.param(["restic", "repo", "get", ""], ["shop"], id="names of repositories"),
        pytest.param(["-n", "other", "backup", "get", ""], [], id="names of another namespace"),
    ],
)
def test_what_fits_is_completed(complete: Callable[..., list[str]], words: list[str], expected: list[str]) -> None:
    assert complete(*words) == expected


def test_flags_are_completed_without_those_that_nothing_comes_of(complete: Callable[..., list[str]]) -> None:
    found = complete("backup", "create", "--")
    assert {"--ttl", "--wait", "--namespace"} <= set(found)
    assert "--logtostderr" not in found


def test_a_cluster_that_is_away_gives_no_names_and_no_words(
    complete: Callable[..., list[str]], api: FakeApi, capfd: pytest.CaptureFixture[str]
) -> None:
    api.fail_next(TransportError("refused"))
    assert complete("backup", "get", "night") == []
    assert capfd.readouterr() == ("", "")


def test_only_names_are_asked_for(complete: Callable[..., list[str]], api: FakeApi) -> None:
    complete("backup", "get", "night")
    assert [request.query.get("limit") for request in api.requests] == ["1000"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_asks_by_the_environment(ark: Ark, shell: str) -> None:
    code, out, err = ark("completion", shell)
    assert (code, err) == (0, "")
    assert f"_ARK_COMPLETE={shell}_complete" in out


def test_an_unknown_shell_is_a_usage_error(ark: Ark) -> None:
    code, _, err = ark("completion", "tcsh")
    assert code == 64
    assert "bash" in err


def test_bash_accepts_the_script_and_completes_a_command(tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("there is no bash here")
    text = script(command, "bash")
    subprocess.run([bash, "-n"], input=text, text=True, check=True, capture_output=True)
    program = tmp_path / "ark"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/cmd/ark.py "$@"\n')
    program.chmod(0o755)
    line = 'COMP_WORDS=(ark backup dow); COMP_CWORD=2; _ark_completion ark; echo "${COMPREPLY[*]}"'
    done = subprocess.run(
        [bash, "-c", f"{text}\n{line}"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        text=True,
        check=True,
        capture_output=True,
    )
    assert done.stdout.split() == ["download"]


def test_kubectl_is_told_what_fits_with_its_help() -> None:
    assert kubectl_lines(command, ["backup", "log"]) == ["logs\tShow the log of a backup."]
    assert [line.split("\t")[0] for line in kubectl_lines(command, ["rest"])] == ["restore", "restic"]
