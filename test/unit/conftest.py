"""Every store of every unit test is watched for writes into cached objects; no example has to be quick."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from pkg.informers.mutation import mutation_detection

hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@pytest.fixture(autouse=True)
def detect_mutations() -> Iterator[None]:
    with mutation_detection():
        yield
