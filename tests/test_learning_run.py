"""A running gateway is taught: a word about one answer, and what is like it goes elsewhere, until it is undone."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from archgw.app import app
from archgw.learned import planned
from archgw.simulate import Simulator
from sqlalchemy import select
from stack import Answer, Gateway, gateway
from typer.testing import CliRunner

from router_service.shell.ledger import engine, sign
from router_service.shell.ledger_schema import requests

GPT, CLAUDE = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
routing: {deadline: 5s}
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, access_key: a, base_url: "$URL_ANTHROPIC", default: true}
  - {model: openai/gpt-4o-mini, access_key: o, base_url: "$URL_OPENAI"}
  - {model: deepseek/deepseek-chat, access_key: $A_KEY_THAT_NOBODY_HAS}
routing_preferences:
  - {name: coding, description: writing new code and functions, models: [deepseek-chat, claude-sonnet-4-5]}
  - {name: code review, description: judging a change or a file and listing problems, models: [gpt-4o-mini]}
  - {name: small talk, description: "chatting, jokes and everyday questions", models: [gpt-4o-mini]}
"""
ASK = "does this retry loop look right to you? while tries < 3: send()"
LIKE = "does this loop look right to you? for i in range(10): send(i)"
UNLIKE = "tell me a joke about penguins"


async def asked(it: Gateway, words: str) -> Answer:
    body: dict[str, Any] = {"model": "arch.main.v1", "max_tokens": 100}
    answer = await it.ask(body | {"messages": [{"role": "user", "content": words}]})
    assert answer.status == 200, answer.body
    return answer


async def until_route(it: Gateway, words: str, route: str) -> Answer:
    for _ in range(300):
        answer = await asked(it, words)
        if answer.headers["x-arch-route"] == route:
            return answer
        await asyncio.sleep(0.2)
    raise AssertionError(f"it never went to {route}; last to {answer.headers['x-arch-route']}")


def say(it: Gateway, request: str, signal: str, told: str) -> bool:
    """As feedback does; False while the ledger has not written the request."""
    database = engine("sqlite", it.home.ledger, patience=30.0)
    with database.begin() as connection:
        there = connection.scalar(select(requests.c.id).where(requests.c.id == request)) is not None
        found = there and sign(connection, request, signal, told)
    database.dispose()
    return found


async def until_said(it: Gateway, request: str, signal: str, told: str) -> None:
    for _ in range(300):
        if it.home.ledger.exists() and await asyncio.to_thread(say, it, request, signal, told):
            return
        await asyncio.sleep(0.2)
    raise AssertionError("the request never came into the ledger")


def archgw(it: Gateway, *arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"ARCHGW_HOME": str(it.home.folder), "COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


async def test_a_word_moves_what_is_like_it_and_nothing_else_until_it_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        Simulator("openai") as openai,
        Simulator("anthropic") as anthropic,
        gateway(tmp_path, CONFIG, {"openai": openai, "anthropic": anthropic}, watch=False) as it,
    ):
        before = {words: (await asked(it, words)).headers["x-arch-reason"] for words in (LIKE, UNLIKE)}
        wrong = await asked(it, ASK)
        assert wrong.headers["x-arch-route"] == "code review"
        await until_said(it, wrong.headers["x-arch-request-id"], "should be", "preference:coding")

        learned = await until_route(it, LIKE, "coding")
        assert learned.headers["x-arch-model"] == CLAUDE
        assert "0.00 before your corrections of similar asks" in learned.headers["x-arch-reason"]
        assert (await asked(it, ASK)).headers["x-arch-route"] == "coding"
        assert (await asked(it, UNLIKE)).headers["x-arch-reason"] == before[UNLIKE]

        monkeypatch.setenv("ARCHGW_HOME", str(it.home.folder))
        monkeypatch.setenv("A_KEY_THAT_NOBODY_HAS", "but-here")
        plan = await asyncio.to_thread(planned, None)
        assert [one.label for one in plan.candidates] == [CLAUDE, GPT], "those of the gateway"
        told = json.loads(await asyncio.to_thread(archgw, it, "learned", "--json"))
        (lesson,) = told["lessons"]
        assert (lesson["source"], lesson["target"], lesson["state"]) == ("code review", "coding", "applied")
        await asyncio.to_thread(archgw, it, "learned", "undo", lesson["id"])
        undone = await until_route(it, LIKE, "code review")
        assert undone.headers["x-arch-reason"] == before[LIKE]
        await asyncio.to_thread(archgw, it, "learned", "redo", lesson["id"])
        await until_route(it, LIKE, "coding")
        assert {path.stat().st_mode & 0o777 for path in it.home.folder.glob("ledger.sqlite*")} == {0o600}
