"""What changes in objects that name a namespace which is restored under another name.

A webhook or an aggregated API that still called the old namespace would refuse or break requests of the whole cluster,
and rights would go to accounts that are not there. The certificate that a webhook shows stays what it was: where it
names the old service, whoever issues it has to issue it again.
"""

from __future__ import annotations

from collections.abc import Iterator

from pkg.apis.meta import JsonObject
from pkg.restore.archive import Entry
from pkg.restore.fields import object_at, objects_at, text_at
from pkg.restore.plan import CRDS, Facts

WEBHOOKS = (
    "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    "validatingwebhookconfigurations.admissionregistration.k8s.io",
)
POLICY_BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
API_SERVICES = "apiservices.apiregistration.k8s.io"
_ACCOUNTS_GROUP = "system:serviceaccounts:"
_ACCOUNT_USER = "system:serviceaccount:"


def map_subjects(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Gives rights to the accounts where they are now, also where they are named as users or groups."""
    for subject in objects_at(obj, "subjects"):
        if namespace := text_at(subject, "namespace"):
            subject["namespace"] = facts.target(namespace)
        name = text_at(subject, "name")
        if name.startswith(_ACCOUNTS_GROUP):
            subject["name"] = _ACCOUNTS_GROUP + facts.target(name.removeprefix(_ACCOUNTS_GROUP))
        elif name.startswith(_ACCOUNT_USER):
            namespace, colon, account = name.removeprefix(_ACCOUNT_USER).partition(":")
            subject["name"] = f"{_ACCOUNT_USER}{facts.target(namespace)}{colon}{account}"


def map_references(obj: JsonObject, entry: Entry, facts: Facts) -> None:
    """Lets a cluster's object find the service or the parameters that it uses where they are now."""
    for reference in references(obj, entry.group_resource):
        if namespace := text_at(reference, "namespace"):
            reference["namespace"] = facts.target(namespace)


def references(obj: JsonObject, group_resource: str) -> Iterator[JsonObject]:
    """The parts of an object of the whole cluster that name something in a namespace."""
    if group_resource in WEBHOOKS:
        for webhook in objects_at(obj, "webhooks"):
            yield object_at(webhook, "clientConfig", "service")
    elif group_resource == API_SERVICES:
        yield object_at(obj, "spec", "service")
    elif group_resource == CRDS:
        yield object_at(obj, "spec", "conversion", "webhook", "clientConfig", "service")
    elif group_resource == POLICY_BINDINGS:
        yield object_at(obj, "spec", "paramRef")
