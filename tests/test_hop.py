"""The shell around the machines, with Envoy's side of the stream played by a fake."""

import asyncio
import gc
import json
import time
from typing import Any

import pytest
from dialogue import GPT, MESSAGES, THREE, ask, gateway_of, one, request

from router_service.attempt import Attempt
from router_service.caching import Entry
from router_service.effects import Choose, Look
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.pb import ext_proc_pb2 as pb
from router_service.policies.policy import Scores
from router_service.shell.cache import Cache, Verdict
from router_service.shell.cache import Nowhere as NoStore
from router_service.shell.hop import AT_ONCE, Hop
from router_service.shell.identities import Identities
from router_service.shell.journal import Journal
from router_service.shell.serving import Serving
from router_service.shell.state import Nowhere

CHOICE = b'{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}'
REPLY = b'{"id":"1","model":"m","choices":[' + CHOICE + b"]}"


class Envoy:
    """Takes what the service writes; hangs up at the end of an answer, as Envoy does."""

    hop: Hop

    def __init__(self) -> None:
        self.heard: list[pb.ProcessingResponse] = []
        self.errors: list[Exception] = []

    def write(self, message: bytes) -> None:
        told = pb.ProcessingResponse.FromString(message)
        self.heard.append(told)
        if told.response_body.response.body_mutation.streamed_response.end_of_stream:
            self.hop.close()

    async def drain(self) -> None:
        pass

    def busy(self, *, now: bool) -> None:
        pass

    def failed(self, error: Exception) -> None:
        self.errors.append(error)


class Model:
    async def score(self, ask: str, context: tuple[str, ...]) -> Scores:
        return Scores(trouble="no model here")


def hop_of(
    gateway: Gateway,
    envoy: Envoy,
    role: str,
    *,
    journal: Journal | None = None,
    cache: Cache | None = None,
    large: asyncio.Semaphore | None = None,
) -> Hop:
    model: Any = Model()
    serving = Serving(gateway, model, journal or Journal(), Nowhere(), Identities(), cache=cache or Cache(NoStore()))
    envoy.hop = Hop(serving, envoy, role=role, large=large)
    return envoy.hop


async def hear(hop: Hop, *messages: pb.ProcessingRequest) -> None:
    for message in messages:
        hop.hear(message)
        await hop.settled()


def request_headers(exchange: str, candidate: str, path: str = "/v1/messages") -> pb.ProcessingRequest:
    message = pb.ProcessingRequest()
    for name, value in {":method": "POST", ":path": path, "x-archgw-exchange": exchange}.items():
        message.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    message.attributes["envoy.filters.http.ext_proc"].update({"destination.address": f"envoy://attempt/{candidate}"})
    return message


def response(status: int, body: bytes) -> list[pb.ProcessingRequest]:
    head = pb.ProcessingRequest()
    for name, value in {":status": str(status), "content-type": "application/json"}.items():
        head.response_headers.headers.headers.add(key=name, raw_value=value.encode())
    return [head, pb.ProcessingRequest(response_body=pb.HttpBody(body=body, end_of_stream=True))]


async def test_an_outcome_is_kept_although_envoy_hangs_up_at_the_last_word() -> None:
    gateway, journal, envoy = gateway_of(), Journal(), Envoy()
    _, (chosen,) = ask(gateway, model=GPT)
    assert isinstance(chosen, Choose)
    hop = hop_of(gateway, envoy, "attempt", journal=journal)
    await hear(hop, request_headers(chosen.exchange, "openai-gpt-4o-mini"), *response(200, REPLY))
    hop.close()
    (outcome,) = journal.recent
    assert (outcome.status, outcome.model_served) == (200, GPT)
    assert len(gateway.exchanges) == 0


async def test_what_was_asked_is_let_go_of_at_the_end_of_its_answer() -> None:
    """Half a second more of each, under load, is a lot of memory."""
    gateway, envoy = gateway_of(), Envoy()
    _, (chosen,) = ask(gateway, model=GPT)
    assert isinstance(chosen, Choose)
    hop = hop_of(gateway, envoy, "attempt")
    await hear(hop, request_headers(chosen.exchange, "openai-gpt-4o-mini"), *response(200, REPLY))
    hop.close()
    del hop, envoy.hop
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) is Exchange and one.id == chosen.exchange]


@pytest.mark.parametrize(("path", "anthropic"), [("/v1/messages?beta=true", True), ("/v1/chat/completions", False)])
async def test_an_attempt_whose_exchange_is_gone_is_told_so_in_the_clients_dialect(path: str, anthropic: bool) -> None:
    envoy = Envoy()
    await hear(hop_of(gateway_of(), envoy, "attempt"), request_headers("gone", "openai-gpt-4o-mini", path))
    (answer,) = envoy.heard
    told = json.loads(answer.immediate_response.body)
    assert ("type" in told) == anthropic
    assert "send it again" in told["error"]["message"]


async def test_an_error_of_our_own_sends_envoy_to_the_next_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    from router_service import upstream

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a prompt could stand here")

    gateway, envoy = gateway_of(), Envoy()
    _, (chosen,) = ask(gateway, model=GPT)
    assert isinstance(chosen, Choose)
    monkeypatch.setattr(upstream, "render", broken)
    await hear(hop_of(gateway, envoy, "attempt"), request_headers(chosen.exchange, "openai-gpt-4o-mini"))
    (answer,) = envoy.heard
    immediate = answer.immediate_response
    assert {option.header.key for option in immediate.headers.set_headers} >= {"x-archgw-retry"}
    assert b"ZeroDivisionError" in immediate.body and b"a prompt could stand here" not in immediate.body


