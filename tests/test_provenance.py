"""Reasoning goes back to its maker and to nobody else, whoever carried it in between."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_service.conversation import ReplyEnded, ReplyEvent, ReplyStarted, TextDelta, ThinkingDelta
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.dialects.parts.seals import Sealer
from router_service.provenance import UNKNOWN, opened, seal
from router_service.sse import EventDecoder

ITEM = '{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"gAAA=="}'
# Each maker: its dialect, the facts of it as a target, the state that it signs its thoughts with.
MAKERS: dict[str, tuple[str, Target, str]] = {
    "anthropic/claude-sonnet-4-5": ("anthropic_messages", Target("a", maker="anthropic/claude-sonnet-4-5"), "EqQB+/="),
    "anthropic/claude-opus-4-5": ("anthropic_messages", Target("b", maker="anthropic/claude-opus-4-5"), "ErUB+/="),
    "openai/gpt-5": ("openai_responses", Target("c", reasoning=True, maker="openai/gpt-5"), ITEM),
    "deepseek/deepseek-reasoner": (
        "openai_chat",
        Target("d", thoughts="reasoning_content", maker="deepseek/deepseek-reasoner"),
        "",
    ),
    "moonshot/kimi-k3": ("openai_chat", Target("f", thoughts="reasoning_content", maker="moonshot/kimi-k3"), ""),
    "gemini/gemini-3-pro": ("openai_chat", Target("g", signs_calls=True, maker="gemini/gemini-3-pro"), ""),
    "mistral/mistral-large": ("openai_chat", Target("e", maker="mistral/mistral-large"), ""),
}
WORDS = {maker: f"thoughts of {maker}" for maker in MAKERS}


def reply(maker: str, *, hidden: bool = False) -> list[ReplyEvent]:
    state = MAKERS[maker][2]
    thought: list[ReplyEvent] = [] if hidden else [ThinkingDelta(WORDS[maker])]
    signed: list[ReplyEvent] = [ThinkingDelta("", state, hidden=hidden)] if state else []
    return [ReplyStarted("1", "m"), *thought, *signed, TextDelta(f"answer of {maker}"), ReplyEnded("end")]


def echoed(client: str, maker: str, *, streamed: bool, hidden: bool) -> list[Any]:
    """What a client of this dialect sends back of an answer."""
    dialect = DIALECTS[client]
    own = MAKERS[maker][0] == client  # the vendor speaks the client's dialect: its bytes pass, but for the seals
    to = Addressee("m", maker="" if own else maker)
    sealer = Sealer(dialect, maker)
    if streamed:
        writer = dialect.writer(to)
        raw = b"".join(map(writer.feed, reply(maker, hidden=hidden)))
        if own:
            raw = _as_openai(raw)
            cut = len(raw) // 3
            raw = sealer.feed(raw[:cut], end=False) + sealer.feed(raw[cut:], end=True)
        return _gathered(client, [json.loads(e.data) for e in EventDecoder().feed(raw) if e.data != "[DONE]"])
    whole = dialect.render_reply(reply(maker, hidden=hidden), to)
    if own:
        whole = json.loads(sealer.whole(_as_openai(json.dumps(whole).encode())))
    match client:
        case "anthropic_messages":
            return [{"role": "assistant", "content": whole["content"]}]
        case "openai_chat":
            return [{name: value for name, value in whole["choices"][0]["message"].items() if value is not None}]
    return list(whole["output"])


def _as_openai(raw: bytes) -> bytes:
    """Our writer has the whole item for OpenAI's state; OpenAI itself has a text in the item."""
    return raw.replace(json.dumps(ITEM).encode(), b'"gAAA=="')


def _gathered(client: str, events: list[Any]) -> list[Any]:
    """As the official SDKs put a stream together."""
    if client == "openai_responses":
        return list(events[-1]["response"]["output"])
    if client == "openai_chat":
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        for delta in (choice["delta"] for event in events for choice in event["choices"]):
            for name in ("content", "reasoning_content"):
                message[name] = message.get(name, "") + (delta.get(name) or "")
            message["reasoning_details"] = message.get("reasoning_details", []) + delta.get("reasoning_details", [])
        return [{name: value for name, value in message.items() if value or name in ("role", "content")}]
    blocks: list[Any] = []
    for event in events:
        if event["type"] == "content_block_start":
            blocks.append(dict(event["content_block"]))
        if event["type"] == "content_block_delta":
            for name in ("text", "thinking", "signature"):
                blocks[-1][name] = blocks[-1].get(name, "") + event["delta"].get(name, "")
    kept = {
        "text": ("type", "text"),
        "thinking": ("type", "thinking", "signature"),
        "redacted_thinking": ("type", "data"),
    }
    content = [{name: block[name] for name in kept[block["type"]]} for block in blocks]
    return [{"role": "assistant", "content": content}]


