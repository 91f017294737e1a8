"""What the cache may answer and by which key; a request through both machines, kept and told again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from dialogue import (
    ANTHROPIC_EVENTS,
    CHAT,
    CLAUDE,
    DEEPSEEK,
    GPT,
    JSON,
    MESSAGES,
    OPENAI_EVENTS,
    STREAM,
    THREE,
    WALL,
    anthropic_event,
    anthropic_message,
    ask,
    attempt_of,
    conversation_of,
    gateway_of,
    headers,
    one,
    plan_of,
    recorded,
    request,
)
from hypothesis import given
from hypothesis import strategies as st

from router_service import caching, intent
from router_service.attempt import Attempt
from router_service.bookkeeping import request_row, vector_rows
from router_service.caching import Entry, Keeping, Terms
from router_service.config import Cache, OwnCache
from router_service.conversation import Usage
from router_service.detectors import retried
from router_service.effects import Ask, Choose, Effect, Keep, Look, Record, Respond, Score, Wake
from router_service.events import Found, Gone, RequestBody, RequestHeaders, ResponseBody, Scored
from router_service.gateway import Gateway
from router_service.kinds import Kind
from router_service.plan import Plan
from router_service.policies import explicit
from router_service.policies.policy import Decision, Scores
from router_service.provenance import opened
from router_service.selection import Selection
from router_service.session import Pin

CACHED = f"{THREE}cache: {{enabled: true}}\n"
RESPONSES = "/v1/responses"
PLAN = plan_of(CACHED)
TERMS = Terms(60.0, tools=True, fresh=False)
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}
BODY: dict[str, Any] = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 100,
    "temperature": 0.3,
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [IMAGE, {"type": "text", "text": "what is it?"}]},
        {"role": "assistant", "content": "a cat"},
        {"role": "user", "content": "are you sure?"},
    ],
    "tools": [{"name": "ls", "description": "list", "input_schema": {"type": "object", "required": ["path", "all"]}}],
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "metadata": {"user_id": "somebody"},
    "a field of tomorrow": {"deep": [1, 1.5, None, True, "", [], {}]},
}


def decision(plan: Plan = PLAN, model: str = CLAUDE) -> Decision:
    return explicit.choose(plan, explicit.Named("explicit", plan.names[model]), model)


def keeping(
    body: Any, path: str = MESSAGES, kind: Kind = "user turn", *, terms: Terms = TERMS, caller: str = "", **more: Any
) -> Keeping | None:
    said = {"messages": None, "input": "hi"} if path == RESPONSES else {}
    spoken = conversation_of(path, **said | more.pop("spoken", {}))
    conversation = replace(spoken, stream=bool(more.pop("stream", False)))
    given = {name.replace("_", "-"): value for name, value in more.pop("given", {}).items()}
    return caching.keeping(
        terms,
        more.pop("decision", decision()),
        conversation,
        intent.Intent(kind, "hello"),
        body if isinstance(body, bytes) else json.dumps(body).encode(),
        headers=headers(path) | given,
        caller=caller,
        path=path,
        query=more.pop("query", ""),
    )


def key(body: Any, path: str = MESSAGES, **more: Any) -> str:
    found = keeping(body, path, **more)
    assert found is not None
    return found.key


# -- the key ---------------------------------------------------------------------------------------------------


def leaves(value: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [found for step, one in inner for found in leaves(one, *path, step)]
    yield from below or [path]


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], to)
    return copy


def at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)


@given(path=st.sampled_from(list(leaves(BODY))), to=ANYTHING)
def test_whatever_leaf_of_the_body_is_changed_it_is_another_request(path: tuple[Any, ...], to: Any) -> None:
    if json.dumps(to, sort_keys=True) == json.dumps(at(BODY, path), sort_keys=True):
        return
    if path[0] == "tools" and not to:
        return
    assert key(changed(BODY, path, to)) != key(BODY)


@given(body=st.dictionaries(st.text(min_size=1), ANYTHING, min_size=1), seed=st.randoms())
def test_how_its_json_is_laid_out_does_not_matter(body: dict[str, Any], seed: Any) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            items = [(name, shuffled(one)) for name, one in value.items()]
            seed.shuffle(items)
            return dict(items)
        return [shuffled(one) for one in value] if isinstance(value, list) else value

    one = keeping(body)
    assert one == keeping(json.dumps(shuffled(body), indent=3, ensure_ascii=False).encode("utf-8", "surrogatepass"))


ACCOUNT = f"user_{'0' * 64}_account_5f0c2d11-0000-4000-8000-000000000000"
SESSION, OTHER_SESSION = "session_" + "1" * 36, "session_" + "2" * 36
IGNORED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "whether it is streamed": (MESSAGES, {}, {"stream": True}),
    "what a stream tells besides": (CHAT, {}, {"stream_options": {"include_usage": True}}),
    "where a vendor caches": (CHAT, {"prompt_cache_key": "a"}, {"prompt_cache_key": "b"}),
    "the session of Claude Code": (
        MESSAGES,
        {"metadata": {"user_id": f"{ACCOUNT}_{SESSION}"}},
        {"metadata": {"user_id": f"{ACCOUNT}_{OTHER_SESSION}"}},
    ),
    "the same, as JSON": (
        MESSAGES,
        {"metadata": {"user_id": '{"device_id":"d","session_id":"1"}'}},
        {"metadata": {"user_id": '{"device_id": "d", "session_id": "2"}'}},
    ),
    "what Claude Code writes for the bill": (
        MESSAGES,
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: cch=1"}, {"type": "text", "text": "a"}]},
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: cch=2"}, {"type": "text", "text": "a"}]},
    ),
}


@pytest.mark.parametrize("name", IGNORED)
def test_what_cannot_change_an_answer_is_no_part_of_the_key(name: str) -> None:
    path, one, other = IGNORED[name]
    assert key(request(**one), path, given=AGENT) == key(request(**other), path, given=AGENT)


AGENT = {"user_agent": "claude-cli/2.1.330 (external, cli)"}
KEPT: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "the account of Claude Code": (
        MESSAGES,
        {"metadata": {"user_id": f"{ACCOUNT}_{SESSION}"}},
        {"metadata": {"user_id": f"{ACCOUNT.replace('5f0c', '6f0c')}_{SESSION}"}},
    ),
    "the device of Claude Code": (
        MESSAGES,
        {"metadata": {"user_id": '{"device_id":"d","session_id":"1"}'}},
        {"metadata": {"user_id": '{"device_id":"e","session_id":"1"}'}},
    ),
    "an app's users, numbered as sessions": (
        MESSAGES,
        {"metadata": {"user_id": "user_7_session_a"}},
        {"metadata": {"user_id": "user_7_session_b"}},
    ),
    "an app's users, told as sessions": (
        MESSAGES,
        {"metadata": {"user_id": '{"session_id":"alice"}'}},
        {"metadata": {"user_id": '{"session_id":"bob"}'}},
    ),
    "an app's users, with more": (
        MESSAGES,
        {"metadata": {"user_id": '{"device_id":"d","session_id":"1","name":"alice"}'}},
        {"metadata": {"user_id": '{"device_id":"d","session_id":"2","name":"alice"}'}},
    ),
    "what stands below the line for the bill": (
        MESSAGES,
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: cch=1\nspeak French"}]},
        {"system": [{"type": "text", "text": "x-anthropic-billing-header: cch=1\nspeak German"}]},
    ),
    "what a Responses answer says again": (RESPONSES, {"prompt_cache_key": "a"}, {"prompt_cache_key": "b"}),
    "an app's own user": (MESSAGES, {"metadata": {"user_id": "alice"}}, {"metadata": {"user_id": "bob"}}),
    "the same to OpenAI": (CHAT, {"user": "alice"}, {"user": "bob"}),
    "a number and a word": (MESSAGES, {"seed": 1}, {"seed": "1"}),
    "a number and another": (MESSAGES, {"top_p": 1}, {"top_p": 1.0}),
    "nothing and absence": (MESSAGES, {"top_k": None}, {}),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_may_be_another_answer_is_another_request(name: str) -> None:
    """Of Claude Code's, too."""
    path, one, other = KEPT[name]
    for agent in ({}, AGENT):
        assert key(request(**one), path, given=agent) != key(request(**other), path, given=agent)


