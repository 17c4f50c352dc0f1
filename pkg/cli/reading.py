"""Objects from the API, and one sentence where there are none: a name that is wrong, a namespace, a missing Ark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from pkg.apis.core import Namespace
from pkg.apis.meta import JsonObject
from pkg.cli import program
from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.kube.client import named
from pkg.kube.errors import ExpiredError, ForbiddenError, NotFoundError
from pkg.kube.refs import NAMESPACES
from pkg.kube.resources import ResourceRef

T = TypeVar("T")
RawObject = bytes | msgspec.Raw
_GROUPS = ("backup", "restore", "schedule")


def read_raw(
    connection: Connection, ref: ResourceRef, names: Sequence[str], selector: str, *, metadata_only: bool = False
) -> tuple[list[RawObject], list[str]]:
    """The named objects, or all that match the selector, as the API sent them; and what is wrong with some names.

    Raises:
        CliError: none can be read: Ark is not installed, or its namespace is another.
    """
    if not names:
        return _listed(connection, ref, selector, metadata_only=metadata_only), []
    found: list[RawObject] = []
    problems: list[str] = []
    for name in dict.fromkeys(names):
        try:
            found.append(connection.client.get_bytes(ref, connection.namespace, name))
        except NotFoundError as error:
            problems.append(_absent(connection, ref, name, error))
    return found, problems


def read_objects(connection: Connection, ref: ResourceRef, names: Sequence[str], selector: str) -> list[JsonObject]:
    """The named objects, or all that match the selector.

    Raises:
        CliError: one is not there, or Ark is not installed.
    """
    raw, problems = read_raw(connection, ref, names, selector)
    if problems:
        raise CliError("; ".join(problems))
    return named_objects(ref, raw)


def read_object(connection: Connection, ref: ResourceRef, name: str) -> JsonObject:
    """One object.

    Raises:
        CliError: it is not there.
    """
    return read_objects(connection, ref, [name], "")[0]


def named_objects(ref: ResourceRef, raw: Iterable[RawObject]) -> list[JsonObject]:
    """Objects as JSON, with the apiVersion and kind that an item of a list lacks."""
    return [named(ref, msgspec.json.decode(one, type=dict)) for one in raw]


def decoded(raw: RawObject, struct: type[T], ref: ResourceRef) -> T:
    """An object as a struct.

    Raises:
        CliError: a field has another type than it should; the sentence names it.
    """
    try:
        return msgspec.json.decode(raw, type=struct)
    except msgspec.DecodeError as error:
        raise CliError(f"a {ref.kind} has a field of another type than Ark knows: {error}; -o yaml shows it") from error


def not_installed(ref: ResourceRef) -> CliError:
    """The API server does not know our kinds."""
    return CliError(
        f"the cluster does not know {ref.group_resource}: Ark is not installed in it, or its "
        "CustomResourceDefinitions are missing (apply config/crd)"
    )


def no_namespace(namespace: str) -> CliError:
    """Ark's namespace is not there."""
    return CliError(
        f"there is no namespace {namespace} in this cluster: give Ark's with -n, or set it once with "
        f"`{program.name()} client config set namespace=NAME`"
    )


def _listed(
    connection: Connection, ref: ResourceRef, selector: str, *, metadata_only: bool, again: bool = True
) -> list[RawObject]:
    found: list[RawObject] = []
    token, client = "", connection.client
    try:
        while True:
            page = client.list_page(
                ref, connection.namespace, label_selector=selector, continue_token=token, metadata_only=metadata_only
            )
            found += page.items
            token = page.continue_token
            if not token:
                break
    except NotFoundError as error:
        raise not_installed(ref) from error
    except ExpiredError:
        if not again:
            raise
        return _listed(connection, ref, selector, metadata_only=metadata_only, again=False)
    if not found and not selector:
        _check_namespace(connection)
    return found


def _check_namespace(connection: Connection) -> None:
    """An empty answer is what a namespace that does not exist gives too."""
    try:
        connection.client.get(NAMESPACES, "", connection.namespace, Namespace)
    except NotFoundError as error:
        raise no_namespace(connection.namespace) from error
    except ForbiddenError:
        return  # who may only read Ark's objects cannot be told


def _absent(connection: Connection, ref: ResourceRef, name: str, error: NotFoundError) -> str:
    if f'"{name}"' not in str(error):
        raise not_installed(ref) from error
    _check_namespace(connection)
    kind = ref.kind.lower()
    hint = f": `{program.name()} {kind} get` lists them" if kind in _GROUPS else ""
    return f'there is no {ref.kind} "{name}" in namespace {connection.namespace}{hint}'
