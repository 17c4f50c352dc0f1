"""What a check that found errors says of a repository: broken, or not to be read just now."""

from __future__ import annotations

import pytest

from pkg.apis.reasons import Reason
from pkg.kube.stop import StopToken
from pkg.restic.environment import ResticEnvironment
from pkg.restic.errors import ResticError
from pkg.restic.maintenance import check_repository
from pkg.restic.messages import ItemError, Summary
from pkg.restic.password import Password
from pkg.testing.scriptedrestic import ScriptedRestic

CUT = "pack 12345678: Load(<data/12345678>, 0, 0): read tcp 10.0.0.1: connection reset by peer"
BROKEN = "blob 87654321: ciphertext verification failed"


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        pytest.param((BROKEN,), Reason.REPOSITORY_DAMAGED, id="damage"),
        pytest.param((CUT,), Reason.BACKEND_UNREACHABLE, id="a store that did not answer proves nothing"),
        pytest.param((CUT, BROKEN), Reason.REPOSITORY_DAMAGED, id="damage found beside a store that did not answer"),
        pytest.param((BROKEN, CUT), Reason.REPOSITORY_DAMAGED, id="in the other order too"),
    ],
)
def test_damage_is_told_from_trouble_on_the_way(errors: tuple[str, ...], reason: Reason) -> None:
    said = [ItemError(message=text) for text in errors]
    restic = ScriptedRestic(1, *said, Summary(num_errors=len(errors)))
    environment = ResticEnvironment(repository="/r", password=Password("p"), cache_dir="")
    with pytest.raises(ResticError) as caught:
        check_repository(restic, environment, StopToken())
    assert caught.value.reason is reason
