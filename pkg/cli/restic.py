"""`ark restic`: the repositories, and the node agent."""

from __future__ import annotations

import click

from pkg.cli.flags import ArkCommand, ClusterFlags, cluster_options
from pkg.cli.lazy import Lazy, LazyGroup
from pkg.cli.requests import list_options, output_option


@click.command("get", cls=ArkCommand, help="List restic repositories.")
@list_options
@output_option
@click.pass_obj
def get(flags: ClusterFlags, /, names: tuple[str, ...], **options: object) -> None:
    """Lists ResticRepositories."""
    from pkg.cli.listing import print_listing
    from pkg.cli.tables import REPOSITORY_LISTING

    print_listing(flags, REPOSITORY_LISTING, names, options)


cluster_options(get)
repository_group = cluster_options(
    LazyGroup(
        "repo",
        {
            "get": Lazy("pkg.cli.restic:get", "List restic repositories"),
            "describe": Lazy("pkg.cli.describe_repository:command", "Describe restic repositories"),
            "locks": Lazy("pkg.cli.repo_locks:locks", "Show who holds locks in a repository"),
            "unlock": Lazy("pkg.cli.repo_locks:unlock", "Remove one lock that a dead process left"),
            "maintain": Lazy("pkg.cli.maintain:command", "Forget, prune, check or verify a repository now"),
        },
        help_text="Work with restic repositories.",
    )
)
command = cluster_options(
    LazyGroup(
        "restic",
        {
            "repo": Lazy("pkg.cli.restic:repository_group", "Work with restic repositories"),
            "orphans": Lazy("pkg.cli.orphans:command", "Show snapshots and files that no backup names"),
            "exec": Lazy("pkg.cli.restic_exec:command", "Run a read-only restic command on a repository"),
            "inside": Lazy("pkg.cli.restic_inside:command"),
            "server": Lazy("pkg.cli.restic_server:command", "Run the node agent"),
            "maintenance": Lazy("pkg.cli.maintenance:command", "Work on one repository; the server's Jobs run this"),
        },
        help_text="Work with restic.",
    )
)
