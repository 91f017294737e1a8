"""Each fault as a client sees it on the wire; and how faults are ordered, counted and taken back."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import trustme
from archgw.simulate import FAULTS, Fault, Simulator

PATIENCE = 5.0
SHORT = 0.15  # seconds until silence is taken for silence, where silence is expected
HEADERS = {
    "openai": {"authorization": "Bearer k"},
    "anthropic": {"x-api-key": "k", "anthropic-version": "2023-06-01"},
}
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
ASK = {
    "openai": {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]},
    "anthropic": {
        "model": "claude-haiku-4-5",
        "max_tokens": 99,
        "messages": [{"role": "user", "content": "hi"}],
    },
}
SILENCE, BROKEN, END = "silence", "broken", "end"


@dataclass
class Seen:
    """What came: status (0: no headers), the body so far, how it ended, and seconds until the first byte."""

    status: int = 0
    body: bytes = b""
    ended: str = END
    headers: dict[str, str] | None = None
    seconds: float = 0.0

    @property
    def contents(self) -> int:
        return self.body.count(b'"content":"') - self.body.count(b'"content":""') + self.body.count(b"text_delta")


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        yield session


async def look(http: aiohttp.ClientSession, sim: Simulator, *, patience: float = PATIENCE, **changes: Any) -> Seen:
    name, seen, start = sim.vendor.name, Seen(), asyncio.get_running_loop().time()
    body = {**ASK[name], "stream": True, **changes}
    try:
        async with asyncio.timeout(patience):
            async with http.post(sim.url + PATHS[name], json=body, headers=HEADERS[name]) as response:
                seen.status, seen.headers = (
                    response.status,
                    {name.lower(): value for name, value in response.headers.items()},
                )
                async for data in response.content.iter_any():
                    seen.seconds = seen.seconds or asyncio.get_running_loop().time() - start
                    seen.body += data
    except TimeoutError:
        seen.ended = SILENCE
    except aiohttp.ClientError:
        seen.ended = BROKEN
    return seen


STREAMED = {
    # kind: (status, content events, ending, what the body has, what it lacks)
    "status": (None, 0, END, "error", "delta"),
    "hang": (0, 0, SILENCE, "", ""),
    "reset": (0, 0, BROKEN, "", ""),
    "close": (0, 0, BROKEN, "", ""),
    "html": (200, 0, END, "<html>", "delta"),
    "redirect": (307, 0, END, "", "delta"),
    "slow_headers": (200, 5, END, "", "error"),
    "slow_first": (200, 5, END, "", "error"),
    "slow_events": (200, 5, END, "", "error"),
    "silent": (200, 0, SILENCE, "", "data"),
    "empty": (200, 0, END, "", "data"),
    "no_content": (200, 0, END, "start", "finish"),
    "pings_forever": (200, 0, SILENCE, "ping", "finish"),
    "error_first": (200, 0, END, "error", "start"),
    "error_after_start": (200, 0, END, "error", "finish"),
    "error_after_pings": (200, 0, END, "error", "finish"),
    "error_after_content": (200, 2, END, "error", "finish"),
    "reset_after_content": (200, 2, BROKEN, "", "finish"),
    "close_after_content": (200, 2, BROKEN, "", "finish"),
    "end_after_content": (200, 2, END, "", "finish"),
    "stall_after_content": (200, 2, SILENCE, "", "finish"),
    "malformed": (200, 0, END, "not json", "finish"),
    "truncated": (200, 2, END, "", "finish"),
    "gzip": (200, None, END, "", ""),
    "telltale": (200, 5, END, "", "error"),
    "bad_arguments": (200, 5, END, "", "error"),
}
WORDS = {
    "openai": {"start": '"role":"assistant"', "ping": ": keep-alive", "finish": "[DONE]"},
    "anthropic": {"start": "message_start", "ping": "event: ping", "finish": "message_stop"},
}


def test_every_fault_is_looked_at():
    assert set(STREAMED) == set(FAULTS)


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
@pytest.mark.parametrize("kind", STREAMED)
async def test_a_streamed_answer_fails_as_told(http, vendor, kind):
    status, contents, ended, has, lacks = STREAMED[kind]
    async with Simulator(vendor) as sim:
        sim.fail_next(Fault(kind, delay_ms=20))
        seen = await look(http, sim, patience=SHORT if ended == SILENCE else PATIENCE)
        again = await look(http, sim)
    status = {"openai": 503, "anthropic": 529}[vendor] if status is None else status
    assert (seen.status, seen.ended) == (status, ended)
    assert contents is None or seen.contents in (contents, contents + (kind == "truncated"))
    words = WORDS[vendor]
    assert words.get(has, has) in seen.body.decode("latin-1")
    assert not lacks or words.get(lacks, lacks) not in seen.body.decode("latin-1")
    assert (again.status, again.contents, again.ended) == (200, 5, END)


UNSTREAMED = {
    "status": (503, END, True),
    "hang": (0, SILENCE, False),
    "reset": (0, BROKEN, False),
    "close": (0, BROKEN, False),
    "html": (200, END, False),
    "slow_headers": (200, END, True),
    "silent": (200, SILENCE, False),
    "empty": (200, END, False),
    "error_first": (200, END, True),
    "reset_after_content": (200, BROKEN, False),
    "close_after_content": (200, BROKEN, False),
    "stall_after_content": (200, SILENCE, False),
    "truncated": (200, END, False),
    "pings_forever": (200, SILENCE, False),
}


@pytest.mark.parametrize("kind", UNSTREAMED)
async def test_a_whole_answer_fails_as_told(http, kind):
    status, ended, parses = UNSTREAMED[kind]
    async with Simulator("openai") as sim:
        sim.fail_next(Fault(kind, delay_ms=20))
        seen = await look(http, sim, patience=SHORT if ended == SILENCE else PATIENCE, stream=False)
    assert (seen.status, seen.ended) == (status, ended)
    assert is_json(seen.body) == parses


def is_json(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except ValueError:
        return False


@pytest.mark.parametrize("kind", ["slow_headers", "slow_first"])
async def test_slow_answers_take_their_time(http, kind):
    async with Simulator("openai") as sim:
        sim.fail_next(Fault(kind, delay_ms=100))
        first_byte = (await look(http, sim)).seconds
    assert (first_byte >= 0.1) == (kind == "slow_headers")


async def test_gzip_is_gzip(http):
    async with Simulator("anthropic") as sim:
        sim.fail_next(Fault("gzip"))
        seen = await look(http, sim)
    assert seen.headers and seen.headers["content-encoding"] == "gzip"
    assert b"message_stop" in gzip.decompress(seen.body)


async def test_bad_arguments_are_no_json(http):
    script = '@@[{"tool": "w", "input": {"city": "Paris"}}]@@'
    tools = [{"type": "function", "function": {"name": "w"}}]
    async with Simulator("openai") as sim:
        sim.fail_next(Fault("bad_arguments"))
        messages = [{"role": "user", "content": script}]
        seen = await look(http, sim, stream=False, messages=messages, tools=tools)
    call = json.loads(seen.body)["choices"][0]["message"]["tool_calls"][0]
    assert not is_json(call["function"]["arguments"].encode())


@pytest.mark.parametrize(
    ("vendor", "status", "kind"),
    [
        ("anthropic", 401, "authentication_error"),
        ("anthropic", 404, "not_found_error"),
        ("anthropic", 413, "request_too_large"),
        ("anthropic", 429, "rate_limit_error"),
        ("anthropic", 500, "api_error"),
        ("anthropic", 529, "overloaded_error"),
        ("openai", 401, "invalid_request_error"),
        ("openai", 429, "requests"),
        ("openai", 500, "server_error"),
    ],
)
async def test_a_status_comes_with_the_vendors_error(http, vendor, status, kind):
    async with Simulator(vendor) as sim:
        sim.fail_next(Fault("status", status=status, retry_after=7, message="sorry"))
        seen = await look(http, sim)
    assert (seen.status, json.loads(seen.body)["error"]["type"]) == (status, kind)
    assert json.loads(seen.body)["error"]["message"] == "sorry"
    assert seen.headers and seen.headers["retry-after"] == "7"


# -- order ---------------------------------------------------------------------------------------------------


async def statuses(http: aiohttp.ClientSession, sim: Simulator, n: int, **changes: Any) -> list[int]:
    return [(await look(http, sim, **changes)).status for _ in range(n)]


async def test_the_next_faults_go_before_the_standing_one(http):
    async with Simulator("openai") as sim:
        sim.fault = Fault("status", status=500)
        sim.fail_next(Fault("status", status=429), times=2)
        assert await statuses(http, sim, 3) == [429, 429, 500]
        sim.clear()
        assert await statuses(http, sim, 1) == [200]


async def test_a_fault_can_be_meant_for_one_model(http):
    async with Simulator("openai") as sim:
        sim.fault = Fault("status", model="gpt-4o")
        assert await statuses(http, sim, 1, model="gpt-4o-mini") == [200]
        assert await statuses(http, sim, 1) == [503]


async def test_a_refusing_port_refuses_and_recovers(http):
    async with Simulator("openai") as sim:
        port = sim.port
        assert await statuses(http, sim, 1) == [200]
        await sim.refuse()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await sim.recover()
        assert (await statuses(http, sim, 1), sim.port) == ([200], port)


async def test_a_refusing_port_recovers_by_itself(http):
    async with Simulator("openai") as sim:
        await sim.refuse(seconds=0.05)
        assert (await look(http, sim)).ended == BROKEN
        await asyncio.sleep(0.1)
        assert await statuses(http, sim, 1) == [200]


def test_an_unknown_fault_is_an_error():
    with pytest.raises(ValueError, match="no fault 'nope'"):
        Fault("nope")


def test_an_unknown_vendor_is_an_error():
    with pytest.raises(ValueError, match="no simulated provider 'opnai'"):
        Simulator("opnai")


# -- from another process ------------------------------------------------------------------------------------


async def test_faults_are_set_and_cleared_over_http(http):
    async with Simulator("openai") as sim:
        control = f"{sim.url}/_simulate/fault"
        async with http.post(control, json={"kind": "status", "status": 503, "times": 2}) as response:
            assert await response.json() == {"fault": "status", "times": 2}
        assert await statuses(http, sim, 3) == [503, 503, 200]
        await (await http.post(control, json={"kind": "status", "status": 500})).read()
        assert await statuses(http, sim, 2) == [500, 500]
        await (await http.delete(control)).read()
        assert await statuses(http, sim, 1) == [200]


@pytest.mark.parametrize(
    "body", [{}, {"kind": "nope"}, {"kind": "status", "statsu": 1}, {"kind": "status", "times": []}]
)
async def test_a_fault_that_is_none_is_refused_in_words(http, body):
    async with Simulator("openai") as sim:
        async with http.post(f"{sim.url}/_simulate/fault", json=body) as response:
            answer = await response.json()
        assert (response.status, "status" in answer["faults"], bool(answer["error"])) == (400, True, True)


async def test_a_port_is_shut_over_http_and_opens_again(http):
    async with Simulator("openai") as sim:
        body = {"kind": "refuse", "delay_ms": 100}
        async with http.post(f"{sim.url}/_simulate/fault", json=body) as response:
            assert response.status == 200
        await asyncio.sleep(0.1)
        assert (await look(http, sim)).ended == BROKEN
        await asyncio.sleep(0.1)
        assert await statuses(http, sim, 1) == [200]


async def test_requests_are_shown_over_http_without_keys(http):
    async with Simulator("openai") as sim:
        headers = {"authorization": "Bearer sk-very-secret-1234", "x-arch-route": "x"}
        url = sim.url + PATHS["openai"]
        await (await http.post(url, json=ASK["openai"], headers=headers)).read()
        async with http.get(f"{sim.url}/_simulate/requests") as response:
            shown = await response.json()
        (request,) = shown["requests"]
        assert ["authorization", "...1234"] in request["headers"]
        assert (request["body"], request["status"], shown["leaks"]) == (ASK["openai"], 400, ["x-arch-route"])
        await (await http.delete(f"{sim.url}/_simulate/requests")).read()
        assert not sim.requests


async def test_an_unknown_control_path_names_the_known(http):
    async with Simulator("openai") as sim, http.get(f"{sim.url}/_simulate/help") as response:
        assert (response.status, "/_simulate/fault" in await response.text()) == (404, True)


# -- what is remembered --------------------------------------------------------------------------------------


async def test_a_request_is_remembered_as_it_came(http):
    async with Simulator("openai", now=lambda: 7.0) as sim:
        await look(http, sim)
        (received,) = sim.requests
    assert (received.method, received.path, received.time) == ("POST", "/v1/chat/completions", 7.0)
    assert received.json == json.loads(received.body)
    assert (received.header("authorization"), received.credentials) == ("Bearer k", ("k",))
    assert (received.status, received.outcome, received.model) == (200, "answered", "gpt-4o")


@pytest.mark.parametrize(("kind", "outcome"), [("hang", "disconnected"), ("reset", "aborted"), ("close", "aborted")])
async def test_how_an_answer_ended_is_remembered(http, kind, outcome):
    async with Simulator("openai") as sim:
        sim.fail_next(Fault(kind))
        await look(http, sim, patience=SHORT)
        async with asyncio.timeout(PATIENCE):
            while sim.requests[0].outcome == "answering":  # noqa: ASYNC110  # nothing signals it
                await asyncio.sleep(0.005)
        assert sim.requests[0].outcome == outcome


async def test_only_the_last_requests_are_kept(http):
    async with Simulator("openai", keep=2) as sim:
        await statuses(http, sim, 3)
        assert len(sim.requests) == 2


async def test_latency_and_pace_slow_every_answer(http):
    async with Simulator("openai", latency=0.03, pace=0.01) as sim:
        start = asyncio.get_running_loop().time()
        seen = await look(http, sim)
        assert (seen.seconds >= 0.03, asyncio.get_running_loop().time() - start >= 0.08) == (True, True)


async def test_stopping_ends_answers_that_hang(http):
    async with Simulator("openai") as sim:
        sim.fail_next(Fault("hang"))
        asked = asyncio.ensure_future(look(http, sim))
        while not sim.requests:  # noqa: ASYNC110  # nothing signals it
            await asyncio.sleep(0.005)
    assert (await asked).ended == BROKEN


async def test_tls(http):
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with Simulator("openai", ssl_context=server) as sim:
        assert sim.url.startswith("https://")
        url, headers = sim.url + PATHS["openai"], HEADERS["openai"]
        async with http.post(url, json=ASK["openai"], headers=headers, ssl=client) as response:
            assert response.status == 200
        sim.fail_next(Fault("reset"))
        with pytest.raises(aiohttp.ClientError):
            await http.post(url, json=ASK["openai"], headers=headers, ssl=client)


async def test_a_port_that_is_taken_is_said():
    async with Simulator("openai") as sim:
        with pytest.raises(OSError, match="in use"):
            await Simulator("openai", port=sim.port).start()
