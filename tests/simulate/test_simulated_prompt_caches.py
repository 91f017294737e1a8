"""What the simulated vendors know of a prompt again, and where: by their published rules."""

import json
from typing import Any

import pytest
from archgw.simulate.answer import respond
from archgw.simulate.received import Asked, Received
from archgw.simulate.refusal import Refused
from archgw.simulate.rules.anthropic import known_fields
from archgw.simulate.server import Simulator
from archgw.simulate.tokens import A_MINUTE, MACHINES, Piece, PromptCache
from archgw.simulate.vendors import ALL

LONG = "word " * 2000
MARK = {"cache_control": {"type": "ephemeral"}}


def words(count: int, name: str = "") -> Piece:
    return Piece(f"{name} " + "abcd" * count)


def read(cache: PromptCache, pieces: list[Piece], now: float = 0.0, machines: str = "one", key: str = "") -> int:
    """Tokens that came from the cache, by OpenAI's way."""
    return cache.automatic("m", pieces, now, cache.machine(machines, pieces, key, now)).cached


def test_a_machine_takes_fifteen_requests_a_minute_of_one_beginning() -> None:
    cache = PromptCache()
    found = [read(cache, [words(2000)], now, "some") > 0 for now in range(A_MINUTE * 2)]
    assert [at for at, known in enumerate(found) if not known] == [0, A_MINUTE]


def test_what_a_key_tells_apart_is_read_by_machines_of_its_own() -> None:
    cache = PromptCache()
    assert not read(cache, [words(2000)], 0, "some", "a") and not read(cache, [words(2000)], 0, "some", "b")
    assert read(cache, [words(2000)], 1, "some", "a") and read(cache, [words(2000)], 1, "some", "b")
    many = [read(cache, [words(2000)], 2, "some", key) for key in ("a", "b") for _ in range(A_MINUTE - 2)]
    assert all(many)


def test_without_a_name_any_machine_reads_it() -> None:
    cache = PromptCache()
    found = [read(cache, [words(2000)], 0, "any") > 0 for _ in range(MACHINES + 1)]
    assert found == [False] * MACHINES + [True]
    named = [read(cache, [words(2000)], 0, "any", "c-1") > 0 for _ in range(3)]
    assert named == [False, True, True]


def test_claude_looks_a_few_blocks_before_its_marks() -> None:
    cache, begun = PromptCache(), [words(2000), Piece("x", marked=True)]
    assert cache.explicit("m", begun, 0).written == 2002
    near = [*begun[:1], Piece("x"), *(Piece("y") for _ in range(18)), Piece("z", marked=True)]
    far = [*begun[:1], Piece("x"), *(Piece("y") for _ in range(19)), Piece("w", marked=True)]
    assert cache.explicit("m", near, 1).cached == 2002
    assert cache.explicit("m", far, 1).cached == 0


@pytest.mark.parametrize(("least", "kept"), [(512, True), (1024, True), (2048, False)])
def test_claude_keeps_nothing_that_is_too_short(least: int, kept: bool) -> None:
    usage = PromptCache().explicit("m", [Piece("a" * 6000, marked=True)], 0, least=least)
    assert (usage.written > 0) == kept


def asked(vendor: str, body: dict[str, Any]) -> Asked:
    found = next(one for one in ALL if one.name == vendor)
    model = found.model({"amazon_bedrock": "anthropic.claude-sonnet-4-5"}.get(vendor, "claude-sonnet-4-5"))
    assert model is not None
    return Asked(found, model, body)


@pytest.mark.parametrize("vendor", ["amazon_bedrock", "vertex"])
def test_a_mark_on_the_whole_request_is_anthropics_own(vendor: str) -> None:
    known_fields(asked("anthropic", {"messages": [], **MARK}))
    with pytest.raises(Refused, match="cache_control: Extra inputs are not permitted"):
        known_fields(asked(vendor, {"messages": [], **MARK}))


def usage_of(sim: Simulator, **fields: Any) -> dict[str, int]:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": LONG}]} | fields
    headers = (("content-type", "application/json"), ("x-api-key", "k"), ("anthropic-version", "2023-06-01"))
    received = Received("POST", "/v1/messages", "", headers, json.dumps(body).encode(), 0.0, body)
    answer = respond(sim._office, received, None)
    told: dict[str, int] = json.loads(b"".join(frame.data for frame in answer.frames))["usage"]
    return told


def test_a_mark_on_the_whole_request_is_one_on_its_last_block() -> None:
    sim = Simulator("anthropic")
    first, again = usage_of(sim, **MARK), usage_of(sim, **MARK)
    assert first["cache_creation_input_tokens"] == again["cache_read_input_tokens"] > 2000
    block = [{"role": "user", "content": [{"type": "text", "text": LONG, **MARK}]}]
    assert usage_of(sim, messages=block)["cache_read_input_tokens"] == again["cache_read_input_tokens"]
    assert usage_of(sim)["cache_read_input_tokens"] == 0
