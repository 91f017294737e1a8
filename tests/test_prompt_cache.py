"""What is sent so that vendors know a prompt again: who belongs together, Claude's marks, and what must not change."""

import json
from dataclasses import replace
from typing import Any

import pytest
from archgw.simulate import VENDORS
from archgw.simulate.received import Asked
from archgw.simulate.rules import check
from dialogue import CHAT, MESSAGES, exchange_of, gateway_of

from router_service import prompt_cache, upstream
from router_service.gateway import Gateway
from router_service.plan import Candidate

RESPONSES = "/v1/responses"
MODELS = (
    "openai/gpt-4o", "azure_openai/gpt-4.1", "mistral/mistral-large-latest", "moonshot/kimi-k2", "xai/grok-4.7",
    "openrouter/openai/gpt-4o", "deepseek/deepseek-chat", "gemini/gemini-2.5-pro", "groq/llama-3.3-70b-versatile",
    "together/meta-llama/Llama-3.3-70B-Instruct-Turbo", "zai/glm-4.6", "ollama/llama3.1",
    "anthropic/claude-sonnet-4-5", "bedrock/us.anthropic.claude-sonnet-4-5", "vertex/claude-sonnet-4-5",
)  # fmt: skip
AT_HOME = {
    "AZURE_OPENAI_RESOURCE": "r", "AWS_REGION": "r", "GOOGLE_CLOUD_PROJECT": "p", "GOOGLE_CLOUD_LOCATION": "global",
}  # fmt: skip


def gateway(more: str = "", *, models: tuple[str, ...] = MODELS) -> Gateway:
    entries = "".join(f"\n  - {{model: {model}, {'' if 'ollama' in model else 'access_key: k'}}}" for model in models)
    return gateway_of(f"llm_providers:{entries}\n{more}", keys=AT_HOME)


ALL = gateway()
WORDS = "You are a careful programmer. " * 400
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}


def sent(
    model: str,
    *,
    path: str = CHAT,
    session: str | None = "s-1",
    within: Gateway | None = None,
    given: dict[str, str] | None = None,
    **fields: Any,
) -> tuple[dict[str, Any], dict[str, str]]:
    """The body and the headers that the model is sent."""
    within = within or ALL
    headers = ({"x-session-id": session} if session else {}) | (given or {})
    exchange = exchange_of(within, path=path, given=headers, **fields)
    made = upstream.render(exchange, within.plan.names[model])
    return json.loads(made.body), made.headers


# -- which requests belong together ----------------------------------------------------------------------------------

FIELD = ("openai/gpt-4o", "azure_openai/gpt-4.1", "mistral/mistral-large-latest", "moonshot/kimi-k2")
HEADER = {"xai/grok-4.7": "x-grok-conv-id", "openrouter/openai/gpt-4o": "x-session-id"}


def told(model: str, **more: Any) -> str:
    """By what the model's vendor knows the session; empty where it is told of none."""
    body, headers = sent(model, **more)
    found = [body.get("prompt_cache_key"), *(headers.get(name) for name in HEADER.values())]
    named = [one for one in found if one]
    assert len(named) <= 1
    return named[0] if named else ""


@pytest.mark.parametrize("path", [MESSAGES, CHAT, RESPONSES])
@pytest.mark.parametrize("model", MODELS)
def test_who_asks_for_it_is_told_of_the_session_and_nobody_else(model: str, path: str) -> None:
    more: Any = {"input": "hi"} if path == RESPONSES else {}
    body, headers = sent(model, path=path, **more)
    assert ("prompt_cache_key" in body) == (model in FIELD)
    assert {name for name in headers if name in HEADER.values()} == ({HEADER[model]} if model in HEADER else set())
    assert "s-1" not in json.dumps([body, headers])


@pytest.mark.parametrize("model", [*FIELD, *HEADER])
def test_a_session_keeps_its_name_and_each_vendor_knows_it_by_another(model: str) -> None:
    name = told(model)
    assert name == told(model, messages=[{"role": "user", "content": "and now?"}]) == told(model, path=MESSAGES)
    assert name != told(model, session="s-2")
    assert len({told(other) for other in (*FIELD, *HEADER)}) == len(FIELD) + len(HEADER)


@pytest.mark.parametrize("model", [*FIELD, *HEADER])
def test_sub_agents_belong_to_their_session(model: str) -> None:
    session = {"x-claude-code-session-id": "c-1"}
    one, other = (
        told(model, path=MESSAGES, session=None, given=session | agent)
        for agent in ({}, {"x-claude-code-agent-id": "a"})
    )
    assert one == other != ""


