"""What restic can do, by its version."""

import pytest

from pkg.restic.preflight import keeps_labels


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param("0.19.1", True, id="the one in the image"),
        pytest.param("0.18.0", True, id="the first that can leave attributes out"),
        pytest.param("0.17.3", False, id="older"),
        pytest.param("1.0.0", True, id="later"),
        pytest.param("", False, id="unknown"),
    ],
)
def test_labels_are_kept_by_a_restic_that_can(version: str, *, expected: bool) -> None:
    assert keeps_labels(version) is expected
