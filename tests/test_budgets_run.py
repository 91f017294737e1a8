"""Budgets in a running gateway: what each vendor's own client makes of them, restarts, reloads, two who share one."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from archgw import statusline
from archgw.app import app
from archgw.client import status
from archgw.simulate import Simulator
from postgres import binaries, postgres
from redises import fake_redis, installed, real_redis
from sdks import AnthropicClient, OpenAIClient, ResponsesClient, User
from stack import Gateway, free_port, gateway, settled
from test_reload import rewrite
from typer.testing import CliRunner

GPT, CLAUDE = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"
MODELS = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, access_key: a, base_url: "$URL_ANTHROPIC", default: true}
  - {model: openai/gpt-4o-mini, access_key: o, base_url: "$URL_OPENAI"}
"""
ONE_CENT = "{name: pennies, at_most: $0.0001, per: day, then: block}"
CLIENTS = [AnthropicClient, OpenAIClient, ResponsesClient]
SESSION = {"x-claude-code-session-id": "5c9f6b0e-8c59-4d0b-9d0f-0d6b3f1f2b11"}


@asynccontextmanager
async def running(folder: Path, budgets: str, more: str = "") -> AsyncIterator[Gateway]:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with Simulator("openai") as openai, Simulator("anthropic") as anthropic:
        providers = {"openai": openai, "anthropic": anthropic}
        async with gateway(folder, f"{MODELS}budgets: [{budgets}]\n{more}", providers, watch=False) as it:
            yield it


def hello(**more: Any) -> dict[str, Any]:
    return {"model": "arch.main.v1", "max_tokens": 100, "messages": [{"role": "user", "content": "hello"}]} | more


async def log(it: Gateway) -> str:
    """As it is when nothing more is added: lines are written a moment after their requests."""
    return await settled(it.home.log("router").read_text)


def archgw(it: Gateway, *arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"ARCHGW_HOME": str(it.home.folder), "COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


async def spent(it: Gateway, name: str) -> float:
    told = await asyncio.to_thread(status, it.home)
    return next(budget.spent for budget in told.budgets if budget.name == name)


# -- what clients make of it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: kind.name)
async def test_who_is_refused_reads_why_and_asks_no_second_time(tmp_path: Path, kind: Any, stream: bool) -> None:
    """With the retries that the SDKs make by themselves."""
    async with running(tmp_path, ONE_CENT) as it:
        client = kind(it.url)
        client._sdk = client._sdk.with_options(max_retries=2)
        heard = await client.ask("arch.main.v1", [User("hello")], stream=stream)
        assert heard.headers["x-arch-model"] == CLAUDE
        with pytest.raises((anthropic.RateLimitError, openai.RateLimitError)) as refused:
            await client.ask("arch.main.v1", [User("hello")], stream=stream)
        assert "archgw: the budget “pennies” is spent: $" in str(refused.value)
        error = refused.value.body["error"] if kind is AnthropicClient else refused.value.body  # type: ignore[index]
        assert error["type"] == ("billing_error" if kind is AnthropicClient else "insufficient_quota")
        headers = refused.value.response.headers
        assert headers["x-should-retry"] == "false" and 0 < int(headers["retry-after"]) <= 86_400
        assert (await log(it)).count('"status": 429') == 1, "no second time"
        assert sum(len(provider.requests) for provider in it.providers.values()) == 1
        await client.close()


@pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: kind.name)
async def test_where_it_downgrades_the_cheapest_answers(tmp_path: Path, kind: Any) -> None:
    budgets = (
        "{name: thrift, at_most: $0.0001, per: day, then: downgrade}, {name: w, at_most: $1, per: day, then: warn}"
    )
    async with running(tmp_path, budgets) as it:
        client = kind(it.url)
        for stream, model in ((False, CLAUDE), (False, GPT), (True, GPT)):
            heard = await client.ask("arch.main.v1", [User("hello")], stream=stream)
            assert heard.headers["x-arch-model"] == model and heard.text
        assert "budget 'thrift': $" in heard.headers["x-arch-warnings"]
        assert "of $0.0001 today -> openai/gpt-4o-mini" in heard.headers["x-arch-reason"]
        named = await client.ask(CLAUDE, [User("hello")])
        assert named.headers["x-arch-model"] == CLAUDE, "that is the client's word"
        await client.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_warning_is_told_beside_the_answer_and_not_in_it(tmp_path: Path, stream: bool) -> None:
    async with running(tmp_path, "{name: soon, at_most: $0.0001, per: day, from: 50%, then: warn}") as it:
        first = await it.ask(hello(stream=stream))
        second = await it.ask(hello(stream=stream))
        assert (first.status, second.status) == (200, 200)
        assert "x-arch-warnings" not in first.headers
        assert "budget 'soon': $" in second.headers["x-arch-warnings"]
        assert b"soon" not in second.body and second.headers["x-arch-model"] == CLAUDE