def test_questions_of_no_session_are_not_told_apart_where_their_beginning_is_enough() -> None:
    """Many single questions with one system prompt are to come to one machine."""
    assert [told(model, session=None) for model in FIELD] == [""] * len(FIELD)
    assert all(told(model, session=None) for model in HEADER)


def test_what_the_client_says_itself_stays() -> None:
    assert sent("openai/gpt-4o", prompt_cache_key="mine")[0]["prompt_cache_key"] == "mine"
    assert sent("mistral/mistral-large-latest", prompt_cache_key="mine")[0]["prompt_cache_key"] == "mine"
    # In a header it is told by another name, but the same for what belongs together.
    asked = [sent("xai/grok-4.7", session=session, prompt_cache_key="mine")[1] for session in ("s-1", "s-2")]
    names = {headers["x-grok-conv-id"] for headers in asked}
    assert len(names) == 1 and "mine" not in names
    assert told("xai/grok-4.7", given={"x-grok-conv-id": "c"}) != told("xai/grok-4.7")


def test_of_the_clients_bytes_nothing_changes_but_that_the_field_is_added() -> None:
    body = b'{ "model" : "arch.main.v1",\n "messages":[ {"role":"user","content":"h\\u00fc"} ] ,"seed": 1.0 }'
    exchange = exchange_of(ALL, path=CHAT, body=body, given={"x-session-id": "s-1"})
    made = upstream.render(exchange, ALL.plan.names["openai/gpt-4o"]).body
    key = json.loads(made)["prompt_cache_key"]
    expected = body.replace(b"arch.main.v1", b"gpt-4o").replace(b"1.0", b'1.0,"prompt_cache_key":"%s"' % key.encode())
    assert made == expected


def test_it_can_be_left_out_for_all_or_for_one() -> None:
    off = gateway("prompt_cache: {affinity: false}")
    assert [told(model, within=off) for model in (*FIELD, *HEADER)] == [""] * (len(FIELD) + len(HEADER))
    two = """
llm_providers:
  - {model: openai/gpt-4o, access_key: k, prompt_cache: {affinity: false}}
  - {model: openai/gpt-4.1, access_key: k}
  - {model: own/one, base_url: "http://127.0.0.1:1", provider_interface: openai}
  - {model: own/two, base_url: "http://127.0.0.1:1", provider_interface: openai, prompt_cache: {affinity: true}}
"""
    within = gateway_of(two)
    found = [bool(told(m, within=within)) for m in ("openai/gpt-4o", "openai/gpt-4.1", "own/one", "own/two")]
    assert found == [False, True, False, True]


# -- Claude's marks ----------------------------------------------------------------------------------------------------