@pytest.mark.parametrize(
    "name", ["the session of Claude Code", "the same, as JSON", "what Claude Code writes for the bill"]
)
def test_who_is_not_claude_code_means_what_he_says(name: str) -> None:
    path, one, other = IGNORED[name]
    assert key(request(**one), path) != key(request(**other), path)


OTHERS: dict[str, dict[str, Any]] = {
    "another client key": {"caller": "laptop"},
    "another key of the client's": {"given": {"x_api_key": "one"}},
    "another login": {"given": {"authorization": "Bearer one"}},
    "a beta header": {"given": {"anthropic_beta": "context-1m"}},
    "a version": {"given": {"anthropic_version": "2024-01-01"}},
    "our own word": {"given": {"x_arch_model": GPT}},
    "Claude Code, which wants its own name for the model": {"given": {"user_agent": "claude-cli/2.1"}},
    "another query": {"query": "beta=true"},
    "another model": {"decision": decision(model=GPT)},
    "who steps in": {"decision": decision(plan_of(f"{CACHED}failover: {{never: [deepseek-chat]}}\n"))},
    "another address": {
        "decision": decision(plan_of(CACHED.replace("sonnet-4-5}", "sonnet-4-5, base_url: 'http://127.0.0.1:8'}", 1)))
    },
    "another preference": {"decision": replace(decision(), lane="routed")},
}


