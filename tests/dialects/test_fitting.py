"""What single models cannot take, as vendors refuse it in practice; each was found in review or in their reports."""

import json
from typing import Any

import pytest

from router_service.conversation import ReplyEnded, ReplyStarted, TextDelta, ThinkingDelta
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.dialects.parts.fit import compact
from router_service.dialects.parts.thinking import nearest

ANTHROPIC, CHAT, RESPONSES = (DIALECTS[name] for name in ("anthropic_messages", "openai_chat", "openai_responses"))
CLAUDE = "anthropic/claude-opus-4-8"
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
BUDGET = Target("m", reasoning=True, thinking="budget")


def use(id_: str) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": "f", "input": {}}


def result(id_: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "tool_result", "tool_use_id": id_, "content": "x"}]}


def messages(*said: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9000, "messages": list(said)} | fields


USER = {"role": "user", "content": "go"}


def test_thinking_whose_words_claude_omits_comes_back_as_thinking() -> None:
    """An empty `thinking` with a signature is not `redacted_thinking`, which has data of another kind."""
    events = [ReplyStarted("1", "m"), ThinkingDelta("", "SIG"), TextDelta("a"), ReplyEnded("end")]
    output = RESPONSES.render_reply(events, Addressee("m", maker=CLAUDE))["output"]
    back = RESPONSES.parse_request({"model": "m", "input": [USER, *output, USER]})
    made = ANTHROPIC.render_request(back, Target("m", maker=CLAUDE)).body["messages"][1]["content"]
    assert made[0] == {"type": "thinking", "thinking": "", "signature": "SIG"}


@pytest.mark.parametrize("hidden", [True, False])
def test_what_was_hidden_stays_hidden(hidden: bool) -> None:
    words = [] if hidden else [ThinkingDelta("hm")]
    events = [ReplyStarted("1", "m"), *words, ThinkingDelta("", "D", hidden=hidden), TextDelta("a"), ReplyEnded("end")]
    output = RESPONSES.render_reply(events, Addressee("m", maker=CLAUDE))["output"]
    back = RESPONSES.parse_request({"model": "m", "input": [USER, *output, USER]})
    made = ANTHROPIC.render_request(back, Target("m", maker=CLAUDE)).body["messages"][1]["content"]
    assert made[0]["type"] == ("redacted_thinking" if hidden else "thinking")


def test_a_tool_loop_goes_on_thinking_though_only_its_beginning_was_signed() -> None:
    loop = [USER, {"role": "assistant", "content": [SIGNED, use("a")]}, result("a")]
    loop += [{"role": "assistant", "content": [use("b")]}, result("b")]
    body = messages(*loop, thinking={"type": "enabled", "budget_tokens": 2000})
    conversation = ANTHROPIC.parse_request(body)
    assert "thinking" not in ANTHROPIC.adapt(conversation, BUDGET, [])
    assert ANTHROPIC.render_request(conversation, BUDGET).body["thinking"]["type"] == "enabled"


def test_a_tool_loop_that_another_model_began_goes_on_without() -> None:
    loop = [USER, {"role": "assistant", "content": [use("a")]}, result("a")]
    body = messages(*loop, thinking={"type": "enabled", "budget_tokens": 2000})
    warnings: list[str] = []
    assert ANTHROPIC.adapt(ANTHROPIC.parse_request(body), BUDGET, warnings)["thinking"] is None
    assert warnings == ["thinking turned off for this request: the answer that goes on was begun by another model"]


def test_an_effort_alone_does_not_make_a_model_think_that_is_asked_by_budget() -> None:
    body = messages(USER, output_config={"effort": "low"}, temperature=0.5)
    assert ANTHROPIC.adapt(ANTHROPIC.parse_request(body), BUDGET, []) == {"thinking": None, "output_config": None}


@pytest.mark.parametrize("client", ["anthropic_messages", "openai_chat"])
def test_words_in_the_mouth_of_a_model_that_takes_none_are_followed_by_the_user(client: str) -> None:
    body = messages(USER, {"role": "assistant", "content": "{"})
    conversation = DIALECTS[client].parse_request(body)
    target = Target("m", prefill=False)
    made = ANTHROPIC.render_request(conversation, target).body["messages"]
    assert [message["role"] for message in made] == ["user", "assistant", "user"]
    if client == "anthropic_messages":
        assert ANTHROPIC.adapt(conversation, target, [])["messages"] == made


