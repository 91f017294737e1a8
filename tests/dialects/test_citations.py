"""What an answer rests on: where it stands in each dialect, and that nobody is given what only another could read."""

import json
from typing import Any

import anthropic.types
import openai.types.responses
import pytest
from pydantic import TypeAdapter

from router_service.conversation import ReplyEnded, ReplyStarted, TextDelta, TextEnded
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.provenance import seal
from router_service.sse import EventDecoder

PAGE = "https://envoyproxy.io/1.40"
WEB = {"type": "web_search_result_location", "url": PAGE, "title": "1.40", "encrypted_index": "Eo8B", "cited_text": "q"}
CHAR = {
    "type": "char_location",
    "cited_text": "c",
    "document_index": 0,
    "document_title": None,
    "start_char_index": 0,
    "end_char_index": 1,
    "file_id": None,
}
BLOCKS = [
    {"type": "text", "text": "It says "},
    {"type": "text", "text": "October", "citations": [WEB, CHAR]},
    {"type": "text", "text": "."},
]
MESSAGE = {"type": "message", "id": "msg_1", "content": BLOCKS, "stop_reason": "end_turn"}
EVENT: Any = TypeAdapter(openai.types.responses.ResponseStreamEvent)


def streamed(blocks: list[Any]) -> bytes:
    """As Anthropic writes it."""
    lines: list[Any] = [{"type": "message_start", "message": {"id": "msg_1", "model": "m"}}]
    for at, block in enumerate(blocks):
        lines.append({"type": "content_block_start", "index": at, "content_block": {"type": "text", "text": ""}})
        deltas = [{"type": "citations_delta", "citation": raw} for raw in block.get("citations", [])]
        for delta in [*deltas, {"type": "text_delta", "text": block["text"]}]:
            lines.append({"type": "content_block_delta", "index": at, "delta": delta})
        lines.append({"type": "content_block_stop", "index": at})
    lines += [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]
    return b"".join(f"event: {line['type']}\ndata: {json.dumps(line)}\n\n".encode() for line in lines)


def heard(dialect: str, data: bytes) -> list[Any]:
    reader = DIALECTS[dialect].reader()
    return [told for event in EventDecoder().feed(data) for told in reader.feed(event)] + reader.close()


def written(dialect: str, events: list[Any], maker: str = "") -> list[Any]:
    writer = DIALECTS[dialect].writer(Addressee("m", maker=maker))
    data = b"".join(map(writer.feed, events))
    return [json.loads(event.data) for event in EventDecoder().feed(data) if event.data != "[DONE]"]


def test_a_stream_tells_what_the_whole_reply_tells() -> None:
    spoken = DIALECTS["anthropic_messages"]
    whole = spoken.render_reply(spoken.parse_reply(MESSAGE), Addressee("m"))
    assert whole["content"] == BLOCKS
    again = spoken.render_reply(heard("anthropic_messages", streamed(BLOCKS)), Addressee("m"))
    assert again["content"] == BLOCKS


def test_anthropics_blocks_are_one_text_for_openai_and_their_citations_stand_at_their_letters() -> None:
    events = DIALECTS["anthropic_messages"].parse_reply(MESSAGE)
    place = {"url": PAGE, "title": "1.40", "start_index": 8, "end_index": 15}
    message = DIALECTS["openai_chat"].render_reply(events, Addressee("m"))["choices"][0]["message"]
    assert message["content"] == "It says October."
    assert message["annotations"] == [{"type": "url_citation", "url_citation": place}]
    (item,) = DIALECTS["openai_responses"].render_reply(events, Addressee("m"))["output"]
    assert item["content"][0]["text"] == "It says October."
    assert item["content"][0]["annotations"] == [{"type": "url_citation", **place}]


def test_streamed_too() -> None:
    events = heard("anthropic_messages", streamed(BLOCKS))
    place = {"url": PAGE, "title": "1.40", "start_index": 8, "end_index": 15}
    deltas = [chunk["choices"][0]["delta"] for chunk in written("openai_chat", events) if chunk["choices"]]
    assert [delta["annotations"] for delta in deltas if "annotations" in delta] == [
        [{"type": "url_citation", "url_citation": place}]
    ]
    told = written("openai_responses", events)
    for event in told:
        EVENT.validate_python(event)
    added = [event for event in told if event["type"] == "response.output_text.annotation.added"]
    assert [event["annotation"] for event in added] == [{"type": "url_citation", **place}]
    (item,) = told[-1]["response"]["output"]
    assert item["content"][0]["annotations"] == [{"type": "url_citation", **place}]
    assert item["content"][0]["text"] == "It says October."


