"""Lines recorded from restic 0.19.1: which of them leave the contents whole, and which never may."""

import pytest

from pkg.restic.complaints import KEPT_PATHS, Complaints, is_metadata
from pkg.restic.messages import ErrorDetail, ItemError

OWNER = "lchown /v/d/e/f: operation not permitted"
ATTRIBUTE = "xattr.LSet /v/d trusted.x: operation not permitted"
FULL = "write /v/sparse: no space left on device"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(OWNER, id="an owner, as another user or behind root squash"),
        pytest.param("lchown /v/f: invalid argument", id="an owner that the user namespace does not know"),
        pytest.param(ATTRIBUTE, id="an attribute that needs a right"),
        pytest.param("xattr.LSet /v/d user.x: no space left on device", id="an attribute without room for it"),
        pytest.param("xattr.LRemove /v/f security.selinux: permission denied", id="a label that stays"),
        pytest.param('failed to restore timestamp of "/v/f": operation not permitted', id="times"),
        pytest.param("lchown /v/two\nlines: operation not permitted", id="a path of two lines"),
    ],
)
def test_these_leave_the_contents_whole(message: str) -> None:
    assert is_metadata(message)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(FULL, id="a full volume"),
        pytest.param("lchown /v/file: no such file or directory", id="a file that is not there has no owner either"),
        pytest.param("lchown /v/file: input/output error", id="a broken disk"),
        pytest.param("chmod /v/file: operation not permitted", id="a file that could not be opened for writing"),
        pytest.param("mkdir /v/d: read-only file system", id="a read-only volume"),
        pytest.param("link /v/file /v/hard: operation not permitted", id="a hard link"),
        pytest.param("RemoveNode: remove /v/sl: directory not empty", id="something in the way"),
        pytest.param("decrypting blob <data/87428fc5> failed: ciphertext verification failed", id="damaged data"),
        pytest.param("open /v/lchown /x: operation not permitted", id="a path that looks like another line"),
        pytest.param("", id="nothing at all"),
    ],
)
def test_these_are_about_contents_or_unknown(message: str) -> None:
    assert not is_metadata(message)


def heard(*messages: str) -> Complaints:
    complaints = Complaints()
    for number, message in enumerate(messages):
        complaints.hear(ItemError(error=ErrorDetail(message=message), during="restore", item=f"/{number}"))
    return complaints


@pytest.mark.parametrize(
    ("messages", "exit_code", "exit_message", "expected"),
    [
        pytest.param([OWNER, ATTRIBUTE], 1, "Fatal: There were 2 errors", True, id="only metadata, each one heard"),
        pytest.param([OWNER, FULL], 1, "Fatal: There were 2 errors", False, id="one about contents"),
        pytest.param([OWNER], 1, "Fatal: There were 2 errors", False, id="one that was not heard"),
        pytest.param([OWNER], 1, "Fatal: unable to load index", False, id="restic did not come to its end"),
        pytest.param([OWNER], 1, "", False, id="restic said nothing at its end"),
        pytest.param([OWNER], 3, "Fatal: There were 1 errors", False, id="an exit code that a restore does not have"),
        pytest.param([OWNER], 137, "Fatal: There were 1 errors", False, id="killed"),
        pytest.param([], 1, "Fatal: There were 0 errors", False, id="no error at all"),
    ],
)
def test_a_failure_is_degraded_only_when_nothing_else_can_be_meant(
    messages: list[str], exit_code: int, exit_message: str, expected: bool
) -> None:
    assert heard(*messages).only_metadata(exit_code, exit_message) is expected


def test_a_million_lines_are_counted_and_few_are_kept() -> None:
    complaints = heard(*[OWNER] * 1000, *[FULL] * 1000)
    assert complaints.metadata.count == 1000
    assert complaints.metadata.paths == tuple(f"/{number}" for number in range(KEPT_PATHS))
    assert complaints.metadata.first == OWNER
    assert len(complaints.content) == 3
