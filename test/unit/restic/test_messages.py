import pytest

from pkg.restic.messages import ExitError, ItemError, Status, Summary, decode_line

STATUS = (
    b'{"message_type":"status","percent_done":0.84,"total_files":3,"files_done":2,"total_bytes":209715208,'
    b'"bytes_done":176160774,"current_files":["/hole"],"seconds_elapsed":7}\n'
)
SUMMARY = (
    b'{"message_type":"summary","files_new":3,"files_changed":0,"dirs_new":1,"data_blobs":3,"tree_blobs":2,'
    b'"data_added":553122,"data_added_packed":1332,"total_files_processed":3,"total_bytes_processed":209715208,'
    b'"total_duration":1.295343512,"backup_start":"2026-11-23T06:06:34.02483474Z","snapshot_id":"88572bba"}'
)


def test_a_status_is_read() -> None:
    message = decode_line(STATUS)
    assert isinstance(message, Status)
    assert (message.files_done, message.bytes_done, message.total_bytes) == (2, 176160774, 209715208)


def test_a_status_that_only_grew_older_is_the_same() -> None:
    assert decode_line(STATUS) == decode_line(STATUS.replace(b"7}", b"8}"))


def test_a_summary_is_read() -> None:
    message = decode_line(SUMMARY)
    assert isinstance(message, Summary)
    assert (message.snapshot_id, message.data_added_packed) == ("88572bba", 1332)


def test_errors_are_read() -> None:
    line = b'{"message_type":"error","error":{"message":"open a: permission denied"},"during":"scan","item":"/v/a"}'
    message = decode_line(line)
    assert isinstance(message, ItemError)
    assert (message.item, message.error.message) == ("/v/a", "open a: permission denied")
    assert decode_line(b'{"message_type":"exit_error","code":3,"message":"w"}') == ExitError(code=3, message="w")


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"signal terminated received, cleaning up \n", id="text"),
        pytest.param(b"{", id="half a line"),
        pytest.param(b'{"message_type":"verbose_status","action":"new"}', id="an unknown kind"),
        pytest.param(b'{"no":"kind"}', id="no kind"),
        pytest.param(b'{"message_type":"status","files_done":"many"}', id="a field of another type"),
        pytest.param(b'{"message_type":"error","item":"\xff"}', id="bytes that are no text"),
        pytest.param(b"[1]", id="a list"),
    ],
)
def test_what_is_no_message_of_ours_is_no_error(line: bytes) -> None:
    assert decode_line(line) is None