RESPONSE = {
    "id": "resp_1",
    "output": [
        {
            "type": "message",
            "content": [
                {
                    "type": "output_text",
                    "text": "In October (site). Sure.",
                    "annotations": [
                        {"type": "url_citation", "url": PAGE, "title": "1.40", "start_index": 11, "end_index": 17},
                        {"type": "file_citation", "file_id": "f", "filename": "a.txt", "index": 17},
                    ],
                }
            ],
        }
    ],
    "status": "completed",
}


def test_a_page_that_openai_cites_ends_a_block_at_anthropics_client() -> None:
    events = DIALECTS["openai_responses"].parse_reply(RESPONSE)
    message = DIALECTS["anthropic_messages"].render_reply(events, Addressee("m", maker="openai/gpt-5.5"))
    anthropic.types.Message.model_validate(message)
    cited, rest, *_ = message["content"]
    assert cited["text"] + rest["text"] == "In October (site). Sure."
    assert cited["citations"] == [
        {
            "type": "web_search_result_location",
            "url": PAGE,
            "title": "1.40",
            "encrypted_index": seal("openai/gpt-5.5", ""),
            "cited_text": "(site)",
        }
    ]
    assert "citations" not in rest


def test_openais_own_client_has_them_as_they_were() -> None:
    spoken = DIALECTS["openai_responses"]
    (item,) = spoken.render_reply(spoken.parse_reply(RESPONSE), Addressee("m"))["output"]
    assert item["content"][0]["annotations"] == RESPONSE["output"][0]["content"][0]["annotations"]  # type: ignore[index]


def asked(*blocks: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": "?"}, {"role": "assistant", "content": list(blocks)}]
    return {"model": "m", "max_tokens": 9, "messages": [*said, {"role": "user", "content": "and?"}]}


@pytest.mark.parametrize("index", [seal("openai/gpt-5.5", ""), ""])
def test_anthropic_is_not_given_what_it_never_cited(index: str) -> None:
    ours = WEB | {"encrypted_index": index}
    body = asked(
        {"type": "text", "text": "a", "citations": [ours, CHAR]}, {"type": "text", "text": "b", "citations": [ours]}
    )
    spoken = DIALECTS["anthropic_messages"]
    conversation = spoken.parse_request(body)
    warnings: list[str] = []
    (_, said, _) = spoken.adapt(conversation, Target("m"), warnings)["messages"]
    kept = [{"type": "text", "text": "a", "citations": [CHAR]}, {"type": "text", "text": "b"}]
    assert said["content"] == kept
    assert warnings[0] == "citations left out: Anthropic takes back only those that it gave"
    assert spoken.render_request(conversation, Target("m")).body["messages"][1]["content"] == kept


def test_its_own_go_back_untouched() -> None:
    body = asked(*BLOCKS)
    spoken = DIALECTS["anthropic_messages"]
    conversation = spoken.parse_request(body)
    assert "messages" not in spoken.adapt(conversation, Target("m"), [])
    assert spoken.render_request(conversation, Target("m")).body["messages"] == body["messages"]


def test_annotations_that_come_before_the_text_stand_where_they_should() -> None:
    told = {"type": "url_citation", "url_citation": {"url": PAGE, "title": "t", "start_index": 0, "end_index": 2}}
    lines = [{"annotations": [told]}, {"content": "In "}, {"content": "October"}]
    data = b"".join(f"data: {json.dumps({'id': '1', 'choices': [{'delta': delta}]})}\n\n".encode() for delta in lines)
    events = heard("openai_chat", data + b"data: [DONE]\n\n")
    start, first, second, ended, _ = events
    assert (start, first, second) == (ReplyStarted("1", ""), TextDelta("In "), TextDelta("October"))
    assert isinstance(ended, TextEnded)
    assert [(one.url, one.since, one.until) for one in ended.citations] == [(PAGE, 10, 8)]
    assert isinstance(events[-1], ReplyEnded)


def test_search_results_of_the_clients_are_text_for_others() -> None:
    found = {
        "type": "search_result",
        "source": PAGE,
        "title": "1.40",
        "content": [{"type": "text", "text": "October"}],
        "citations": {"enabled": True},
    }
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [found]}]}
    conversation = DIALECTS["anthropic_messages"].parse_request(body)
    for dialect in ("openai_chat", "openai_responses"):
        made = json.dumps(DIALECTS[dialect].render_request(conversation, Target("m")).body)
        assert f"1.40 ({PAGE})" in made
        assert "October" in made