@pytest.mark.parametrize("name", OTHERS)
def test_whoever_else_asks_or_answers_it_is_another_request(name: str) -> None:
    assert key(request(), **OTHERS[name]) != key(request())


def test_one_dialect_is_not_answered_with_another() -> None:
    assert key(request(), MESSAGES) != key(request(), CHAT)


def test_no_word_of_a_request_stands_in_its_key() -> None:
    found = key(request(messages=[{"role": "user", "content": "hunter2"}]), given={"x_api_key": "sk-secret"})
    assert len(found) == 64 and int(found, 16)


# -- which requests --------------------------------------------------------------------------------------------

ON, OFF, SHORT = OwnCache(), OwnCache(enabled=False), OwnCache(ttl=5.0)


@pytest.mark.parametrize(
    ("enabled", "own", "word", "found"),
    [
        (False, None, "", None),
        (True, None, "", Terms(3600.0, tools=False, fresh=False)),
        (True, OFF, "", None),
        (False, ON, "", Terms(3600.0, tools=False, fresh=False)),
        (False, SHORT, "", Terms(5.0, tools=False, fresh=False)),
        (True, ON, "off", None),
        (False, OFF, "on", Terms(3600.0, tools=True, fresh=False)),
        (False, SHORT, "refresh", Terms(5.0, tools=True, fresh=True)),
    ],
)
def test_the_clients_word_leads_then_the_preferences(
    enabled: bool, own: OwnCache | None, word: str, found: Terms | None
) -> None:
    assert caching.terms(Cache(enabled=enabled), own, word) == found


TOOL = {"tools": [{"name": "ls", "input_schema": {"type": "object"}}]}
FUNCTION = {"tools": [{"type": "function", "function": {"name": "ls", "parameters": {"type": "object"}}}]}


