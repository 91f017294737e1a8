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

import pytest

from router_service.conversation import (
    Conversation,
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
    return Target(model=model, **(read(facts) if facts.exists() else {}))


def meaning(conversation: Conversation) -> Conversation:
    """Without what only one vendor has: its own fields, and the name that OpenAI wants for a schema."""
    schema = conversation.output_schema and replace(conversation.output_schema, name="")
    return replace(conversation, model="", dialect="", extras={}, metadata={}, output_schema=schema)


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
                told[-1] = TextDelta(before + text)
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
        if name != "thinking":  # a forced tool turns it off
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


@pytest.mark.parametrize(("one", "other"), pairs("stream"))
def test_a_stream_is_written_in_the_other_dialect_to_the_byte(one: Path, other: Path) -> None:
    expected = other.read_bytes()
    model = "claude-sonnet-4-5" if dialect(other) == "anthropic_messages" else "gpt-4.1"
    writer = DIALECTS[dialect(other)].writer(Addressee(model, created=1763800000))
    made = b"".join(writer.feed(event) for event in heard(one))
    assert ZEROS.sub(b"", made) == ZEROS.sub(b"", expected)


@pytest.mark.parametrize("path", every("stream"))
def test_a_stream_tells_the_story_of_the_whole_reply(path: Path) -> None:
    whole = path.with_name(path.name.replace("stream", "reply").replace(".sse", ".json"))
    assert story(heard(path)) == story(DIALECTS[dialect(path)].parse_reply(read(whole)))


@pytest.mark.parametrize("path", every("stream"))
def test_a_stream_may_be_cut_anywhere(path: Path) -> None:
    size = path.stat().st_size
    whole = heard(path)
    assert heard(path, *range(1, size)) == whole
    for cut in range(1, size):
        assert heard(path, cut) == whole


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