KEPT = {
    "text": ("type", "text"),
    "thinking": ("type", "thinking", "signature"),
    "redacted_thinking": ("type", "data"),
}


def asked(client: str, said: list[Any]) -> dict[str, Any]:
    field = "input" if client == "openai_responses" else "messages"
    return (
        {"model": "m", "max_tokens": 99, field: said} if client != "openai_responses" else {"model": "m", field: said}
    )


def sent(client: str, body: dict[str, Any], target: Target, dialect: str) -> str:
    """The conversation that the target is sent, as JSON: through its own dialect's bytes where it takes them."""
    spoken, conversation = DIALECTS[dialect], DIALECTS[client].parse_request(body)
    field = "input" if dialect == "openai_responses" else "messages"
    if client == dialect and spoken.takes(conversation, target):
        return json.dumps(spoken.adapt(conversation, target, []).get(field, body.get(field)))
    return json.dumps(spoken.render_request(conversation, target).body[field])


turns = st.lists(st.sampled_from(sorted(MAKERS)), min_size=1, max_size=6)


@settings(max_examples=400, deadline=None)
@given(client=st.sampled_from(sorted(DIALECTS)), makers=turns, then=st.sampled_from(sorted(MAKERS)), data=st.data())
def test_no_model_sees_what_another_thought(client: str, makers: list[str], then: str, data: st.DataObject) -> None:
    said: list[Any] = []
    shown: list[bool] = []
    for maker in makers:
        hidden = MAKERS[maker][2] != "" and data.draw(st.booleans())
        said.append({"role": "user", "content": "go on"})
        said += echoed(client, maker, streamed=data.draw(st.booleans()), hidden=hidden)
        shown.append(not hidden)
    said.append({"role": "user", "content": "and now?"})
    dialect, target, state = MAKERS[then]
    body = sent(client, asked(client, said), target, dialect)
    assert "archgw1." not in body
    for maker in MAKERS:
        assert f"answer of {maker}" in body or maker not in makers
        if maker != then:
            assert WORDS[maker] not in body
    foreign = {other for _, _, other in MAKERS.values()} - {state, ""}
    assert not any(json.dumps(other)[1:-1] in body or json.loads(json.dumps(other)) in body for other in foreign)
    own = makers.count(then)
    if state.startswith("{"):
        assert body.count('"gAAA=="') == own
    elif state:
        assert body.count(state) == own
    elif target.thoughts:
        assert body.count(WORDS[then]) == sum(seen for maker, seen in zip(makers, shown, strict=True) if maker == then)


@pytest.mark.parametrize("client", DIALECTS)
@pytest.mark.parametrize("maker", MAKERS)
def test_what_goes_to_the_same_model_keeps_its_beginning(client: str, maker: str) -> None:
    """Prompt caches hang on it: what was sent once is sent again, and something is added."""
    dialect, target, _ = MAKERS[maker]
    said: list[Any] = []
    before = ""
    for streamed in (True, False, True):
        said.append({"role": "user", "content": "go on"})
        now = sent(client, asked(client, said), target, dialect)
        assert now.startswith(before.removesuffix("]"))
        before = now
        said += echoed(client, maker, streamed=streamed, hidden=False)


@given(maker=st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])), state=st.text())
def test_a_seal_opens(maker: str, state: str) -> None:
    assert opened(seal(maker, state)) == (maker, state)


@pytest.mark.parametrize(
    "broken", ["archgw1.", "archgw1.x", "archgw1.!!.state", "archgw1.gICA.state", "archgw1..state"]
)
def test_a_broken_seal_is_nobodys(broken: str) -> None:
    assert opened(f"archgw1.{broken}")[0] == UNKNOWN


def test_without_a_maker_there_is_no_seal() -> None:
    assert seal("", "state") == "state"
    assert opened("state") == ("", "state")
