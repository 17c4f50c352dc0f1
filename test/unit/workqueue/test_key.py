from __future__ import annotations

import pytest

from pkg.workqueue.key import Key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        pytest.param("ns/name", Key("ns", "name"), id="a namespaced object"),
        pytest.param("name", Key("", "name"), id="a cluster-scoped object"),
    ],
)
def test_text_and_key_are_the_same(text: str, key: Key) -> None:
    assert Key.parse(text) == key
    assert str(key) == text


def test_a_second_slash_is_refused() -> None:
    with pytest.raises(ValueError, match="namespace/name"):
        Key.parse("a/b/c")
