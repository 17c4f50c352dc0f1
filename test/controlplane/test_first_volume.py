"""One application loses its namespace and gets it back, volume contents included."""

import json
import secrets

import pytest

from pkg.testing.application import Application
from pkg.testing.installation import Installation

CONTENTS = """
umask 022
printf 'hello\\n' > plain; printf x > 'odd name
with newline'; mkdir -p deep/er; ln -s ../plain deep/link; ln plain hard
truncate -s 64M sparse; printf end >> sparse
touch -d '2001-02-03 04:05:06.789' plain; chmod 0640 plain; chmod 2771 deep
setfattr -n user.note -v kept plain
for i in $(seq 200); do echo "$i" > "deep/er/$i"; done
chmod 1770 .; touch -d '2010-10-10 10:10:10' .
"""


def at(value: object, *path: str) -> object:
    """Follow a path into JSON; None where it ends."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


@pytest.fixture
def application(installation: Installation) -> Application:
    name = f"app-{secrets.token_hex(3)}"
    return Application(installation.access, installation.nodes["node1"], name)


def test_a_namespace_that_was_deleted_comes_back_with_its_volumes(
    installation: Installation, application: Application
) -> None:
    application.deploy()
    application.shell("data", CONTENTS)
    application.shell("scratch", "echo scratch > file; chmod 0750 .")
    before = {volume: application.listing(volume) for volume in ("data", "scratch")}
    uid = at(application.pod(), "metadata", "uid")

    name = f"b-{application.namespace}"
    done = installation.ark("backup", "create", name, "--include-namespaces", application.namespace, "--wait")
    assert "Completed" in done.stdout
    status = json.loads(installation.ark("backup", "get", name, "-o", "json").stdout)["status"]
    assert status["volumes"]["expected"] == status["volumes"]["captured"] == 2

    application.delete_namespace()
    done = installation.ark("restore", "create", f"r-{name}", "--from-backup", name, "--wait")
    assert "Completed" in done.stdout
    application.wait_running()

    assert application.pod()["metadata"]["uid"] != uid  # type: ignore[index] # JSON
    assert {volume: application.listing(volume) for volume in before} == before
    assert application.shell("data", "getfattr -n user.note --only-values plain") == "kept"
    assert int(application.shell("data", "stat -c %b sparse")) < 1024, "the hole was filled"


def test_a_second_backup_finds_its_repository_and_uploads_next_to_nothing(
    installation: Installation, application: Application
) -> None:
    application.deploy()
    application.shell("data", "head -c 5000000 /dev/urandom > blob")
    for number in (1, 2):
        name = f"b{number}-{application.namespace}"
        installation.ark("backup", "create", name, "--include-namespaces", application.namespace, "--wait")
    captures = installation.objects(
        "podvolumebackups", selector=f"ark.heptio.com/backup-name=b2-{application.namespace}"
    )
    added = {str(at(item, "spec", "volume")): at(item, "status", "bytesAdded") or 0 for item in captures}
    assert int(str(added["data"])) < 100_000


def test_logs_describe_and_results_are_to_be_had(installation: Installation, application: Application) -> None:
    application.deploy()
    application.shell("data", "echo x > y")
    name = f"b-{application.namespace}"
    installation.ark("backup", "create", name, "--include-namespaces", application.namespace, "--wait")
    assert "level=info" in installation.ark("backup", "logs", name).stdout
    described = installation.ark("backup", "describe", name, "--details").stdout
    assert f"{application.namespace}/web" in described
    assert "Completed" in described
    repositories = installation.ark("restic", "repo", "get").stdout
    assert application.namespace in repositories
    assert "Ready" in repositories
