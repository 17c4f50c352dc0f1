"""Which restic calls are allowed, and which are not."""

import pytest

from pkg.restic.read_only import NotReadOnlyError, check_read_only, needs_index


@pytest.mark.parametrize(
    "line",
    [
        "snapshots",
        "snapshots --json --tag backup=nightly,ns=shop",
        "snapshots --latest 3 -c",
        "ls latest",
        "ls -l --recursive 4bba301e /data",
        "ls --sort=size latest",
        "stats --mode raw-data",
        "find -i *.conf --snapshot latest",
        "find --oldest 2026-01-01 x",
        "diff 4bba301e 5cca301e --metadata",
        "ls -- -strange",
        "ls --help",
    ],
)
def test_what_only_reads_is_allowed(line: str) -> None:
    check_read_only(line.split())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("", "say which"),
        ("dump latest /etc/passwd", "contents of files"),
        ("restore latest --target /", "contents of files"),
        ("cat blob 1234", "contents of files"),
        ("mount /mnt", "contents of files"),
        ("backup .", "writes"),
        ("forget --keep-last 1", "maintain"),
        ("prune", "maintain"),
        ("check", "maintain"),
        ("unlock", "ark restic repo unlock"),
        ("key list", "writes"),
        ("tag --add x", "writes"),
        ("generate --bash-completion /x", "only read"),
        ("self-update", "only read"),
        ("--repo s3:x snapshots", "only read"),
        ("snapshots --repo s3:other/bucket", "--repo"),
        ("snapshots -r s3:other/bucket", "-r"),
        ("snapshots -rs3:other/bucket", "-rs3:other/bucket"),
        ("snapshots --repository-file=/x", "--repository-file"),
        ("snapshots --password-command id", "--password-command"),
        ("snapshots --password-file /x", "--password-file"),
        ("snapshots -p /etc/shadow", "-p"),
        ("ls latest -o sftp.command=id", "-o"),
        ("ls latest --option=rclone.program=id", "--option"),
        ("ls latest --cacert /x", "--cacert"),
        ("ls latest --insecure-tls", "--insecure-tls"),
        ("ls latest --cache-dir /x", "--cache-dir"),
        ("ls latest --key-hint x", "--key-hint"),
        ("ls latest --retry-lock 2h", "--retry-lock"),
        ("snapshots --tag --repo=s3:x --password-command=id", "--password-command"),
        ("snapshots --tag", "needs a value"),
        ("find -lR x", "-lR"),
    ],
)
def test_everything_else_is_refused_with_the_reason(line: str, why: str) -> None:
    with pytest.raises(NotReadOnlyError) as refused:
        check_read_only(line.split())
    assert why in str(refused.value)


def test_only_the_list_of_snapshots_needs_no_index() -> None:
    assert not needs_index(["snapshots"])
    assert needs_index(["ls", "latest"])
