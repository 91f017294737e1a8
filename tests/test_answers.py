"""What the gateway answers itself."""

import json
from typing import Any

import pytest
from dialogue import CHAT, CLAUDE, GPT, MESSAGES, THREE, plan_of

from router_service.answers import answer, dialect_for
from router_service.conversation import BadRequest
from router_service.policies import explicit

PLAN = plan_of(f"{THREE}model_aliases: {{best: claude-sonnet-4-5}}\n")
ANTHROPIC = {"anthropic-version": "2023-06-01"}


def told(path: str, headers: dict[str, str] | None = None, *, method: str = "GET", query: str = "") -> Any:
    given = answer(PLAN, method, path, headers or {}, query)
    assert given and given.status == 200 and given.headers == {"content-type": "application/json"}
    return json.loads(given.body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_client_that_looks_whether_we_are_here(method: str) -> None:
    assert told("/", method=method)["name"] == "archgw"


def test_health_tells_how_many_models_there_are() -> None:
    assert told("/healthz") == {"status": "ok", "models": 3}


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/healthz"), ("GET", "/nope"), ("POST", MESSAGES), ("GET", "/v1/modelsx")]
)
def test_what_is_for_somebody_else(method: str, path: str) -> None:
    assert answer(PLAN, method, path, {}) is None


IDS = ["arch.main.v1", "arch.fast.v1", "arch.claude.code.small.fast", "best", GPT, CLAUDE, "deepseek/deepseek-chat"]


def test_models_as_openai_lists_them() -> None:
    listed = told("/v1/models")
    assert listed["object"] == "list" and [model["id"] for model in listed["data"]] == IDS
    sizes = {"context_length": 128_000, "context_window": 128_000, "max_completion_tokens": 16_384}
    assert listed["data"][4] == {"id": GPT, "object": "model", "created": 1767225600, "owned_by": "openai", **sizes}


def test_models_as_anthropic_lists_them() -> None:
    listed = told("/v1/models", ANTHROPIC)
    assert [model["id"] for model in listed["data"]] == IDS
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, IDS[0], IDS[-1])
    assert listed["data"][4] == {
        "type": "model",
        "id": GPT,
        "display_name": GPT,
        "created_at": "2026-01-01T00:00:00Z",
        "description": f"Always {GPT}",
        "max_input_tokens": 128_000,
        "max_tokens": 16_384,
    }


def test_a_request_that_is_routed_may_be_as_long_as_the_largest_window() -> None:
    routed, *_ = told("/v1/models", ANTHROPIC)["data"]
    assert routed["max_input_tokens"] == max(c.facts.context or 0 for c in PLAN.candidates) == 200_000


def test_what_nobody_knows_is_not_said() -> None:
    plan = plan_of("llm_providers: [{model: ollama/own-model}]\n")
    given = answer(plan, "GET", "/v1/models/ollama%2Fown-model", ANTHROPIC)
    assert given and not {"max_input_tokens", "max_tokens"} & json.loads(given.body).keys()


@pytest.mark.parametrize("client", ["claude-code/2.1.330", "claude-cli/2.1.197 (external, cli)"])
def test_claude_code_is_offered_names_that_it_lists(client: str) -> None:
    listed = told("/v1/models", {**ANTHROPIC, "user-agent": client})["data"]
    names = [*IDS[:2], *IDS[3:]]
    assert [model["id"] for model in listed] == [f"claude-via-archgw/{id}" for id in names]
    assert [model["display_name"] for model in listed] == names
    for model, id in zip(listed, names, strict=True):
        offered = explicit.resolve(PLAN, model["id"], claude_code=True)
        assert offered == explicit.resolve(PLAN, id, claude_code=False)


@pytest.mark.parametrize(
    ("query", "ids", "more"),
    [
        ("limit=1000", IDS, False),
        ("limit=2", IDS[:2], True),
        ("limit=2&after_id=arch.fast.v1", IDS[2:4], True),
        ("limit=5&after_id=arch.fast.v1", IDS[2:], False),
        (f"limit=2&after_id={IDS[-1]}", [], False),
        ("limit=2&before_id=best", IDS[1:3], True),
        ("before_id=best", IDS[:3], False),
        ("beta=true", IDS, False),
    ],
)
def test_pages(query: str, ids: list[str], more: bool) -> None:
    page = told("/v1/models", ANTHROPIC, query=query)
    assert ([model["id"] for model in page["data"]], page["has_more"]) == (ids, more)
    assert (page["first_id"], page["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "limit: expected a number from 1 to 1000, not '0'"),
        ("limit=many", "limit: expected a number"),
        ("after_id=gone", "after_id: no model 'gone' is listed"),
    ],
)
def test_pages_that_are_none(query: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        answer(PLAN, "GET", "/v1/models", ANTHROPIC, query)


@pytest.mark.parametrize(
    "id", [*IDS, "claude-opus-5-5", "gpt-4o-mini", "openai%2Fgpt-4o-mini", "claude-via-archgw/openai/gpt-4o-mini"]
)
def test_every_name_that_may_be_asked_for_exists(id: str) -> None:
    found = told(f"/v1/models/{id}", ANTHROPIC)
    assert found["id"] == id.replace("%2F", "/")
    assert found["display_name"] == found["id"].removeprefix("claude-via-archgw/")


def test_a_name_that_may_not_be_asked_for_does_not_exist() -> None:
    with pytest.raises(BadRequest) as caught:
        answer(PLAN, "GET", "/v1/models/nonsense", ANTHROPIC)
    assert caught.value.status == 404


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        (CHAT, {}, "openai_chat"),
        ("/nope", {}, "openai_chat"),
        ("/nope", ANTHROPIC, "anthropic_messages"),
        (f"{MESSAGES}/batches", {}, "anthropic_messages"),
    ],
)
def test_the_dialect_of_a_refusal(path: str, headers: dict[str, str], name: str) -> None:
    assert dialect_for(path, headers).name == name
