"""Failover with the real Envoy: whatever the first provider does, the client gets one clean answer."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from archgw import client
from archgw.simulate import Fault, Simulator
from stack import Answer, Gateway, gateway

KEYS = {name: f"key-of-{name}" for name in ("openai", "anthropic", "deepseek")}
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: anthropic/claude-sonnet-4-5, access_key: $ANTHROPIC_API_KEY, base_url: "$URL_ANTHROPIC"}
  - {model: deepseek/deepseek-chat, access_key: $DEEPSEEK_API_KEY, base_url: "$URL_DEEPSEEK"}
failover: {attempts: 3, first_content_timeout: 1s, whole_answer_timeout: 1s, put_aside_after: $AFTER, put_aside_for: 1s,
  cool_at_most: 0}
"""
pytestmark = pytest.mark.asyncio(loop_scope="module")

ANTHROPIC, OPENAI = "/v1/messages", "/v1/chat/completions"
PNG = b"\x89PNG\r\n\x1a\n"
STATUSES = (401, 402, 403, 404, 408, 429, 500, 502, 503, 504, 529)
BEFORE_ANY_ANSWER = ("hang", "reset", "close", "html", "silent", "empty")
STREAMED = ("no_content", "pings_forever", "error_first", "error_after_start", "error_after_pings", "malformed")


@asynccontextmanager
async def three_providers(folder: Path, *, put_aside_after: int, swapped: bool = False) -> AsyncIterator[Gateway]:
    """`swapped`: DeepSeek stands before Anthropic."""
    async with (
        Simulator("openai", accept_keys={KEYS["openai"]}) as openai,
        Simulator("anthropic", accept_keys={KEYS["anthropic"]}) as anthropic,
        Simulator("deepseek", accept_keys={KEYS["deepseek"]}) as deepseek,
    ):
        providers = {"openai": openai, "anthropic": anthropic, "deepseek": deepseek}
        environment = {f"{name.upper()}_API_KEY": key for name, key in KEYS.items()}
        config = CONFIG.replace("$AFTER", str(put_aside_after))
        if swapped:
            lines = config.splitlines()
            lines[4], lines[5] = lines[5], lines[4]
            config = "\n".join(lines)
        async with gateway(folder, config, providers, environment) as running:
            yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """Nobody is put aside here, so that each test finds every provider in its place."""
    async with three_providers(tmp_path_factory.mktemp("failover"), put_aside_after=100_000) as running:
        yield running


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> AsyncIterator[None]:
    await running.calm()
    yield
    leaked = [leak for provider in running.providers.values() for leak in provider.leaks]
    assert not leaked, "a header reached a provider that it was not meant for"


def hello(*, stream: bool = False, model: str = "arch.main.v1", **more: Any) -> dict[str, Any]:
    return {
        "model": model,
        "max_tokens": 100,
        "stream": stream,
        "messages": [{"role": "user", "content": "hello"}],
        **more,
    }


def assert_served_by_second(answer: Answer) -> None:
    assert answer.status == 200, answer.body
    assert answer.headers["x-arch-model"] == "anthropic/claude-sonnet-4-5"
    assert answer.headers["x-arch-attempts"] == "2"
    assert "openai/gpt-4o-mini" in answer.headers["x-arch-reason"], "the failed attempt is explained"
    assert "x-archgw-retry" not in answer.headers


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", STATUSES)
async def test_an_error_status_goes_to_the_next_candidate(
    running: Gateway, status: int, stream: bool, path: str
) -> None:
    running.providers["openai"].fail_next(Fault("status", status=status))
    assert_served_by_second(await running.ask(hello(stream=stream), path))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("kind", BEFORE_ANY_ANSWER)
