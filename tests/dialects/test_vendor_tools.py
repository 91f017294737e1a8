"""Tools that vendors run: who is offered which, and how a search of the web is told."""

import json
from typing import Any

import anthropic
import openai
import pytest
from dialogue import plan_of

from router_service import needs, upstream
from router_service.conversation import ReplyEnded, ReplyStarted, Search, TextDelta
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.plan import Candidate
from router_service.sse import EventDecoder

ASK = {"role": "user", "content": "news?"}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch"}
NOTE = {"name": "note", "input_schema": {"type": "object", "properties": {}}}
ALL = frozenset({"web_search"})


def body(*tools: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [ASK], "tools": list(tools)} | fields


def candidates(*models: str) -> list[Candidate]:
    entries = "".join(f"\n  - {{model: {model}, access_key: k}}" for model in models)
    return list(plan_of(f"llm_providers:{entries}").candidates)


CLAUDE, GPT, DEEPSEEK = candidates("anthropic/claude-opus-4-8", "openai/gpt-4.1", "deepseek/deepseek-v4-pro")


@pytest.mark.parametrize(
    ("asked", "candidate", "words"),
    [
        (body(SEARCH), CLAUDE, ""),
        (body(SEARCH), GPT, ""),
        (body(SEARCH), DEEPSEEK, "its vendor runs no web_search"),
        (body(FETCH), GPT, "its vendor runs no web_fetch"),
        (body(FETCH, NOTE), GPT, ""),
        (body(FETCH, NOTE, tool_choice={"type": "tool", "name": "web_fetch"}), GPT, "its vendor runs no web_fetch"),
        (body(SEARCH, NOTE, tool_choice={"type": "tool", "name": "note"}), DEEPSEEK, ""),
        (body(SEARCH, tool_choice={"type": "none"}), DEEPSEEK, ""),
        (body({"type": "bash_20250124", "name": "bash"}), DEEPSEEK, ""),
    ],
)
def test_who_is_passed_over_for_a_tool_of_the_vendors(asked: Any, candidate: Candidate, words: str) -> None:
    conversation = DIALECTS["anthropic_messages"].parse_request(asked)
    assert needs.obstacle(candidate, needs.of(conversation)) == words


def test_a_chat_client_who_searches_needs_one_who_can() -> None:
    conversation = DIALECTS["openai_chat"].parse_request({"model": "m", "messages": [ASK], "web_search_options": {}})
    assert needs.obstacle(DEEPSEEK, needs.of(conversation)) == "its vendor runs no web_search"
    assert not needs.obstacle(CLAUDE, needs.of(conversation))
    changes = DIALECTS["openai_chat"].adapt(conversation, upstream.target(DEEPSEEK), warnings := [])
    assert changes["web_search_options"] is None
    assert warnings == ["web_search_options left out: deepseek-v4-pro cannot search the web"]


def test_openai_is_asked_in_responses_where_it_is_to_search() -> None:
    searching = DIALECTS["anthropic_messages"].parse_request(body(SEARCH))
    plain = DIALECTS["anthropic_messages"].parse_request(body(NOTE))
    assert upstream.dialect_of(GPT, "anthropic_messages", searching).name == "openai_responses"
    assert upstream.dialect_of(GPT, "anthropic_messages", plain).name == "openai_chat"
    assert upstream.dialect_of(GPT, "openai_chat", searching).name == "openai_chat"
    assert upstream.dialect_of(DEEPSEEK, "anthropic_messages", searching).name == "openai_chat"


@pytest.mark.parametrize("dialect", ["anthropic_messages", "openai_responses"])
def test_a_vendor_of_the_dialect_that_runs_less_is_offered_less(dialect: str) -> None:
    tool = {"type": "function", "name": "note", "parameters": {"type": "object", "properties": {}}, "strict": False}
    asked: Any = {"model": "m", "input": [ASK], "tools": [tool, {"type": "web_search"}, {"type": "file_search"}]}
    asked = asked if dialect == "openai_responses" else body(NOTE, SEARCH, FETCH)
    spoken = DIALECTS[dialect]
    conversation = spoken.parse_request(asked)
    assert spoken.takes(conversation, Target("m"))
    assert not spoken.takes(conversation, Target("m", vendor_tools=ALL))
    rendered = spoken.render_request(conversation, Target("m", vendor_tools=ALL))
    assert [tool.get("name") or tool["type"] for tool in rendered.body["tools"]] == ["note", "web_search"]
    gone = "web_fetch" if dialect == "anthropic_messages" else "file_search"
    assert rendered.warnings == (f"tool {gone} left out: only its own vendor runs it",)


