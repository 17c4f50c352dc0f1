"""Volumes with awkward contents: nothing in them, names that nobody expects, files that cannot be read."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from pkg.testing.installation import Installation
from pkg.testing.workload import Workload, claim, from_claim, pod, pod_template, scratch

PARTIALLY_FAILED = 2
LISTING = "find . -printf '%P %U:%G %m %T@ %y %n %s %l\\0' | sort -z | tr '\\0\\n' '\\n?' | cat -v"


@pytest.fixture
def workload(installation: Installation) -> Iterator[Workload]:
    """A pod `one` with the claim `data` and the emptyDir `own`."""
    made = Workload(installation.access, installation.nodes["node1"], f"odd-{secrets.token_hex(3)}")
    made.create(claim("data"), pod("one", pod_template(from_claim("data", "data"), scratch("own"))))
    made.wait_running(1)
    yield made
    installation.access.kubectl("delete", "namespace", made.namespace, "--wait=false", "--ignore-not-found")


def there_and_back(installation: Installation, workload: Workload) -> dict[str, Any]:
    backup = f"b-{workload.namespace}"
    installation.ark("backup", "create", backup, "--include-namespaces", workload.namespace, "--wait")
    workload.delete()
    installation.ark("restore", "create", f"r-{backup}", "--from-backup", backup, "--wait")
    (again,) = workload.wait_running(1)
    return again


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("touch -d 2001-02-03 .; chmod 0711 .; chown 70:70 .", id="nothing at all"),
        pytest.param("mkdir lost+found", id="nothing but lost+found"),
        pytest.param(
            "echo Signature: 8a477f597d28d172789f06886806bc55 > CACHEDIR.TAG; echo x > y", id="all of it a cache"
        ),
        pytest.param("mkdir -p a/b/c; chmod 0700 a/b", id="directories without a file"),
        pytest.param(": > empty; mkdir d; : > d/.hidden", id="files of no bytes"),
        pytest.param(
            "touch -- 'a\nb' ' ' '-rf' '*' '[a]' '\\' \"$(printf '\\377')\" '.ark-note' '~'; ln -s 'no\nwhere' link",
            id="names with newlines, blanks, patterns and bytes that are no text",
        ),
        pytest.param('d=$(printf "%0200d" 0); for i in 1 2 3 4 5; do mkdir $d; cd $d; done; : > $d', id="deep paths"),
        pytest.param(
            "mkfifo pipe; ln -s / root; ln -s . self; touch -d '1969-12-31' old", id="pipes, odd links, old times"
        ),
    ],
)
def test_comes_back_as_it_was(installation: Installation, workload: Workload, script: str) -> None:
    (one,) = workload.pods()
    before = {}
    for volume in ("data", "own"):
        workload.shell(one, volume, script)
        before[volume] = workload.shell(one, volume, LISTING)
    again = there_and_back(installation, workload)
    after = {volume: workload.shell(again, volume, LISTING) for volume in before}
    lost_and_found = "lost+found"  # belongs to the file system, not to the data
    for volume, text in before.items():
        kept = [line for line in text.splitlines() if not line.startswith(lost_and_found)]
        found = after[volume].splitlines()
        if len(kept) < len(text.splitlines()):
            kept, found = kept[1:], found[1:]  # the root's count of links
        assert found == kept


def test_a_file_that_cannot_be_read_makes_the_backup_degraded_and_the_rest_comes_back(
    installation: Installation, workload: Workload
) -> None:
    (one,) = workload.pods()
    # Memory of a process that has ended: open or read fails for everyone, root included.
    workload.shell(one, "data", "echo fine > fine; : > broken; mount --bind /proc/self/mem broken")
    backup = f"b-{workload.namespace}"
    options = ("--include-namespaces", workload.namespace, "--wait")
    done = installation.ark("backup", "create", backup, *options, check=False)
    assert done.returncode == PARTIALLY_FAILED
    described = installation.ark("backup", "describe", backup, "--details").stdout
    assert "UnreadFiles" in described
    assert "broken" in described
    workload.shell(one, "data", "umount broken")
    workload.delete()
    installation.ark("restore", "create", f"r-{backup}", "--from-backup", backup, "--wait")
    (again,) = workload.wait_running(1)
    assert workload.shell(again, "data", "ls; cat fine") == "fine\nfine\n"
    told = installation.ark("restore", "describe", f"r-{backup}").stdout
    assert "volume data is restored without what the backup could not read" in told


def test_excluded_names_are_looked_for_in_the_volume_and_not_in_the_path_to_it(
    installation: Installation, workload: Workload
) -> None:
    (one,) = workload.pods()
    excluded = "backup.ark.heptio.com/exclude-paths.data=mount,volumes,sub/mount"
    workload.access.kubectl("-n", workload.namespace, "annotate", "pod", "one", excluded)
    workload.shell(one, "data", "echo x > kept; mkdir mount sub sub/deep volumes; : > mount/a; : > sub/deep/b")
    again = there_and_back(installation, workload)
    assert workload.shell(again, "data", "find . -type f | sort") == "./kept\n./sub/deep/b\n"