async def test_no_answer_goes_to_the_next_candidate(running: Gateway, kind: str, stream: bool) -> None:
    running.providers["openai"].fail_next(Fault(kind))
    assert_served_by_second(await running.ask(hello(stream=stream)))


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize("kind", STREAMED)
async def test_a_200_that_fails_before_its_first_content_goes_to_the_next_candidate(
    running: Gateway, kind: str, path: str
) -> None:
    running.providers["openai"].fail_next(Fault(kind, delay_ms=50))
    answer = await running.ask(hello(stream=True), path)
    assert_served_by_second(answer)
    assert answer.body.count(b"message_start" if path == ANTHROPIC else b'"role":"assistant"') in (1, 2)


async def test_a_refused_connection_goes_to_the_next_candidate(running: Gateway) -> None:
    await running.providers["openai"].refuse()
    assert_served_by_second(await running.ask(hello(stream=True)))


async def test_truncated_json_goes_to_the_next_candidate(running: Gateway) -> None:
    running.providers["openai"].fail_next(Fault("truncated"))
    assert_served_by_second(await running.ask(hello()))


async def test_a_five_megabyte_body_survives_a_failing_first_candidate(running: Gateway) -> None:
    running.providers["openai"].fail_next(Fault("status", status=503))
    data = base64.b64encode(PNG + bytes(750_000)).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
    messages = [{"role": "user", "content": [*[image] * 5, {"type": "text", "text": "what do these show?"}]}]
    assert_served_by_second(await running.ask(hello(messages=messages)))
    received = running.providers["anthropic"].requests[-1].body
    assert len(received) > 5_000_000
    assert json.loads(received)["messages"] == messages


async def test_a_bad_request_is_not_replayed_on_everyone(running: Gateway) -> None:
    running.providers["openai"].fail_next(Fault("status", status=400))
    answer = await running.ask(hello())
    assert answer.status == 400
    assert answer.json["type"] == "error" and answer.json["error"]["type"] == "invalid_request_error"
    assert answer.headers["x-arch-attempts"] == "1"
    assert not running.providers["anthropic"].requests


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
async def test_when_all_are_down_one_error_names_each_and_what_it_answered(running: Gateway, path: str) -> None:
    for provider, status in zip(running.providers.values(), (503, 429, 500), strict=True):
        provider.fail_next(Fault("status", status=status))
    answer = await running.ask(hello(), path)
    message = answer.json["error"]["message"]
    assert answer.status == 503
    assert ("type" in answer.json) == (path == ANTHROPIC)
    for label, status in (
        ("openai/gpt-4o-mini", 503),
        ("anthropic/claude-sonnet-4-5", 429),
        ("deepseek/deepseek-chat", 500),
    ):
        assert f"{label} answered {status}" in message
    assert answer.headers["x-arch-attempts"] == "3"


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize("kind", ["reset_after_content", "close_after_content"])
async def test_the_last_one_that_tears_a_whole_answer_is_told_in_the_clients_dialect(
    running: Gateway, kind: str, path: str
) -> None:
    """Envoy does not ask us then: the service held the answer's head, and Envoy answers past it."""
    for name in ("openai", "anthropic"):
        running.providers[name].fail_next(Fault("status", status=503))
    running.providers["deepseek"].fail_next(Fault(kind))
    answer = await running.ask(hello(), path)
    assert answer.status == 502 and answer.headers["Content-Type"].startswith("application/json")
    assert ("type" in answer.json) == (path == ANTHROPIC)
    words = "archgw: no model could answer. deepseek/deepseek-chat broke off in its answer"
    assert answer.json["error"]["message"] == words
    assert answer.headers["x-arch-model"] == "deepseek/deepseek-chat"
    outcome = await recorded(running, answer.headers["x-arch-request-id"])
    assert outcome.request.status == 502 and [bool(one.trouble) for one in outcome.tries] == [True] * 3


async def recorded(running: Gateway, id: str) -> Any:
    for _ in range(400):
        try:
            return await asyncio.to_thread(client.explain, running.home, id, "")
        except grpc.RpcError:
            await asyncio.sleep(0.05)
    raise AssertionError("it was not recorded")


