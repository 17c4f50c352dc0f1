"""Lists as they come: page by page, each object still the bytes the server sent.

A page keeps its objects raw, so that the reader decodes what it needs, one by one, and one bad object does not
spoil the page.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from pkg.kube.errors import DecodeError

PAGE_LIMIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list; the last one has an empty `continue_token`."""

    items: list[msgspec.Raw]
    resource_version: str
    continue_token: str


class _ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


_DECODER = msgspec.json.Decoder(_List)


def decode_page(body: bytes) -> Page:
    """Splits a list's body into its objects; raises DecodeError when it is not a list."""
    try:
        decoded = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(f"a list does not decode: {error}") from error
    return Page(
        items=decoded.items or [],
        resource_version=decoded.metadata.resource_version,
        continue_token=decoded.metadata.continue_,
    )