CLAUDES = ("anthropic/claude-sonnet-4-5", "bedrock/us.anthropic.claude-sonnet-4-5", "vertex/claude-sonnet-4-5")
MARK = {"type": "ephemeral"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOOP: list[Any] = [
    {"role": "system", "content": WORDS},
    {"role": "user", "content": "one"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "result"},
]


def marks(body: dict[str, Any]) -> list[str]:
    """Where there are marks, as `tools.1` or `messages.0.0`."""
    found = ["whole"] if "cache_control" in body else []
    places = [("tools", body.get("tools")), ("system", body.get("system"))]
    places += [(f"messages.{at}", message["content"]) for at, message in enumerate(body["messages"])]
    for name, content in places:
        blocks = content if isinstance(content, list) else []
        found += [f"{name}.{at}" for at, block in enumerate(blocks) if "cache_control" in block]
    return found


def judged(body: dict[str, Any], model: str) -> None:
    """By the rule book of the vendor; raises what it would refuse."""
    candidate = ALL.plan.names[model]
    vendor = replace(VENDORS[candidate.provider.name], dialect="anthropic_messages")
    known = vendor.model(candidate.model)
    assert known is not None
    check(Asked(vendor, known, body | {"model": candidate.model}, (), {}))


@pytest.mark.parametrize("model", CLAUDES)
def test_an_agent_that_cannot_mark_its_prompt_gets_four_marks(model: str) -> None:
    body, _ = sent(model, messages=LOOP, tools=[TOOL, TOOL | {"function": {**TOOL["function"], "name": "g"}}])  # type: ignore[dict-item]
    assert marks(body) == ["tools.1", "system.0", "messages.0.0", "messages.2.0"]
    assert all(block["cache_control"] == MARK for block in (body["tools"][1], body["system"][0]))
    judged({name: value for name, value in body.items() if name != "anthropic_version"}, model)


def test_who_gets_marks() -> None:
    claude, plain = CLAUDES[0], [{"role": "system", "content": WORDS}, {"role": "user", "content": "one"}]
    always, never = (gateway(f"prompt_cache: {{breakpoints: {how}}}") for how in ("always", "never"))
    anthropic: Any = {"path": MESSAGES, "system": WORDS}
    for within, agent, client, own in ((ALL, 4, 0, 0), (always, 4, 2, 2), (never, 0, 0, 0)):
        assert len(marks(sent(claude, within=within, messages=LOOP, tools=[TOOL])[0])) == agent
        assert len(marks(sent(claude, within=within, messages=plain)[0])) == client
        assert len(marks(sent(claude, within=within, **anthropic)[0])) == own


def test_what_is_too_short_to_be_kept_is_not_marked() -> None:
    within = gateway("prompt_cache: {breakpoints: always}", models=("anthropic/claude-haiku-4-5", *CLAUDES))
    short, long = "w " * 1000, "w " * 8000
    for words, model, expected in (
        (short, CLAUDES[0], 2),
        (short, "anthropic/claude-haiku-4-5", 0),
        (long, "anthropic/claude-haiku-4-5", 2),
    ):
        assert len(marks(sent(model, within=within, path=MESSAGES, system=words)[0])) == expected
    assert not marks(sent(CLAUDES[0], within=within, path=MESSAGES)[0])


@pytest.mark.parametrize("model", CLAUDES)
@pytest.mark.parametrize(
    "where",
    ["system", "tools", "messages"],
)
def test_who_marks_anything_itself_has_marked_all(model: str, where: str) -> None:
    within = gateway("prompt_cache: {breakpoints: always}")
    body: dict[str, Any] = {
        "system": [{"type": "text", "text": WORDS}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
    }
    holder = body[where][0]["content"][0] if where == "messages" else body[where][0]
    holder["cache_control"] = MARK | {"ttl": "1h"}
    made, _ = sent(model, within=within, path=MESSAGES, **body)
    assert {name: made[name] for name in body} == body and len(marks(made)) == 1


@pytest.mark.parametrize("model", CLAUDES)
def test_a_mark_on_the_whole_request_is_one_on_its_end_where_none_is_taken(model: str) -> None:
    turns = [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two"},
        {"role": "user", "content": "3"},
    ]
    hour = MARK | {"ttl": "1h"}
    body, _ = sent(model, path=MESSAGES, system=WORDS, messages=turns, cache_control=hour)
    whole = model == CLAUDES[0]
    assert marks(body) == (["whole"] if whole else ["messages.2.0"])
    assert (body if whole else body["messages"][2]["content"][0])["cache_control"] == hour


def test_of_a_body_that_must_be_written_anew_the_marks_are_set_anew() -> None:
    """Words of the system's in mid-conversation, which the older Claudes do not take."""
    hour = {"cache_control": MARK | {"ttl": "1h"}}
    inline = [{"role": "user", "content": "one"}, {"role": "system", "content": "be quick"}]
    system = [{"type": "text", "text": WORDS, **hour}]
    for model in CLAUDES:
        body, _ = sent(model, path=MESSAGES, system=system, messages=inline)
        assert marks(body) == ["system.0", "messages.0.1"]
        assert body["system"][0]["cache_control"] == hour["cache_control"]
        judged({name: value for name, value in body.items() if name != "anthropic_version"}, model)


FUNCTION = {"name": "f", "input_schema": {"type": "object", "properties": {"cache_control": {"type": "object"}}}}
FOUND = {"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "x"}]}
SHORT: dict[str, Any] = {"cache_control": MARK}
HOUR: dict[str, Any] = {"cache_control": MARK | {"ttl": "1h"}}


@pytest.mark.parametrize("model", CLAUDES)
@pytest.mark.parametrize(
    ("tools", "first", "last"),
    [
        ([FUNCTION, {"type": "web_search_20250305", "name": "web_search", **SHORT}], "a", "b"),
        ([FUNCTION], [FOUND | SHORT], "b"),
        ([FUNCTION | SHORT], [FOUND | SHORT], [{"type": "text", "text": "b", **HOUR}]),
        ([FUNCTION | HOUR], [FOUND | {"content": [{"type": "text", "text": "x", **SHORT}]}], "b"),
    ],
    ids=["a tool of Anthropic's", "what was found", "five minutes before an hour", "within a block"],
)
def test_what_rides_along_brings_no_marks_of_its_own(model: str, tools: list[Any], first: Any, last: Any) -> None:
    """Anthropic takes four, and of these none of five minutes before one of an hour."""
    said = [("user", first), ("assistant", "c"), ("user", "d"), ("assistant", "e"), ("user", last), ("system", "quick")]
    turns = [{"role": role, "content": content} for role, content in said]
    body, _ = sent(model, path=MESSAGES, tools=tools, system=WORDS, messages=turns)
    kept = json.dumps(body).count('"cache_control": {"type": "ephemeral"')
    assert kept == len(marks(body)) == 4 and marks(body)[:2] == ["tools.0", "system.0"]
    assert body["tools"][0]["input_schema"] == FUNCTION["input_schema"]
    assert len({json.dumps(block["cache_control"]) for block in (body["tools"][0], body["system"][0])}) == 1
    judged({name: value for name, value in body.items() if name != "anthropic_version"}, model)


@pytest.mark.parametrize(
    ("field", "given", "place"),
    [
        ("tools", [{"name": "a", "input_schema": {}}, {"name": "b", "input_schema": {}, "defer_loading": True}], 0),
        ("tools", [{"name": "a", "input_schema": {}}, {"type": "web_search_20250305", "name": "web_search"}], 0),
        ("system", [{"type": "text", "text": "a"}, {"type": "text", "text": "  "}], 0),
    ],
    ids=["a tool that is loaded later", "a tool of Anthropic's", "a blank text"],
)
def test_where_no_mark_is_taken_the_one_before_gets_it(field: str, given: list[Any], place: int) -> None:
    made = prompt_cache.marked({field: given, "messages": [{"role": "user", "content": "hi"}]}, MARK)
    assert [("cache_control" in one) for one in made[field]] == [at == place for at in range(len(given))]
    assert [{k: v for k, v in one.items() if k != "cache_control"} for one in made[field]] == given


def test_a_prompt_of_nothing_but_blanks_gets_no_mark() -> None:
    body: Any = {"system": " ", "tools": [], "messages": [{"role": "user", "content": "\n"}]}
    assert prompt_cache.marked(body, MARK) == {"system": " ", "messages": body["messages"]}


# -- Claude Code's billing block ---------------------------------------------------------------------------------------

BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.330.de1; cc_entrypoint=cli;"}
KIND = {"type": "text", "text": "Be kind."}


def is_claude(model: str) -> bool:
    return "claude" in model


@pytest.mark.parametrize("inline", [False, True], ids=["as it came", "written anew"])
@pytest.mark.parametrize("model", MODELS)
def test_what_changes_at_the_front_of_the_system_goes_to_anthropic_alone(model: str, inline: bool) -> None:
    turns = [{"role": "user", "content": "hi"}, *([{"role": "system", "content": "quick"}] if inline else [])]
    body, _ = sent(model, path=MESSAGES, system=[BILLING, KIND], messages=turns)
    assert ("x-anthropic-billing-header" in json.dumps(body)) == (model == CLAUDES[0])
    assert "Be kind." in json.dumps(body)


@pytest.mark.parametrize("system", [[BILLING], BILLING["text"]])
def test_a_system_of_nothing_else_is_left_out(system: Any) -> None:
    body, _ = sent("bedrock/us.anthropic.claude-sonnet-4-5", path=MESSAGES, system=system)
    assert "system" not in body


def test_the_rest_of_the_clients_bytes_stays() -> None:
    body = b'{"model":"m","max_tokens":9, "system":[%s,%s],"messages": [{"role":"user","content":"h\\u00fc"}]}'
    raw = body % (json.dumps(BILLING).encode(), json.dumps(KIND).encode())
    exchange = exchange_of(ALL, body=raw, given={"x-arch-model": "arch.main.v1"})
    made = upstream.render(exchange, ALL.plan.names["bedrock/us.anthropic.claude-sonnet-4-5"]).body
    assert made.endswith(b'"messages": [{"role":"user","content":"h\\u00fc"}]}')


def candidates() -> tuple[Candidate, ...]:
    return ALL.plan.candidates


def test_every_vendor_is_here() -> None:
    assert {one.provider.name for one in candidates()} == set(VENDORS) - {"vllm", "lm_studio", "llama_cpp"}
