"""What the gateway answers itself."""

import json
from typing import Any

import pytest
from dialogue import CHAT, CLAUDE, GPT, MESSAGES, THREE, plan_of

from router_service.answers import answer, dialect_for
from router_service.conversation import BadRequest

PLAN = plan_of(f"{THREE}model_aliases: {{best: claude-sonnet-4-5}}\n")
ANTHROPIC = {"anthropic-version": "2023-06-01"}


def told(path: str, headers: dict[str, str] | None = None, *, method: str = "GET") -> Any:
    given = answer(PLAN, method, path, headers or {})
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
    assert listed["data"][4] == {"id": GPT, "object": "model", "created": 1767225600, "owned_by": "openai"}


def test_models_as_anthropic_lists_them() -> None:
    listed = told("/v1/models", ANTHROPIC)
    assert [model["id"] for model in listed["data"]] == IDS
    assert (listed["has_more"], listed["first_id"], listed["last_id"]) == (False, IDS[0], IDS[-1])
    assert listed["data"][0].keys() == {"type", "id", "display_name", "created_at"}


@pytest.mark.parametrize("id", [*IDS, "claude-opus-5-5", "gpt-4o-mini", "openai%2Fgpt-4o-mini"])
def test_every_name_that_may_be_asked_for_exists(id: str) -> None:
    assert told(f"/v1/models/{id}", ANTHROPIC)["id"] == id.replace("%2F", "/")


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
