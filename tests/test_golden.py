"""What is checked in of what the commands render is what they render today; `make golden` renders it anew."""

from pathlib import Path

from archgw.app import app
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent


def test_envoy_json_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["render", "envoy", str(ROOT / "config.yaml")])
    assert printed.exit_code == 0, printed.stderr
    assert printed.stdout == (ROOT / "envoy" / "envoy.json").read_text(), "look at the difference, then: make golden"


def test_the_folder_for_kubernetes_is_what_the_command_writes(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["render", "kubernetes", str(ROOT / "config.yaml"), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.stderr
    kept = _texts(ROOT / "deploy" / "kubernetes")
    assert kept.pop("README.md")
    assert _texts(tmp_path) == kept, "look at the difference, then: make golden"


def _texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
