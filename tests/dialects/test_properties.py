"""What holds for any reply, any request and any bytes, not only for those that somebody thought of."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spoiling import places, spoilt

from router_service.conversation import (
    BadRequest,
    Conversation,
    Document,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyStarted,
    StopReason,
    Text,
    TextDelta,
    TextEnded,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Dialect, Target
from router_service.dialects.parts.replies import Block, Reply, collect, text_of
from router_service.dialects.parts.seals import Sealer
from router_service.sse import EventDecoder, ServerSentEvent

CASES = Path(__file__).parent.parent / "transcripts"
each_dialect = pytest.mark.parametrize("dialect", DIALECTS)
often = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])

# -- any reply -------------------------------------------------------------------------------------------------

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
unfinished = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="}"), min_size=1, max_size=12)
states = st.text("ABCabc012+/=", min_size=1, max_size=12)
names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
tokens = st.one_of(st.none(), st.integers(0, 10**6))
reasons: list[StopReason] = ["end", "length", "stop_sequence", "tool_calls", "refusal", "pause"]


KINDS = ["text", "thinking", "signed", "hidden", "call", "more", "ended", "apart"]


@st.composite
def replies(draw: st.DrawFn) -> list[ReplyEvent]:
    events: list[ReplyEvent] = [ReplyStarted(draw(names), "m")]
    calls = 0
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=8)):
        match kind:
            case "text":
                events += [TextDelta(draw(words)) for _ in range(draw(st.integers(1, 3)))]
            case "ended":
                events.append(TextEnded())
            case "apart":
                events.append(TextEnded(apart=True))
            case "thinking":
                events.append(ThinkingDelta(draw(words)))
            case "signed":
                events += [ThinkingDelta(draw(words)), ThinkingDelta("", draw(states))]
            case "hidden":
                events.append(ThinkingDelta("", draw(states), hidden=True))
            case "call":
                events.append(ToolCallStarted(calls, f"{draw(names)}_{calls}", draw(names)))
                calls += 1
            case "more" if calls:
                events.append(ToolCallDelta(draw(st.integers(0, calls - 1)), draw(unfinished)))
    usage = Usage(draw(tokens), draw(tokens), draw(tokens), draw(tokens))
    return [*events, ReplyEnded(draw(st.sampled_from(reasons)), usage)]


def blocks(reply: Reply) -> list[Block]:
    """Without what only says where one delta ended: empty arguments are an empty object."""
    return [replace(b, text=b.text or "{}") if b.kind == "tool_call" else b for b in reply.blocks]


def as_told(events: Sequence[ReplyEvent], dialect: str) -> tuple[list[Block], str]:
    """What the dialect can say of a reply: its blocks, and how it ended."""
    reply = collect(events)
    told = blocks(reply)
    reason: str = reply.reason
    if dialect == "anthropic_messages":
        return told, reason
    calls = [block for block in told if block.kind == "tool_call"]
    if reason in ("end", "stop_sequence", "pause") or (reason == "tool_calls" and dialect == "openai_responses"):
        reason = "tool_calls" if calls else "end"
    if dialect == "openai_responses":
        told = _in_runs(told)
    if dialect == "openai_chat":  # one text, one thought, and no state where no maker is named
        text = text_of([b for b in told if b.kind == "text"]).text
        thought = "".join(b.text for b in told if b.kind == "thinking")
        joined = [Block("thinking", thought)] if thought else []
        return [*joined, *([Block("text", text)] if text else []), *calls], reason
    return told, reason


def _in_runs(told: Sequence[Block]) -> list[Block]:
    """Pieces of one running text are one text."""
    runs: list[Block] = []
    for block in told:
        if runs and runs[-1].kind == block.kind == "text" and not runs[-1].apart:
            runs[-1] = replace(block, text=runs[-1].text + block.text)
        else:
            runs.append(block)
    return runs


def told_again(events: Sequence[ReplyEvent], dialect: str) -> tuple[list[Block], str]:
    again, reason = as_told(events, dialect)
    if dialect != "openai_responses":
        return again, reason
    return [replace(b, signature=_state(b)) if b.kind == "thinking" else b for b in again], reason


def _state(block: Block) -> str:
    """OpenAI's state is the item that holds what we had put there."""
    return str(json.loads(block.signature)["encrypted_content"]) if block.signature else ""