# -- what is shown -------------------------------------------------------------------------------------------------


async def test_it_is_shown_wherever_one_looks(tmp_path: Path) -> None:
    budgets = f"{ONE_CENT}, {{name: mine, at_most: 1k tokens, per: session, then: warn}}"
    async with running(tmp_path, budgets) as it:
        session = SESSION["x-claude-code-session-id"]
        assert (await it.ask(hello(), **SESSION)).status == 200
        told = await asyncio.to_thread(statusline.ask, it.url, session)
        assert told
        shown = statusline.line(told, color=False)
        assert shown.startswith("budget spent: $") and f"of $0.0001 today · {CLAUDE}" in shown
        assert statusline.line(told).startswith("\033[31mbudget")
        other = await asyncio.to_thread(statusline.ask, it.url, "another")
        assert other and statusline.line(other, color=False).endswith("of $0.0001 today"), (
            "who is refused from the start"
        )
        reply = await asyncio.to_thread(status, it.home)
        pennies, mine = reply.budgets
        assert (pennies.name, pennies.of, pennies.unit, pennies.then) == ("pennies", "", "dollars", "block")
        assert pennies.spent > pennies.limit == 0.0001 and pennies.until % 86_400 == 0
        assert (mine.name, mine.of, mine.unit) == ("mine", session, "tokens") and mine.spent > 0
        assert not mine.HasField("until")
        printed = await asyncio.to_thread(archgw, it, "status")
        assert "pennies" in printed and "of $0.0001" in printed and f"mine ({session})" in printed
        assert "with the next session" in printed
        stats = json.loads(await asyncio.to_thread(archgw, it, "stats", "--json"))
        assert [one["name"] for one in stats["budgets"]] == ["pennies"]
        async with it.client.get(f"{it.url}/archgw/metrics") as page:
            figures = await page.text()
        assert 'archgw_budget_limit{budget="pennies",of="",unit="dollars"} 0.0001' in figures
        assert 'archgw_budget_spent{budget="pennies",of="",unit="dollars"} 0.0' in figures
        assert session not in figures


# -- what outlives what --------------------------------------------------------------------------------------------


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, ONE_CENT) as it:
        assert (await it.ask(hello())).status == 200
    async with running(tmp_path, ONE_CENT) as it:
        assert (await it.ask(hello())).status == 429


