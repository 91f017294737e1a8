"""What one candidate is sent: its address, its key and little of the client's; the body in its dialect."""

import json
import re
from typing import Any

import pytest
from dialogue import CHAT, CLAUDE, DEEPSEEK, GPT, MESSAGES, exchange_of, gateway_of, request

from router_service.upstream import Upstream, render, target

CLIENT = {
    "authorization": "Bearer the client's login",
    "x-api-key": "the client's key",
    "cookie": "secret=1",
    "user-agent": "claude-cli/2.1.330",
    "anthropic-version": "2026-10-21",
    "anthropic-beta": "context-1m,oauth",
    "x-app": "cli",
    "x-claude-code-session-id": "s",
    "x-forwarded-for": "6.6.6.6",
    "accept-encoding": "gzip, br",
    "x-arch-model": "arch.main.v1",
}
FOUR = """
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: anthropic/claude-sonnet-4-5}
  - {model: anthropic/claude-opus-4-8, name: mine, passthrough_auth: true}
  - {model: ollama/llama3.1, base_url: "http://[::1]:11434"}
  - {model: deepseek/deepseek-chat, base_url: "https://proxy.test:8443/deep/"}
"""


def sent(label: str, *, path: str = MESSAGES, body: bytes | None = None, **fields: Any) -> Upstream:
    gateway = gateway_of(FOUR)
    exchange = exchange_of(gateway, path=path, body=body, given=CLIENT, **fields)
    return render(exchange, gateway.plan.names[label])


SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}


def test_who_searches_asks_openai_in_responses() -> None:
    made = sent(GPT, tools=[SEARCH])
    assert made.headers[":path"] == "/v1/responses"
    body = json.loads(made.body)
    assert (body["tools"], body["max_tool_calls"]) == ([{"type": "web_search"}], 2)
    assert made.dialect.name == "openai_responses"


# -- where and with which key --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "scheme", "authority", "path"),
    [
        (GPT, "https", "api.openai.com", "/v1/chat/completions"),
        (CLAUDE, "https", "api.anthropic.com", "/v1/messages"),
        ("ollama/llama3.1", "http", "[::1]:11434", "/v1/chat/completions"),
        (DEEPSEEK, "https", "proxy.test:8443", "/deep/chat/completions"),
    ],
    ids=["openai", "anthropic", "on this machine", "behind a proxy"],
)
def test_the_address(label: str, scheme: str, authority: str, path: str) -> None:
    headers = sent(label).headers
    assert (headers[":method"], headers[":scheme"], headers[":authority"], headers[":path"]) == (
        "POST",
        scheme,
        authority,
        path,
    )


@pytest.mark.parametrize(
    ("label", "path", "expected"),
    [
        (CLAUDE, f"{MESSAGES}?beta=true", "/v1/messages?beta=true"),
        (GPT, f"{MESSAGES}?beta=true", "/v1/chat/completions"),
    ],
    ids=["kept in the same dialect", "dropped in another"],
)
def test_the_query(label: str, path: str, expected: str) -> None:
    assert sent(label, path=path).headers[":path"] == expected


@pytest.mark.parametrize(
    ("label", "credentials"),
    [
        (GPT, {"authorization": "Bearer key-of-openai"}),
        (CLAUDE, {"x-api-key": "key-of-anthropic"}),
        ("ollama/llama3.1", {}),
        ("mine", {"authorization": "Bearer the client's login", "x-api-key": "the client's key"}),
    ],
    ids=["a bearer", "a header of its own", "none", "the client's own login"],
)
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_the_credential_is_the_candidates_own(label: str, credentials: dict[str, str], path: str) -> None:
    headers = sent(label, path=path).headers
    assert {name: headers[name] for name in ("authorization", "x-api-key") if name in headers} == credentials


ALWAYS = {":method", ":scheme", ":authority", ":path", "user-agent", "content-type", "accept", "accept-encoding"}