@pytest.mark.parametrize(
    ("path", "fields", "tools"),
    [
        (MESSAGES, TOOL, False),
        (CHAT, FUNCTION, False),
        (CHAT, {"web_search_options": {}}, False),
        (CHAT, {"search_parameters": {"mode": "auto"}}, False),
        (CHAT, {"plugins": [{"id": "web"}]}, False),
        (CHAT, {"enable_search": True}, False),
        (CHAT, {"search_settings": {}}, False),
        (CHAT, {"compound_custom": {"tools": {"enabled_tools": ["web_search"]}}}, False),
        (MESSAGES, {"mcp_servers": [{"type": "url", "url": "https://mcp.example", "name": "m"}]}, False),
        (RESPONSES, {"input": [{"type": "additional_tools", "tools": [{"type": "function", "name": "ls"}]}]}, False),
        (MESSAGES, {"container": "container_1"}, True),
        (RESPONSES, {"prompt": {"id": "pmpt_1"}}, True),
        (RESPONSES, {"include": ["message.output_text.logprobs"]}, True),
        (CHAT, {"deferred": True}, True),
        (CHAT, {"modalities": ["text", "image"]}, True),
        (CHAT, {"store": True}, True),
        (CHAT, {"n": 2}, True),
        (CHAT, {"logprobs": True}, True),
        (CHAT, {"audio": {"voice": "alloy"}}, True),
    ],
)
def test_some_requests_are_never_answered_twice(path: str, fields: dict[str, Any], tools: bool) -> None:
    terms = replace(TERMS, tools=tools)
    assert keeping(request(**fields), path, terms=terms, spoken=fields) is None
    assert keeping(request(), path, terms=terms) is not None


@pytest.mark.parametrize(
    "fields", [{"mcp_servers": []}, {"enable_search": False}, {"include": []}, {"modalities": ["text"]}]
)
def test_what_is_not_wanted_of_it_does_not_count(fields: dict[str, Any]) -> None:
    assert keeping(request(**fields), CHAT, terms=replace(TERMS, tools=False)) is not None


@pytest.mark.parametrize("kind", ["probe", "classifier", "web search"])
def test_what_is_asked_to_be_answered_anew_is(kind: Kind) -> None:
    assert keeping(request(), kind=kind) is None


@pytest.mark.parametrize("kind", ["user turn", "tool continuation", "title", "compaction", "auxiliary"])
def test_side_requests_are_kept_as_well(kind: Kind) -> None:
    assert keeping(request(), kind=kind) is not None


# -- kept and told again ---------------------------------------------------------------------------------------


def begun(gateway: Gateway, at: float = 0.0, **fields: Any) -> tuple[Selection, Look]:
    given = fields.pop("given", {})
    selection, effects = ask(gateway, model=fields.pop("model", CLAUDE), at=at, given=given, **fields)
    if one(effects, Score):
        effects = selection.feed(Scored(Scores({"coding": 0.8}, 0.2)), at)
    look = one(effects, Look)
    assert look is not None, effects
    return selection, look


def answered(gateway: Gateway, *events: Any, label: str | None = None, at: float = 0.0, **fields: Any) -> list[Effect]:
    """All that comes of a request of which the cache holds nothing."""
    selection, look = begun(gateway, at, **fields)
    effects = selection.feed(Found(None), at)
    assert one(effects, Choose)
    exchange = gateway.exchanges.get(look.exchange)
    assert exchange is not None
    attempt = attempt_of(gateway, exchange, label, at=at)
    return [effect for event in events for effect in attempt.feed(event, at + 1.0)]


def stream(*events: bytes) -> tuple[Any, ...]:
    return STREAM, *map(ResponseBody, events), ResponseBody(b"", end=True)


def whole(message: dict[str, Any]) -> tuple[Any, ...]:
    return JSON, ResponseBody(json.dumps(message).encode(), end=True)


def kept(effects: list[Effect]) -> Entry:
    keep = one(effects, Keep)
    assert keep is not None, effects
    return keep.entry


def replayed(gateway: Gateway, entry: Entry, at: float = 10.0, **fields: Any) -> list[Effect]:
    selection, _ = begun(gateway, **fields)
    return selection.feed(Found(entry), at)


