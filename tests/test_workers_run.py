"""Two router services behind the real Envoy: a request stays with one, a session does not, and one may die."""

import asyncio
import json
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, closing
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from archgw import client
from archgw.app import app
from archgw.simulate import Fault, Simulator
from prometheus_client.parser import text_string_to_metric_families
from redises import fake_redis, installed, real_redis
from stack import CODE, Answer, Gateway, free_port, gateway, until
from typer.testing import CliRunner, Result

GPT, DEEPSEEK = "openai/gpt-4o-mini", "deepseek/deepseek-chat"
CONFIG = """
workers: 2
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: k, base_url: "$URL_OPENAI", default: true}
  - {model: deepseek/deepseek-chat, access_key: k, base_url: "$URL_DEEPSEEK"}
routing_preferences:
  - {name: jokes, description: telling jokes and funny stories, models: [deepseek-chat]}
failover: {put_aside_after: 100000, cool_at_most: 0}
routing: {deadline: 10s}
cache: {ttl: 1h}
budgets: [{name: all, at_most: 10M tokens, per: day, then: warn}]
state: {url: "$REDIS"}
"""
JOKE = {"role": "user", "content": "Tell me a joke about a parrot"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}]}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "a parrot"}]}
TOOL = {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}
UNDER_WAY = 12
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def redis() -> Iterator["Redis"]:
    """The real one where it is installed."""
    if installed():
        with Redis() as server:
            yield server
    else:
        with fake_redis() as url:
            yield Redis(url)


class Redis:
    """One that may be away for a while, where it is no fake."""

    def __init__(self, url: str = "") -> None:
        self._port = free_port()
        self.url = url or f"redis://127.0.0.1:{self._port}/0"
        self._running = ExitStack()

    def __enter__(self) -> "Redis":
        self._running.enter_context(real_redis(self._port))
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, redis: Redis) -> AsyncIterator[Gateway]:
    async with Simulator("openai") as openai, Simulator("deepseek") as deepseek:
        providers = {"openai": openai, "deepseek": deepseek}
        config = CONFIG.replace("$REDIS", redis.url)
        async with gateway(tmp_path_factory.mktemp("workers"), config, providers, CODE, watch=False) as running:
            yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> None:
    await running.calm()


def hello(text: object = "hello", *, stream: bool = False, model: str = GPT) -> dict[str, Any]:
    messages = [{"role": "user", "content": str(text)}]
    return {"model": model, "max_tokens": 50, "stream": stream, "messages": messages}


def id_of(answer: Answer) -> str:
    return answer.headers["x-arch-request-id"]


def worker(answer: Answer) -> str:
    """Which of them has answered: the beginning of the id."""
    return id_of(answer)[:2]


async def archgw(running: Gateway, *words: str) -> Result:
    environment = {"ARCHGW_HOME": str(running.home.folder), "COLUMNS": "200"}
    return await asyncio.to_thread(CliRunner().invoke, app, list(words), env=environment)


def logged(running: Gateway) -> dict[str, list[Any]]:
    """By the id of a request, in whose log it stands and which models were tried."""
    found: dict[str, list[Any]] = {}
    for name in ("router", "router-1"):
        for line in running.home.log(name).read_text().splitlines():
            if line.startswith("{"):
                told = json.loads(line)
                found.setdefault(told["id"], []).append((name, [model for model, *_ in told["attempts"]]))
    return found


async def test_a_request_stays_with_the_worker_it_began_with_through_a_failover(running: Gateway) -> None:
    running.providers["openai"].fail_next(Fault("status", status=500), times=40)
    answers = await asyncio.gather(*(running.ask(hello(n)) for n in range(40)))
    assert {(answer.status, answer.headers["x-arch-model"]) for answer in answers} == {(200, DEEPSEEK)}
    assert min(Counter(map(worker, answers)).values()) >= 5 and {*map(worker, answers)} == {"00", "01"}
    await until(lambda: all(id_of(answer) in logged(running) for answer in answers))
    told, names = logged(running), {"00": "router", "01": "router-1"}
    for answer in answers:
        assert told[id_of(answer)] == [(names[worker(answer)], [GPT, DEEPSEEK])], "one record, with both tries"


