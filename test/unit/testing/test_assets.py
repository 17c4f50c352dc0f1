"""Where test programs come from: built once per pinned content, never half, and not at all when brought along."""

import dataclasses
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hack import toolchain_build, toolchain_catalogue, toolchain_cli, toolchain_packages
from hack.toolchain_build import ToolchainError
from hack.toolchain_catalogue import GROUPS, TOOLS, Package, Tool

FAKE_GO = """#!/bin/sh
case "$1" in
env) echo "${FAKE_GOVERSION:-go1.26.1}"; exit 0 ;;
esac
echo build >> "$FAKE_GO_CALLS"
[ -z "$FAKE_GO_FAILURE" ] || { echo "$FAKE_GO_FAILURE"; exit 1; }
while [ "$1" != -o ]; do shift; done
echo "#!/bin/sh" > "$2" && chmod +x "$2"
"""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of our own, and a go that only pretends."""
    for name in [name for name in os.environ if name.startswith(("TEST_ASSET_", "KUBEBUILDER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ARK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("FAKE_GO_CALLS", str(tmp_path / "calls"))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "go").write_text(FAKE_GO)
    (programs / "go").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    directory = tmp_path / "module"
    directory.mkdir()
    (directory / "go.mod").write_text("module m\n\nrequire (\n\texample.org/tool/v2 v2.3.4 // indirect\n)\n")
    (directory / "go.sum").write_text("sums\n")
    return Tool(name="tool", package="example.org/tool/v2/cmd/tool", source="example.org/tool/v2", directory=directory)


def say(_: str) -> None:
    """Take progress and show none of it."""


def builds(tmp_path: Path) -> int:
    calls = tmp_path / "calls"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def test_a_program_is_built_once(tool: Tool, tmp_path: Path) -> None:
    first = toolchain_build.ensure(tool, say)
    assert toolchain_build.ensure(tool, say) == first
    assert os.access(first, os.X_OK)
    assert builds(tmp_path) == 1


def test_another_pin_is_another_build(tool: Tool, tmp_path: Path) -> None:
    first = toolchain_build.ensure(tool, say)
    (tool.directory / "go.sum").write_text("other sums\n")
    assert toolchain_build.ensure(tool, say) != first
    assert first.exists()
    assert builds(tmp_path) == 2


def test_our_own_code_is_built_again_when_a_source_changes(tmp_path: Path) -> None:
    directory = tmp_path / "driver"
    directory.mkdir()
    (directory / "go.mod").write_text("module driver\n")
    (directory / "main.go").write_text("package main\n")
    driver = Tool(name="driver", package=".", source="", directory=directory)
    first = toolchain_build.destination(driver)
    (directory / "main.go").write_text("package main // changed\n")
    assert toolchain_build.destination(driver) != first


def test_the_version_is_the_one_pinned(tool: Tool) -> None:
    assert toolchain_build.version(tool) == "2.3.4"
    assert toolchain_build.destination(tool).parent.name.startswith("2.3.4-")


def test_a_build_that_fails_leaves_nothing_and_shows_why(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GO_FAILURE", "missing go.sum entry")
    with pytest.raises(ToolchainError, match=r"tool does not build:\nmissing go\.sum entry"):
        toolchain_build.ensure(tool, say)
    assert list(toolchain_build.destination(tool).parent.parent.iterdir()) == []


def test_what_a_killed_build_left_is_removed(tool: Tool) -> None:
    leftover = toolchain_build.destination(tool).parent.parent / ".building-abc"
    leftover.mkdir(parents=True)
    (leftover / "tool").write_text("half")
    toolchain_build.ensure(tool, say)
    assert not leftover.exists()


def test_a_missing_go_is_one_clear_sentence(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolchainError, match=r"^tool is built with Go, which is not in PATH: install 1\.25 or newer$"):
        toolchain_build.ensure(tool, say)


def test_a_go_that_is_too_old_is_named(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_GOVERSION", "go1.19.8")
    with pytest.raises(ToolchainError, match=r"needs Go 1\.25 or newer, and go says: go1\.19\.8"):
        toolchain_build.ensure(tool, say)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("TEST_ASSET_KUBE_APISERVER", "mine/kube-apiserver", id="its own variable"),
        pytest.param("KUBEBUILDER_ASSETS", "mine", id="a directory of assets"),
    ],
)
def test_a_program_of_the_user_is_taken_and_not_built(
    variable: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = tmp_path / "mine" / "kube-apiserver"
    mine.parent.mkdir()
    mine.write_text("#!/bin/sh\n")
    mine.chmod(0o755)
    monkeypatch.setenv(variable, str(tmp_path / value))
    assert toolchain_cli.path("kube-apiserver") == mine
    assert builds(tmp_path) == 0


def test_a_variable_that_names_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_ASSET_ETCD", "/nowhere/etcd")
    with pytest.raises(ToolchainError, match="TEST_ASSET_ETCD=/nowhere/etcd is not an executable file"):
        toolchain_cli.path("etcd")


def test_a_kubectl_of_the_machine_is_enough(tmp_path: Path) -> None:
    kubectl = tmp_path / "programs" / "kubectl"
    kubectl.write_text("#!/bin/sh\n")
    kubectl.chmod(0o755)
    assert toolchain_cli.path("kubectl") == kubectl


def test_only_the_path_goes_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    assert toolchain_cli.main(["path", "restic"]) == 0
    captured = capfd.readouterr()
    assert captured.out == f"{toolchain_build.destination(TOOLS['restic'])}\n"
    assert "[1/1] restic" in captured.err


def test_an_unknown_name_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert toolchain_cli.main(["build", "resti"]) == 1
    assert "unknown program or group: resti (known: unit, controlplane" in capsys.readouterr().err


def test_a_tier_needs_what_the_one_below_needs() -> None:
    assert toolchain_cli.expand(["unit"]) == []
    assert set(GROUPS["controlplane"]) < set(GROUPS["cluster"])
    assert toolchain_cli.expand(["controlplane", "restic"]) == list(GROUPS["controlplane"])


@pytest.mark.parametrize("name", [name for name, tool in TOOLS.items() if tool.source and not tool.script])
def test_every_program_is_pinned(name: str) -> None:
    tool = TOOLS[name]
    assert toolchain_build.version(tool)[0].isdigit()
    assert f"{tool.source} v{toolchain_build.version(tool)} " in (tool.directory / "go.sum").read_text()
    assert tool.package in (tool.directory / "go.mod").read_text()


def test_every_package_of_npm_is_pinned_by_a_hash_and_by_no_address() -> None:
    tool = TOOLS["azurite"]
    lock = json.loads((tool.directory / "package-lock.json").read_text())
    packages = {name: found for name, found in lock["packages"].items() if name}
    assert packages[f"node_modules/{tool.source}"]["version"] == toolchain_build.version(tool)
    assert [name for name, found in packages.items() if not found.get("integrity")] == []
    assert [name for name, found in packages.items() if "resolved" in found] == []


def test_a_program_of_npm_is_installed_once(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "programs" / "npm").write_text('#!/bin/sh\necho build >> "$FAKE_GO_CALLS"\nmkdir node_modules\n')
    (tmp_path / "programs" / "node").write_text('#!/bin/sh\necho "runs $3 with $4 after $2"\n')
    for name in ("npm", "node"):
        (tmp_path / "programs" / name).chmod(0o755)
    (tool.directory / "package.json").write_text('{"dependencies": {"emulator": "1.2.3"}}')
    emulator = dataclasses.replace(tool, name="emulator", source="emulator", script="node_modules/emulator/main.js")
    program = toolchain_build.ensure(emulator, say)
    assert toolchain_build.ensure(emulator, say) == program
    assert builds(tmp_path) == 1
    started = subprocess.run([program, "--port"], capture_output=True, text=True, check=True)
    home = program.parent
    assert started.stdout == f"runs {home}/node_modules/emulator/main.js with --port after {home}/unneeded.js\n"


def test_who_lacks_npm_is_told_the_packages(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    (tool.directory / "package.json").write_text('{"dependencies": {"emulator": "1.2.3"}}')
    emulator = dataclasses.replace(tool, source="emulator", script="main.js")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolchainError, match="node, npm \\(packages nodejs, npm\\)"):
        toolchain_build.ensure(emulator, say)


def test_kubernetes_programs_are_told_their_version() -> None:
    tool = TOOLS["kube-apiserver"]
    assert f"version.gitVersion=v{toolchain_build.version(tool)}" in toolchain_build.linker_flags(tool)


def test_a_missing_package_is_named_where_it_cannot_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Package(name="nonesuch-tools", probe="nonesuch")
    present = Package(name="shell", probe="sh")
    monkeypatch.setitem(toolchain_catalogue.PACKAGES, "cluster", (absent, present))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert toolchain_packages.missing("cluster") == ["nonesuch-tools"]
    with pytest.raises(ToolchainError, match=r"as root: apt-get install .* nonesuch-tools$"):
        toolchain_packages.install("cluster")


def test_go_is_only_wanted_when_something_is_missing(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    built = toolchain_build.ensure(tool, say)
    monkeypatch.setenv("PATH", "/nowhere")
    assert shutil.which("go") is None
    assert toolchain_build.ensure(tool, say) == built
