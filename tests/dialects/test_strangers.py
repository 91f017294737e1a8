"""Nothing that a client or a vendor sends may break us: every value of every transcript, replaced by nonsense."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from spoiling import places, spoilt

from router_service.conversation import BadRequest
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.sse import EventDecoder, ServerSentEvent

CASES = Path(__file__).parent.parent / "transcripts"
NONSENSE: list[Any] = [None, True, -1, "", "x", [], {}, [None], [{}], {"type": []}]
TARGETS = [Target("m", 4096, reasoning=True, thinking="budget"), Target("m", sampling=False, stop=False, tools=False)]


STORIES = ("claude_code", "hello", "openai_agent", "picture", "settings", "thinking", "tool_loop")


def files(kind: str) -> list[Any]:
    """Of some stories, with every kind of value in them: each is spoiled in hundreds of ways."""
    found = [path for path in sorted(CASES.glob(f"*/{kind}.*")) if path.parent.name in STORIES]
    return [pytest.param(path, id=f"{path.parent.name} {path.name}") for path in found]


def spoiled(whole: Any) -> Iterator[Any]:
    for place in places(whole):
        for value in NONSENSE:
            yield spoilt(whole, place, copy.deepcopy(value))


@pytest.mark.parametrize("path", files("request"))
def test_a_spoiled_request_is_refused_or_rendered(path: Path) -> None:
    client = DIALECTS[path.name.split(".")[1]]
    for body in spoiled(json.loads(path.read_text())):
        try:
            conversation = client.parse_request(body)
        except BadRequest:
            continue
        for target in TARGETS:
            client.adapt(conversation, target, [])
            for dialect in DIALECTS.values():
                json.dumps(dialect.render_request(conversation, target).body)


@pytest.mark.parametrize("path", files("reply"))
def test_a_spoiled_reply_is_a_value_error_or_rendered(path: Path) -> None:
    vendor = DIALECTS[path.name.split(".")[1]]
    for body in spoiled(json.loads(path.read_text())):
        try:
            events = vendor.parse_reply(body)
            for dialect in DIALECTS.values():
                dialect.render_reply(events, Addressee("m"))
        except ValueError:
            continue


@pytest.mark.parametrize("path", files("stream"))
def test_a_spoiled_stream_is_read_to_its_end(path: Path) -> None:
    vendor = DIALECTS[path.name.split(".")[1]]
    events = EventDecoder().feed(path.read_bytes())
    for at, event in enumerate(events):
        if event.data == "[DONE]":
            continue
        for data in spoiled(json.loads(event.data)):
            reader = vendor.reader()
            heard = [*events[:at], ServerSentEvent(json.dumps(data), event.event), *events[at + 1 :]]
            said = [told for sent in heard for told in reader.feed(sent)] + reader.close()
            for dialect in DIALECTS.values():
                writer = dialect.writer(Addressee("m"))
                assert b"".join(writer.feed(told) for told in said)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_a_spoiled_error_is_still_a_failure(dialect: Any) -> None:
    whole = {"error": {"message": "x", "type": "y", "code": "z"}, "detail": [{"loc": ["a"], "msg": "b"}], "message": {}}
    for body in [*spoiled(whole), *NONSENSE]:
        assert dialect.parse_error(500, json.dumps(body).encode()).message
