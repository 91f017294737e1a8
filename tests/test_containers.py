"""What containers run, run without them: the health check, and commands beside the router, of a real gateway."""

import asyncio
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
import yaml
from archgw.configs import database_variables
from archgw.home import Home, home
from archgw.machine import refusal
from archgw.render import compose
from archgw.simulate import Simulator
from stack import CODE, Gateway, gateway
from terminal import CONFIG as GIVEN
from terminal import Shell

from router_service.config import parse
from router_service.plan import plan

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers: [{model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}]
"""
KEYS = {"OPENAI_API_KEY": "key-of-openai"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with (
        Simulator("openai") as openai,
        gateway(tmp_path_factory.mktemp("stack"), CONFIG, {"openai": openai}, KEYS) as running,
    ):
        yield running


async def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    seen = {"PATH": os.environ["PATH"], "COLUMNS": "200", **CODE, **environment}
    return await asyncio.to_thread(
        subprocess.run, command, env=seen, capture_output=True, text=True, check=False, timeout=120
    )


async def beside(stack: Gateway, *words: str) -> subprocess.CompletedProcess[str]:
    """`archgw` as in the router's container, which knows no supervisor."""
    told = {
        "ARCHGW_HOME": str(stack.home.folder),
        "ARCHGW_RUN": str(stack.home.run),
        "ARCHGW_CONFIG": stack.stack.config,
        "ARCHGW_URL": "http://127.0.0.1:4711",
    }
    return await run(sys.executable, "-m", "archgw", *words, **told, **KEYS)


async def health(url: str) -> int:
    """What the health check of Envoy's container says of who listens there, with the dollars as Compose takes them."""
    listener = f"listeners: {{egress_traffic: {{port: {urlsplit(url).port}}}}}"
    known = plan(parse(f"llm_providers: [{{model: ollama/llama3.1}}]\n{listener}", file="", environment={}))
    envoy = yaml.safe_load(compose.text(known, compose.Files()))["services"]["envoy"]
    return (await run(*[word.replace("$$", "$") for word in envoy["healthcheck"]["test"][1:]])).returncode


async def test_envoy_is_well_when_a_request_passes_through_both(stack: Gateway) -> None:
    assert await health(stack.url) == 0


async def test_envoy_is_not_well_where_nobody_listens() -> None:
    assert await health("http://127.0.0.1:1") != 0


async def test_who_answers_anything_else_is_not_well(stack: Gateway) -> None:
    """The simulated provider knows no /healthz."""
    assert await health(stack.providers["openai"].url) != 0


async def test_commands_find_the_gateway_by_its_sockets(stack: Gateway) -> None:
    told = await beside(stack, "status", "--json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["url"] == "http://127.0.0.1:4711", "the address that is published"


async def test_they_find_its_ledger(stack: Gateway) -> None:
    await stack.ask({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9})
    told = await beside(stack, "why", "last")
    assert told.returncode == 0 and "openai/gpt-4o-mini" in told.stdout, told.stderr


async def test_its_end_in_there_is_that_of_new_requests_alone(stack: Gateway) -> None:
    """The last one: no other would be answered. Who runs the container ends it."""
    told = await beside(stack, "down", "--within", "20")
    assert told.returncode == 0 and "docker compose down" in told.stdout, told.stderr
    assert await health(stack.url) != 0
    assert stack.home.router_socket.exists() and stack.home.stack() == stack.stack


@pytest.mark.asyncio(loop_scope="function")
async def test_where_no_router_is_nothing_runs(tmp_path: Path) -> None:
    assert Home(tmp_path, sockets=tmp_path / "run").stack() is None


@pytest.mark.asyncio(loop_scope="function")
async def test_the_folder_of_the_sockets_is_one_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHGW_HOME", str(tmp_path))
    native = home()
    monkeypatch.setenv("ARCHGW_RUN", "/run/archgw")
    assert (native.run, home().run) == (tmp_path / "run", Path("/run/archgw"))
    assert dataclasses.replace(home(), sockets=None) == native


@pytest.mark.asyncio(loop_scope="function")
async def test_a_database_finds_its_password_where_the_keys_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's clients look in the environment, which a container's secrets are not in."""
    (tmp_path / "PGPASSWORD").write_text("of-the-database\n")
    (tmp_path / "OPENAI_API_KEY").write_text("sk-test")
    monkeypatch.setenv("ARCHGW_SECRETS", str(tmp_path))
    assert database_variables(tmp_path / "config.yaml") == {"PGPASSWORD": "of-the-database"}


# -- what Envoy is told in there -----------------------------------------------------------------------------------


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.asyncio(loop_scope="function")
async def test_envoy_takes_what_is_rendered_for_it(shell: Shell) -> None:
    example = Path(__file__).parent.parent / "config.yaml"
    file = shell.folder / "envoy.json"
    printed = shell.run("render", "envoy", "--in-container", str(example))
    written = shell.run("render", "envoy", "--in-container", "--output", str(file), str(example))
    assert (written.exit_code, written.stdout, file.read_text()) == (0, "", printed.stdout)
    assert await asyncio.to_thread(refusal, file) == ""


@pytest.mark.asyncio(loop_scope="function")
async def test_chains_are_of_the_models_whose_key_is_there(shell: Shell) -> None:
    """As the router has it, which reads the same keys: it names chains after all that they hold."""
    rendered = json.loads(shell.run("render", "envoy", "--in-container", shell.config()).stdout)
    names = {cluster["name"] for cluster in rendered["static_resources"]["clusters"]}
    known = plan(parse(GIVEN.replace("$PORT", "1"), file="", environment={"OPENAI_API_KEY": "k"}))
    assert {chain.name for chain in known.chains.values()} == {name for name in names if name.startswith("chain.")}
    assert not [name for name in names if "grok" in name]


@pytest.mark.asyncio(loop_scope="function")
async def test_without_any_key_nothing_is_written(shell: Shell) -> None:
    file = shell.folder / "envoy.json"
    done = shell.run("render", "envoy", "--in-container", "--output", str(file), shell.config(), OPENAI_API_KEY=None)
    assert done.exit_code == 1 and not file.exists()