async def test_a_session_goes_on_with_its_model_whoever_gets_its_turns(running: Gateway) -> None:
    async def ask(*messages: dict[str, Any]) -> Answer:
        body = {"model": "claude-opus-5-5", "max_tokens": 50, "messages": list(messages), "tools": [TOOL]}
        return await running.ask(body, **{"x-claude-code-session-id": "hopping"})

    first = await ask(JOKE)
    assert (first.status, first.headers["x-arch-model"]) == (200, DEEPSEEK)
    met = {worker(first)}
    for _ in range(40):
        answer = await ask(JOKE, CALL, RESULT)
        assert answer.headers["x-arch-model"] == DEEPSEEK
        assert answer.headers["x-arch-reason"].startswith("tool continuation -> stays with"), answer.headers
        met.add(worker(answer))
        if len(met) == 2:
            break
    assert met == {"00", "01"}


async def test_that_a_provider_tore_its_stream_reaches_the_worker_that_holds_it(running: Gateway) -> None:
    running.providers["openai"].fault = Fault("reset_after_content")
    ids = await asyncio.gather(*(_torn(running, n) for n in range(12)))
    assert {id[:2] for id in ids} == {"00", "01"}
    await until(lambda: all(id in logged(running) for id in ids))
    for id in ids:
        found = await asyncio.to_thread(client.explain, running.home, id, "")
        assert found.request.error == f"archgw: {GPT}: tore the connection", "not: the client left"


async def _torn(running: Gateway, n: int) -> str:
    """The id of a stream that breaks off."""
    headers, words = {"content-type": "application/json"}, b""
    async with running.client.post(f"{running.url}/v1/messages", json=hello(n, stream=True), headers=headers) as reply:
        with pytest.raises(aiohttp.ClientError):
            async for chunk in reply.content.iter_any():
                words += chunk
        assert b"message_start" in words and b"message_stop" not in words
        return reply.headers["x-arch-request-id"]


async def test_a_stream_that_ends_in_the_middle_is_told_in_the_clients_dialect(running: Gateway) -> None:
    running.providers["openai"].fault = Fault("error_after_content")
    answer = await running.ask(hello(stream=True))
    assert b"event: error" in answer.body and b"archgw: " in answer.body


async def test_all_of_them_are_asked_at_the_command_line_and_for_figures(running: Gateway) -> None:
    answers = await asyncio.gather(*(running.ask(hello(f"told {n}"), **{"x-arch-cache": "on"}) for n in range(12)))
    again = await asyncio.gather(*(running.ask(hello(f"told {n}"), **{"x-arch-cache": "on"}) for n in range(12)))
    assert {*map(worker, answers)} == {"00", "01"}
    await until(lambda: all(id_of(answer) in logged(running) for answer in again))
    status = json.loads((await archgw(running, "status", "--json")).output)
    assert status["requests_ended"] == len(logged(running)) and status["requests_under_way"] == 0
    assert status["budgets"][0]["name"] == "all" and len(status["budgets"]) == 1
    for answer in answers:
        why = await archgw(running, "why", id_of(answer))
        assert why.exit_code == 0, why.output
    cache = json.loads((await archgw(running, "cache", "status", "--json")).output)
    assert cache["entries"] == 12
    await until(lambda: _written(running) == len(logged(running)))
    assert cache["hits"] >= sum(one.headers.get("x-arch-cache", "").startswith("hit") for one in again) > 0
    assert "default" in (await archgw(running, "route", "What is the capital of France?")).output
    watched = await asyncio.to_thread(_watched, running, 24)
    assert {id_of(answer) for answer in again} <= {*watched} and len(watched) == 24
    async with running.client.get(f"{running.url}/archgw/metrics") as reply:
        figures = _figures(await reply.text())
    ended = {worker: figures["archgw_requests_total", worker] for worker in ("0", "1")}
    assert sum(ended.values()) == len(logged(running)) and min(ended.values()) > 0
    assert figures["archgw_worker_answers", "0"] == figures["archgw_worker_answers", "1"] == 1
    assert figures["archgw_envoy_answers", ""] == 1 and ("archgw_budget_spent", "") in figures


def _written(running: Gateway) -> int:
    """Rows of the ledger, which both write into one file of SQLite's."""
    with closing(sqlite3.connect(running.home.ledger)) as connection:
        return int(connection.execute("select count(*) from requests").fetchone()[0])


def _watched(running: Gateway, count: int) -> list[str]:
    requests = client.watch(running.home, replay=count)
    return [next(requests).id for _ in range(count)]


def _figures(page: str) -> dict[tuple[str, str], float]:
    """Summed by name and worker."""
    found: Counter[tuple[str, str]] = Counter()
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found[sample.name, sample.labels.get("worker", "")] += sample.value  # type: ignore[assignment]
    return dict(found)


