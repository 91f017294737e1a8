"""What is checked in under envoy/ is what the command prints today; `make golden` renders it anew."""

from pathlib import Path

from archgw.app import app
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent


def test_envoy_json_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["render", "envoy", str(ROOT / "config.yaml")])
    assert printed.exit_code == 0, printed.stderr
    assert printed.stdout == (ROOT / "envoy" / "envoy.json").read_text(), "look at the difference, then: make golden"