def test_a_stream_is_told_again_to_the_byte() -> None:
    gateway = gateway_of(CACHED)
    entry = kept(answered(gateway, *stream(*ANTHROPIC_EVENTS), stream=True))
    assert entry.body == b"".join(ANTHROPIC_EVENTS)
    reply = one(replayed(gateway, entry, stream=True), Respond)
    assert reply is not None and (reply.status, reply.body) == (200, entry.body)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["x-arch-cache"] == "hit; age=9" and reply.headers["x-arch-attempts"] == "0"
    assert reply.headers["x-arch-reason"] == f"from the cache, answered 9 s ago by {CLAUDE}"
    assert len(gateway.exchanges) == 0 and gateway.exchanges.bytes == 0


def test_a_hit_costs_nothing_and_what_it_would_have_is_saved() -> None:
    gateway = gateway_of(CACHED)
    effects = answered(gateway, *whole(anthropic_message({"type": "text", "text": "hi"})))
    paid, entry = recorded(effects), kept(effects)
    hit = recorded(replayed(gateway, entry))
    assert paid is not None and hit is not None and paid.cost
    assert (hit.cost, hit.baseline, hit.usage) == (0.0, paid.baseline, Usage())
    assert (hit.model_served, hit.attempts, hit.first_content) == (CLAUDE, (), None)
    row = request_row(hit)
    assert (row["cache"], row["tries"], row["input"], row["output"]) == ("hit", 0, None, None)
    assert request_row(paid)["cache"] == "miss"


def test_a_hit_is_no_praise_of_the_model_that_answered_once() -> None:
    """Nothing of it is learned from: no model has answered, so that silence would speak for one that had not."""
    gateway = gateway_of(CACHED)
    events = whole(anthropic_message({"type": "text", "text": "hi"}))
    paid = answered(gateway, *events, model="auto")
    first, hit = recorded(paid), recorded(replayed(gateway, kept(paid), model="auto"))
    assert first is not None and hit is not None and hit.cache == "hit"
    assert [row["served"] for row in vector_rows(first)] == [CLAUDE]
    assert vector_rows(hit) == []


def test_a_hit_serves_the_session_and_counts_for_no_budget() -> None:
    gateway = gateway_of(f"{CACHED}budgets: [{{at_most: 10 tokens, per: session, then: warn}}]\n")
    given = {"x-claude-code-session-id": "s"}
    entry = kept(answered(gateway, *whole(anthropic_message({"type": "text", "text": "hi"}))))
    hit = recorded(replayed(gateway, entry, given=given))
    session = gateway.sessions.get("s/")
    assert hit is not None and session.served is not None and session.served.request == hit.id
    assert (session.spent, session.baseline) == (0.0, hit.baseline) and session.reads == {} and session.turns == 0
    recorded(replayed(gateway, entry, given=given))
    assert gateway.sessions.get("s/").before == (hit.id,), "a turn back is a turn back, whoever answered it"