def chunks(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    yield from (data[a:b] for a, b in pairwise(edges))


@each_dialect
@often
@given(events=replies(), cuts=st.lists(st.integers(0, 10**5), max_size=8), size=st.sampled_from([0, 1, 2, 3, 7]))
def test_any_reply_survives_being_written_and_read(
    dialect: str, events: list[ReplyEvent], cuts: list[int], size: int
) -> None:
    writer, reader, decoder = DIALECTS[dialect].writer(Addressee("m")), DIALECTS[dialect].reader(), EventDecoder()
    data = b"".join(map(writer.feed, events))
    pieces = chunks(data, range(0, len(data), size) if size else cuts)
    heard = [said for piece in pieces for event in decoder.feed(piece) for said in reader.feed(event)] + reader.close()
    assert told_again(heard, dialect) == as_told(events, dialect)


@each_dialect
@often
@given(events=replies())
def test_any_whole_reply_survives_too(dialect: str, events: list[ReplyEvent]) -> None:
    spoken = DIALECTS[dialect]
    heard = spoken.parse_reply(json.loads(json.dumps(spoken.render_reply(events, Addressee("m")))))
    if dialect == "anthropic_messages":  # an object there, so broken arguments are kept under `_raw`
        assert [b.kind for b in collect(heard).blocks] == [b.kind for b in collect(events).blocks]
    else:
        assert told_again(heard, dialect) == as_told(events, dialect)


@each_dialect
@often
@given(events=replies(), cuts=st.lists(st.integers(0, 10**5), max_size=8))
def test_a_seal_changes_nothing_but_states(dialect: str, events: list[ReplyEvent], cuts: list[int]) -> None:
    spoken = DIALECTS[dialect]
    writer = spoken.writer(Addressee("m"))
    data = b"".join(map(writer.feed, events))
    pieces = list(chunks(data, cuts))
    sealer = Sealer(spoken, "a/b")
    sealed = b"".join(sealer.feed(piece, end=False) for piece in pieces) + sealer.feed(b"", end=True)
    assert len(sealed.splitlines()) == len(data.splitlines())
    for before, after in zip(data.splitlines(), sealed.splitlines(), strict=True):
        if before != after:
            told = json.loads(before.removeprefix(b"data: "))
            assert json.loads(after.removeprefix(b"data: ")) == spoken.sealed(told, "a/b") != told
    assert sealed.count(b"archgw1.") == data.count(b"archgw1.") + _states(data, spoken)


def _states(data: bytes, spoken: Dialect) -> int:
    """How many seals the events want, each by itself."""
    told = [json.loads(event.data) for event in EventDecoder().feed(data) if event.data != "[DONE]"]
    return sum(json.dumps(spoken.sealed(one, "a/b")).count("archgw1.") for one in told)


# -- any request -----------------------------------------------------------------------------------------------

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["type", "text", "role", "content", "id", "name", "input", "source"]),
                st.text(max_size=4),
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=8,
)
TARGETS = [
    Target("m", 4096, reasoning=True, thinking="budget", maker="a/b"),
    Target("m", reasoning=True, thinking="adaptive", thoughts="reasoning_content", signs_calls=True),
    Target("m", sampling=False, stop=False, tools=False, images=False, system=False, inline_system=False),
    Target("m", strict_order=True, tool_id_length=(9, 9), refuses=frozenset({"user", "store"})),
]
REQUESTS = [(path.name.split(".")[1], json.loads(path.read_text())) for path in sorted(CASES.glob("*/request.*.json"))]

# Without the stories that are put together of what must be adapted: ids, thoughts, results in any order.
ADAPTED = ("claude_code", "openai_agent")
WHOLE = [
    (path.name.split(".")[1], json.loads(path.read_text()))
    for path in sorted(CASES.glob("*/request.*.json"))
    if path.parent.name not in ADAPTED
]


@settings(max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), value=values)
def test_any_value_in_any_field_is_refused_in_words_or_rendered(data: st.DataObject, value: Any) -> None:
    dialect, body = data.draw(st.sampled_from(REQUESTS))
    place = data.draw(st.sampled_from(list(places(body))))
    try:
        conversation = DIALECTS[dialect].parse_request(spoilt(body, place, value))
    except BadRequest as refused:
        assert refused.message
        return
    for target in TARGETS:
        if DIALECTS[dialect].takes(conversation, target):
            json.dumps(DIALECTS[dialect].adapt(conversation, target, []))
        for spoken in DIALECTS.values():
            json.dumps(spoken.render_request(conversation, target).body)


