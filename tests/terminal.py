"""archgw, typed at a terminal of its own."""

import re
import socket
from pathlib import Path

from archgw.app import app
from archgw.home import Home
from click.testing import Result
from typer.testing import CliRunner

from router_service.providers import PROVIDERS

NO_KEYS = {provider.key_variable: None for provider in PROVIDERS.values() if provider.key_variable}
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, default: true}
  - {model: xai/grok-2, access_key: $XAI_API_KEY}
routing_preferences:
  - {name: code generation, description: writing new functions and scripts, models: [gpt-4o-mini]}
  - {name: jokes, description: telling jokes, models: [grok-2]}
"""


class Shell:
    """An empty folder, a home of its own, and none of this machine's keys."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.home = folder, Home(folder / "home")
        self._environment: dict[str, str | None] = {
            **NO_KEYS,
            "ARCHGW_HOME": str(self.home.folder),
            "OPENAI_API_KEY": "sk-test-0123456789",
            "COLUMNS": "200",
        }

    def config(self, text: str = CONFIG) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        path = self.folder / "given.yaml"
        path.write_text(text.replace("$PORT", str(port)))
        return str(path)

    def run(self, *arguments: str, **environment: str | None) -> Result:
        return CliRunner().invoke(app, list(arguments), env=self._environment | environment)


def told(result: Result) -> str:
    """What was said, without line breaks and boxes."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", result.output).split())
