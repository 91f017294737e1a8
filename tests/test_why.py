"""Why a request was answered as it was, asked of a running gateway: the whole decision, and its session."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from archgw.commands.why import why
from archgw.simulate import Fault, Simulator
from archgw.statusline import ask as session_of
from stack import Answer, Gateway, gateway
from typer import Typer
from typer.testing import CliRunner

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, base_url: "$URL_OPENAI", access_key: k, default: true, price: $MINI}
  - {model: anthropic/claude-sonnet-4-5, base_url: "$URL_ANTHROPIC", access_key: k, price: $SONNET}
  - {model: deepseek/deepseek-chat, base_url: "$URL_DEEPSEEK", access_key: k, price: $CHAT}
  - {model: xai/grok-4}
failover: {put_aside_for: 1s, cool_at_most: 0}
routing: {deadline: 10s}
routing_preferences:
  - {name: writing code, description: writing new functions and scripts, models: [claude-sonnet-4-5, gpt-4o-mini]}
  - {name: jokes, description: telling jokes and funny stories, models: [deepseek-chat, gpt-4o-mini]}
"""
PRICES = {
    "$MINI": "{input: 1, cached: 0.1, output: 4}",
    "$SONNET": "{input: 3, cached: 0.3, cache_write: 3.75, output: 15}",
    "$CHAT": "{input: 0.3, cached: 0.03, output: 1}",
}
SESSION = "5c9f6b0e-8c59-4d0b-9d0f-0d6b3f1f2b11"
CODE = "Write a Python function that parses ISO dates"
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    names = ("openai", "anthropic", "deepseek")
    async with Simulator("openai") as one, Simulator("anthropic") as two, Simulator("deepseek") as three:
        folder, config = tmp_path_factory.mktemp("why"), CONFIG
        for name, price in PRICES.items():
            config = config.replace(name, price)
        async with gateway(folder, config, dict(zip(names, (one, two, three), strict=True))) as running:
            yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> None:
    await running.calm()


async def asked(running: Gateway, *said: str, session: str = SESSION, **fields: Any) -> Answer:
    turns = [{"role": "user" if at % 2 == 0 else "assistant", "content": text} for at, text in enumerate(said)]
    body = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": turns} | fields
    headers = {"x-claude-code-session-id": session, "x-claude-code-prompt-id": "p1", "user-agent": "claude-cli/2.1.330"}
    return await running.ask(body, **headers)


async def told(running: Gateway, *arguments: str, code: int = 0) -> str:
    app = Typer()
    app.command()(why)
    environment = {"ARCHGW_HOME": str(running.home.folder), "COLUMNS": "300"}
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)
    assert result.exit_code == code, result.output
    return result.output


async def test_the_whole_decision(running: Gateway) -> None:
    answer = await asked(running, CODE)
    words = await told(running)
    assert words.startswith("writing code -> anthropic/claude-sonnet-4-5\nwhy: writing code (1.0")
    for part in (
        f"request        {answer.headers['x-arch-request-id']}, user turn, ",
        f"session        {SESSION}/",
        "asked for      claude-opus-5-5",
        f"asked          {CODE}",
        "in this order  anthropic/claude-sonnet-4-5, openai/gpt-4o-mini",
        "none of them",
        "answered",
    ):
        assert part in words
    assert "$" in words.split("cost ")[1]


async def test_a_request_is_found_by_its_id_or_its_session(running: Gateway) -> None:
    first = await asked(running, CODE, session="0a0a0a0a-0000-4000-8000-000000000001")
    await asked(running, "Tell me a joke", session="0a0a0a0a-0000-4000-8000-000000000002")
    id = first.headers["x-arch-request-id"]
    ways = (id,), (id[:7],), ("--session", "0a0a0a0a-0000-4000-8000-000000000001")
    found = [json.loads(await told(running, *way, "--json")) for way in ways]
    assert {one["request"]["id"] for one in found} == {id}
    assert found[0]["ask"] == CODE and found[0]["fits"][0]["route"] == "writing code"
    last = json.loads(await told(running, "--json"))
    assert last["request"]["session"] == "0a0a0a0a-0000-4000-8000-000000000002/"


