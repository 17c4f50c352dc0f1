from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hack import demo, test
from hack.demo_compare import Kind
from hack.demo_stage import DemoError
from hack.demo_story import DAMAGES

SCRIPTS = Path(demo.__file__).parent / "demo"


@pytest.mark.parametrize(
    ("environ", "is_root", "expected"),
    [
        pytest.param({}, True, "cluster", id="root gets a whole cluster"),
        pytest.param({}, False, "controlplane", id="a user gets the stand-in"),
        pytest.param({"TIER": "controlplane"}, True, "controlplane", id="root asks for the stand-in"),
        pytest.param({"TIER": "cluster"}, False, "cluster", id="a user who asks for a cluster is told what it needs"),
        pytest.param({"KEEP": "1"}, True, "standing", id="a cluster that is kept outlives the demo"),
        pytest.param({"KEEP": "1"}, False, "controlplane", id="the stand-in cannot be kept"),
        pytest.param({"ARK_TEST_EXISTING_CLUSTER": "1"}, True, "existing", id="a cluster of one's own"),
        pytest.param({"ARK_TEST_EXISTING_CLUSTER": "0"}, True, "cluster", id="only 1 means yes"),
    ],
)
def test_where_the_demo_takes_place(environ: dict[str, str], is_root: bool, expected: str) -> None:
    assert demo.place(environ, is_root=is_root) == expected


def test_an_unknown_tier_is_refused() -> None:
    with pytest.raises(DemoError, match="TIER=moon"):
        demo.place({"TIER": "moon"}, is_root=True)


def test_an_unknown_damage_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_DAMAGE", "contents")
    assert demo.main() == 64


@pytest.mark.parametrize("kind", DAMAGES)
def test_the_script_can_do_and_undo_each_damage(kind: str) -> None:
    text = (SCRIPTS / "damage.sh").read_text()
    assert f"'do {kind}')" in text
    assert f"'undo {kind}')" in text


def test_each_damage_is_seen_as_the_kind_of_its_name() -> None:
    assert {kind.value: kind for kind in DAMAGES.values()} == DAMAGES
    assert Kind.ROOT in DAMAGES.values()


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_a_script_is_valid_shell(script: Path) -> None:
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        pytest.param("unit", [], id="unit tests need nothing"),
        pytest.param("controlplane", ["packages", "packages", "build"], id="the control plane needs programs"),
        pytest.param("cluster", ["packages", "build", "archives"], id="the cluster needs images too"),
    ],
)
def test_what_is_prepared_for_a_tier(tier: str, expected: list[str]) -> None:
    assert [step[2] for step in test.preparations(tier)] == expected