@settings(max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), value=values)
def test_what_is_rendered_in_its_own_dialect_reads_the_same(data: st.DataObject, value: Any) -> None:
    dialect, body = data.draw(st.sampled_from(WHOLE))
    place = data.draw(st.sampled_from(list(places(body))))
    spoken = DIALECTS[dialect]
    try:
        conversation = spoken.parse_request(spoilt(body, place, value))
    except BadRequest:
        return
    target = Target(conversation.model, reasoning=True, thinking="adaptive")
    rendered = spoken.render_request(conversation, target)
    if rendered.warnings or not any(role != "system" for role, _ in said(conversation)):
        return  # adapted, in words; or nobody spoke, and the system's last words are the user's
    once = rendered.body
    try:
        read = spoken.parse_request(json.loads(json.dumps(once)))
    except BadRequest:  # nothing is left of its only message: the vendor will say so
        assert not once.get("messages", once.get("input"))
        return
    assert sorted(map(repr, said(read))) == sorted(map(repr, said(conversation))), "results of tools may come earlier"
    assert [tool.name for tool in read.tools] == [tool.name for tool in conversation.tools]
    assert read.tool_choice == conversation.tool_choice or not conversation.tools
    again = spoken.render_request(read, target).body
    assert spoken.render_request(spoken.parse_request(again), target).body == again


def said(conversation: Conversation) -> list[tuple[str, Any]]:
    """Everything that was said, by whom; in one piece where one speaker's words follow one another."""
    told: list[tuple[str, Any]] = [("system", part.text) for part in conversation.system]
    for message in conversation.messages:
        for part in message.parts:
            if isinstance(part, Document) and part.data:  # a file without a name gets one: OpenAI wants it
                told.append((message.role, replace(part, title=part.title or "document.pdf")))
            elif not isinstance(part, Text):
                told.append((message.role, part))
            elif part.text.strip():
                told.append((message.role, part.text.strip()))
    return told


# -- any bytes -------------------------------------------------------------------------------------------------

STREAMS = [(path.name.split(".")[1], path.read_bytes()) for path in sorted(CASES.glob("*/stream.*"))]
ROUNDS = 35_000  # times three dialects


@each_dialect
def test_no_bytes_of_a_vendor_raise(dialect: str) -> None:
    """Real streams with bytes changed, lost, doubled and swapped; each ends in an end or a failure that says so."""
    rng = random.Random(dialect)
    mine = [data for spoken, data in STREAMS if spoken == dialect]
    ends = set()
    for _ in range(ROUNDS):
        events = _mangled(rng.choice(mine), rng)
        reader = DIALECTS[dialect].reader()
        said = [told for event in events for told in reader.feed(event)] + reader.close()
        assert sum(isinstance(told, ReplyEnded | ReplyFailed) for told in said) == 1
        ends.add(type(said[-1]))
    assert ends == {ReplyEnded, ReplyFailed}


def _mangled(data: bytes, rng: random.Random) -> list[ServerSentEvent]:
    """A few events of the stream, with one to three of its bytes changed."""
    events = EventDecoder().feed(data)
    at = rng.randrange(len(events))
    event = events[at]
    text = list(event.data)
    for _ in range(rng.randint(1, 3)):
        where = rng.randrange(len(text)) if text else 0
        match rng.randrange(4):
            case 0:
                text[where : where + 1] = [rng.choice('{}[]",:0n\\u tfa')]
            case 1:
                del text[where : where + rng.randint(1, 9)]
            case 2:
                text[where:where] = text[where : where + rng.randint(1, 9)]
            case 3:
                text = text[:where]
    lost = rng.random() < 0.1
    return [*events[:at], *([] if lost else [ServerSentEvent("".join(text), event.event)]), *events[at + 1 :]]


@each_dialect
@settings(max_examples=500, deadline=None)
@given(data=st.binary(max_size=200), status=st.integers(400, 599))
def test_any_bytes_are_an_error_in_words_and_no_stream(dialect: str, data: bytes, status: int) -> None:
    spoken = DIALECTS[dialect]
    failure = spoken.parse_error(status, data)
    assert failure.message
    assert json.loads(spoken.render_error(failure))["error"]["message"] == failure.message
    reader = spoken.reader()
    events = EventDecoder().feed(b"data: " + data + b"\n\n")
    said = [told for event in events for told in reader.feed(event)] + reader.close()
    assert isinstance(said[-1], ReplyFailed | ReplyEnded)
