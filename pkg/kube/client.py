"""Typed verbs over a transport.

Reading decodes straight into the struct that is asked for, or into raw JSON where an object must keep every byte
of meaning. Writing is a create, a small merge patch or a server-side apply; there is no update of a whole object,
because a struct does not know all fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

import msgspec

from pkg.apis.meta import ApiStruct, JsonObject
from pkg.kube.errors import DecodeError
from pkg.kube.pages import PAGE_LIMIT, Page, decode_page
from pkg.kube.resources import ResourceRef
from pkg.kube.stop import StopToken
from pkg.kube.wire import (
    APPLY_TYPE,
    JSON_TYPE,
    MERGE_PATCH_TYPE,
    METADATA_LIST_TYPE,
    METADATA_TYPE,
    REQUEST_SECONDS,
    ByteStream,
    Transport,
)

T = TypeVar("T")

LIST_SECONDS = 60.0
WATCH_SLACK_SECONDS = 30.0
INITIAL_SILENCE_SECONDS = 30.0


class Client:
    """The API as verbs; every call blocks until an answer or its deadline. Thread-safe as its transport is.

    All raise the errors of `pkg.kube.errors` and nothing else.
    """

    def __init__(self, transport: Transport, *, timeout_seconds: float = REQUEST_SECONDS) -> None:
        self.transport = transport
        self._timeout = timeout_seconds

    def until(self, stop: StopToken) -> Client:
        """The same client whose requests end with the token, as a TransportError."""
        return Client(self.transport.until(stop), timeout_seconds=self._timeout)

    def get(self, ref: ResourceRef, namespace: str, name: str, struct: type[T]) -> T:
        """Reads one object into a struct."""
        return decode(self.get_bytes(ref, namespace, name), struct, f"{ref.kind} {namespace}/{name}")

    def get_raw(self, ref: ResourceRef, namespace: str, name: str) -> JsonObject:
        """Reads one object as JSON."""
        return _decode_object(self.get_bytes(ref, namespace, name), f"{ref.kind} {namespace}/{name}")

    def get_bytes(self, ref: ResourceRef, namespace: str, name: str) -> bytes:
        """Reads one object as the server sent it."""
        path = ref.path(namespace, name)
        return self.transport.request("GET", path, timeout_seconds=self._timeout).body

    def list_page(
        self,
        ref: ResourceRef,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = PAGE_LIMIT,
        continue_token: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> Page:
        """Reads one page; a limit of 0 asks for everything in one body."""
        query = _selectors(label_selector, field_selector)
        query |= {"limit": str(limit)} if limit else {}
        query |= {"continue": continue_token} if continue_token else {}
        query |= {"resourceVersion": resource_version} if resource_version else {}
        accept = METADATA_LIST_TYPE if metadata_only else JSON_TYPE
        response = self.transport.request(
            "GET", ref.path(namespace), query=query, accept=accept, timeout_seconds=LIST_SECONDS
        )
        return decode_page(response.body)

    def list_pages(
        self,
        ref: ResourceRef,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = PAGE_LIMIT,
    ) -> Iterator[Page]:
        """Reads a whole list page by page, as of one moment.

        Raises:
            ExpiredError: the pages were read so slowly that the server forgot that moment; list again.
        """
        token = ""
        while True:
            page = self.list_page(
                ref,
                namespace,
                label_selector=label_selector,
                field_selector=field_selector,
                limit=limit,
                continue_token=token,
            )
            yield page
            token = page.continue_token
            if not token:
                return

    def list(
        self, ref: ResourceRef, namespace: str, struct: type[T], *, label_selector: str = "", field_selector: str = ""
    ) -> list[T]:
        """Reads a whole list into structs; one object that does not decode fails all of it."""
        decoder = msgspec.json.Decoder(struct)
        pages = self.list_pages(ref, namespace, label_selector=label_selector, field_selector=field_selector)
        try:
            return [decoder.decode(raw) for page in pages for raw in page.items]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(f"a {ref.kind} of the list does not decode: {error}") from error

    def watch(
        self,
        ref: ResourceRef,
        namespace: str = "",
        *,
        resource_version: str,
        timeout_seconds: int,
        label_selector: str = "",
        field_selector: str = "",
        initial_events: bool = False,
        metadata_only: bool = False,
    ) -> ByteStream:
        """Opens a watch that the server closes after the timeout; one JSON event per line.

        With `initial_events` it begins with all objects, as of `resource_version` or newer, up to a bookmark that
        says so. They come without a pause: until the reader calls `allow_silence(quiet_seconds(timeout_seconds))`,
        silence ends the stream early. Without, a quiet watch is a healthy one.
        """
        query = _selectors(label_selector, field_selector) | {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(timeout_seconds),
        }
        if initial_events:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        return self.transport.open_stream(
            ref.path(namespace),
            query=query,
            read_timeout_seconds=INITIAL_SILENCE_SECONDS if initial_events else quiet_seconds(timeout_seconds),
            accept=METADATA_TYPE if metadata_only else JSON_TYPE,
        )

    def create(self, ref: ResourceRef, namespace: str, obj: JsonObject | ApiStruct, struct: type[T]) -> T:
        """Creates an object; AlreadyExistsError when the name is taken."""
        return decode(self._create(ref, namespace, obj), struct, f"the created {ref.kind}")

    def create_raw(self, ref: ResourceRef, namespace: str, obj: JsonObject | ApiStruct) -> JsonObject:
        """Creates an object and returns it as JSON."""
        return _decode_object(self._create(ref, namespace, obj), f"the created {ref.kind}")

    def patch(
        self, ref: ResourceRef, namespace: str, name: str, patch: JsonObject, struct: type[T], *, subresource: str = ""
    ) -> T:
        """Sends a JSON merge patch; with `metadata.resourceVersion` in it, ConflictError when that is stale."""
        body = self._patch(ref, namespace, name, patch, subresource)
        return decode(body, struct, f"{ref.kind} {namespace}/{name}")

    def patch_raw(
        self, ref: ResourceRef, namespace: str, name: str, patch: JsonObject, *, subresource: str = ""
    ) -> JsonObject:
        """Sends a JSON merge patch and returns the object as JSON."""
        body = self._patch(ref, namespace, name, patch, subresource)
        return _decode_object(body, f"{ref.kind} {namespace}/{name}")

    def apply(
        self,
        ref: ResourceRef,
        namespace: str,
        name: str,
        obj: JsonObject | ApiStruct,
        *,
        field_manager: str,
        force: bool = True,
        subresource: str = "",
    ) -> JsonObject:
        """Server-side apply: the object holds exactly the fields that the manager owns; creates what is missing.

        The object's metadata need not carry the name.
        """
        query = {"fieldManager": field_manager, "force": "true" if force else "false"}
        content = named(ref, obj)
        metadata = content.get("metadata")
        content["metadata"] = {**(metadata if isinstance(metadata, dict) else {}), "name": name}
        body = self._send("PATCH", ref.path(namespace, name, subresource), content, APPLY_TYPE, query)
        return _decode_object(body, f"{ref.kind} {namespace}/{name}")

    def delete(
        self,
        ref: ResourceRef,
        namespace: str,
        name: str,
        *,
        uid: str = "",
        resource_version: str = "",
        propagation: str = "Background",
        grace_seconds: int | None = None,
    ) -> None:
        """Deletes an object; ConflictError when uid or resource_version is given and differs."""
        preconditions: JsonObject = {}
        preconditions |= {"uid": uid} if uid else {}
        preconditions |= {"resourceVersion": resource_version} if resource_version else {}
        options: JsonObject = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        options |= {"preconditions": preconditions} if preconditions else {}
        options |= {"gracePeriodSeconds": grace_seconds} if grace_seconds is not None else {}
        self._send("DELETE", ref.path(namespace, name), options, JSON_TYPE)

    def _create(self, ref: ResourceRef, namespace: str, obj: JsonObject | ApiStruct) -> bytes:
        return self._send("POST", ref.path(namespace), named(ref, obj), JSON_TYPE)

    def _patch(self, ref: ResourceRef, namespace: str, name: str, patch: JsonObject, subresource: str) -> bytes:
        return self._send("PATCH", ref.path(namespace, name, subresource), patch, MERGE_PATCH_TYPE)

    def _send(
        self, method: str, path: str, content: JsonObject, content_type: str, query: Mapping[str, str] | None = None
    ) -> bytes:
        body = msgspec.json.encode(content)
        return self.transport.request(
            method, path, query=query, body=body, content_type=content_type, timeout_seconds=self._timeout
        ).body


def quiet_seconds(timeout_seconds: float) -> float:
    """How long a healthy watch may be silent: beyond the time after which the server closes it."""
    return timeout_seconds + WATCH_SLACK_SECONDS


def named(ref: ResourceRef, obj: JsonObject | ApiStruct) -> JsonObject:
    """The object as JSON with apiVersion and kind, which structs need not carry."""
    content: JsonObject = msgspec.to_builtins(obj) if isinstance(obj, ApiStruct) else obj
    return {**content, "apiVersion": content.get("apiVersion") or ref.api_version, "kind": ref.kind}


def decode(body: bytes, struct: type[T], what: str) -> T:
    """Decodes an answer; raises DecodeError that names what it was."""
    try:
        return msgspec.json.decode(body, type=struct)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(f"{what} does not decode: {error}") from error


def _decode_object(body: bytes, what: str) -> JsonObject:
    return decode(body, dict, what)


def _selectors(label_selector: str, field_selector: str) -> dict[str, str]:
    query = {"labelSelector": label_selector} if label_selector else {}
    return query | ({"fieldSelector": field_selector} if field_selector else {})