async def test_a_wrong_key_of_everyone_is_a_403_so_that_no_client_hangs_on_it(running: Gateway) -> None:
    for provider in running.providers.values():
        provider.fail_next(Fault("status", status=401))
    answer = await running.ask(hello())
    assert answer.status == 403


async def test_each_provider_gets_its_own_key_and_never_the_clients(running: Gateway) -> None:
    running.providers["openai"].fail_next(Fault("status", status=500))
    running.providers["anthropic"].fail_next(Fault("status", status=500))
    answer = await running.ask(
        hello(),
        authorization="Bearer the client's login",
        cookie="secret=1",
        **{"x-archgw-chain": "chain.default.deepseek-deepseek-chat", "x-forwarded-for": "6.6.6.6"},
    )
    assert answer.status == 200 and answer.headers["x-arch-attempts"] == "3"
    for name, provider in running.providers.items():
        (request,) = provider.requests
        seen = json.dumps(dict(request.headers))
        assert KEYS[name] in seen
        assert not [other for other in KEYS if other != name and KEYS[other] in seen]
        assert "client" not in seen and "secret" not in seen and "6.6.6.6" not in seen


async def test_repeated_failures_put_a_candidate_aside_and_it_recovers_by_itself(tmp_path: Path) -> None:
    async with three_providers(tmp_path, put_aside_after=3) as running:
        openai = running.providers["openai"]
        openai.fault = Fault("status", status=429)
        for _ in range(3):
            assert (await running.ask(hello())).headers["x-arch-attempts"] == "2"
        await _until(running, ejected=True)
        openai.requests.clear()
        answer = await running.ask(hello())
        assert answer.headers["x-arch-attempts"] == "1", "who is put aside is not even asked"
        assert not openai.requests
        openai.clear()
        await _until(running, ejected=False)
        assert (await running.ask(hello())).headers["x-arch-model"] == "openai/gpt-4o-mini"


async def test_who_is_passed_over_is_never_put_aside_for_it(tmp_path: Path) -> None:
    """DeepSeek, which cannot see, stands between OpenAI, which fails, and Anthropic."""
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG + bytes(64)).decode()},
    }
    seen = [{"role": "user", "content": [picture, {"type": "text", "text": "what is it?"}]}]
    async with three_providers(tmp_path, put_aside_after=2, swapped=True) as running:
        running.providers["openai"].fault = Fault("status", status=503)
        for _ in range(2):  # after which OpenAI is put aside
            answer = await running.ask(hello(messages=seen))
            assert answer.headers["x-arch-model"] == "anthropic/claude-sonnet-4-5"
            assert answer.headers["x-arch-attempts"] == "2", "passing somebody over is no try"
            assert "x-archgw-next" not in answer.headers
        await _until(running, ejected=True)
        async with running.client.get(f"{running.url}/archgw/metrics") as page:
            assert 'archgw_put_aside{candidate="openai-gpt-4o-mini"} 1.0' in await page.text()
        for _ in range(4):
            answer = await running.ask(hello(messages=seen))
            assert answer.headers["x-arch-model"] == "anthropic/claude-sonnet-4-5"
        await asyncio.sleep(1.5)  # longer than Envoy's interval
        assert not running.providers["deepseek"].requests
        assert not (await running.ejected())["deepseek-deepseek-chat"]


async def test_an_error_after_content_ends_the_stream_cleanly_in_the_clients_dialect(running: Gateway) -> None:
    running.providers["openai"].fail_next(Fault("error_after_content"))
    answer = await running.ask(hello(stream=True))
    assert answer.status == 200
    assert b"event: error" in answer.body and b"message_stop" not in answer.body


async def _until(running: Gateway, *, ejected: bool) -> None:
    for _ in range(600):
        if (await running.ejected())["openai-gpt-4o-mini"] == ejected:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"ejected did not become {ejected}")
