"""Every store of every unit test is watched for writes into cached objects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pkg.informers.mutation import mutation_detection


@pytest.fixture(autouse=True)
def detect_mutations() -> Iterator[None]:
    with mutation_detection():
        yield
