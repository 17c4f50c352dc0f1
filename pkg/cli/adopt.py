"""`ark adopt`: make the backups of another cluster, or of Ark 0.9, this cluster's own.

Nothing is taken before a person has seen what age will delete. The command only writes the decision on the Config;
the server, which alone reaches the bucket, carries it out.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

import click

from pkg.apis.ark import Backup, Config
from pkg.apis.core import Namespace
from pkg.apis.meta import JsonObject
from pkg.apis.names import ADOPT_ANNOTATION, CONFIG_NAME
from pkg.cli.client import Connection
from pkg.cli.failures import CliError
from pkg.cli.flags import ArkCommand, ClusterFlags, switch
from pkg.cli.output import aligned
from pkg.controllers.adoption import adoptable
from pkg.controllers.foreign import ADOPTION_TIME_MARK, Adoption, Tenure
from pkg.controllers.location_record import LocationRecord, RecordInCluster
from pkg.controllers.ownership import ARK_0_9, GRACE, source_cluster
from pkg.kube.errors import ConflictError, NotFoundError
from pkg.kube.refs import BACKUPS, CONFIGS, NAMESPACES

_HELP = """Make the backups in the bucket that another cluster made this cluster's own.

Until then this installation only restores from them. Afterwards this cluster writes to that place and deletes what is
older than its TTL, but nothing within seven days. What would be deleted, and when, is listed before anything is done.
The other cluster must not write there any more.
"""
_TAKEN = frozenset({Tenure.FOREIGN, Tenure.CONTESTED, Tenure.ADOPTABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What there is to decide.

    Attributes:
        clusters: Whose backups would become ours, by identity; `ark-0.9` for those that name none.
        backups: Theirs, as far as they are in the API.
    """

    config: Config
    record: LocationRecord
    clusters: tuple[str, ...]
    backups: tuple[Backup, ...]


@click.command("adopt", cls=ArkCommand, help=_HELP)
@switch("--confirm", default=False, help_text="Do not ask.")
@click.pass_obj
def command(flags: ClusterFlags, /, confirm: bool) -> None:
    """Writes the decision on the Config."""
    connection = flags.connect()
    found = look(connection)
    if not found.clusters:
        click.echo(f"There is nothing to adopt: no backup of another cluster is in {found.record.place}.")
        return
    now = connection.clock.now()
    click.echo("\n".join(consequences(found, now)))
    if not confirm:
        click.confirm("Are you sure you want to continue", abort=True)
    decide(connection, found, now)
    click.echo(
        "The adoption was asked for. The server carries it out at its next look at the bucket, within a minute; then "
        f"kubectl -n {connection.namespace} get configmap ark-location -o yaml shows the state {Tenure.OURS.value}."
    )


def look(connection: Connection) -> Situation:
    """What the server found in the bucket, and what the API knows of it.

    Raises:
        CliError: there is nothing to decide on, and why.
    """
    client, namespace = connection.client, connection.namespace
    try:
        config = client.get(CONFIGS, namespace, CONFIG_NAME, Config)
    except NotFoundError as error:
        raise CliError(f"Config {namespace}/{CONFIG_NAME} does not exist: Ark is not set up here") from error
    if config.restore_only_mode:
        raise CliError(
            f"Config {namespace}/{CONFIG_NAME} has restoreOnlyMode: true, so nothing is adopted; set it to false first"
        )
    record = RecordInCluster(client, namespace).read()
    if not record.state:
        raise CliError(
            "the server has not looked at the bucket yet; is it running? kubectl -n " + namespace + " get pods"
        )
    cluster_id = client.get(NAMESPACES, "", "kube-system", Namespace).metadata.uid
    backups = [one for one in client.list(BACKUPS, namespace, Backup) if adoptable(one, cluster_id)]
    taken = {record.owner} if record.state in _TAKEN and record.owner else set()
    clusters = taken | {source_cluster(one) for one in backups}
    return Situation(config=config, record=record, clusters=tuple(sorted(clusters)), backups=tuple(backups))


def consequences(found: Situation, now: datetime.datetime) -> Iterable[str]:
    """What the adoption would do, line by line."""
    owners = " and ".join("Ark 0.9" if one == ARK_0_9 else f"cluster {one}" for one in found.clusters)
    yield f"The place {found.record.place} and the backups of {owners} there become this cluster's."
    expiring = [one for one in found.backups if one.status.expiration is not None]
    if expiring:
        yield f"By their age these {len(expiring)} of {len(found.backups)} backups would be deleted with their volumes:"
        rows = [["NAME", "CLUSTER", "STATUS", "EXPIRES", "DELETED FROM"], *(_row(one, now) for one in expiring)]
        yield from aligned(rows, padding=3)
        yield "A backup that must stay: ark backup pin NAME, or stop all deletions first: ark freeze-deletions."
    else:
        yield f"By their age none of these {len(found.backups)} backups would be deleted."
    others = [one for one in found.clusters if one != ARK_0_9]
    if others:
        yield (
            f"Ark of {' and '.join(f'cluster {one}' for one in others)} must not write there any more: stop it, or "
            "give it another prefix. If it still runs it will not be Ready from now on."
        )


def decide(connection: Connection, found: Situation, now: datetime.datetime) -> None:
    """Writes the decision; with its time, because it is carried out once.

    Raises:
        CliError: the Config was changed meanwhile.
    """
    before = Adoption(text=found.config.metadata.annotation(ADOPT_ANNOTATION)).clusters
    clusters = ",".join(sorted(before | set(found.clusters)))
    meta = found.config.metadata
    patch: JsonObject = {
        "metadata": {
            "uid": meta.uid,
            "resourceVersion": meta.resource_version,
            "annotations": {ADOPT_ANNOTATION: f"{clusters}{ADOPTION_TIME_MARK}{_text(now)}"},
        }
    }
    try:
        connection.client.patch(CONFIGS, meta.namespace, meta.name, patch, Config)
    except ConflictError as error:
        raise CliError(f"Config {meta.key} was changed meanwhile; look again: ark adopt") from error


def _row(backup: Backup, now: datetime.datetime) -> list[str]:
    expiration = backup.status.expiration or now
    return [
        backup.metadata.name,
        source_cluster(backup),
        backup.status.phase,
        _text(expiration),
        _text(max(expiration, now + GRACE)),
    ]


def _text(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