async def test_an_error_of_our_own_about_who_has_left_keeps_no_exchange(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a prompt could stand here")

    gateway, journal = gateway_of(), Journal()
    _, (chosen,) = ask(gateway, model=GPT)
    assert isinstance(chosen, Choose)
    hop = hop_of(gateway, Envoy(), "attempt", journal=journal)
    await hear(hop, request_headers(chosen.exchange, "openai-gpt-4o-mini"))
    monkeypatch.setattr(Attempt, "_on_gone", broken)
    hop.close()
    gateway.exchanges.expire(time.monotonic() + 3600)
    assert len(gateway.exchanges) == 0
    assert "ZeroDivisionError at test_hop.py" in caplog.text and "a prompt" not in caplog.text


class SlowEnvoy(Envoy):
    """Takes an answer when it is let."""

    def __init__(self, let: asyncio.Event, taking: list[int]) -> None:
        super().__init__()
        self._let, self._taking = let, taking

    def write(self, message: bytes) -> None:
        super().write(message)
        if self.heard[-1].HasField("immediate_response"):
            self._taking.append(len(self.heard[-1].immediate_response.body))

    async def drain(self) -> None:
        await self._let.wait()


@pytest.mark.parametrize(("size", "at_once"), [(100, 30), (4 * 1024 * 1024, AT_ONCE)])
async def test_large_answers_out_of_the_cache_go_out_a_few_at_a_time(size: int, at_once: int) -> None:
    """However many wait for them, for on its way each takes memory of its own."""
    gateway, cache, large = gateway_of(f"{THREE}cache: {{enabled: true}}\n"), Cache(NoStore()), asyncio.Semaphore(8)
    _, effects = ask(gateway, model=GPT)
    look = one(effects, Look)
    assert look is not None
    cache.keep(look.keeping.key, Entry(time.time(), float("inf"), GPT, GPT, "", "application/json", b" " * size))
    let, taking, envoys = asyncio.Event(), list[int](), list[SlowEnvoy]()
    head, body = pb.ProcessingRequest(), json.dumps(request(model=GPT)).encode()
    for name, value in {":method": "POST", ":path": MESSAGES, ":authority": "127.0.0.1"}.items():
        head.request_headers.headers.headers.add(key=name, raw_value=value.encode())

    async def asked() -> None:
        envoys.append(SlowEnvoy(let, taking))
        hop = hop_of(gateway, envoys[-1], "selection", cache=cache, large=large)
        await hear(hop, head, pb.ProcessingRequest(request_body=pb.HttpBody(body=body, end_of_stream=True)))

    running = [asyncio.create_task(asked()) for _ in range(30)]
    for _ in range(100):
        await asyncio.sleep(0)
    assert taking == [size] * at_once
    let.set()
    await asyncio.gather(*running)
    assert len(taking) == 30


@pytest.mark.parametrize("returns", [False, True])
async def test_whose_client_has_left_asks_for_nobody_any_more_unless_envoy_comes_back(
    returns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router_service.shell.hop._BETWEEN", 0.01)
    gateway = gateway_of()

    class Told(Cache):
        given_up: tuple[str, ...] = ()

        def leads(self, exchange: str) -> bool:
            return True

        def give_up(self, exchange: str, verdict: Verdict = "next") -> None:
            self.given_up += (exchange,)

    cache = Told(NoStore())
    _, (chosen,) = ask(gateway, model=GPT)
    assert isinstance(chosen, Choose)

    def hop() -> Hop:
        return hop_of(gateway, Envoy(), "attempt", cache=cache)

    first, second = hop(), hop()
    await hear(first, request_headers(chosen.exchange, "openai-gpt-4o-mini"))
    first.close()
    if returns:
        await hear(second, request_headers(chosen.exchange, "openai-gpt-4o-mini"))
    await asyncio.sleep(0.05)
    assert cache.given_up == (() if returns else (chosen.exchange,))
    second.close()


async def test_an_error_of_our_own_lets_the_request_of_somebody_elses_envoy_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from router_service import decisions

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a prompt could stand here")

    monkeypatch.setattr(decisions, "told", broken)
    gateway, envoy = gateway_of(), Envoy()
    hop = hop_of(gateway, envoy, "decide")
    head = pb.ProcessingRequest()
    for name, value in {":method": "POST", ":path": MESSAGES, "x-arch-model": "mine"}.items():
        head.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    body = json.dumps(request(model=GPT)).encode()
    await hear(hop, head, pb.ProcessingRequest(request_body=pb.HttpBody(body=body, end_of_stream=True)))
    first, second = envoy.heard
    assert first.request_headers.response.header_mutation.remove_headers == ["x-arch-model"]
    told = second.request_body.response.header_mutation
    set = {option.header.key: option.header.raw_value for option in told.set_headers}
    assert "x-arch-model" not in set and b"ZeroDivisionError" in set["x-arch-reason"]
    assert b"a prompt" not in set["x-arch-reason"]
    assert len(gateway.exchanges) == 0