async def test_a_request_that_is_not_there(running: Gateway) -> None:
    assert "there is no request nonsense among the last 500 of this gateway" in await told(running, "nonsense", code=1)


async def test_a_failover_is_told_with_every_try(running: Gateway) -> None:
    running.providers["anthropic"].fail_next(Fault("status", status=529), times=1)
    await asked(running, CODE, session="0a0a0a0a-0000-4000-8000-000000000003")
    words = await told(running)
    assert "writing code -> openai/gpt-4o-mini" in words
    tries = words.split("try ")[-1]
    assert "anthropic/claude-sonnet-4-5" in tries and "529" in tries and "answered 529" in tries
    assert "openai/gpt-4o-mini" in tries


async def test_who_was_passed_over_is_told(running: Gateway) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "Tell me a joke about this"}]
    body = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": content}]}
    await running.ask(body)
    assert "deepseek/deepseek-chat: it cannot see images" in await told(running)


async def test_what_a_change_of_model_costs_is_told(running: Gateway) -> None:
    session = "0a0a0a0a-0000-4000-8000-000000000004"
    usage = [{"text": "done", "usage": {"input": 90_000, "cached": 0, "output": 10}}]
    code = f"{CODE} @@{json.dumps(usage)}@@"
    await asked(running, code, session=session)
    answer = await asked(running, code, "done", "Now tell me a joke", session=session)
    assert answer.headers["x-arch-model"] == "deepseek/deepseek-chat"
    numbers = "left anthropic/claude-sonnet-4-5: this turn will re-read 90k tokens, for no more than staying, to save $"
    assert numbers in answer.headers["x-arch-reason"] and numbers in await told(running)


# -- the session, as the status line asks for it -------------------------------------------------------------------


async def test_a_session_says_who_served_it_and_what_it_cost(running: Gateway) -> None:
    session = "0a0a0a0a-0000-4000-8000-000000000005"
    usage = [{"text": "done", "usage": {"input": 1000, "cached": 9000, "output": 100}}]
    answer = await asked(running, f"{CODE} @@{json.dumps(usage)}@@", session=session)
    found = await asyncio.to_thread(session_of, running.url, session)
    assert found is not None
    assert (found["model"], found["route"], found["kind"]) == (
        "anthropic/claude-sonnet-4-5",
        "writing code",
        "user turn",
    )
    assert (found["request"], found["prompt"]) == (answer.headers["x-arch-request-id"], "p1")
    assert found["cached"] == pytest.approx(0.9)
    assert found["spent"] == pytest.approx((1000 * 3 + 9000 * 0.3 + 100 * 15) / 1e6)
    assert found["baseline"] == {"model": "openai/gpt-4o-mini", "cost": pytest.approx((10_000 * 1 + 100 * 4) / 1e6)}


async def test_what_a_subagent_costs_is_the_sessions_cost(running: Gateway) -> None:
    session = "0a0a0a0a-0000-4000-8000-000000000006"
    await asked(running, CODE, session=session)
    before = await asyncio.to_thread(session_of, running.url, session)
    body = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": CODE}]}
    await running.ask(body, **{"x-claude-code-session-id": session, "x-claude-code-agent-id": "a1"})
    after = await asyncio.to_thread(session_of, running.url, session)
    assert before and after and after["spent"] > before["spent"] and after["request"] == before["request"]


async def test_a_session_that_nobody_knows(running: Gateway) -> None:
    assert await asyncio.to_thread(session_of, running.url, "0a0a0a0a-0000-4000-8000-00000000dead") is None


# -- last, for it leaves a vendor put aside ------------------------------------------------------------------------


async def test_who_is_put_aside_and_who_has_no_key_is_told(running: Gateway) -> None:
    """Whom Envoy does not ask any more, and whom nobody can ask."""
    running.providers["anthropic"].fault = Fault("status", status=503)
    for number in range(4):
        await asked(running, CODE, session=f"0a0a0a0a-0000-4000-8000-00000000001{number}")
    words = await told(running)
    assert "anthropic/claude-sonnet-4-5: put aside after repeated failures" in words
    assert "xai/grok-4: $XAI_API_KEY is not set" in words
