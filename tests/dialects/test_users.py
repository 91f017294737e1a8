"""Who asks goes where there is a place for it; whose account it is stays with Anthropic."""

import json
from typing import Any

import pytest
from dialogue import plan_of

from router_service import upstream
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Target
from router_service.providers import by_name

HASH = "user_0a1b_account_5f0c_session_77aa"
OBJECT = json.dumps({"device_id": "d", "account_uuid": "5f0c", "session_id": "s"})
ASK = {"role": "user", "content": "hi"}
OPENAI = Target("m", maker="openai/m", knows=by_name("openai").knows)
PLAIN = Target("m", maker="deepseek/m", knows=by_name("deepseek").knows)
CLAUDE = Target("m", maker="anthropic/m")
BEDROCK = Target("m", maker="amazon_bedrock/anthropic.m", accounts=False)


def made(client: str, body: dict[str, Any], vendor: str, target: Target) -> dict[str, Any]:
    spoken, conversation = DIALECTS[vendor], DIALECTS[client].parse_request(body)
    if client == vendor:
        changed = body | spoken.adapt(conversation, target, [])
        assert changed.get("metadata") == spoken.render_request(conversation, target).body.get("metadata")
        return changed
    rendered = spoken.render_request(conversation, target)
    assert rendered.warnings == ()
    return rendered.body


def asked(user: str) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 99, "messages": [ASK], "metadata": {"user_id": user}}


@pytest.mark.parametrize("user", [HASH, OBJECT])
@pytest.mark.parametrize(
    ("vendor", "target"),
    [("openai_chat", OPENAI), ("openai_responses", OPENAI), ("openai_chat", PLAIN), ("anthropic_messages", BEDROCK)],
)
def test_the_account_of_claude_codes_user_is_told_to_nobody_else(user: str, vendor: str, target: Target) -> None:
    body = made("anthropic_messages", asked(user), vendor, target)
    assert "5f0c" not in json.dumps(body)
    assert not {"user", "safety_identifier"} & body.keys()
    assert "prompt_cache_key" not in body


def test_who_may_be_told() -> None:
    entries = "".join(
        f"\n  - {{model: {model}, access_key: k{more}}}"
        for model, more in (
            ("anthropic/claude-opus-4-8", ""),
            ("bedrock/us.anthropic.claude-opus-4-8", ""),
            ("anthropic/glm-5", ", base_url: 'https://api.z.test/anthropic', provider_interface: anthropic"),
        )
    )
    plan = plan_of(f"llm_providers:{entries}", AWS_REGION="r", AWS_BEARER_TOKEN_BEDROCK="k")
    assert [upstream.target(candidate).accounts for candidate in plan.candidates] == [True, False, False]


@pytest.mark.parametrize("user", [HASH, OBJECT])
def test_anthropic_is_told(user: str) -> None:
    assert made("anthropic_messages", asked(user), "anthropic_messages", CLAUDE)["metadata"] == {"user_id": user}


def test_a_users_id_goes_across() -> None:
    assert made("anthropic_messages", asked("u-1"), "openai_chat", OPENAI)["safety_identifier"] == "u-1"
    assert made("anthropic_messages", asked("u-1"), "openai_responses", OPENAI)["safety_identifier"] == "u-1"
    assert len(made("anthropic_messages", asked("u" * 99), "openai_chat", OPENAI)["safety_identifier"]) == 16
    router = Target("m", maker="openrouter/m", knows=by_name("openrouter").knows)
    assert made("anthropic_messages", asked("u-1"), "openai_chat", router)["user"] == "u-1"
    assert "u-1" not in json.dumps(made("anthropic_messages", asked("u-1"), "openai_chat", PLAIN))
    for field in ("user", "safety_identifier"):
        chat = {"model": "m", "messages": [ASK], field: "u-1"}
        assert made("openai_chat", chat, "anthropic_messages", CLAUDE)["metadata"] == {"user_id": "u-1"}
        response = {"model": "m", "input": [ASK], field: "u-1"}
        assert made("openai_responses", response, "anthropic_messages", CLAUDE)["metadata"] == {"user_id": "u-1"}


KIN = {
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "service_tier": "flex",
    "metadata": {"team": "a"},
}


@pytest.mark.parametrize(
    ("client", "vendor"), [("openai_chat", "openai_responses"), ("openai_responses", "openai_chat")]
)
def test_openais_dialects_share_them(client: str, vendor: str) -> None:
    body = {"model": "m", **KIN} | ({"messages": [ASK]} if client == "openai_chat" else {"input": [ASK]})
    told = made(client, body, vendor, OPENAI)
    assert {name: told[name] for name in KIN} == KIN
    assert not KIN.keys() & made(client, body, vendor, PLAIN).keys()
