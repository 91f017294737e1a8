"""Selection policies in a running gateway: who answers follows how fast providers are, and what they charge."""

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from archgw.commands.route import route
from archgw.commands.why import why
from archgw.simulate import Fault, Simulator
from stack import Gateway, gateway
from typer import Typer
from typer.testing import CliRunner

SONNET, MINI = "anthropic/claude-sonnet-4-5", "openai/gpt-4o-mini"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, base_url: "$URL_OPENAI", access_key: k, default: true, price: {input: 1, output: 4}}
  - {model: anthropic/claude-sonnet-4-5, base_url: "$URL_ANTHROPIC", access_key: k, price: {input: 3, output: 15}}
failover: {put_aside_after: 1000, cool_at_most: 0}
routing: {deadline: 10s}
routing_preferences:
  - name: writing code
    description: writing new functions and scripts
    models: [claude-sonnet-4-5, gpt-4o-mini]
    selection_policy: {prefer: fastest}
  - name: jokes
    description: telling jokes and funny stories
    models: [claude-sonnet-4-5, gpt-4o-mini]
    selection_policy: cheapest
"""
CODE, JOKE = "Write a Python function that parses ISO dates, variant {}", "Tell me a funny joke about the number {}"
SLOW = 3.0  # seconds; the other one takes a tenth of that
NUMBERS = count(1)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def running(tmp_path: Any) -> AsyncIterator[Gateway]:
    async with (
        Simulator("openai", latency=0.3) as one,
        Simulator("anthropic") as two,
        gateway(tmp_path, CONFIG, {"openai": one, "anthropic": two}, watch=False) as running,
    ):
        yield running


async def served(running: Gateway, words: str, **fields: Any) -> tuple[str, str]:
    """Who answered a session of its own, and why."""
    said = [{"role": "user", "content": words.format(next(NUMBERS))}]
    answer = await running.ask({"model": "arch.main.v1", "max_tokens": 50, "stream": True, "messages": said} | fields)
    assert answer.status == 200
    return answer.headers["x-arch-model"], answer.headers["x-arch-reason"]


async def until_served(running: Gateway, words: str, label: str) -> int:
    """How many were answered by somebody else before."""
    for others in range(15):
        if (await served(running, words))[0] == label:
            return others
    raise AssertionError(f"{label} never answers")


async def test_who_becomes_slow_is_left_after_a_few_answers(running: Gateway) -> None:
    looks = [await served(running, CODE) for _ in range(2)]
    assert {label for label, _ in looks} == {SONNET, MINI}
    assert all(reason.count("has not been measured lately") == 1 for _, reason in looks)
    assert [(await served(running, CODE))[0] for _ in range(4)] == [SONNET] * 4
    running.providers["anthropic"].latency = SLOW
    assert 1 <= await until_served(running, CODE, MINI) <= 3
    answers = [await served(running, CODE) for _ in range(4)]
    assert [label for label, _ in answers] == [MINI] * 4
    assert f" s at {SONNET} -> {MINI}" in answers[0][1] and "; fastest: " in answers[0][1]
    running.providers["openai"].latency = 3 * SLOW
    await until_served(running, CODE, SONNET)


async def test_who_fails_is_slow(running: Gateway) -> None:
    running.providers["openai"].latency = 1.0  # whatever else this machine does meanwhile
    for _ in range(3):
        await served(running, CODE)
    await until_served(running, CODE, SONNET)
    running.providers["openai"].latency = 0.3
    running.providers["anthropic"].fault = Fault("status", status=500)
    asked = len(running.providers["anthropic"].requests)
    for _ in range(6):
        assert (await served(running, CODE))[0] == MINI, "who steps in, and then who is picked"
    assert 1 <= len(running.providers["anthropic"].requests) - asked <= 2


async def test_an_answer_that_is_not_streamed_is_measured_too(running: Gateway) -> None:
    running.providers["anthropic"].latency = SLOW
    labels = [(await served(running, CODE, stream=False))[0] for _ in range(6)]
    assert labels.count(SONNET) <= 2 and labels[-3:] == [MINI] * 3


async def test_a_session_stays_where_it_is_while_nobody_is_clearly_faster(running: Gateway) -> None:
    running.providers["openai"].latency = 0.0
    for _ in range(2):
        await served(running, CODE)
    said: list[dict[str, str]] = []
    labels = []
    for words in ("Write a function that parses dates", "Now write one that prints them", "And one that sorts them"):
        said = [*said, {"role": "user", "content": words}]
        body = {"model": "arch.main.v1", "max_tokens": 50, "stream": True, "messages": said}
        answer = await running.ask(body, **{"x-session-id": "one"})
        labels.append(answer.headers["x-arch-model"])
        said = [*said, {"role": "assistant", "content": "done"}]
    assert len(set(labels)) == 1


async def test_a_price_that_a_reload_changes_moves_what_is_asked_next(running: Gateway) -> None:
    assert (await served(running, JOKE))[0] == MINI
    file = running.home.folder.parent / "config.yaml"
    text = await asyncio.to_thread(file.read_text)
    await asyncio.to_thread(file.write_text, text.replace("{input: 3, output: 15}", "{input: 0.1, output: 0.5}"))
    reloaded = await running.supervisor.reload()
    assert f"model {SONNET}: another price" in reloaded.changes
    label, reason = await served(running, JOKE)
    assert label == SONNET and "; cheapest: $0.0000" in reason and f" at {MINI} -> {SONNET}" in reason


async def test_route_and_why_say_the_same_sentence(running: Gateway) -> None:
    for _ in range(3):
        await served(running, CODE)
    words = CODE.format(7)
    (told,) = await commands(running, route, words, "--json")
    assert told["models"][0] == SONNET and "; fastest: " in told["reason"]
    _, reason = await served(running, words)
    (known,) = await commands(running, why, "--json")
    assert known["request"]["reason"] == reason and "; fastest: " in reason


async def commands(running: Gateway, command: Any, *arguments: str) -> list[Any]:
    app = Typer()
    app.command()(command)
    environment = {"ARCHGW_HOME": str(running.home.folder), "COLUMNS": "300"}
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments), env=environment)
    assert result.exit_code == 0, result.output
    return [json.loads(result.output)]
