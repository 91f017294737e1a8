"""Names of tools that OpenAI's dialects refuse for their length go there short, and come back as they were."""

import json
from typing import Any

import pytest

from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Target
from router_service.dialects.parts.names import LONGEST, long_names, restored, short, shortened

LONG = "mcp__a-company-wide-knowledge-base__search_documents_by_author_and_" + "x" * 40
TWIN = LONG[:-1] + "y"
BODY: dict[str, Any] = {
    "model": "m",
    "max_tokens": 9,
    "tools": [{"name": name, "input_schema": {"type": "object"}} for name in (LONG, TWIN, "Read")],
    "tool_choice": {"type": "tool", "name": TWIN},
    "messages": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": LONG, "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
    ],
}
CONVERSATION = DIALECTS["anthropic_messages"].parse_request(BODY)


def test_a_long_name_is_short_and_tells_itself_from_others() -> None:
    assert len(short(LONG)) == len(short(TWIN)) == LONGEST
    assert short(LONG) != short(TWIN) and short(LONG)[:40] == LONG[:40]
    assert short("x" * LONGEST) == "x" * LONGEST


def test_where_no_name_is_long_nothing_is_touched() -> None:
    body = BODY | {"tools": [], "tool_choice": None, "messages": BODY["messages"][:1]}
    plain = DIALECTS["anthropic_messages"].parse_request(body)
    assert shortened(plain) is plain and long_names(plain) == {}


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses"])
def test_everywhere_that_a_tool_is_named(dialect: str) -> None:
    told = json.dumps(DIALECTS[dialect].render_request(CONVERSATION, Target("m")).body)
    assert LONG not in told and TWIN not in told
    assert told.count(short(LONG)) == 2 and told.count(short(TWIN)) == 2


def test_anthropic_itself_takes_them() -> None:
    assert LONG in json.dumps(DIALECTS["anthropic_messages"].render_request(CONVERSATION, Target("m")).body)


def test_the_client_hears_its_own_name() -> None:
    reply = {
        "id": "r",
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "tool_calls": [
                        {"id": str(at), "type": "function", "function": {"name": name, "arguments": "{}"}}
                        for at, name in enumerate((short(TWIN), "Read", "unknown"))
                    ],
                },
            }
        ],
    }
    events = restored(DIALECTS["openai_chat"].parse_reply(reply), long_names(CONVERSATION))
    assert [event.name for event in events if hasattr(event, "name")] == [TWIN, "Read", "unknown"]