def test_a_hit_is_the_last_answer_of_its_turn() -> None:
    """What is said next is said of it, and what is said of the turn before of who answered that."""
    gateway, given = gateway_of(CACHED), {"x-claude-code-session-id": "s"}
    answer = whole(anthropic_message({"type": "text", "text": "hi"}))
    effects = answered(gateway, *answer, given=given)
    paid, entry = recorded(effects), kept(effects)
    more = [*request()["messages"], {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and now?"}]
    hit = recorded(replayed(gateway, entry, given=given, messages=more))
    session = gateway.sessions.get("s/")
    assert paid is not None and hit is not None and session.served is not None
    assert (session.served.request, session.before) == (hit.id, (paid.id,))
    assert session.served.turn == retried.mark(conversation_of(MESSAGES, messages=more))


def test_who_asks_again_and_gets_the_same_complains_of_nothing() -> None:
    gateway, given = gateway_of(CACHED), {"x-session-id": "s"}
    answer = whole(anthropic_message({"type": "text", "text": "hi"}))
    effects = answered(gateway, *answer, given=given)
    paid, entry = recorded(effects), kept(effects)
    selection = Selection(gateway, wall=WALL + 10.0)
    selection.feed(RequestHeaders(headers(MESSAGES) | given), 10.0)
    look = one(selection.feed(RequestBody(json.dumps(request(model=CLAUDE)).encode()), 10.0), Look)
    hit = recorded(selection.feed(Found(entry), 10.0))
    assert look is not None and hit is not None and hit.cache == "hit" and hit.signals == ()
    asked_anew, _ = exchange_told(gateway, given | {"x-arch-cache": "off"})
    assert paid is not None and asked_anew == ((hit.id, "retried"),), "who wanted another answer does"


def exchange_told(gateway: Gateway, given: dict[str, str]) -> tuple[Any, Any]:
    selection = Selection(gateway, wall=WALL + 20.0)
    selection.feed(RequestHeaders(headers(MESSAGES) | given), 20.0)
    choose = one(selection.feed(RequestBody(json.dumps(request(model=CLAUDE)).encode()), 20.0), Choose)
    exchange = gateway.exchanges.get(choose.exchange) if choose else None
    assert exchange is not None
    return exchange.told, exchange


def test_a_turn_that_was_answered_from_the_cache_goes_on_with_who_had_answered() -> None:
    gateway = gateway_of(CACHED)
    given = {"x-claude-code-session-id": "s"}
    answer = whole(anthropic_message({"type": "text", "text": "hi"}))
    entry = kept(answered(gateway, *answer, model="arch.main.v1"))
    gateway.cooling.cool("anthropic-claude-sonnet-4-5", 1000.0, "answered 529")
    assert recorded(replayed(gateway, entry, model="arch.main.v1", given=given)) is not None
    assert gateway.sessions.pin("s/") == Pin("coding", "anthropic-claude-sonnet-4-5", 0.8)


def test_what_the_model_could_not_be_told_is_said_again() -> None:
    gateway = gateway_of(CACHED)
    effects = answered(gateway, *whole(anthropic_message({"type": "text", "text": "hi"})), path=CHAT, seed=7)
    entry, paid = kept(effects), recorded(effects)
    reply = one(replayed(gateway, entry, path=CHAT, seed=7), Respond)
    assert paid is not None and reply is not None and entry.warnings == paid.warnings and "seed" in entry.warnings[0]
    assert reply.headers["x-arch-warnings"] == "; ".join(entry.warnings)


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "c2lnbmVk"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {"path": "/"}}
TWO_CLAUDES = CACHED.replace("deepseek/deepseek-chat}", "anthropic/claude-opus-4-5}").replace(
    "deepseek-chat", "claude-opus-4-5"
)


@pytest.mark.parametrize("text", [CACHED, TWO_CLAUDES], ids=["one model of its dialect", "several, so it is sealed"])
@pytest.mark.parametrize("first", [False, True], ids=["whole", "stream"])
def test_in_the_other_form_it_says_the_same(text: str, first: bool) -> None:
    """Thoughts with their seal, calls, ids, and words."""
    given = {"x-arch-cache": "on"}
    blocks = (THOUGHT, {"type": "text", "text": "so"}, CALL)
    message = anthropic_message(*blocks, reason="tool_use") | {"role": "assistant", "model": "claude-sonnet-4-5"}
    gateway = gateway_of(text)
    entry = kept(answered(gateway, *whole(message), stream=first, given=given))
    there = one(replayed(gateway, entry, stream=not first, given=given), Respond)
    assert there is not None
    as_entry = replace(entry, body=there.body, form="" if first else "stream {}", content_type="")
    back = one(replayed(gateway, as_entry, stream=first, given=given), Respond)
    assert back is not None
    told, again = (json.loads(one.body if not first else there.body) for one in (entry, back))
    assert [opened(block.pop("signature"))[1] for block in (told["content"][0], again["content"][0])] == [
        "c2lnbmVk"
    ] * 2
    assert told["content"] == again["content"] == [{"type": "thinking", "thinking": "hm"}, *blocks[1:]]
    assert (told["id"], told["stop_reason"]) == (again["id"], again["stop_reason"]) == ("msg_1", "tool_use")


def test_who_wants_no_usage_in_his_stream_gets_none() -> None:
    gateway = gateway_of(CACHED)
    asked = {"path": CHAT, "model": GPT, "stream": True}
    usage = asked | {"stream_options": {"include_usage": True}}
    entry = kept(answered(gateway, *stream(*OPENAI_EVENTS), **usage))
    with_it, without = (one(replayed(gateway, entry, **fields), Respond) for fields in (usage, asked))
    assert with_it is not None and without is not None
    assert with_it.body == entry.body and b'"usage"' in with_it.body
    assert b'"prompt_tokens"' not in without.body and without.body.endswith(b"data: [DONE]\n\n")


def ended(reason: str) -> tuple[bytes, ...]:
    *before, _, stop = ANTHROPIC_EVENTS
    return (*before, anthropic_event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 5}), stop)


