"""The cache as clients meet it: the vendors' own, Claude Code itself, the command line, two gateways at one Redis."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archgw.app import app
from archgw.simulate import Simulator
from programs import installed
from redises import fake_redis, real_redis
from redises import installed as has_redis
from sdks import AnthropicClient, OpenAIClient, ResponsesClient, User
from stack import Gateway, free_port, gateway, until
from test_cache_stack import CLAUDE, GPT, ON, asked, cached, hello, running
from test_claude_code import CONFIG as CLAUDE_CODES_CONFIG
from test_claude_code import KEYS, NEW, VENDORS, Client
from test_reload import rewrite
from typer.testing import CliRunner


def summed_up(it: Gateway) -> dict[str, Any]:
    """What `archgw stats` says; empty until something is recorded."""
    environment = {"ARCHGW_HOME": str(it.home.folder)}
    done = CliRunner().invoke(app, ["stats", "--json"], env=environment)
    return dict(json.loads(done.stdout)) if done.exit_code == 0 else {}


CLIENTS = [AnthropicClient, OpenAIClient, ResponsesClient]


def archgw(it: Gateway, *arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments), env={"ARCHGW_HOME": str(it.home.folder), "COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("kind", CLIENTS, ids=lambda kind: kind.name)
async def test_every_client_reads_a_replay_as_it_read_the_answer(tmp_path: Path, kind: Any) -> None:
    """In both forms, each told in either: a stream made of a whole answer is a stream to the SDK as well."""
    async with running(tmp_path) as it:
        client = kind(it.url)
        for model in (CLAUDE, GPT):
            for first in (True, False):
                turns = [User(f"hello, {model}, {first}")]
                heard = [await client.ask(model, turns, stream=stream) for stream in (first, first, not first)]
                marks = [one.headers.get("x-arch-cache", "").partition(";")[0] for one in heard]
                assert marks == ["miss", "hit", "hit"]
                assert len({(one.text, one.stop, one.output) for one in heard}) == 1 and "hello" in heard[0].text
        assert asked(it) == 4
        await client.close()


async def test_claude_code_takes_an_answer_out_of_the_cache(tmp_path: Path) -> None:
    program = installed("claude", "@anthropic-ai/claude-code", NEW)
    folder = tmp_path / "client"
    for name in ("work", "home"):
        (folder / name).mkdir(parents=True)
    providers = {name: await Simulator(name).start() for name in VENDORS}
    config = f"{CLAUDE_CODES_CONFIG}cache: {{enabled: true, tools: true}}\n"
    try:
        async with gateway(tmp_path, config, providers, KEYS) as it:
            client = Client(NEW, program, folder, it)
            runs = [await client.ask("how are you today?") for _ in range(2)]
            assert runs[0].result == runs[1].result and "how are you today?" in runs[0].result
            assert sum(len(one.requests) for one in providers.values()) == len(runs[0].seen)
            await until(lambda: summed_up(it).get("total", {}).get("hits", 0) >= 1)
    finally:
        for provider in providers.values():
            await provider.stop()


async def test_one_clients_answers_are_not_anothers(tmp_path: Path) -> None:
    keys = {name: f"archgw-{name}" for name in ("laptop", "ci")}
    known = ", ".join(
        f'{{name: {name}, key: "sha256:{hashlib.sha256(key.encode()).hexdigest()}"}}' for name, key in keys.items()
    )
    async with running(tmp_path, f"{ON}clients: [{known}]\n") as it:
        told = [await it.ask(hello(), **{"x-api-key": keys[name]}) for name in ("laptop", "laptop", "ci", "ci")]
        assert [cached(answer) for answer in told] == ["miss", "hit", "miss", "hit"]


@pytest.fixture
def shared() -> Iterator[str]:
    """The true one, where it is installed."""
    with real_redis(free_port()) if has_redis() else fake_redis() as url:
        yield url


async def test_two_gateways_that_share_a_redis_share_answers_and_ask_once(tmp_path: Path, shared: str) -> None:
    """A Redis that is played is too slow on a busy machine to agree by it on who asks: there one asks before all do."""
    played = not has_redis()
    config = f"""
