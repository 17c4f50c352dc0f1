"""A request to an API server, as far as a proxy must understand it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode, urlsplit


class Verb(StrEnum):
    """What a request is for."""

    CONNECT = "connect"  # the connection itself, before any request
    LIST = "list"
    WATCH = "watch"
    GET = "get"
    WRITE = "write"
    UPGRADE = "upgrade"  # exec, attach, port-forward: passed through untouched


@dataclass(frozen=True, eq=False, kw_only=True)
class Request:
    """One request; equal only to itself.

    Attributes:
        identity: The serial number of the client's certificate, 0 without one.
        connection: The number of the client's connection.
    """

    verb: Verb
    method: str = ""
    target: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    identity: int = 0
    connection: int = 0

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters."""
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def token(self) -> str:
        """The bearer token, empty without one."""
        return self.header("Authorization").removeprefix("Bearer ")

    @property
    def place(self) -> str:
        """What is listed or watched, whatever the version and the page."""
        kept = {name: value for name, value in self.query.items() if name.endswith("Selector")}
        return f"{self.path}?{urlencode(sorted(kept.items()))}"

    def header(self, name: str) -> str:
        """A header's value, empty when it is absent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def parse_request(head: bytes, *, identity: int, connection: int) -> Request:
    """Understands the head of a request; ValueError when it is none."""
    first, *rest = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in rest))
    upgraded = any(name.lower() == "upgrade" for name, _ in headers)
    return Request(
        verb=Verb.UPGRADE if upgraded else verb_of(method, target),
        method=method,
        target=target,
        headers=headers,
        identity=identity,
        connection=connection,
    )


def verb_of(method: str, target: str) -> Verb:
    """Tells lists, watches and the rest apart by the address alone."""
    if method not in ("GET", "HEAD"):
        return Verb.WRITE
    url = urlsplit(target)
    if dict(parse_qsl(url.query)).get("watch") in ("1", "true"):
        return Verb.WATCH
    root, *words = url.path.strip("/").split("/")
    after_version = {"api": words[1:], "apis": words[2:]}.get(root, [])
    return Verb.LIST if _names_a_collection(after_version) else Verb.GET


def _names_a_collection(words: list[str]) -> bool:
    if len(words) == 3 and words[0] == "namespaces":
        return words[2] not in ("status", "finalize")
    return len(words) == 1
