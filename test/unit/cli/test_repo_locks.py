"""`ark restic repo locks`, `unlock` and `ark restic exec`, with a server that is somewhere else."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence

import msgspec
import pytest

from pkg.apis.meta import JsonObject
from pkg.cli.ark import run
from pkg.cli.client import Connection
from pkg.cli.flags import ClusterFlags
from pkg.controllers.lock_report import LockList, LockRow
from pkg.kube import refs
from pkg.kube.errors import ForbiddenError
from pkg.testing.fakeapi import FakeApi

Ark = Callable[..., tuple[int, str, str]]
TIME = datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)
ROW = LockRow(
    id="4bba301e" * 8,
    kind="exclusive",
    host="laptop",
    pid=7,
    refreshed_at=TIME,
    age_seconds=3725,
    holder="none of Ark's",
    state="unknown",
)


class Server:
    """What the server's pod answers."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, list[str]]] = []
        self.code, self.out, self.err = 0, b"", b""
        self.error: Exception | None = None

    def __call__(self, pod: str, command: Sequence[str], on_output: Callable[[int, bytes], None]) -> int:
        self.commands.append((pod, list(command)))
        if self.error is not None:
            raise self.error
        on_output(1, self.out)
        on_output(2, self.err)
        return self.code


@pytest.fixture
def server(api: FakeApi) -> Server:
    for name, phase in (("ark-1", "Running"), ("ark-0", "Succeeded")):
        metadata: JsonObject = {"name": name, "namespace": "heptio-ark", "labels": {"component": "ark"}}
        api.add(refs.PODS, {"metadata": metadata, "status": {"phase": phase}})
    api.add(refs.RESTIC_REPOSITORIES, {"metadata": {"name": "shop", "namespace": "heptio-ark"}})
    return Server()


@pytest.fixture
def ark(cluster: ClusterFlags, server: Server, capsysbinary: pytest.CaptureFixture[bytes]) -> Ark:
    def connector(flags: ClusterFlags) -> Connection:
        return dataclasses.replace(cluster.connector(flags), execute=server)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(arguments, ClusterFlags(connector=connector))
        out, err = capsysbinary.readouterr()
        return code, out.decode(), err.decode()

    return call


def test_locks_are_a_table(ark: Ark, server: Server) -> None:
    server.out = msgspec.json.encode(LockList(repository="shop", locks=(ROW,)))
    code, out, _ = ark("restic", "repo", "locks", "shop")
    assert code == 0
    headings, row = out.splitlines()
    assert headings.split() == ["LOCK", "KIND", "HOST", "PID", "LAST", "REFRESH", "AGE", "HOLDER", "STATE"]
    assert row.split()[:4] == ["4bba301e", "exclusive", "laptop", "7"]
    assert "1h2m" in row
    assert row.endswith("none of Ark's   unknown")
    assert server.commands == [("ark-1", ["ark", "restic", "inside", "locks", "shop"])]


def test_locks_are_json_on_demand(ark: Ark, server: Server) -> None:
    server.out = msgspec.json.encode(LockList(repository="shop", locks=(ROW,)))
    code, out, _ = ark("restic", "repo", "locks", "shop", "-o", "json")
    assert code == 0
    assert '"refreshedAt": "2026-05-01T00:00:00Z"' in out


def test_no_locks_are_one_sentence(ark: Ark, server: Server) -> None:
    server.out = msgspec.json.encode(LockList(repository="shop"))
    assert ark("restic", "repo", "locks", "shop") == (0, "", 'nobody holds a lock in repository "shop"\n')


def test_what_the_server_refuses_is_shown_as_it_said_it(ark: Ark, server: Server) -> None:
    server.code, server.err = 1, b"An error occurred: lock 4bba301e: not removed\n"
    code, _, err = ark("restic", "repo", "unlock", "shop", "--lock", "4bba301e")
    assert (code, err) == (1, "An error occurred: lock 4bba301e: not removed\n")
    assert server.commands[0][1] == ["ark", "restic", "inside", "unlock", "shop", "--lock", "4bba301e"]


def test_force_is_handed_on(ark: Ark, server: Server) -> None:
    server.out = b"Removed lock 4bba301e\n"
    code, out, _ = ark("restic", "repo", "unlock", "shop", "--lock", "4bba301e", "--force-live")
    assert (code, out) == (0, "Removed lock 4bba301e\n")
    assert server.commands[0][1][-1] == "--force-live"


def test_unlock_without_a_lock_is_refused(ark: Ark, server: Server) -> None:
    code, _, err = ark("restic", "repo", "unlock", "shop")
    assert code == 64
    assert "--lock" in err
    assert server.commands == []


def test_a_read_only_call_is_handed_on_word_by_word(ark: Ark, server: Server) -> None:
    server.out = b"a file\n"
    code, out, _ = ark("restic", "exec", "shop", "--", "ls", "-l", "latest", "/a b")
    assert (code, out) == (0, "a file\n")
    assert server.commands == [
        ("ark-1", ["ark", "restic", "inside", "run", "shop", "--", "ls", "-l", "latest", "/a b"])
    ]


def test_the_dashes_may_be_left_out(ark: Ark, server: Server) -> None:
    ark("restic", "exec", "shop", "snapshots", "--json")
    assert server.commands[0][1][-3:] == ["--", "snapshots", "--json"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("dump", "latest", "/etc/passwd"), "contents of files"),
        (("unlock",), "ark restic repo unlock"),
        (("snapshots", "--password-command", "id"), "--password-command"),
        ((), "say which"),
    ],
)
def test_anything_else_is_refused_before_anything_is_asked(
    ark: Ark, server: Server, words: tuple[str, ...], why: str
) -> None:
    code, out, err = ark("restic", "exec", "shop", "--", *words)
    assert (code, out) == (64, "")
    assert why in err
    assert server.commands == []


def test_restics_own_exit_code_is_the_commands(ark: Ark, server: Server) -> None:
    server.code = 1
    assert ark("restic", "exec", "shop", "--", "ls", "latest")[0] == 1


@pytest.mark.parametrize("words", [("repo", "locks"), ("repo", "unlock", "--lock", "4bba301e"), ("exec",)])
def test_a_repository_that_is_not_there_is_one_sentence(ark: Ark, server: Server, words: tuple[str, ...]) -> None:
    tail = ("--", "snapshots") if words == ("exec",) else ()
    code, _, err = ark("restic", *words, "nowhere", *tail)
    assert code == 1
    assert 'there is no restic repository "nowhere"' in err
    assert server.commands == []


def test_without_a_server_it_is_told_where_to_look(ark: Ark, api: FakeApi, server: Server) -> None:
    api.remove(refs.PODS, "heptio-ark", "ark-1")
    code, _, err = ark("restic", "repo", "locks", "shop")
    assert code == 1
    assert "no server runs in namespace heptio-ark" in err


def test_who_may_not_exec_is_told_so(ark: Ark, server: Server) -> None:
    server.error = ForbiddenError("pods ark-1 is forbidden", code=403)
    code, _, err = ark("restic", "repo", "locks", "shop")
    assert code == 1
    assert "you may not run commands in the server's pod" in err


def test_an_answer_of_another_version_is_one_sentence(ark: Ark, server: Server) -> None:
    server.out = b"Usage: ark restic"
    code, _, err = ark("restic", "repo", "locks", "shop")
    assert code == 1
    assert "none of this version's" in err
