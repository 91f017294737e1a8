"""Simulated Vertex takes of Claude's requests what Vertex takes, and of everybody a token."""

from typing import Any

import aiohttp
import pytest
from archgw.simulate import Fault, Simulator

PLACE = "/v1/projects/our-project/locations/europe-west1"
CLAUDE = f"{PLACE}/publishers/anthropic/models/claude-sonnet-4-5@20250929"
CHAT = f"{PLACE}/endpoints/openapi/chat/completions"
VERSION = {"anthropic_version": "vertex-2023-10-16"}
ASKED = {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
TOKEN = {"authorization": "Bearer a-token"}


async def post(path: str, body: dict[str, Any], headers: dict[str, str] = TOKEN, fault: Fault | None = None) -> Any:
    async with Simulator("vertex", accept_keys={"a-token"}) as sim, aiohttp.ClientSession() as http:
        sim.fault = fault
        async with http.post(f"{sim.url}{path}", json=body, headers=headers) as response:
            streamed = response.content_type == "text/event-stream"
            return response.status, await (response.text() if streamed else response.json())


async def test_claude_answers_whole_and_streamed() -> None:
    status, told = await post(f"{CLAUDE}:rawPredict", ASKED | VERSION)
    assert status == 200 and told["model"] == "claude-sonnet-4-5@20250929"
    status, text = await post(f"{CLAUDE}:streamRawPredict", ASKED | VERSION | {"stream": True})
    assert status == 200 and "event: message_stop" in text


async def test_the_others_answer_in_openais_dialect() -> None:
    status, told = await post(CHAT, ASKED | {"model": "google/gemini-2.5-pro"})
    assert status == 200 and told["choices"]


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (f"{CLAUDE}:rawPredict", ASKED | VERSION | {"model": "m"}, "model: Extra inputs are not permitted"),
        (f"{CLAUDE}:rawPredict", ASKED, "anthropic_version: Field required"),
        (f"{CLAUDE}:rawPredict", ASKED | {"anthropic_version": "1"}, 'anthropic_version: "1" is not a valid version'),
        (f"{CLAUDE}:rawPredict", ASKED | VERSION | {"stream": True}, "goes to :streamRawPredict"),
        (f"{CLAUDE}:streamRawPredict", ASKED | VERSION, "goes to :rawPredict"),
        (f"{CLAUDE}:rawPredict", ASKED | VERSION | {"n": 1}, "n: Extra inputs are not permitted"),
        (f"{CLAUDE}:rawPredict?beta=true", ASKED | VERSION, 'Unknown name "beta": Cannot bind query parameter.'),
        (CHAT, ASKED | {"model": "google/gemini-2.5-pro", "store": True}, 'Unknown name "store": Cannot find field.'),
    ],
    ids=["model", "no version", "version", "whole for stream", "stream for whole", "field", "query", "field of OpenAI"],
)
async def test_what_is_refused(path: str, body: dict[str, Any], words: str) -> None:
    status, told = await post(path, body)
    assert status == 400 and words in str(told)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer another"}, {"authorization": "a-token"}, {"x-api-key": "a-token"}],
    ids=["none", "another", "no bearer", "another header"],
)
async def test_only_a_token_opens(headers: dict[str, str]) -> None:
    status, told = await post(f"{CLAUDE}:rawPredict", ASKED | VERSION, headers)
    assert status == 401 and told["error"]["status"] == "UNAUTHENTICATED"


async def test_a_beta_flag_that_vertex_does_not_know_is_refused() -> None:
    flags = {"anthropic-beta": "interleaved-thinking-2025-05-14,prompt-caching-scope-2026-01-05"}
    status, told = await post(f"{CLAUDE}:rawPredict", ASKED | VERSION, TOKEN | flags)
    assert status == 400 and "Unexpected value(s) `prompt-caching-scope-2026-01-05`" in told["error"]["message"]


async def test_a_model_that_is_not_there_is_not_found() -> None:
    status, told = await post(f"{CLAUDE.replace('sonnet', 'sonata')}:rawPredict", ASKED | VERSION)
    assert status == 404 and "was not found" in told["error"]["message"]


async def test_a_fault_hits_the_model_in_the_path() -> None:
    fault = Fault("status", status=529, model="claude-sonnet-4-5@20250929")
    hit, _ = await post(f"{CLAUDE}:rawPredict", ASKED | VERSION, fault=fault)
    other = f"{PLACE}/publishers/anthropic/models/claude-haiku-4-5@20251001"
    spared, _ = await post(f"{other}:rawPredict", ASKED | VERSION, fault=fault)
    assert (hit, spared) == (529, 200)