UNFIT: dict[str, tuple[Any, ...]] = {
    "at its limit": stream(*ended("max_tokens")),
    "declined": stream(*ended("refusal")),
    "paused": stream(*ended("pause_turn")),
    "too soon": stream(*ANTHROPIC_EVENTS[:-2]),
    "in the middle": (*stream(*ANTHROPIC_EVENTS[:3])[:-1], Gone()),
    "too large": stream(
        *ANTHROPIC_EVENTS[:3],
        *(
            anthropic_event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x" * 100_000})
            for _ in range(45)
        ),
        *ANTHROPIC_EVENTS[3:],
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_what_is_not_whole_and_good_is_not_kept(name: str) -> None:
    assert one(answered(gateway_of(CACHED), *UNFIT[name], stream=True), Keep) is None


def test_it_is_kept_before_it_is_told_that_the_request_has_ended() -> None:
    effects = answered(gateway_of(CACHED), *stream(*ANTHROPIC_EVENTS), stream=True)
    kinds = [type(effect) for effect in effects if isinstance(effect, Keep | Record)]
    assert kinds == [Keep, Record]


def test_what_a_stand_in_says_is_not_kept() -> None:
    gateway = gateway_of(CACHED)
    answer = stream(*OPENAI_EVENTS)
    assert one(answered(gateway, *answer, label=GPT, stream=True), Keep) is None


def test_while_one_cools_what_it_said_is_told_and_what_another_says_is_not_kept() -> None:
    gateway = gateway_of(CACHED)
    _, before = begun(gateway, model="arch.main.v1")
    gateway.cooling.cool("anthropic-claude-sonnet-4-5", 1000.0, "answered 529")
    selection, look = begun(gateway, model="arch.main.v1")
    assert look.keeping == before.keeping
    assert look.alone and not before.alone, "nobody waits for what cannot be kept"
    choose = one(selection.feed(Found(None), 0.0), Choose)
    exchange = gateway.exchanges.get(look.exchange)
    assert choose is not None and exchange is not None and exchange.decision.first.label == DEEPSEEK
    assert look.keeping.first == "anthropic-claude-sonnet-4-5"


def followed(gateway: Gateway, **fields: Any) -> Attempt:
    """An attempt of a request that goes on waiting for another, as long as the time of the whole leaves him his own."""
    selection, look = begun(gateway, **fields)
    choose = one(selection.feed(Found(None, late=True), 24.0), Choose)
    exchange = gateway.exchanges.get(look.exchange)
    assert choose is not None and exchange is not None and choose.patience == 600.0 - 24.0
    attempt = Attempt(gateway, exchange, exchange.decision.first, 24.0)
    left = 600.0 - 24.0 - exchange.patience
    assert attempt.feed(RequestHeaders({}), 24.0) == [Look(look.keeping, exchange.id, left)]
    return attempt


def test_who_leaves_while_he_waits_says_nothing_of_a_model_that_nobody_asked() -> None:
    gateway = gateway_of(CACHED)
    gateway.paces.began("anthropic-claude-sonnet-4-5", 1.0, 0.0)
    attempt = followed(gateway, stream=True)
    before = gateway.paces.speeds(gateway.plan.candidates, 120.0)
    assert attempt.feed(Gone(), 120.0) == []
    (outcome,) = gateway.exchanges.expire(1000.0)
    assert (outcome.status, outcome.attempts) == (499, ())
    assert gateway.paces.speeds(gateway.plan.candidates, 120.0) == before


@pytest.mark.parametrize(
    ("more", "seconds"),
    [("", 18.0), ("limits: {pause_in_request: 10s}", 6.0), ("failover: {whole_answer_timeout: 5s}", 5.0)],
)
def test_it_waits_in_the_first_hop_for_less_than_a_client_may_pause(more: str, seconds: float) -> None:
    _, look = begun(gateway_of(f"{CACHED}{more}\n"))
    assert look.patience == seconds


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "a stream that runs for minutes"])
def test_who_waits_for_long_waits_in_the_second_hop(stream: bool) -> None:
    gateway = gateway_of(CACHED)
    entry = kept(answered(gateway, *whole(anthropic_message({"type": "text", "text": "hi"})), stream=stream))
    effects = followed(gateway, stream=stream).feed(Found(entry), 300.0)
    reply, outcome = one(effects, Respond), recorded(effects)
    assert reply is not None and outcome is not None
    assert (reply.status, reply.body, reply.retry, outcome.cache) == (200, entry.body, False, "hit")
    assert reply.headers["x-arch-cache"] == "hit; age=299" and len(gateway.exchanges) == 0