@pytest.mark.parametrize(
    ("label", "path", "more"),
    [
        (CLAUDE, MESSAGES, {"x-api-key", "anthropic-version", "anthropic-beta", "x-app"}),
        (CLAUDE, CHAT, {"x-api-key", "anthropic-version"}),
        (GPT, CHAT, {"authorization"}),
        (GPT, MESSAGES, {"authorization"}),
        ("ollama/llama3.1", MESSAGES, set()),
    ],
    ids=["same, anthropic", "other, anthropic", "same, openai", "other, openai", "without a key"],
)
def test_of_the_clients_headers_few_go_out(label: str, path: str, more: set[str]) -> None:
    assert set(sent(label, path=path).headers) == ALWAYS | more


@pytest.mark.parametrize(
    ("label", "path", "agent", "version"),
    [
        (CLAUDE, MESSAGES, "claude-cli/2.1.330", "2026-10-21"),
        (CLAUDE, CHAT, "archgw", "2023-06-01"),
        (GPT, MESSAGES, "archgw", None),
    ],
    ids=["the client's in its dialect", "the vendor's in translation", "none of another vendor's"],
)
def test_versions_and_names(label: str, path: str, agent: str, version: str | None) -> None:
    headers = sent(label, path=path).headers
    assert (headers["user-agent"], headers.get("anthropic-version")) == (agent, version)


@pytest.mark.parametrize(("stream", "accept"), [(True, "text/event-stream"), (False, "application/json")])
def test_what_is_accepted(stream: bool, accept: str) -> None:
    headers = sent(GPT, stream=stream).headers
    assert (headers["accept"], headers["accept-encoding"]) == (accept, "identity")


# -- the body ------------------------------------------------------------------------------------------------------

ODD = b"""{ "model" : "arch.main.v1",
 "max_tokens":100, "messages":[ {"role":"user","content":"h\\u00fc"} ],"new":{"a":1} }"""


@pytest.mark.parametrize(
    ("label", "path", "model"), [(CLAUDE, MESSAGES, b"claude-sonnet-4-5"), (GPT, CHAT, b"gpt-4o-mini")]
)
def test_in_the_same_dialect_only_the_model_changes(label: str, path: str, model: bytes) -> None:
    upstream = sent(label, path=path, body=ODD)
    key = re.search(rb',"prompt_cache_key":"[0-9a-f]{16}"', upstream.body)
    assert bool(key) == (label == GPT)
    assert upstream.body.replace(key[0] if key else b"", b"") == ODD.replace(b"arch.main.v1", model)
    assert upstream.warnings == ()


def test_what_the_target_cannot_take_changes_as_well() -> None:
    upstream = sent(CLAUDE, body=ODD.replace(b"100", b"128000"))
    assert upstream.body == ODD.replace(b"arch.main.v1", b"claude-sonnet-4-5").replace(b"100", b"64000")


@pytest.mark.parametrize(
    ("label", "path", "said"),
    [
        (GPT, MESSAGES, [{"role": "user", "content": "hello"}]),
        (CLAUDE, CHAT, [{"role": "user", "content": "hello"}]),
    ],
    ids=["anthropic to openai", "openai to anthropic"],
)
def test_in_another_dialect_the_request_is_written_anew(label: str, path: str, said: list[Any]) -> None:
    body = json.loads(sent(label, path=path).body)
    assert (body["model"], body["messages"], body["max_tokens"]) == (label.partition("/")[2], said, 100)


def test_what_is_left_out_is_told() -> None:
    upstream = sent(GPT, max_tokens=99_000)
    assert json.loads(upstream.body)["max_tokens"] == 16_384
    assert [warning for warning in upstream.warnings if "max_tokens lowered from 99000" in warning]


def test_thinking_that_no_vendor_signed_does_not_go_to_anthropic() -> None:
    """It came from another vendor's model, through us; Anthropic would answer 400."""
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    messages = [*request()["messages"], {"role": "assistant", "content": [thought, {"type": "text", "text": "hi"}]}]
    messages.append({"role": "user", "content": "go on"})
    assert b"thinking" not in sent(CLAUDE, messages=messages).body


def test_a_target_is_told_what_its_model_takes() -> None:
    plan = gateway_of(FOUR).plan
    claude, llama = target(plan.names[CLAUDE]), target(plan.names["ollama/llama3.1"])
    assert (claude.model, claude.max_output, claude.thinking) == ("claude-sonnet-4-5", 64_000, "budget")
    assert (llama.model, llama.max_output, llama.thinking) == ("llama3.1", None, "")
