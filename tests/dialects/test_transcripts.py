"""Each folder of tests/transcripts is one story told in every dialect: all tellings must mean the same.

`request.D`, `reply.D` and `stream.D` of two dialects are translations of each other, in both directions.
Where something must get lost, `rendered.D` is what the request becomes in dialect D, and `warnings.D` what is
said about it. `target.json` holds the facts of the model asked.
"""

import json
import re
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import anthropic.types
import openai.types.chat
import openai.types.responses
import pytest
from archgw.simulate.received import Asked
from archgw.simulate.rules import check
from archgw.simulate.server import by_name
from pydantic import TypeAdapter

from router_service.conversation import (
    Conversation,
    Message,
    ReplyEnded,
    ReplyEvent,
    ReplyStarted,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.sse import EventDecoder

# OpenAI's details of zero tokens may be said or left out.
ZEROS = re.compile(rb',"prompt_tokens_details":\{("\w+":0,?)+\}')
CASES = Path(__file__).parent.parent / "transcripts"


def pairs(kind: str) -> list[Any]:
    """Every two tellings of the same thing, each way round."""
    found = []
    for case in sorted(CASES.iterdir()):
        for one, other in permutations(sorted(case.glob(f"{kind}.*")), 2):
            found.append(pytest.param(one, other, id=f"{case.name}: {dialect(one)} -> {dialect(other)}"))
    return found


def one_way() -> list[Any]:
    found = []
    for rendered in sorted(CASES.glob("*/rendered.*.json")):
        (request,) = rendered.parent.glob("request.*.json")
        found.append(pytest.param(request, rendered, id=f"{rendered.parent.name} -> {dialect(rendered)}"))
    return found


def every(kind: str) -> list[Any]:
    return [pytest.param(path, id=f"{path.parent.name} {dialect(path)}") for path in sorted(CASES.glob(f"*/{kind}.*"))]


def dialect(path: Path) -> str:
    return path.name.split(".")[1]


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def target(case: Path, model: str) -> Target:
    facts = case / "target.json"
    known = read(facts) if facts.exists() else {}
    return Target(model, **{name: frozenset(v) if isinstance(v, list) else v for name, v in known.items()})


def meaning(conversation: Conversation) -> Conversation:
    """Without what only one vendor has: its own fields, and the name that OpenAI wants for a schema."""
    schema = conversation.output_schema and replace(conversation.output_schema, name="")
    messages: list[Message] = []
    for message in conversation.messages:  # what a user says in a row may be one message or several
        if messages and messages[-1].role == message.role == "user":
            messages[-1] = Message("user", messages[-1].parts + message.parts)
        else:
            messages.append(message)
    plain = {"model": "", "dialect": "", "extras": {}, "metadata": {}, "output_schema": schema}
    return replace(conversation, messages=tuple(messages), **plain)


def story(events: list[ReplyEvent]) -> list[ReplyEvent]:
    """The events without names of ids and models, and with neighbouring deltas joined."""
    told: list[ReplyEvent] = []
    for event in events:
        match told[-1:], event:
            case _, ReplyStarted():
                told.append(ReplyStarted("", ""))
            case _, ReplyEnded(reason, usage):
                known = Usage(usage.input, usage.cached or 0, usage.cache_write or 0, usage.output, usage.reasoning)
                told.append(ReplyEnded(reason, known, event.stop_sequence))
            case [TextDelta(before)], TextDelta(text):
                told[-1] = replace(event, text=before + text)
            case [ThinkingDelta(before, "")], ThinkingDelta(text, signature):
                told[-1] = ThinkingDelta(before + text, signature)
            case [ToolCallDelta(index, before)], ToolCallDelta(other, text) if index == other:
                told[-1] = ToolCallDelta(index, before + text)
            case _:
                told.append(event)
    return told


def heard(path: Path, *cuts: int) -> list[ReplyEvent]:
    """The stream's events when its bytes come in the pieces that the cuts make."""
    reader, decoder, data = DIALECTS[dialect(path)].reader(), EventDecoder(), path.read_bytes()
    edges = [0, *cuts, len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    return [e for piece in pieces for event in decoder.feed(piece) for e in reader.feed(event)] + reader.close()


@pytest.mark.parametrize(("one", "other"), pairs("request"))
def test_both_requests_mean_the_same(one: Path, other: Path) -> None:
    parsed = [DIALECTS[dialect(path)].parse_request(read(path)) for path in (one, other)]
    assert meaning(parsed[0]) == meaning(parsed[1])


@pytest.mark.parametrize(("one", "other"), pairs("request"))
def test_a_request_is_rendered_in_the_other_dialect(one: Path, other: Path) -> None:
    expected = read(other)
    conversation = DIALECTS[dialect(one)].parse_request(read(one))
    rendered = DIALECTS[dialect(other)].render_request(conversation, target(one.parent, expected["model"]))
    assert rendered.body == expected
    assert rendered.warnings == ()


@pytest.mark.parametrize("path", every("request"))
def test_a_request_is_rendered_in_its_own_dialect_without_loss(path: Path) -> None:
    spoken = DIALECTS[dialect(path)]
    conversation = spoken.parse_request(read(path))
    facts = Target(conversation.model, reasoning=True, thinking="adaptive")
    again = spoken.parse_request(spoken.render_request(conversation, facts).body)
    for name, value in conversation.extras.items():
        if name == "include":  # which has the state of reasoning besides
            assert set(value) <= set(again.extras[name])
        elif name != "thinking":  # a forced tool turns it off
            assert again.extras[name] == value
    assert again.metadata == conversation.metadata
    assert (again.tools, again.tool_choice) == (conversation.tools, conversation.tool_choice)


@pytest.mark.parametrize(("request_", "rendered"), one_way())
def test_what_must_get_lost_is_said(request_: Path, rendered: Path) -> None:
    conversation = DIALECTS[dialect(request_)].parse_request(read(request_))
    made = DIALECTS[dialect(rendered)].render_request(conversation, target(rendered.parent, conversation.model))
    assert made.body == read(rendered)
    assert list(made.warnings) == read(rendered.with_name(rendered.name.replace("rendered", "warnings")))


@pytest.mark.parametrize(("one", "other"), pairs("reply"))
def test_a_reply_is_rendered_in_the_other_dialect(one: Path, other: Path) -> None:
    expected = read(other)
    events = DIALECTS[dialect(one)].parse_reply(read(one))
    created = expected.get("created") or expected.get("created_at", 0)
    made = DIALECTS[dialect(other)].render_reply(events, Addressee(expected["model"], created=created))
    assert without_zeros(made) == without_zeros(expected)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7], ids=["whole", "1", "2", "3", "7"])