listeners: {{egress_traffic: {{port: $PORT}}}}
llm_providers: [{{model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI/v1"}}]
state: {{url: '{shared}'}}
{ON}"""
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    async with (
        Simulator("openai", latency=1.0) as vendor,
        gateway(folders[0], config, {"openai": vendor}, watch=False) as one,
        gateway(folders[1], config, {"openai": vendor}, watch=False) as other,
    ):
        body = hello(model=GPT)
        first = [await one.ask(body)] if played else []
        answers = first + await asyncio.gather(*(it.ask(body) for it in (one, other) for _ in range(20)))
        assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
        assert len(vendor.requests) == 1
        assert [cached(answer) for answer in answers].count("miss") == 1
        for it in (one, other):
            again = await it.ask(body)
            assert cached(again) == "hit" and again.body == answers[0].body
        assert "1 answers forgotten" in await asyncio.to_thread(archgw, one, "cache", "clear")
        assert cached(await other.ask(body)) == "miss", "nobody keeps what was forgotten"
        assert not one.home.cache.exists() and not other.home.cache.exists()


async def test_what_it_did_is_told_and_it_can_be_emptied(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        answers = [await it.ask(hello()) for _ in range(3)]
        status = json.loads(await asyncio.to_thread(archgw, it, "cache", "status", "--json"))
        assert (status["entries"], status["hits"], status["misses"], status["trouble"]) == (1, 2, 1, "")
        assert status["saved"] > 0 and status["bytes"] > 0
        said = await asyncio.to_thread(archgw, it, "cache", "status")
        assert "1 answers, " in said and "2 of 3 answered from it (67 %), $" in said and "hello" not in said
        why = await asyncio.to_thread(archgw, it, "why", answers[2].headers["x-arch-request-id"])
        assert (
            "answered from it; no model was asked" in why
            and "nothing; $" in why
            and "from the cache, answered 0 s ago by" in why
        )

        def line() -> dict[str, Any]:
            (found,) = summed_up(it).get("lines") or [{"requests": 0}]
            return dict(found)

        await until(lambda: line()["requests"] == 3)
        told = line()
        assert (told["name"], told["hits"], told["tries"]) == (CLAUDE, 2, 1)
        assert told["saved"] == pytest.approx(status["saved"]) and told["cost"] == pytest.approx(status["saved"] / 2)
        assert "from cache" in archgw(it, "stats")
        async with it.client.get(f"{it.url}/archgw/metrics") as reply:
            assert 'archgw_cache_requests_total{result="hit"} 2.0' in await reply.text()
        assert "1 answers forgotten" in await asyncio.to_thread(archgw, it, "cache", "clear")
        assert cached(await it.ask(hello())) == "miss"
        await until(lambda: json.loads(archgw(it, "cache", "status", "--json"))["entries"] == 1)
    config = str(tmp_path / "config.yaml")
    stopped = json.loads(await asyncio.to_thread(archgw, it, "cache", "status", "--json", "--config", config))
    assert (stopped["entries"], stopped["hits"]) == (1, None), "while nothing runs, too"
    assert "1 answers forgotten" in await asyncio.to_thread(archgw, it, "cache", "clear", "--config", config)
    assert "0 answers, 0.0 KiB" in await asyncio.to_thread(archgw, it, "cache", "status")


async def test_a_reload_turns_it_on_and_off_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, "cache: {enabled: false}\n") as it:
        assert cached(await it.ask(hello())) == ""
        rewrite(it, ("enabled: false", "enabled: true"))
        assert "cache.enabled: True; before: False" in await asyncio.to_thread(archgw, it, "reload")
        assert [cached(await it.ask(hello())) for _ in range(2)] == ["miss", "hit"]
        rewrite(it, ("{enabled: true}", "{enabled: true, ttl: 1ms}"))
        assert "cache.ttl: 0.001; before: 3600" in await asyncio.to_thread(archgw, it, "reload")
        assert cached(await it.ask(hello())) == "miss"


async def test_while_nobody_wants_it_nothing_is_kept_anywhere(tmp_path: Path) -> None:
    async with running(tmp_path, "") as it:
        for _ in range(2):
            assert "x-arch-cache" not in (await it.ask(hello())).headers
        status = json.loads(await asyncio.to_thread(archgw, it, "cache", "status", "--json"))
        assert status["entries"] == 0 and not list(it.home.folder.glob("cache.*"))


async def test_answers_are_in_the_cache_alone_and_questions_nowhere(tmp_path: Path) -> None:
    """Nor any key: what was asked stands there as a hash."""
    question = '@@[{"text": "an-answer-that-is-kept"}]@@ a-question-that-is-not'
    async with running(tmp_path) as it:
        for stream in (False, True):
            for _ in range(2):
                await it.ask(hello(question, stream=stream), **{"x-api-key": "a-key-of-the-clients"})
        await it.ask(hello(question), **{"x-arch-cache": "refresh"})
        await until(lambda: summed_up(it))
        for words in (("cache", "status"), ("stats",), ("status",), ("logs",)):
            said = await asyncio.to_thread(archgw, it, *words)
            assert "an-answer" not in said and "a-question" not in said
    marks = {
        mark: sorted(holding(it, mark)) for mark in (b"an-answer", b"a-question", b"a-key-of", b"key-of-anthropic")
    }
    assert set(marks[b"an-answer"]) == {"cache.sqlite"}
    assert marks[b"a-question"] == marks[b"a-key-of"] == marks[b"key-of-anthropic"] == []


def holding(it: Gateway, mark: bytes) -> set[str]:
    """The files of archgw's home in which it stands; the config that it was started with is the user's own."""
    files = [path for path in it.home.folder.rglob("*") if path.is_file() and path.name != "accepted.json"]
    return {path.name.removesuffix("-wal") for path in files if mark in path.read_bytes()}
