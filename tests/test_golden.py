"""What is checked in is what the commands print today; `make golden` renders it anew."""

from pathlib import Path

from archgw.app import app
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent


def test_envoy_json_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["render", "envoy", str(ROOT / "config.yaml")])
    assert printed.exit_code == 0, printed.stderr
    assert printed.stdout == (ROOT / "envoy" / "envoy.json").read_text(), "look at the difference, then: make golden"


def test_docker_compose_yaml_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["render", "compose", str(ROOT / "config.yaml")])
    assert printed.exit_code == 0, printed.stderr
    assert printed.stdout == (ROOT / "docker-compose.yaml").read_text(), "look at the difference, then: make golden"