async def test_who_looks_from_outside_cuts_the_gateway_off_from_nothing(tmp_path: Path) -> None:
    """Ledger and budgets are written into one file by two parts of the service, and read by other processes."""
    async with running(tmp_path, "{at_most: $50, per: month, then: warn}") as it:
        environment = {**os.environ, "ARCHGW_HOME": str(it.home.folder)}

        def told() -> int:
            command = [sys.executable, "-m", "archgw", "stats", "--json"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            return int(json.loads(done.stdout)["total"]["requests"])

        for asked in (2, 4, 6):
            assert [(await it.ask(hello())).status for _ in range(2)] == [200, 200]
            await asyncio.sleep(2.2)  # both parts have written
            assert await asyncio.to_thread(told) == asked


async def test_a_crash_forgets_no_more_than_a_second(tmp_path: Path) -> None:
    async with running(tmp_path, "{name: all, at_most: 1M tokens, per: day, then: block}") as it:
        assert (await it.ask(hello())).status == 200
        before = await spent(it, "all")
        assert before > 0
        await asyncio.sleep(2.5)
        os.kill(it.supervisor.pids["router"], signal.SIGKILL)
        await it.until_well(hello())
        assert await spent(it, "all") == 2 * before


async def test_a_reload_keeps_what_was_spent_and_lifts_what_blocked(tmp_path: Path) -> None:
    async with running(tmp_path, ONE_CENT) as it:
        assert [(await it.ask(hello())).status for _ in range(2)] == [200, 429]
        before = await spent(it, "pennies")
        rewrite(it, ("$0.0001", "$1"), ("name: pennies", "name: more"))
        changes = (await it.supervisor.reload()).changes
        assert changes == ("budget “pennies”: no longer there", "budget “more”: new, block at $1 a day")
        assert await spent(it, "more") == before > 0
        assert (await it.ask(hello())).status == 200
        rewrite(it, ("at_most: $1", "at_most: $0.0001"))
        assert (await it.supervisor.reload()).changes == (
            "budget “more”: block at $0.0001 a day; before: block at $1 a day",
        )
        assert (await it.ask(hello())).status == 429


async def test_where_the_store_is_away_it_is_counted_here_and_told(tmp_path: Path) -> None:
    async with running(tmp_path, ONE_CENT, "state: {url: 'redis://127.0.0.1:1/0'}") as it:
        assert [(await it.ask(hello())).status for _ in range(2)] == [200, 429]
        troubles = (await asyncio.to_thread(status, it.home)).troubles
        assert any("Redis cannot be told what was spent (ConnectionError): each service" in told for told in troubles)


# -- two who share -------------------------------------------------------------------------------------------------


@pytest.fixture(params=["postgresql", "redis"])
def shared(request: pytest.FixtureRequest) -> Iterator[str]:
    """What the config says of a store that replicas share; where Redis is not installed, it is played."""
    if request.param == "redis":
        with real_redis(free_port()) if installed() else fake_redis() as url:
            yield f"state: {{url: '{url}'}}\n"
        return
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres() as url:
        yield f"ledger: {{url: '{url}'}}\n"


async def test_two_add_up_and_both_block(tmp_path: Path, shared: str) -> None:
    budgets = (
        "{name: all, at_most: 300 tokens, per: day, then: block},"
        " {name: s, at_most: 100k tokens, per: session, then: block}"
    )
    async with running(tmp_path / "a", budgets, shared) as one, running(tmp_path / "b", budgets, shared) as other:
        used = []

        async def ask(it: Gateway) -> int:
            answer = await it.ask(hello(), **SESSION)
            used.append(tokens(answer.json["usage"]) if answer.status == 200 else 0)
            return answer.status

        for number in range(200):
            if await ask((one, other)[number % 2]) == 429:
                break
        while [await ask(it) for it in (one, other)] != [429, 429]:
            assert sum(used) < 2 * 300, "what one has spent, the other is told"
        for name in ("all", "s"):
            for _ in range(60):
                known = {await spent(it, name) for it in (one, other)}
                if known == {float(sum(used))}:
                    break
                await asyncio.sleep(0.1)
                assert [await ask(it) for it in (one, other)] == [429, 429]
            assert known == {float(sum(used))}, name


def tokens(usage: dict[str, int]) -> int:
    return sum(
        usage.get(f"{name}_tokens", 0) for name in ("input", "cache_read_input", "cache_creation_input", "output")
    )
