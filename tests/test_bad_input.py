"""What bad input gets: a 4xx in the client's dialect that says what to do. Never a hang, never an empty 500."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from archgw.simulate import Simulator
from stack import Gateway, gateway

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: openai/gpt-4o-mini, access_key: $OPENAI_API_KEY, base_url: "$URL_OPENAI", default: true}
  - {model: openai/gpt-4.1, access_key: $MISSING_KEY, base_url: "$URL_OPENAI"}
"""
pytestmark = pytest.mark.asyncio(loop_scope="module")

ANTHROPIC, OPENAI = "/v1/messages", "/v1/chat/completions"
EXPLAINED = {f"x-arch-{what}" for what in ("model", "route", "reason", "attempts", "request-id")}
HELLO = [{"role": "user", "content": "hello"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    async with Simulator("openai", accept_keys={"k"}) as openai:
        folder = tmp_path_factory.mktemp("bad-input")
        async with gateway(folder, CONFIG, {"openai": openai}, {"OPENAI_API_KEY": "k"}) as running:
            yield running


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "arch.main.v1", "max_tokens": 10, "messages": HELLO} | fields).encode()


ROWS = {
    "invalid JSON": (b'{"model": "x", "messages": [', 400, "not valid JSON: line 1"),
    "not UTF-8": (b'{"model": "\xff\xfe"}', 400, "not valid JSON"),
    "nested too deeply": (b"[" * 100_000, 400, "nested more than 200 deep"),
    "not an object": (b"[1, 2]", 400, "must be a JSON object, not list"),
    "no model": (b'{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}', 400, "model"),
    "an empty message list": (body(messages=[]), 400, "messages"),
    "messages of no kind": (body(messages="hello"), 400, "messages"),
    "an unknown role": (body(messages=[{"role": "robot", "content": "hi"}]), 400, "messages[0].role"),
    "an unknown model": (body(model="gpt-4o-minni"), 404, "did you mean 'gpt-4o-mini'"),
    "a model whose key is missing": (body(model="openai/gpt-4.1"), 404, "$MISSING_KEY is not set"),
    "no body": (b"", 400, "no body"),
}


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize(("sent", "status", "words"), ROWS.values(), ids=ROWS.keys())
async def test_a_bad_body_is_refused_in_the_clients_dialect(
    running: Gateway, path: str, sent: bytes, status: int, words: str
) -> None:
    answer = await running.ask(sent, path)
    assert answer.status == status
    assert ("type" in answer.json) == (path == ANTHROPIC)
    assert words in answer.json["error"]["message"]
    assert {"x-arch-model", "x-arch-route", "x-arch-reason", "x-arch-attempts", "x-arch-request-id"} <= set(
        answer.headers
    )


@pytest.mark.parametrize("path", [ANTHROPIC, OPENAI])
@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "chunked"])
async def test_forty_megabytes_are_too_large(running: Gateway, path: str, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 1_000_000

    data = pieces() if chunked else b"x" * 1_000
    headers = {} if chunked else {"content-length": str(40_000_000)}
    async with running.client.post(f"{running.url}{path}", data=data, headers=headers) as reply:
        told = await reply.json()
    assert reply.status == 413
    assert set(reply.headers) >= EXPLAINED
    assert ("type" in told) == (path == ANTHROPIC)
    assert "larger than 32 MiB" in told["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/v1/messages", 405, "send a POST"),
        ("PUT", "/v1/chat/completions", 405, "send a POST"),
        ("DELETE", "/v1/models", 405, "does not answer DELETE /v1/models"),
        ("GET", "/nope", 404, "does not answer GET /nope; it answers"),
        ("POST", "/v1/embeddings", 404, "does not answer POST /v1/embeddings; it answers"),
        ("GET", "/v1/models/gpt-9", 404, "knows no model 'gpt-9'"),
    ],
)
async def test_a_wrong_method_or_path_says_what_is_answered(
    running: Gateway, method: str, path: str, status: int, words: str
) -> None:
    async with running.client.request(method, f"{running.url}{path}", data=b"{}" if method != "GET" else None) as reply:
        told = await reply.json()
    assert reply.status == status
    assert words in told["error"]["message"]


async def test_health_models_and_token_counts_are_answered(running: Gateway) -> None:
    async with running.client.get(f"{running.url}/healthz") as reply:
        assert (await reply.json())["status"] == "ok"
    async with running.client.head(f"{running.url}/") as reply:
        assert reply.status == 200
    async with running.client.get(f"{running.url}/v1/models") as reply:
        assert {"arch.main.v1", "openai/gpt-4o-mini"} <= {model["id"] for model in (await reply.json())["data"]}
    async with running.client.get(f"{running.url}/v1/models", headers={"anthropic-version": "2023-06-01"}) as reply:
        listed = await reply.json()
        assert listed["has_more"] is False and listed["data"][0]["type"] == "model"
    async with running.client.get(f"{running.url}/v1/models/claude-opus-9") as reply:
        assert (await reply.json())["id"] == "claude-opus-9"
    counted = await running.ask({"model": "claude-opus-9", "messages": HELLO, "tools": []}, "/v1/messages/count_tokens")
    assert counted.status == 200 and counted.json["input_tokens"] > 0
    assert [asked.path for asked in running.providers["openai"].requests] == ["/v1/responses/input_tokens"]
