"""What is checked in of what the commands render is what they render today; `make golden` renders it anew."""

from pathlib import Path

import pytest
from archgw.app import app
from archgw.render.mesh import TARGETS
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent


def test_envoy_json_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["render", "envoy", str(ROOT / "config.yaml")])
    assert printed.exit_code == 0, printed.stderr
    assert printed.stdout == (ROOT / "envoy" / "envoy.json").read_text(), "look at the difference, then: make golden"


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_for_others_envoys_is_what_the_command_writes(target: str, tmp_path: Path) -> None:
    wrote = CliRunner().invoke(
        app, ["render", "mesh", "--for", target, str(ROOT / "config.yaml"), "--out", str(tmp_path)]
    )
    assert wrote.exit_code == 0, wrote.stderr
    kept = ROOT / "envoy" / "mesh" / target
    by_hand = {Path("README.md")}
    assert {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.*")} == {
        path.relative_to(kept): path.read_text() for path in kept.rglob("*.*") if path.relative_to(kept) not in by_hand
    }, "look at the difference, then: make golden"


def test_docker_compose_yaml_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["render", "compose", str(ROOT / "config.yaml")])
    assert printed.exit_code == 0, printed.stderr
    assert printed.stdout == (ROOT / "docker-compose.yaml").read_text(), "look at the difference, then: make golden"


def test_the_folder_for_kubernetes_is_what_the_command_writes(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["render", "kubernetes", str(ROOT / "config.yaml"), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.stderr
    kept = _texts(ROOT / "deploy" / "kubernetes")
    assert kept.pop("README.md")
    assert _texts(tmp_path) == kept, "look at the difference, then: make golden"


def _texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