def test_a_schema_is_closed_and_without_bounds_for_anthropic() -> None:
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 0},
            "l": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["minimum"],
    }
    body = messages(USER, response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}})
    made = ANTHROPIC.render_request(CHAT.parse_request(body), Target("m")).body
    assert made["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer"},
            "l": {"type": "array", "items": {"type": "object", "additionalProperties": False}},
        },
        "required": ["minimum"],
        "additionalProperties": False,
    }


def test_a_model_that_cannot_be_held_to_a_schema_is_told_it() -> None:
    body = messages(USER, response_format={"type": "json_object"})
    made = ANTHROPIC.render_request(CHAT.parse_request(body), Target("m", structured=False))
    assert "output_config" not in made.body
    assert made.body["system"] == [{"type": "text", "text": "Answer with a JSON object and nothing else."}]
    assert made.warnings == ("structured output asked for in words: this model knows no other way",)


@pytest.mark.parametrize(
    ("effort", "known", "chosen"),
    [
        ("low", (), "low"),
        ("minimal", (), "low"),
        ("max", (), "high"),
        ("xhigh", ("low", "medium", "high", "xhigh"), "xhigh"),
        ("low", ("high",), "high"),
        ("lavish", (), "lavish"),
    ],
)
def test_the_nearest_effort_that_a_model_knows(effort: str, known: tuple[str, ...], chosen: str) -> None:
    assert nearest(effort, known) == chosen


def test_responses_are_fitted_to_the_model_within_the_clients_bytes() -> None:
    body = {
        "model": "m",
        "input": [USER],
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low", "format": {"type": "json_object"}},
    }
    target = Target("m", reasoning=True, efforts=("high",))
    warnings: list[str] = []
    assert RESPONSES.adapt(RESPONSES.parse_request(body), target, warnings) == {
        "reasoning": {"effort": "high", "summary": "auto"},
        "text": {"format": {"type": "json_object"}},
    }
    assert warnings == ["verbosity left out: m cannot be told how much to write"]


TOLD = "verbosity left out: m cannot be told how much to write"


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses"])
@pytest.mark.parametrize(
    ("vendor", "word", "target", "field", "warnings"),
    [
        ("openai_chat", "low", Target("m", verbosity=True), {"verbosity": "low"}, []),
        ("openai_responses", "low", Target("m", verbosity=True), {"text": {"verbosity": "low"}}, []),
        ("openai_chat", "low", Target("m"), {}, [TOLD]),
        ("openai_responses", "high", Target("m"), {}, [TOLD]),
        ("anthropic_messages", "low", Target("m"), {}, [TOLD]),
        ("openai_chat", "medium", Target("m"), {}, []),
        ("anthropic_messages", "medium", Target("m"), {}, []),
    ],
)
def test_how_much_to_write_is_told_to_whom_it_can_be_told(
    client: str, vendor: str, word: str, target: Target, field: Any, warnings: list[str]
) -> None:
    body = {"input": [USER], "text": {"verbosity": word}} if client == "openai_responses" else messages(USER)
    body |= {"model": "m"} | ({"verbosity": word} if client == "openai_chat" else {})
    conversation = DIALECTS[client].parse_request(body)
    made = DIALECTS[vendor].render_request(conversation, target)
    assert {name: made.body[name] for name in ("text", "verbosity") if name in made.body} == field
    assert list(made.warnings) == warnings
    if client == vendor:
        said: list[str] = []
        changed = DIALECTS[client].adapt(conversation, target, said)
        assert bool({"verbosity", "text"} & changed.keys()) == (not field)
        assert said == warnings


PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(("detail", "told"), [("low", 1), ("high", 1), ("auto", 0)])
def test_how_closely_to_look_is_said_to_openai_and_left_out_for_anthropic(detail: str, told: int) -> None:
    chat_part = {"type": "image_url", "image_url": {"url": PIXEL, "detail": detail}}
    part = {"type": "input_image", "image_url": PIXEL, "detail": detail}
    asked = {"type": "message", "role": "user", "content": [part]}
    for conversation in (
        CHAT.parse_request(messages({"role": "user", "content": [chat_part]})),
        RESPONSES.parse_request({"model": "m", "input": [asked]}),
    ):
        assert CHAT.render_request(conversation, Target("m")).body["messages"][0]["content"] == [chat_part]
        assert RESPONSES.render_request(conversation, Target("m")).body["input"] == [asked]
        warnings = ANTHROPIC.render_request(conversation, Target("m")).warnings
        assert warnings == (f"detail {detail} of an image left out: Anthropic looks at all of it",) * told


