"""The response cache in a running gateway, with the real Envoy: what is asked twice is paid once."""

import asyncio
import base64
import json
import os
import signal
import sqlite3
import stat
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from itertools import product
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from aiohttp import TCPConnector
from archgw import client
from archgw.simulate import Fault, Simulator
from stack import Answer, Gateway, gateway, until

from router_service.conversation import ReplyEnded, TextDelta
from router_service.dialects import by_path
from router_service.sse import EventDecoder

GPT, CLAUDE = "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5"
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: anthropic/claude-sonnet-4-5, access_key: key-of-anthropic, base_url: "$URL_ANTHROPIC", default: true}
  - {model: openai/gpt-4o-mini, access_key: key-of-openai, base_url: "$URL_OPENAI/v1"}
"""
ON = "cache: {enabled: true}\n"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"


@asynccontextmanager
async def running(folder: Path, more: str = ON, **options: Any) -> AsyncIterator[Gateway]:
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with (
        Simulator("openai", **options) as openai,
        Simulator("anthropic", **options) as anthropic,
        gateway(folder, CONFIG + more, {"openai": openai, "anthropic": anthropic}, watch=False) as it,
    ):
        yield it


def hello(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": CLAUDE, "max_tokens": 500, "messages": [{"role": "user", "content": text}]} | more


def asked(it: Gateway) -> int:
    return sum(len(provider.requests) for provider in it.providers.values())


async def test_the_second_time_it_is_the_same_to_the_byte_and_nobody_is_asked(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        for path, model, stream in product([MESSAGES, CHAT], [CLAUDE, GPT], [False, True]):
            body = hello(f"hello {path} {model} {stream}", model=model, stream=stream)
            before = asked(it)
            first, second = [await it.ask(body, path) for _ in range(2)]
            assert (first.status, second.status, asked(it) - before) == (200, 200, 1)
            assert first.body == second.body and b"hello" in first.body
            assert first.headers["Content-Type"] == second.headers["Content-Type"]
            assert first.headers["x-arch-cache"] == "miss" and second.headers["x-arch-cache"].startswith("hit; age=")
            assert second.headers["x-arch-model"] == model and second.headers["x-arch-attempts"] == "0"
            assert second.headers["x-arch-reason"].startswith("from the cache, answered ")
            assert second.headers["x-arch-request-id"] != first.headers["x-arch-request-id"]


def cached(answer: Answer) -> str:
    return answer.headers.get("x-arch-cache", "").partition(";")[0]


@pytest.mark.parametrize("path", [MESSAGES, CHAT, RESPONSES])
async def test_what_was_streamed_is_told_whole_and_the_other_way_round(tmp_path: Path, path: str) -> None:
    def body(text: str, *, stream: bool) -> dict[str, Any]:
        if path == RESPONSES:
            return {"model": GPT, "input": text, "stream": stream}
        return hello(text, stream=stream)

    async with running(tmp_path) as it:
        for first, second in ((True, False), (False, True)):
            text = f"first as a stream: {first}"
            told = [await it.ask(body(text, stream=one), path) for one in (first, second)]
            assert [cached(one) for one in told] == ["miss", "hit"] and asked(it) == 1
            streamed, whole = told if first else reversed(told)
            assert streamed.headers["Content-Type"].startswith("text/event-stream")
            assert whole.headers["Content-Type"] == "application/json"
            assert _said(streamed, path) == _said(whole, path) and text in _said(whole, path)
            await it.calm()


def _said(answer: Answer, path: str) -> str:
    """What the model said."""
    dialect = by_path(path)
    assert dialect is not None
    if answer.headers["Content-Type"] == "application/json":
        events = dialect.parse_reply(answer.json)
    else:
        reader = dialect.reader()
        events = [event for sse in EventDecoder().feed(answer.body) for event in reader.feed(sse)] + reader.close()
    assert isinstance(events[-1], ReplyEnded)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_thousand_who_ask_the_same_at_once_make_one_call(tmp_path: Path, stream: bool) -> None:
    async with running(tmp_path, latency=1.0) as it, aiohttp.ClientSession(connector=TCPConnector(limit=0)) as many:
        it.client, one = many, it.client
        answers = await asyncio.gather(*(it.ask(hello(stream=stream)) for _ in range(1000)))
        it.client = one
        assert asked(it) == 1
        assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
        assert Counter(map(cached, answers)) == {"miss": 1, "hit": 999}


async def test_a_long_answer_is_replayed_whole(tmp_path: Path) -> None:
    """In one piece: Envoy's own bound of a body is no bound of what we answer ourselves."""
    script = "@@" + json.dumps([{"text": "long ", "chunks": 100, "bytes": 15_000}]) + "@@"
    async with running(tmp_path) as it:
        for stream in (False, True):
            first = await it.ask(hello(script, stream=stream, max_tokens=64_000))
            second = await it.ask(hello(script, stream=stream, max_tokens=64_000))
            assert first.status == 200 and len(first.body) > 1_500_000
            assert cached(second) == "hit" and second.body == first.body


