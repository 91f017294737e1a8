"""What does not work is done without: requests pass, the reply says why, and `archgw status` knows."""

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
from archgw.app import app
from archgw.simulate import Fault, Simulator
from dialogue import gateway_of
from prometheus_client.parser import text_string_to_metric_families
from stack import Answer, Gateway, gateway, until
from typer.testing import CliRunner, Result

from router_service.shell import router_model
from router_service.shell.onnx_model import BadModel

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI", default: true}
  - {model: deepseek/deepseek-chat, access_key: k, base_url: "$URL_DEEPSEEK"}
routing_preferences:
  - {name: jokes, description: telling jokes and funny stories, models: [deepseek-chat]}
failover: {put_aside_after: 100000}
routing: {deadline: 10s}
"""
GPT, DEEPSEEK = "openai/gpt-4o-mini", "deepseek/deepseek-chat"
JOKE = {"role": "user", "content": "Tell me a joke about a parrot"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a parrot"}]}
TOOL = {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}


@asynccontextmanager
async def stack(folder: Path, config: str = CONFIG) -> AsyncIterator[Gateway]:
    async with Simulator("openai") as one, Simulator("deepseek") as two:
        providers = {"openai": one, "deepseek": two}
        async with gateway(folder, config, providers) as running:
            yield running


async def ask(running: Gateway, *messages: dict[str, Any], session: str = "s") -> Answer:
    body = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": list(messages or [JOKE]), "tools": [TOOL]}
    return await running.ask(body, **{"x-claude-code-session-id": session})


async def archgw(running: Gateway, *words: str) -> Result:
    environment = {"ARCHGW_HOME": str(running.home.folder), "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, app, list(words), env=environment)


# -- the router model ----------------------------------------------------------------------------------------------


def missing(folder: Path) -> str:
    return "router.json: there is no such file"


def corrupt(folder: Path) -> str:
    folder.mkdir()
    (folder / "router.json").write_text('{"scale": 10, "tau": 0.5}')
    shipped = Path(router_model.__file__).parent.parent / "model" / "english"
    (folder / "tokenizer.json").write_bytes((shipped / "tokenizer.json").read_bytes())
    (folder / "router.onnx").write_bytes((shipped / "router.onnx").read_bytes()[:100_000])
    return "router.onnx: no ONNX model that this machine can run"


@pytest.mark.parametrize("spoilt", [missing, corrupt])
async def test_without_a_router_model_the_default_answers(tmp_path: Path, spoilt: Callable[[Path], str]) -> None:
    words = spoilt(tmp_path / "mine")
    config = CONFIG.replace("deadline: 10s", "model: ./mine")
    async with stack(tmp_path, config) as running:
        for _ in range(3):
            answer = await ask(running)
            assert (answer.status, answer.headers["x-arch-model"]) == (200, GPT)
            told = f"the router model cannot be used ({words}) -> {GPT} (default)"
            assert answer.headers["x-arch-reason"] == told
        log = running.home.log("router").read_text()
        assert log.count("the router model cannot be used") == 1
        status = await archgw(running, "status")
        assert f"done without: the router model cannot be used: {tmp_path}/mine/{words}" in status.output
        assert json.loads((await archgw(running, "status", "--json")).output)["troubles"]


@pytest.mark.parametrize("command", ["check", "up"])
async def test_whoever_starts_it_is_told_of_a_model_of_their_own_that_is_none(tmp_path: Path, command: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("llm_providers: [{model: openai/gpt-4o, access_key: $K}]\nrouting: {model: ./mine}\n")
    environment = {"ARCHGW_HOME": str(tmp_path / "home"), "COLUMNS": "200", "K": "k"}
    result = CliRunner().invoke(app, [command, str(config)], env=environment)
    assert result.exit_code == 1
    assert f"routing.model: {tmp_path}/mine/router.json: there is no such file" in result.output


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BadModel("/where/router.onnx: there is no such file"), "router.onnx: there is no such file"),
        (ZeroDivisionError("whatever"), "it failed with ZeroDivisionError"),
    ],
    ids=["it cannot be opened", "it breaks when it is first run"],
)
async def test_a_router_model_that_cannot_be_made_is_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, words: str
) -> None:
    """The one that ships, too: an installation may be incomplete."""

    def broken(_: object, **__: object) -> object:
        raise error

    monkeypatch.setattr(router_model, "onnx_model", broken)
    model = await router_model.ready(gateway_of().plan)
    assert (await model.score("hello", ())).trouble == f"the router model cannot be used ({words})"
    assert words in model.trouble and len(caplog.messages) == 1
    await model.close()


# -- where sessions are kept ---------------------------------------------------------------------------------------


async def test_without_a_state_file_requests_pass_and_it_is_used_again_when_it_is_well(tmp_path: Path) -> None:
    """A folder of its name stands in the way at the start; later somebody else locks the file."""
    state = tmp_path / "home" / "state.sqlite"
    state.mkdir(parents=True)
    async with stack(tmp_path) as running:
        assert (await ask(running)).headers["x-arch-model"] == DEEPSEEK
        assert (await ask(running, JOKE, CALL, RESULT)).headers["x-arch-model"] == DEEPSEEK, "it is in memory"
        status = await archgw(running, "status")
        assert "done without: sessions are not remembered" in status.output
        state.rmdir()
        await until(lambda: state.is_file() and _kept(state, "s/"))
        assert "done without" not in (await archgw(running, "status")).output
        with closing(sqlite3.connect(state)) as other:
            other.execute("begin exclusive")
            assert (await ask(running, session="t")).status == 200
            for _ in range(600):
                if "not remembered" in (await archgw(running, "status")).output:
                    break
                await asyncio.sleep(0.1)
            assert "locked" in (await archgw(running, "status")).output
        await until(lambda: _kept(state, "t/"))
        log = running.home.log("router").read_text()
        assert log.count("sessions are not remembered for now") == 2
        assert log.count("sessions are remembered again") == 2


def _kept(state: Path, key: str) -> bool:
    try:
        with closing(sqlite3.connect(state)) as connection:
            return bool(connection.execute("select 1 from sessions where key = ?", (key,)).fetchone())
    except sqlite3.OperationalError:
        return False


# -- processes -----------------------------------------------------------------------------------------------------


async def test_a_tool_loop_goes_on_with_its_model_after_the_router_was_killed(tmp_path: Path) -> None:
    state = tmp_path / "home" / "state.sqlite"
    async with stack(tmp_path) as running:
        assert (await ask(running)).headers["x-arch-model"] == DEEPSEEK
        running.providers["openai"].fail_next(Fault("status", status=429, retry_after=500))
        named = await running.ask({"model": GPT, "max_tokens": 9, "messages": [JOKE]})
        assert named.headers["x-arch-model"] == DEEPSEEK
        await until(lambda: _kept(state, "s/") and _cools(state))
        os.kill(running.supervisor.pids["router"], signal.SIGKILL)
        await until(lambda: running.supervisor.restarts.get("router") == 1)
        await running.until_well({"model": "claude-opus-5-5", "max_tokens": 50, "messages": [JOKE]})
        after = await ask(running, JOKE, CALL, RESULT)
        assert after.headers["x-arch-model"] == DEEPSEEK
        assert after.headers["x-arch-reason"].startswith("tool continuation -> stays with")
        status = await archgw(running, "status")
        assert "router ended by itself and was started again once" in status.output
        assert "s left: answered 429" in status.output, "who cools still does"


def _cools(state: Path) -> bool:
    with closing(sqlite3.connect(state)) as connection:
        return bool(connection.execute("select 1 from cooling").fetchone())


async def test_a_router_that_cannot_start_is_tried_ever_more_seldom_and_status_says_so(tmp_path: Path) -> None:
    async with stack(tmp_path) as running:
        file = running.home.accepted  # what the supervisor gives it to read, whatever the user's file says by now
        good = file.read_text()
        file.write_text("nonsense")
        os.kill(running.supervisor.pids["router"], signal.SIGKILL)
        await until(lambda: running.supervisor.restarts.get("router", 0) >= 4, patience=120)
        await until(lambda: running.home.health()["router"].starts is not None)
        status, told = await archgw(running, "status"), running.home.health()["router"]
        assert status.exit_code == 1 and told.starts and told.ended
        assert "the router service does not answer: it has ended by itself" in status.output
        assert "is started again in" in status.output or "is just starting" in status.output
        assert told.starts - told.ended <= 5.5, "the back-off is bounded"
        as_json = json.loads((await archgw(running, "status", "--json")).output)
        assert as_json["processes"]["router"]["restarts"] >= 4
        answer = await running.ask({"model": "auto", "max_tokens": 9, "messages": [JOKE]})
        assert answer.status == 503 and "restarted by itself" in answer.json["error"]["message"]
        file.write_text(good)
        await running.until_well({"model": "claude-opus-5-5", "max_tokens": 50, "messages": [JOKE]})


async def test_envoy_is_started_again_and_status_says_so(tmp_path: Path) -> None:
    async with stack(tmp_path) as running:
        before = running.supervisor.pids["envoy"]
        os.kill(before, signal.SIGSTOP)
        status = await archgw(running, "status")
        assert "Envoy does not answer: nobody can ask anything" in status.output
        assert not json.loads((await archgw(running, "status", "--json")).output)["envoy_answers"]
        os.kill(before, signal.SIGKILL)
        await until(lambda: running.supervisor.restarts.get("envoy") == 1)
        await running.until_well({"model": "claude-opus-5-5", "max_tokens": 50, "messages": [JOKE]})
        assert running.supervisor.pids["envoy"] != before
        status = await archgw(running, "status")
        assert "envoy ended by itself and was started again once" in status.output


# -- told ----------------------------------------------------------------------------------------------------------


async def test_who_cools_and_how_everybody_does_is_told(tmp_path: Path) -> None:
    async with stack(tmp_path) as running:
        running.providers["deepseek"].fail_next(Fault("status", status=429, retry_after=100))
        first, second = await ask(running), await ask(running, session="t")
        assert [answer.headers["x-arch-model"] for answer in (first, second)] == [GPT, GPT]
        assert f"{DEEPSEEK} is to be left alone for" in second.headers["x-arch-reason"]
        status = await archgw(running, "status")
        assert "cooling, " in status.output and " s left: answered 429" in status.output
        models = json.loads((await archgw(running, "status", "--json")).output)["models"]
        assert models[0]["cooling"] is None and 80 < models[1]["cooling"]["left"] <= 100
        why = await archgw(running, "why", second.headers["x-arch-request-id"])
        assert f"{DEEPSEEK}: to be left alone for" in why.output
        await running.ask(b"{", "/v1/messages")
        async with running.client.get(f"{running.url}/archgw/metrics") as reply:
            assert reply.status == 200 and reply.headers["content-type"].startswith("text/plain; version=0.0.4")
            figures = _figures(await reply.text())
        assert figures["archgw_tries_total", "deepseek-deepseek-chat"] == 1
        assert figures["archgw_failures_total", "deepseek-deepseek-chat"] == 1
        assert figures["archgw_answers_total", "openai-gpt-4o-mini"] == 2
        assert 80 < figures["archgw_cooling_seconds", "deepseek-deepseek-chat"] <= 100
        assert figures["archgw_cooling_seconds", "openai-gpt-4o-mini"] == 0
        assert (figures["archgw_requests_total", "2xx"], figures["archgw_requests_total", "4xx"]) == (2, 1)
        assert figures["archgw_requests_under_way", ""] == figures["archgw_request_held_bytes", ""] == 0
        assert figures["archgw_degraded", "router_model"] == figures["archgw_degraded", "state"] == 0
        assert figures["archgw_put_aside", "deepseek-deepseek-chat"] == 0, "it cools, which is not the same"


def _figures(page: str) -> dict[tuple[str, str], float]:
    """By name and the first of its labels."""
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    return {(sample.name, next(iter(sample.labels.values()), "")): sample.value for sample in samples}