def test_a_schema_keeps_its_name_and_what_is_said_about_it() -> None:
    named = {"name": "city", "schema": {"type": "object"}, "description": "A city.", "strict": True}
    conversation = CHAT.parse_request(messages(USER, response_format={"type": "json_schema", "json_schema": named}))
    form = RESPONSES.render_request(conversation, Target("m")).body["text"]["format"]
    assert form == {"type": "json_schema", **named}
    again = RESPONSES.parse_request({"model": "m", "input": [USER], "text": {"format": form}})
    made = CHAT.render_request(again, Target("m")).body["response_format"]
    assert made == {"type": "json_schema", "json_schema": named}


def test_items_lose_their_ids_when_the_reasoning_they_hang_on_goes() -> None:
    items = [
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
        USER,
    ]
    conversation = RESPONSES.parse_request({"model": "m", "input": items})
    kept = RESPONSES.adapt(conversation, Target("m"), [])["input"]
    assert [item.get("id") for item in kept] == [None, None, None]
    assert "input" not in RESPONSES.adapt(conversation, Target("m", reasoning=True), [])


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses"])
@pytest.mark.parametrize("vendor", DIALECTS)
@pytest.mark.parametrize("target", [Target("m"), Target("m", strict_order=True)], ids=["", "strict"])
def test_somebody_speaks_though_only_the_system_did(client: str, vendor: str, target: Target) -> None:
    said = [{"role": "system", "content": "Say hi."}]
    body = {"model": "m", "input": said} if client == "openai_responses" else messages(*said)
    made = DIALECTS[vendor].render_request(DIALECTS[client].parse_request(body), target).body
    assert "Say hi." in json.dumps(made.get("messages") or made["input"])


def test_an_answer_of_thinking_alone_leaves_no_empty_message() -> None:
    thought = {"role": "assistant", "content": [SIGNED]}
    conversation = ANTHROPIC.parse_request(messages(USER, thought, USER))
    made = CHAT.render_request(conversation, Target("m")).body["messages"]
    assert [message["role"] for message in made] == ["user", "user"]


def test_pdfs_go_where_images_go_for_who_reads_them_there() -> None:
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
    conversation = ANTHROPIC.parse_request(messages({"role": "user", "content": [pdf]}))
    (part,) = CHAT.render_request(conversation, Target("m", documents_as_images=True)).body["messages"][0]["content"]
    assert part == {"type": "image_url", "image_url": {"url": "data:application/pdf;base64,JVBERi0="}}


SCHEMA: Any = {"type": "object", "properties": {"city": {"type": "string"}}}
IN_WORDS = "structured output asked for in words: this model knows no other way"


@pytest.mark.parametrize("client", ["openai_chat", "openai_responses"])
def test_who_knows_any_json_alone_is_told_the_schema_in_words(client: str) -> None:
    named = {"name": "city", "schema": SCHEMA, "description": "Where it is."}
    body = messages(USER, response_format={"type": "json_schema", "json_schema": named})
    if client == "openai_responses":
        body = {"model": "m", "input": [USER], "text": {"format": {"type": "json_schema", **named}}}
    conversation = DIALECTS[client].parse_request(body)
    target = Target("m", structured=False)
    assert client != "openai_chat" or not CHAT.takes(conversation, target)
    made = CHAT.render_request(conversation, target)
    assert made.body["response_format"] == {"type": "json_object"}
    words = (
        f"Answer with a JSON object and nothing else. Where it is. It must match this JSON schema: {compact(SCHEMA)}"
    )
    assert made.body["messages"][0] == {"role": "system", "content": words}
    assert made.warnings == (IN_WORDS,)
    assert CHAT.takes(CHAT.parse_request(messages(USER, response_format={"type": "json_object"})), target)


@pytest.mark.parametrize("structured", [True, False])
def test_claude_is_asked_in_words_for_json_of_any_form(structured: bool) -> None:
    conversation = CHAT.parse_request(messages(USER, response_format={"type": "json_object"}))
    made = ANTHROPIC.render_request(conversation, Target("m", structured=structured))
    assert made.body["system"] == [{"type": "text", "text": "Answer with a JSON object and nothing else."}]
    assert made.warnings == (IN_WORDS,)
    assert "output_config" not in made.body


def test_what_is_said_about_a_schema_stands_in_it_for_claude() -> None:
    named = {"name": "city", "schema": SCHEMA, "description": "Where it is."}
    conversation = CHAT.parse_request(messages(USER, response_format={"type": "json_schema", "json_schema": named}))
    form = ANTHROPIC.render_request(conversation, Target("m")).body["output_config"]["format"]
    assert form["schema"] == {"description": "Where it is.", **SCHEMA, "additionalProperties": False}
