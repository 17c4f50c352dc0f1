"""The websocket messages of exec, and how a command's end is told."""

from pathlib import Path

import pytest

from pkg.testing.standin_exec import BINARY_FRAME, Place, frame, run, status


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_message_has_the_shortest_header_for_its_size(size: int, header: bytes) -> None:
    assert frame(BINARY_FRAME, b"x" * size) == header + b"x" * size


def test_an_exit_code_is_told_as_the_api_does() -> None:
    assert status(0)["status"] == "Success"
    assert status(3)["details"] == {"causes": [{"reason": "ExitCode", "message": "3"}]}


def test_output_goes_to_its_channel_and_the_command_finds_its_volumes(tmp_path: Path) -> None:
    volume = tmp_path / "kubernetes.io~empty-dir" / "my-data"
    volume.mkdir(parents=True)
    sent: dict[int, bytes] = {}
    ended = run(
        ["sh", "-c", "echo $VOLUME_my_data; pwd >&2"],
        Place(directory=tmp_path, volumes={"my-data": volume}),
        lambda channel, data: sent.update({channel: sent.get(channel, b"") + data}),
    )
    assert sent == {1: f"{volume}\n".encode(), 2: f"{tmp_path}\n".encode()}
    assert ended["status"] == "Success"


def test_a_program_that_does_not_exist_is_a_failure(tmp_path: Path) -> None:
    assert (
        run(["no-such-program"], Place(directory=tmp_path, volumes={}), lambda channel, data: None)["status"]
        == "Failure"
    )