def test_who_has_waited_in_vain_asks_with_all_his_patience() -> None:
    gateway = gateway_of(CACHED)
    effects = followed(gateway).feed(Found(None), 300.0)
    wake = one(effects, Wake)
    assert one(effects, Ask) is not None and wake is not None and wake.after == 300.0


def test_a_budget_that_is_spent_blocks_what_the_cache_holds_as_well() -> None:
    """Whoever is to notice it shall; and which answers are free nobody knows before."""
    text = f"{CACHED}budgets: [{{at_most: $0.000001, per: day, then: block}}]\n"
    gateway = gateway_of(text)
    answered(gateway, *whole(anthropic_message({"type": "text", "text": "hi"})))
    _, effects = ask(gateway, model=CLAUDE)
    reply = one(effects, Respond)
    assert reply is not None and reply.status == 429 and one(effects, Look) is None


def test_a_word_that_the_header_does_not_know_is_refused_before_the_body() -> None:
    gateway = gateway_of()
    _, effects = ask(gateway, given={"x-arch-cache": "always"})
    reply = one(effects, Respond)
    assert reply is not None and reply.status == 400 and b"expected on, off or refresh, not 'always'" in reply.body


def test_how_many_tokens_it_comes_to_is_not_looked_up() -> None:
    _, effects = ask(gateway_of(CACHED), path=f"{MESSAGES}/count_tokens", given={"x-arch-cache": "on"})
    assert one(effects, Look) is None and one(effects, Choose)


def test_while_it_is_off_nothing_is_looked_up_and_nothing_said() -> None:
    gateway = gateway_of()
    selection, effects = ask(gateway, model=CLAUDE)
    assert one(effects, Choose) and selection.feed(Gone(), 0.0) == []


def test_an_entry_is_read_as_it_was_written() -> None:
    entry = kept(answered(gateway_of(CACHED), *stream(*ANTHROPIC_EVENTS), stream=True))
    assert caching.read(*caching.written(entry)) == entry
    with pytest.raises(ValueError, match="no answer"):
        caching.read('{"of": "tomorrow"}', b"")


@pytest.mark.parametrize(("now", "ttl", "good"), [(WALL, 60, True), (WALL + 59, 60, True), (WALL + 60, 60, False)])
def test_it_holds_as_long_as_both_say(now: float, ttl: float, good: bool) -> None:
    entry = Entry(WALL, WALL + 3600, "m", "m", "", "", b"")
    assert entry.good(now, ttl) is good and not entry.good(WALL + 3600, 10**9)
