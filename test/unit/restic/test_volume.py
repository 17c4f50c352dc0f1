from pathlib import Path

import pytest

from pkg.restic.volume import is_empty


@pytest.mark.parametrize(
    ("names", "excludes", "empty"),
    [
        pytest.param([], (), True, id="nothing"),
        pytest.param(["lost+found"], (), True, id="only what a file system has"),
        pytest.param(["lost+found", "a"], (), False, id="a file beside it"),
        pytest.param(["cache", "x.tmp"], ("/cache/", "*.tmp"), True, id="only what is excluded"),
        pytest.param(["cache"], ("/cache/deep",), False, id="only a part of it is excluded"),
        pytest.param(["Cache"], ("/cache",), False, id="another case"),
        pytest.param(["a", "b"], ("*", "!b"), False, id="one taken back in"),
    ],
)
def test_a_volume_is_empty_when_nothing_of_it_is_captured(
    tmp_path: Path, names: list[str], excludes: tuple[str, ...], empty: bool
) -> None:
    for name in names:
        (tmp_path / name).mkdir()
    assert is_empty(str(tmp_path), excludes) is empty


def test_a_volume_that_cannot_be_read_is_not_empty(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        is_empty(str(tmp_path / "gone"))