def test_where_the_user_is_goes_from_chat_to_claude() -> None:
    near = {"city": "Berlin", "country": "DE"}
    options = {"user_location": {"type": "approximate", "approximate": near}, "search_context_size": "low"}
    asked = {"model": "m", "messages": [ASK], "web_search_options": options}
    conversation = DIALECTS["openai_chat"].parse_request(asked)
    made = DIALECTS["anthropic_messages"].render_request(conversation, Target("m", vendor_tools=ALL))
    assert made.body["tools"] == [SEARCH | {"user_location": {"type": "approximate", **near}}]
    assert made.warnings == ()


PAGE = {
    "type": "web_search_result",
    "url": "https://x.y/1",
    "title": "One",
    "encrypted_content": "EqgfCioIARgB",
    "page_age": None,
}
USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "news"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [PAGE]}
MESSAGE = {"type": "message", "id": "msg_1", "content": [{"type": "text", "text": "Hm."}, USE, FOUND]}


def replayed(*blocks: Any) -> dict[str, Any]:
    said = [ASK, {"role": "assistant", "content": [*blocks, {"type": "text", "text": "a"}]}, ASK]
    return {"model": "m", "max_tokens": 9, "messages": said}


def test_its_own_search_goes_back_to_claude_untouched_and_ours_does_not() -> None:
    spoken = DIALECTS["anthropic_messages"]
    conversation = spoken.parse_request(replayed(USE, FOUND))
    assert "messages" not in spoken.adapt(conversation, Target("m"), [])
    assert spoken.render_request(conversation, Target("m")).body["messages"] == replayed(USE, FOUND)["messages"]
    events = [ReplyStarted("1", "m"), Search("ws_1", "news", (("https://x.y", "X"),)), ReplyEnded("end")]
    ours = spoken.render_reply(events, Addressee("m"))["content"]
    conversation = spoken.parse_request(replayed(*ours))
    warnings: list[str] = []
    (_, said, _) = spoken.adapt(conversation, Target("m"), warnings)["messages"]
    assert said["content"] == [{"type": "text", "text": "a"}]
    assert set(warnings) == {"a search of the web left out of the history: Anthropic takes back only its own"}
    assert spoken.render_request(conversation, Target("m")).body["messages"][1]["content"] == "a"
    items = DIALECTS["openai_responses"].render_request(conversation, Target("m")).body["input"]
    assert items[1] == {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "news"}}


def test_a_search_that_failed_and_one_without_an_end() -> None:
    spoken = DIALECTS["anthropic_messages"]
    failed = FOUND | {"content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}}
    for blocks, status in (([USE, failed], "failed"), ([USE], "completed")):
        events = spoken.parse_reply(MESSAGE | {"content": blocks})
        assert spoken.render_reply(events, Addressee("m"))["content"] == blocks
        (item,) = DIALECTS["openai_responses"].render_reply(events, Addressee("m"))["output"]
        assert (item["type"], item["status"]) == ("web_search_call", status)


def test_openai_opens_pages_too() -> None:
    told = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "open_page", "url": "u"}}
    events = DIALECTS["openai_responses"].parse_reply({"id": "r", "output": [told], "status": "completed"})
    use, found = DIALECTS["anthropic_messages"].render_reply(events, Addressee("m"))["content"]
    assert (use["input"], found["content"]) == ({"query": "u"}, [])
    (item,) = DIALECTS["openai_responses"].render_reply(events, Addressee("m"))["output"]
    assert item == told


def test_texts_around_a_search_do_not_run_together_in_chat() -> None:
    spoken = DIALECTS["anthropic_messages"]
    events = spoken.parse_reply(MESSAGE | {"content": [*MESSAGE["content"], {"type": "text", "text": "Yes."}]})  # type: ignore[misc]
    message = DIALECTS["openai_chat"].render_reply(events, Addressee("m"))["choices"][0]["message"]
    assert message["content"] == "Hm.\n\nYes."
    writer = DIALECTS["openai_chat"].writer(Addressee("m"))
    chunks = [json.loads(e.data) for e in EventDecoder().feed(b"".join(map(writer.feed, events))) if e.data[0] == "{"]
    said = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"]]
    assert "".join(said) == "Hm.\n\nYes."


def test_the_vendors_own_types_take_a_search() -> None:
    events: list[Any] = [ReplyStarted("1", "m"), Search("ws_1", "q", (("https://x.y", "X"),)), TextDelta("a")]
    events.append(ReplyEnded("end"))
    message = DIALECTS["anthropic_messages"].render_reply(events, Addressee("m"))
    kinds = [block.type for block in anthropic.types.Message.model_validate(message).content]
    assert kinds == ["server_tool_use", "web_search_tool_result", "text"]
    response = DIALECTS["openai_responses"].render_reply(events, Addressee("m"))
    kinds = [item.type for item in openai.types.responses.Response.model_validate(response).output]
    assert kinds == ["web_search_call", "message"]