CHANGES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "temperature": ({"temperature": 0.5}, {}),
    "model": ({"model": GPT}, {}),
    "system": ({"system": "be brief"}, {}),
    "words": ({"messages": [{"role": "user", "content": "hello "}]}, {}),
    "length": ({"max_tokens": 499}, {}),
    "a field that we do not know": ({"top_k": 7}, {}),
    "the client's key": ({}, {"x-api-key": "another"}),
    "a header of the vendor's": ({}, {"anthropic-beta": "context-1m-2025-08-07"}),
    "our own header": ({}, {"x-arch-model": GPT}),
}


async def test_whatever_is_changed_is_asked_anew(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        assert cached(await it.ask(hello())) == "miss"
        assert cached(await it.ask(hello())) == "hit"
        for name, (fields, headers) in CHANGES.items():
            seen = asked(it)
            answer = await it.ask(hello(**fields), **headers)
            assert (cached(answer), asked(it) - seen) == ("miss", 1), name
        assert cached(await it.ask(hello())) == "hit"


async def test_one_byte_of_an_image_is_enough(tmp_path: Path) -> None:
    def seen(last: bytes) -> dict[str, Any]:
        data = base64.b64encode(base64.b64decode(PNG) + last).decode()
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
        return hello(messages=[{"role": "user", "content": [image, {"type": "text", "text": "what is it?"}]}])

    async with running(tmp_path) as it:
        answers = [await it.ask(seen(last)) for last in (b"1", b"1", b"2")]
        assert [answer.status for answer in answers] == [200, 200, 200], answers[0].body
        assert [cached(answer) for answer in answers] == ["miss", "hit", "miss"]


TOOL = {"name": "ls", "description": "list files", "input_schema": {"type": "object", "properties": {}}}


async def test_who_comes_with_tools_has_to_ask_for_it(tmp_path: Path) -> None:
    with_tool = hello(tools=[TOOL])
    async with running(tmp_path) as it:
        assert [cached(await it.ask(with_tool)) for _ in range(2)] == ["", ""]
        assert [cached(await it.ask(with_tool, **{"x-arch-cache": "on"})) for _ in range(2)] == ["miss", "hit"]
        other = hello(tools=[TOOL | {"description": "lists files"}])
        assert cached(await it.ask(other, **{"x-arch-cache": "on"})) == "miss"


async def test_the_client_has_the_last_word(tmp_path: Path) -> None:
    async with running(tmp_path, "") as it:  # where it is off

        async def say(word: str = "") -> tuple[str, bytes]:
            answer = await it.ask(hello(), **({"x-arch-cache": word} if word else {}))
            assert answer.status == 200
            return cached(answer), answer.body

        assert (await say())[0] == "" and (await say("off"))[0] == ""
        kind, first = await say("on")
        assert kind == "miss" and await say("ON") == ("hit", first)
        kind, second = await say("refresh")
        assert (kind, second == first) == ("refresh", False), "answered anew, under an id of its own"
        assert await say("on") == ("hit", second), "and kept in place of the other"
        seen = asked(it)
        assert (await say("off"))[0] == "" and asked(it) == seen + 1
        refused = await it.ask(hello(), **{"x-arch-cache": "maybe"})
        assert (
            refused.status == 400 and "x-arch-cache: expected on, off or refresh, not 'maybe'" in refused.body.decode()
        )
        for provider in it.providers.values():
            assert not any(name.startswith("x-arch") for one in provider.requests for name, _ in one.headers)


SPOILT: dict[str, tuple[Fault | None, dict[str, Any]]] = {
    "an error": (Fault("status", status=429), {}),
    "a stream that is torn": (Fault("close_after_content"), {}),
    "a stream that ends too soon": (Fault("end_after_content"), {}),
    "an error within it": (Fault("error_after_content"), {}),
    "an answer at its limit of tokens": (None, {"stop": "length"}),
    "a refusal": (None, {"stop": "refusal"}),
}


async def test_what_is_no_good_is_not_kept(tmp_path: Path) -> None:
    async with running(tmp_path, f"{ON}failover: {{attempts: 1, cool_at_most: 0}}\n") as it:
        for name, (fault, step) in SPOILT.items():
            told = [{"text": f"some words that are told in pieces, then {name}"} | step]
            body, before = hello(f"@@{json.dumps(told)}@@", stream=True), asked(it)
            if fault:
                it.providers["anthropic"].fail_next(fault)
            with suppress(aiohttp.ClientPayloadError):
                assert cached(await it.ask(body)) == "miss", name
            assert cached(await it.ask(body)) == "miss", name
            assert asked(it) - before == 2, name


async def test_a_stand_ins_answer_does_not_outlive_the_outage(tmp_path: Path) -> None:
    async with running(tmp_path, f"{ON}failover: {{cool_at_most: 0}}\n") as it:
        it.providers["anthropic"].fail_next(Fault("status", status=529))
        answers = [await it.ask(hello()) for _ in range(3)]
        assert [answer.headers["x-arch-model"] for answer in answers] == [GPT, CLAUDE, CLAUDE]
        assert [cached(answer) for answer in answers] == ["miss", "miss", "hit"]


async def test_it_outlives_a_restart_and_is_its_owners_alone(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        first = await it.ask(hello(stream=True))
        file = it.home.cache
        await until(file.exists)
        await until(lambda: it.home.cache.with_name("cache.sqlite-wal").exists())
        assert {stat.S_IMODE(path.stat().st_mode) for path in it.home.folder.glob("cache.*")} == {0o600}
        await until(lambda: held(it)["entries"] == 1)
        os.kill(it.supervisor.pids["router"], signal.SIGKILL)
        again = await it.until_well(hello(stream=True))
        assert cached(again) == "hit" and again.body == first.body and asked(it) == 1


def held(it: Gateway) -> dict[str, Any]:
    with suppress(grpc.RpcError):
        told = client.cache(it.home)
        return {"entries": told.entries, "hits": told.hits, "waiting": told.waiting, "saved": told.saved}
    return {"entries": None}


def rows(it: Gateway) -> int:
    with closing(sqlite3.connect(it.home.cache)) as database:
        return int(database.execute("select count(*) from answers").fetchone()[0])


async def test_what_has_had_its_time_is_gone_when_the_service_has_started(tmp_path: Path) -> None:
    async with running(tmp_path) as it:
        await it.ask(hello())
        await until(lambda: held(it)["entries"] == 1)
        with closing(sqlite3.connect(it.home.cache)) as database, database:
            database.execute("update answers set until = 0")
        os.kill(it.supervisor.pids["router"], signal.SIGKILL)
        await until(lambda: rows(it) == 0)


async def test_it_holds_for_as_long_as_it_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, "cache: {enabled: true, ttl: 1s}\n") as it:
        assert cached(await it.ask(hello())) == "miss"
        for _ in range(200):
            answer = await it.ask(hello())
            age = answer.headers["x-arch-cache"].partition("age=")[2]
            if cached(answer) == "miss":
                break
            assert age == "0"
            await asyncio.sleep(0.05)
        assert cached(answer) == "miss" and asked(it) == 2


async def test_one_preference_may_be_cached_and_another_not(tmp_path: Path) -> None:
    preferences = """
routing_preferences:
  - {name: code generation, description: writing new code, models: [gpt-4o-mini], cache: {ttl: 5m}}
  - {name: jokes, description: telling jokes and being funny, models: [claude-sonnet-4-5]}
routing: {deadline: 5s}
"""
    async with running(tmp_path, preferences) as it:
        code = hello("write a python function that parses dates", model="arch.main.v1")
        joke = hello("tell me a joke about cats", model="arch.main.v1")
        told = [await it.ask(body) for body in (code, code, joke, joke)]
        assert [answer.headers["x-arch-route"] for answer in told] == ["code generation"] * 2 + ["jokes"] * 2
        assert [cached(answer) for answer in told] == ["miss", "hit", "", ""]


async def test_who_leads_and_leaves_takes_nobody_with_him(tmp_path: Path) -> None:
    """His call is given up; of those who wait for it, one asks for all."""
    async with running(tmp_path, latency=2.0) as it:
        leader = asyncio.create_task(it.ask(hello()))
        await until(lambda: asked(it) == 1)
        waiting = [asyncio.create_task(it.ask(hello())) for _ in range(20)]
        await until(lambda: held(it).get("waiting") == 20)
        leader.cancel()
        answers = await asyncio.gather(*waiting)
        assert Counter(map(cached, answers)) == {"miss": 1, "hit": 19} and asked(it) == 2


async def test_who_waits_and_leaves_is_forgotten(tmp_path: Path) -> None:
    async with running(tmp_path, latency=5.0) as it:
        leader = asyncio.create_task(it.ask(hello()))
        await until(lambda: asked(it) == 1)
        waiting = [asyncio.create_task(it.ask(hello())) for _ in range(20)]
        await until(lambda: held(it).get("waiting") == 20)
        for one in waiting:
            one.cancel()
        await until(lambda: held(it).get("waiting") == 0)
        assert not leader.done(), "they were forgotten when they left, not when it was answered"
        assert cached(await leader) == "miss" and asked(it) == 1


async def test_a_failure_is_not_waited_for_twice(tmp_path: Path) -> None:
    """Who waited for two that failed asks for himself."""
    async with running(tmp_path, f"{ON}failover: {{attempts: 1, cool_at_most: 0}}\n", latency=1.0) as it:
        it.providers["anthropic"].fault = Fault("status", status=503)
        answers = await asyncio.gather(*(it.ask(hello()) for _ in range(10)))
        assert {answer.status for answer in answers} == {503} and asked(it) == 10


async def test_longer_than_envoy_waits_for_us_is_waited(tmp_path: Path) -> None:
    """Ten seconds, unless it is told otherwise."""
    async with running(tmp_path, latency=12.0) as it:
        answers = await asyncio.gather(*(it.ask(hello()) for _ in range(5)))
        assert [answer.status for answer in answers] == [200] * 5, [answer.body for answer in answers]
        assert Counter(map(cached, answers)) == {"miss": 1, "hit": 4} and asked(it) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_longer_than_a_client_may_pause_is_waited(tmp_path: Path, stream: bool) -> None:
    """To Envoy it looks as if the client paused in its request; so it is waited where nobody pauses any more."""
    async with running(tmp_path, f"{ON}limits: {{pause_in_request: 3s}}\n", latency=8.0) as it:
        answers = await asyncio.gather(*(it.ask(hello(stream=stream)) for _ in range(20)))
        assert [answer.status for answer in answers] == [200] * 20, [answer.body for answer in answers]
        assert Counter(map(cached, answers)) == {"miss": 1, "hit": 19} and asked(it) == 1
        assert {answer.body for answer in answers} == {answers[0].body}
        assert len({answer.headers["Content-Type"] for answer in answers}) == 1


async def test_who_waits_for_long_asks_when_the_first_has_left(tmp_path: Path) -> None:
    async with running(tmp_path, f"{ON}limits: {{pause_in_request: 2s}}\n", latency=6.0) as it:
        leader = asyncio.create_task(it.ask(hello()))
        await until(lambda: asked(it) == 1)
        waiting = [asyncio.create_task(it.ask(hello())) for _ in range(5)]
        await until(lambda: held(it).get("waiting") == 5)
        await asyncio.sleep(3.0)  # the time in which each waits in the first hop is over
        leader.cancel()
        answers = await asyncio.gather(*waiting)
        assert [answer.status for answer in answers] == [200] * 5, [answer.body for answer in answers]
        assert Counter(map(cached, answers)) == {"miss": 1, "hit": 4} and asked(it) == 2


async def test_who_waits_for_long_and_leaves_is_forgotten(tmp_path: Path) -> None:
    async with running(tmp_path, f"{ON}limits: {{pause_in_request: 2s}}\n", latency=10.0) as it:
        leader = asyncio.create_task(it.ask(hello()))
        await until(lambda: asked(it) == 1)
        waiting = [asyncio.create_task(it.ask(hello())) for _ in range(5)]
        await until(lambda: held(it).get("waiting") == 5)
        await asyncio.sleep(3.0)
        for one in waiting:
            one.cancel()
        await until(lambda: held(it).get("waiting") == 0)
        assert not leader.done()
        assert cached(await leader) == "miss" and asked(it) == 1