async def test_what_is_said_of_an_answer_may_be_said_to_any_of_them(running: Gateway) -> None:
    for n in range(4):
        answer = await running.ask(hello(f"rated {n}", model="auto"), **{"x-claude-code-session-id": "rated"})
        said = {"request": "last", "session": "rated", "rating": "good"}
        told = await running.ask(said, "/v1/feedback")
        assert (told.status, told.json["request"]) == (200, id_of(answer)), told.body


async def test_a_reload_reaches_all_of_them(running: Gateway) -> None:
    file = running.home.folder.parent / "config.yaml"
    before = file.read_text()
    try:
        file.write_text(before.replace("models: [deepseek-chat]", "models: [gpt-4o-mini]"))
        assert "Reloaded." in (await archgw(running, "reload")).output
        assert await _served(running) == {("00", GPT), ("01", GPT)}
    finally:
        file.write_text(before)
        assert "Reloaded." in (await archgw(running, "reload")).output
    assert await _served(running) == {("00", DEEPSEEK), ("01", DEEPSEEK)}


async def _served(running: Gateway) -> set[tuple[str, str]]:
    """Which worker sends a joke to whom."""
    found: set[tuple[str, str]] = set()
    for _ in range(10):
        body = {"model": "auto", "max_tokens": 9, "messages": [JOKE]}
        answers = await asyncio.gather(*(running.ask(body) for _ in range(4)))
        found |= {(worker(answer), answer.headers["x-arch-model"]) for answer in answers}
        if len({who for who, _ in found}) == 2:
            break
    return found


async def test_one_that_is_killed_costs_what_it_held_and_no_more(running: Gateway) -> None:
    """Who is told so asks again at once, and may meet it once more before the system has taken it away."""
    killed, ending = asyncio.Event(), asyncio.Event()
    before: list[Answer] = []
    after: list[Answer] = []

    async def go_on() -> None:
        while not ending.is_set():
            begun_after = killed.is_set()
            answer = await running.ask(hello("under way"))
            (after if begun_after else before).append(answer)

    running.providers["openai"].fault = Fault("slow_headers", delay_ms=200)
    pid = running.supervisor.pids["router-1"]
    clients = [asyncio.create_task(go_on()) for _ in range(UNDER_WAY)]
    await until(lambda: {*map(worker, before)} == {"00", "01"})
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not _runs(pid))
    killed.set()
    await until(lambda: len(after) >= 50)
    ending.set()
    await asyncio.gather(*clients)
    lost = [answer for answer in before if answer.status != 200]
    assert 0 < len(lost) <= 2 * UNDER_WAY, Counter(answer.status for answer in before)
    for answer in lost:
        assert answer.status == 503 and answer.json["type"] == "error"
        assert answer.json["error"]["message"].startswith("archgw: the router service is not answering")
    assert {answer.status for answer in after} == {200}, "nobody waits for it, and nobody is sent to it in vain"
    status = await archgw(running, "status")
    assert status.exit_code == 0
    await until(lambda: running.supervisor.restarts.get("router-1") == 1)
    running.providers["openai"].clear()
    await _until_both(running)
    assert "router-1 ended by itself and was started again once" in (await archgw(running, "status")).output
    assert running.supervisor.restarts == {"router-1": 1}


@pytest.mark.skipif(not installed(), reason="Redis is not installed")
async def test_without_redis_each_goes_on_with_what_it_knows_and_says_so_until_it_is_back(
    running: Gateway, redis: Redis
) -> None:
    redis.__exit__()
    answers = await asyncio.gather(*(running.ask(hello(n, model="auto")) for n in range(12)))
    assert {answer.status for answer in answers} == {200} and {*map(worker, answers)} == {"00", "01"}
    troubles = json.loads((await archgw(running, "status", "--json")).output)["troubles"]
    assert any(trouble.startswith("Redis is not to be had") for trouble in troubles), troubles
    redis.__enter__()
    for _ in range(600):
        answers = await asyncio.gather(*(running.ask(hello(n, model="auto")) for n in range(4)))
        assert {answer.status for answer in answers} == {200}
        if not json.loads((await archgw(running, "status", "--json")).output)["troubles"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("they do not use it again")


async def _until_both(running: Gateway) -> None:
    for _ in range(600):
        answers = await asyncio.gather(*(running.ask(hello()) for _ in range(4)))
        assert {answer.status for answer in answers} == {200}
        if len({*map(worker, answers)}) == 2:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the other did not come back")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
