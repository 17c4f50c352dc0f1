"""An API server that follows a script, for tests of what clients do with a bad one.

Everything happens in one thread: when the script is at its end the stop token is cancelled, so the client's loop
ends by itself and the test reads what was asked for and how long was waited.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import msgspec

from pkg.apis.meta import Json, JsonObject
from pkg.kube.errors import TransportError
from pkg.kube.stop import StopToken
from pkg.kube.wire import JSON_TYPE, REQUEST_SECONDS, ByteStream, Response

Answer = TypeVar("Answer")

# What a stream does next: give bytes, raise, or do something (such as letting time pass).
Step: TypeAlias = "bytes | Exception | Callable[[], None]"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that came: `list`, `watch` or `stream`, its query and its Accept header."""

    verb: str
    query: Mapping[str, str]
    accept: str


class ScriptedApi:
    """A `Transport` with prepared answers, given in order."""

    def __init__(self, stop: StopToken) -> None:
        self.asked: list[Asked] = []
        self._stop = stop
        self._lists: deque[bytes | Exception] = deque()
        self._watches: deque[list[Step] | Exception] = deque()

    def list(
        self, *items: JsonObject, version: str = "10", continue_token: str = "", error: Exception | None = None
    ) -> None:
        """Prepares the answer to the next list."""
        metadata: JsonObject = {"resourceVersion": version}
        metadata |= {"continue": continue_token} if continue_token else {}
        content: list[Json] = list(items)
        self._lists.append(error or msgspec.json.encode({"metadata": metadata, "items": content}))

    def watch(self, *steps: Step, error: Exception | None = None) -> None:
        """Prepares the next watch: what its stream does before it ends cleanly, or why it does not open."""
        self._watches.append(error or [*steps])

    def verbs(self) -> str:
        """What was asked for, as `list watch watch`."""
        return " ".join(asked.verb for asked in self.asked)

    def versions(self, verb: str) -> Iterable[str]:
        """The resourceVersion of each request of a verb; empty where it had none."""
        return [asked.query.get("resourceVersion", "") for asked in self.asked if asked.verb == verb]

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON_TYPE,
        accept: str = JSON_TYPE,
        timeout_seconds: float = REQUEST_SECONDS,
    ) -> Response:
        """Answers a list."""
        answer = self._next(self._lists)
        self.asked.append(Asked("list", dict(query or {}), accept))
        if isinstance(answer, Exception):
            raise answer
        return Response(status=200, headers={}, body=answer)

    def until(self, stop: StopToken) -> ScriptedApi:
        """Itself: it never lets a request wait."""
        return self

    def open_stream(
        self,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        read_timeout_seconds: float,
        accept: str = JSON_TYPE,
    ) -> ByteStream:
        """Opens a watch; one that begins with a list is noted as `stream`."""
        answer = self._next(self._watches)
        asked = dict(query or {})
        self.asked.append(Asked("stream" if "sendInitialEvents" in asked else "watch", asked, accept))
        if isinstance(answer, Exception):
            raise answer
        return _ScriptedStream(answer)

    def _next(self, answers: deque[Answer]) -> Answer:
        if not answers:
            self._stop.cancel("the script is at its end")
            raise TransportError("the script is at its end")
        return answers.popleft()


class _ScriptedStream:
    def __init__(self, steps: list[Step]) -> None:
        self._steps = deque(steps)

    def read(self, max_bytes: int) -> bytes:
        while self._steps:
            match self._steps.popleft():
                case bytes() as data:
                    return data
                case Exception() as error:
                    raise error
                case step:
                    step()
        return b""

    def allow_silence(self, seconds: float) -> None:
        """Nothing: it is never silent."""

    def shutdown(self) -> None:
        self._steps.clear()

    def close(self) -> None:
        self._steps.clear()


def event(event_type: str, obj: Json) -> bytes:
    """One line of a watch."""
    return msgspec.json.encode({"type": event_type, "object": obj}) + b"\n"


def an_object(name: str, version: str = "1", *, namespace: str = "ns", **more: Json) -> JsonObject:
    """An object with metadata, and whatever else."""
    return {
        "metadata": {"name": name, "namespace": namespace, "resourceVersion": version, "uid": f"uid-{name}"},
        **more,
    }