@pytest.mark.parametrize(("one", "other"), pairs("stream"))
def test_a_stream_is_written_in_the_other_dialect_to_the_byte(one: Path, other: Path, size: int) -> None:
    expected = other.read_bytes()
    model = "claude-sonnet-4-5" if dialect(other) == "anthropic_messages" else "gpt-4.1"
    writer = DIALECTS[dialect(other)].writer(Addressee(model, created=1763800000))
    cuts = range(size, one.stat().st_size, size) if size else ()
    made = b"".join(writer.feed(event) for event in heard(one, *cuts))
    assert ZEROS.sub(b"", made) == ZEROS.sub(b"", expected)


@pytest.mark.parametrize("path", every("stream"))
def test_a_stream_tells_the_story_of_the_whole_reply(path: Path) -> None:
    whole = path.with_name(path.name.replace("stream", "reply").replace(".sse", ".json"))
    assert story(heard(path)) == story(DIALECTS[dialect(path)].parse_reply(read(whole)))


SHORT = 4000  # bytes; cutting costs their square


@pytest.mark.parametrize("path", [story for story in every("stream") if story.values[0].stat().st_size < SHORT])
def test_a_stream_may_be_cut_anywhere(path: Path) -> None:
    whole = heard(path)
    for cut in range(1, path.stat().st_size):
        assert heard(path, cut) == whole


def test_there_are_forty_stories_told_in_every_dialect() -> None:
    told = [
        case
        for case in CASES.iterdir()
        if any(all([*case.glob(f"{kind}.{name}.*")] for name in DIALECTS) for kind in ("request", "reply", "stream"))
    ]
    assert len(told) >= 40


@pytest.mark.parametrize("path", every("stream"))
def test_line_ends_and_comments_do_not_matter(path: Path, tmp_path: Path) -> None:
    noisy = tmp_path / path.name
    ping = b'event: ping\r\ndata: {"type": "ping"}\r\n\r\n' if dialect(path) == "anthropic_messages" else b""
    data = path.read_bytes().replace(b"\n", b"\r\n")
    noisy.write_bytes(data.replace(b"\r\n\r\n", b"\r\n\r\n: keep-alive\r\n\r\n" + ping))
    assert heard(noisy) == heard(path)


def without_zeros(reply: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's details of zero tokens may be said or left out."""
    usage = reply["usage"]
    details = {k: v for k, v in usage.get("prompt_tokens_details", {}).items() if v}
    return reply | {"usage": {k: v for k, v in usage.items() if k != "prompt_tokens_details"} | details}


# -- judged by the vendors -----------------------------------------------------------------------------------------

WHOLE: dict[str, Any] = {
    "anthropic_messages": TypeAdapter(anthropic.types.Message),
    "openai_chat": TypeAdapter(openai.types.chat.ChatCompletion),
    "openai_responses": TypeAdapter(openai.types.responses.Response),
}
EVENT: dict[str, Any] = {
    "anthropic_messages": TypeAdapter(anthropic.types.RawMessageStreamEvent),
    "openai_chat": TypeAdapter(openai.types.chat.ChatCompletionChunk),
    "openai_responses": TypeAdapter(openai.types.responses.ResponseStreamEvent),
}
VENDORS = {"anthropic_messages": "anthropic", "openai_chat": "openai", "openai_responses": "openai"}


@pytest.mark.parametrize("path", every("reply"))
def test_a_reply_is_of_the_vendors_own_type(path: Path) -> None:
    WHOLE[dialect(path)].validate_python(read(path))


@pytest.mark.parametrize("path", every("stream"))
def test_every_event_is_of_the_vendors_own_type(path: Path) -> None:
    for event in EventDecoder().feed(path.read_bytes()):
        if event.data != "[DONE]":
            EVENT[dialect(path)].validate_json(event.data)


@pytest.mark.parametrize("path", [story for story in every("request") if story.values[0].parent.name != "claude_code"])
def test_a_request_passes_the_vendors_rule_book(path: Path) -> None:
    """As the gateway would send it to a model that takes all of it. Claude Code's own wants its beta headers."""
    spoken, body = dialect(path), read(path)
    vendor = replace(by_name(VENDORS[spoken]), dialect=spoken)
    thinks = "thinking" in body or "reasoning" in body or "reasoning_effort" in body
    model = {"anthropic": "claude-opus-4-6", "openai": "gpt-5" if thinks else "gpt-4.1"}[vendor.name]
    facts = replace(target(path.parent, model), max_output=32_000)
    if thinks and vendor.name == "openai":
        facts = replace(facts, token_field="max_completion_tokens", sampling=False, stop=False)
    made = DIALECTS[spoken].render_request(DIALECTS[spoken].parse_request(body), facts).body
    known = vendor.model(model)
    assert known is not None
    check(Asked(vendor, known, made))
