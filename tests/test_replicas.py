"""Two whole gateways that share a ledger in a real PostgreSQL, as replicas do."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from archgw.app import app
from archgw.simulate import Simulator
from postgres import binaries, postgres
from stack import Gateway, gateway, until
from typer.testing import CliRunner

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: key-of-openai, base_url: "$URL_OPENAI/v1"}
ledger: {url: "$LEDGER"}
"""
ASKED = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
EACH = 30


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres() as url:
        yield url


async def test_two_gateways_write_into_one_ledger_at_once(server: str, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    config = CONFIG.replace("$LEDGER", server)
    async with (
        Simulator("openai") as vendor,
        gateway(folders[0], config, {"openai": vendor}) as one,
        gateway(folders[1], config, {"openai": vendor}) as other,
    ):
        answers = await asyncio.gather(
            *(running.ask(ASKED, "/v1/chat/completions") for running in (one, other) for _ in range(EACH))
        )
        assert {answer.status for answer in answers} == {200}
        await until(lambda: requests_told(one) == 2 * EACH)
        assert requests_told(other) == 2 * EACH, "each sees what both have written"


def requests_told(running: Gateway) -> int:
    shown = CliRunner().invoke(app, ["stats", "--json"], env={"ARCHGW_HOME": str(running.home.folder)})
    assert shown.exit_code == 0, shown.output
    return int(json.loads(shown.stdout)["total"]["requests"])
