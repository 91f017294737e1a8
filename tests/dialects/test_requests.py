"""What a request may look like, what is refused in which words, and how it is made to fit its target."""

from typing import Any

import pytest

from router_service.conversation import BadRequest, Conversation, Message, Opaque, Reasoning, Text, ToolCall, ToolResult
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Target

ANTHROPIC, OPENAI = DIALECTS["anthropic_messages"], DIALECTS["openai_chat"]
HI: list[Any] = [{"role": "user", "content": "hi"}]


def anthropic(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 100, "messages": HI} | fields


def openai(**fields: Any) -> dict[str, Any]:
    return {"model": "m", "messages": HI} | fields


def block(value: Any) -> dict[str, Any]:
    return anthropic(messages=[{"role": "user", "content": [value]}])


def said(value: Any) -> dict[str, Any]:
    return openai(messages=[value])


REFUSED = [
    ("anthropic_messages", [], "the body: expected an object, got an empty list"),
    ("anthropic_messages", {"messages": HI}, "model: expected a non-empty string, got nothing"),
    ("anthropic_messages", anthropic(model=""), 'model: expected a non-empty string, got ""'),
    ("anthropic_messages", {"model": "m"}, "messages: expected a list, got nothing"),
    ("anthropic_messages", anthropic(messages=[]), "messages: expected at least one message, got an empty list"),
    ("anthropic_messages", anthropic(messages=["x"]), 'messages[0]: expected an object, got "x"'),
    (
        "anthropic_messages",
        anthropic(messages=[*HI, {"role": "tool", "content": ""}]),
        'messages[1].role: expected one of user, assistant, system, got "tool"',
    ),
    (
        "anthropic_messages",
        anthropic(messages=[{"role": "user"}]),
        "messages[0].content: expected a string or a list of blocks, got nothing",
    ),
    ("anthropic_messages", block(3), "messages[0].content[0]: expected an object, got 3"),
    ("anthropic_messages", block({}), "messages[0].content[0].type: expected a non-empty string, got nothing"),
    ("anthropic_messages", block({"type": "text"}), "messages[0].content[0].text: expected a string, got nothing"),
    ("anthropic_messages", block({"type": "image"}), "messages[0].content[0].source: expected an object, got nothing"),
    (
        "anthropic_messages",
        block({"type": "tool_use", "id": "a", "name": "b", "input": "{}"}),
        'messages[0].content[0].input: expected an object, got "{}"',
    ),
    (
        "anthropic_messages",
        block({"type": "tool_result", "content": "x"}),
        "messages[0].content[0].tool_use_id: expected a non-empty string, got nothing",
    ),
    ("anthropic_messages", anthropic(max_tokens="9"), 'max_tokens: expected a whole number, 0 or more, got "9"'),
    ("anthropic_messages", anthropic(stream="yes"), 'stream: expected true or false, got "yes"'),
    ("anthropic_messages", anthropic(temperature=True), "temperature: expected a number, got true"),
    ("anthropic_messages", anthropic(stop_sequences=[1]), "stop_sequences[0]: expected a string, got 1"),
    ("anthropic_messages", anthropic(tools=[{"name": "x"}]), "tools[0].input_schema: expected an object, got nothing"),
    (
        "anthropic_messages",
        anthropic(tool_choice={"type": "some"}),
        'tool_choice.type: expected one of auto, any, tool, none, got "some"',
    ),
    ("openai_chat", openai(messages={}), "messages: expected a list, got an object"),
    (
        "openai_chat",
        said({"role": "function", "content": ""}),
        'messages[0].role: expected one of system, developer, user, assistant, tool, got "function"',
    ),
    (
        "openai_chat",
        said({"role": "user", "content": None}),
        "messages[0].content: expected a string or a list of parts, got nothing",
    ),
    ("openai_chat", said({"role": "tool", "content": "x"}), "messages[0].tool_call_id: expected a non-empty string"),
    (
        "openai_chat",
        said({"role": "assistant", "tool_calls": [{"id": "a", "function": {}}]}),
        "messages[0].tool_calls[0].function.name: expected a non-empty string, got nothing",
    ),
    ("openai_chat", said({"role": "assistant", "function_call": {"name": "f"}}), "messages[0].function_call: not supp"),
    ("openai_chat", openai(functions=[{"name": "f"}]), "functions: not supported, use tools"),
    ("openai_chat", openai(tool_choice="some"), 'tool_choice: expected auto, none, required or a function, got "some"'),
    ("openai_chat", openai(tools=[{"type": "function"}]), "tools[0].function: expected an object, got nothing"),
    ("openai_chat", openai(stop=4), "stop: expected a list, got 4"),
]


@pytest.mark.parametrize(("dialect", "body", "words"), REFUSED, ids=[f"{d} {w[:50]}" for d, _, w in REFUSED])
def test_a_bad_request_is_refused_with_its_place(dialect: str, body: Any, words: str) -> None:
    with pytest.raises(BadRequest) as refused:
        DIALECTS[dialect].parse_request(body)
    assert refused.value.message.startswith(words)
    assert refused.value.status == 400


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_null_is_as_good_as_missing(dialect: Any) -> None:
    fields = ("tools", "tool_choice", "temperature", "top_p", "max_tokens", "stream", "metadata", "thinking", "stop")
    body = {"model": "m", "messages": HI, "input": HI}
    assert dialect.parse_request(body | dict.fromkeys(fields)) == dialect.parse_request(body)


def test_unknown_blocks_ride_along_untouched() -> None:
    strange = {"type": "hologram", "data": [1, {"a": None}]}
    conversation = ANTHROPIC.parse_request(block(strange))
    assert conversation.messages[0].parts == (Opaque("anthropic_messages", "hologram", strange),)
    assert ANTHROPIC.render_request(conversation, Target("m")).body["messages"][0]["content"] == [strange]
    assert OPENAI.render_request(conversation, Target("m")).warnings == (
        "hologram left out: this model's vendor does not know it",
    )


def test_strange_system_blocks_do_not_refuse_the_request() -> None:
    conversation = ANTHROPIC.parse_request(anthropic(system=[{"type": "text", "text": "a"}, {"type": "new"}]))
    assert conversation.system == (Text("a"),)
    assert conversation.messages[0].role == "system"


# -- what the target takes -------------------------------------------------------------------------------------

BUDGET = Target("m", max_output=8192, reasoning=True, thinking="budget")
ADAPTIVE = Target("m", max_output=8192, reasoning=True, thinking="adaptive")
THINK = {"thinking": {"type": "enabled", "budget_tokens": 5000}}
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}

FITTED: list[tuple[str, str, dict[str, Any], Target, dict[str, Any]]] = [
    ("effort becomes a budget", "openai_chat", {"reasoning_effort": "medium"}, Target("m", 32000, reasoning=True),
     {"thinking": {"type": "enabled", "budget_tokens": 12288}}),
    ("a budget stays below max_tokens", "openai_chat", {"reasoning_effort": "high", "max_tokens": 6000}, BUDGET,
     {"thinking": {"type": "enabled", "budget_tokens": 3000}, "max_tokens": 6000}),
    ("no room to think", "openai_chat", {"reasoning_effort": "high", "max_tokens": 1000}, BUDGET, {"thinking": None}),
    ("effort none", "openai_chat", {"reasoning_effort": "none"}, BUDGET, {"thinking": {"type": "disabled"}}),
    ("minimal effort", "openai_chat", {"reasoning_effort": "minimal"}, ADAPTIVE, {"output_config": {"effort": "low"}}),
    ("a budget becomes an effort", "anthropic_messages", THINK, ADAPTIVE,
     {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}),
    ("no reasoning", "openai_chat", {"reasoning_effort": "high"}, Target("m"),
     {"thinking": None, "output_config": None}),
    ("temperature while thinking", "openai_chat", {"reasoning_effort": "low", "temperature": 0.3}, BUDGET,
     {"temperature": None}),
    ("a forced tool", "openai_chat",
     {"reasoning_effort": "low", "tool_choice": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
     BUDGET, {"thinking": None, "tool_choice": {"type": "any"}}),
    ("max_tokens clamped", "openai_chat", {"max_tokens": 128000}, BUDGET, {"max_tokens": 8192}),
    ("max_tokens by default", "openai_chat", {}, Target("m", max_output=128000), {"max_tokens": 32000}),
    ("white space in the model's mouth", "openai_chat",
     {"messages": [*HI, {"role": "assistant", "content": "So: "}]}, Target("m"),
     {"messages": [*HI, {"role": "assistant", "content": "So:"}]}),
    ("blank texts", "openai_chat", {"messages": [*HI, {"role": "user", "content": " \n"}]}, Target("m"),
     {"messages": HI}),
    ("neighbours of a role", "openai_chat", {"messages": [*HI, *HI]}, Target("m"),
     {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}] * 2}]}),
    ("one call at a time", "openai_chat",
     {"parallel_tool_calls": False, "tools": [{"type": "function", "function": {"name": "f"}}]}, Target("m"),
     {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
    ("system words in place", "anthropic_messages",
     {"messages": [*HI, {"role": "system", "content": "x"}]}, Target("m"),
     {"messages": [*HI, {"role": "system", "content": "x"}]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("client", "fields", "target", "expected"), [c[1:] for c in FITTED], ids=[c[0] for c in FITTED]
)
def test_what_anthropic_is_asked(client: str, fields: Any, target: Target, expected: dict[str, Any]) -> None:
    body = (anthropic if client == "anthropic_messages" else openai)(**fields)
    made = ANTHROPIC.render_request(DIALECTS[client].parse_request(body), target).body
    assert {name: made.get(name) for name in expected} == expected


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def answer(content: Any) -> dict[str, Any]:
    inner = content if isinstance(content, str) else [content]
    return {"type": "tool_result", "tool_use_id": "a", "content": inner}


def tool(call_id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


def called(call_id: str) -> list[Any]:
    call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [*HI, {"role": "assistant", "content": None, "tool_calls": [call]}]


CALL = [*HI, {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]}]
CALLED = called("a")
DONE = {"role": "assistant", "content": "Done."}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aaaa"}}
ONE_AT_A_TIME = {"type": "auto", "disable_parallel_tool_use": True}
REMINDER = "<system-reminder>\nx\n</system-reminder>"
TO_OPENAI: list[tuple[str, dict[str, Any], Target, dict[str, Any]]] = [
    ("no tools", {"tools": [], "tool_choice": {"type": "any"}}, Target("m"), {"tools": None, "tool_choice": None}),
    ("five stop sequences", {"stop_sequences": list("abcde")}, Target("m"), {"stop": list("abcd")}),
    ("a field for tokens", {}, Target("m", token_field="max_completion_tokens"),
     {"max_completion_tokens": 100, "max_tokens": None}),
    ("thinking off", {"thinking": {"type": "disabled"}}, Target("m", reasoning=True), {"reasoning_effort": "low"}),
    ("effort alone", {"output_config": {"effort": "max"}}, Target("m", reasoning=True), {"reasoning_effort": "high"}),
    ("adaptive", {"thinking": {"type": "adaptive"}}, Target("m", reasoning=True), {"reasoning_effort": None}),
    ("think", {"thinking": {"type": "enabled", "budget_tokens": 4000}}, Target("m", reasoning=True),
     {"reasoning_effort": "low"}),
    ("no system", {"system": "be kind"}, Target("m", system=False),
     {"messages": [{"role": "user", "content": "be kind"}, *HI]}),
    ("empty content", {"messages": [{"role": "user", "content": ""}]}, Target("m"),
     {"messages": [{"role": "user", "content": ""}]}),
    ("an image for the blind", {"messages": [{"role": "user", "content": [IMAGE]}]}, Target("m", images=False),
     {"messages": [{"role": "user", "content": "[an image, which m cannot see]"}]}),
    ("an image in a result for the blind",
     {"messages": [*CALL, {"role": "user", "content": [answer(IMAGE)]}]}, Target("m", images=False),
     {"messages": [*CALLED, tool("a", "[an image, which m cannot see]")]}),
    ("one call at a time, where that is refused", {"tools": [TOOL], "tool_choice": ONE_AT_A_TIME},
     Target("m", refuses=frozenset({"parallel_tool_calls"})), {"parallel_tool_calls": None, "tool_choice": "auto"}),
    ("nine letters", {"messages": [*CALL, {"role": "user", "content": [answer("ok")]}]},
     Target("m", tool_id_length=(9, 9)), {"messages": [*called("ca978112c"), tool("ca978112c", "ok")]}),
    ("the user after a tool", {"messages": [*CALL, {"role": "user", "content": [answer("ok"), text("and?")]}]},
     Target("m", strict_order=True),
     {"messages": [*CALLED, tool("a", "ok"), DONE, {"role": "user", "content": "and?"}]}),
    ("system words after a tool",
     {"messages": [*CALL, {"role": "user", "content": [answer("ok")]}, {"role": "system", "content": "x"}]},
     Target("m", strict_order=True), {"messages": [*CALLED, tool("a", f"ok\n\n{REMINDER}")]}),
    ("system words at the end", {"messages": [*HI, {"role": "system", "content": "x"}]},
     Target("m", strict_order=True), {"messages": [*HI, {"role": "user", "content": REMINDER}]}),
    ("words in the model's mouth", {"messages": [*HI, {"role": "assistant", "content": "So"}]},
     Target("m", strict_order=True), {"messages": [*HI, {"role": "assistant", "content": "So", "prefix": True}]}),
    ("a schema without properties", {"tools": [{"name": "f", "input_schema": {}}]}, Target("m"),
     {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "target", "expected"), [c[1:] for c in TO_OPENAI], ids=[c[0] for c in TO_OPENAI])
def test_what_openai_is_asked(fields: Any, target: Target, expected: dict[str, Any]) -> None:
    made = OPENAI.render_request(ANTHROPIC.parse_request(anthropic(**fields)), target).body
    assert {name: made.get(name) for name in expected} == expected


def test_thinking_is_turned_off_in_another_models_tool_loop() -> None:
    messages = (
        Message("user", (Text("go"),)),
        Message("assistant", (ToolCall("a", "f", "{}"),)),
        Message("user", (ToolResult("a", (Text("done"),)),)),
    )
    conversation = Conversation("m", messages, reasoning=Reasoning(enabled=True, effort="high"))
    made = ANTHROPIC.render_request(conversation, Target("m", 32000, reasoning=True, thinking="budget"))
    assert "thinking" not in made.body
    assert made.warnings == (
        "thinking turned off for this request: the answer that goes on was begun by another model",
    )


@pytest.mark.parametrize("given", ["toolu_01", "x" * 41, "functions.Bash:0", "a b", "ü" * 50])
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_ids_fit_and_agree_between_call_and_result(dialect: Any, given: str) -> None:
    messages = (
        Message("assistant", (ToolCall(given, "f", "{}"),)),
        Message("user", (ToolResult(given, (Text("done"),)),)),
    )
    body = dialect.render_request(Conversation("m", messages), Target("m")).body
    parsed = dialect.parse_request(body).messages
    call_id = parsed[0].parts[0].id
    assert call_id == parsed[1].parts[0].call_id
    assert call_id.replace("_", "").replace("-", "").isascii()
    assert len(call_id) <= (40 if dialect is OPENAI else 64)
    assert (call_id == given) == (given == "toolu_01" or (dialect is not OPENAI and given == "x" * 41))


def test_ids_that_differ_stay_different() -> None:
    messages = tuple(
        Message("assistant", (ToolCall(given, "f", "{}"),)) for given in ("a.b", "a:b", "x" * 41, "x" * 42)
    )
    made = OPENAI.render_request(Conversation("m", messages), Target("m")).body
    assert len({call["id"] for call in made["messages"][0]["tool_calls"]}) == 4


# -- the client's own bytes ------------------------------------------------------------------------------------


def thought(signature: str) -> dict[str, Any]:
    thinking = {"type": "thinking", "thinking": "hm", "signature": signature}
    return anthropic(messages=[*HI, {"role": "assistant", "content": [thinking]}, *HI])


SYSTEM_INSIDE = anthropic(messages=[*HI, {"role": "system", "content": "x"}])
ADAPTED: list[tuple[str, dict[str, Any], Target, dict[str, Any]]] = [
    ("nothing to do", anthropic(**THINK, temperature=1), Target("m", 64000, reasoning=True), {}),
    ("fewer tokens", anthropic(max_tokens=9000), Target("m", 8192), {"max_tokens": 8192}),
    ("no max_tokens", {"model": "m", "messages": HI}, Target("m", 4096), {"max_tokens": 4096}),
    ("budget to adaptive", anthropic(max_tokens=8000, **THINK), ADAPTIVE,
     {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}),
    ("adaptive to budget", anthropic(max_tokens=8000, thinking={"type": "adaptive", "display": "omitted"},
                                     output_config={"effort": "low"}), BUDGET,
     {"thinking": {"type": "enabled", "budget_tokens": 4096, "display": "omitted"}, "output_config": None}),
    ("budget above fewer tokens", anthropic(max_tokens=32000, thinking={"type": "enabled", "budget_tokens": 31999}),
     BUDGET, {"max_tokens": 8192, "thinking": {"type": "enabled", "budget_tokens": 4096}, "output_config": None}),
    ("no thinking",
     anthropic(**THINK, context_management={"edits": [{"type": "clear_thinking_20251015"}]}), Target("m"),
     {"thinking": None, "output_config": None, "context_management": None}),
    ("thinking in another model's tool loop",
     anthropic(**THINK, max_tokens=8000, messages=[*CALL, {"role": "user", "content": [answer("ok")]}]), BUDGET,
     {"thinking": None, "output_config": None}),
    ("no sampling", anthropic(temperature=0.2, top_p=0.9, top_k=3, stop_sequences=["x"]),
     Target("m", sampling=False, stop=False),
     {"temperature": None, "top_p": None, "top_k": None, "stop_sequences": None}),
]  # fmt: skip


@pytest.mark.parametrize(("body", "target", "changes"), [c[1:] for c in ADAPTED], ids=[c[0] for c in ADAPTED])
def test_the_clients_own_body_changes_only_where_it_must(body: Any, target: Target, changes: Any) -> None:
    conversation = ANTHROPIC.parse_request(body)
    assert ANTHROPIC.takes(conversation, target)
    assert ANTHROPIC.adapt(conversation, target, []) == changes


def test_openais_own_body_changes_only_where_it_must() -> None:
    body = openai(max_tokens=9000, tools=[], temperature=0.1, stop="x", reasoning_effort="low")
    changes = OPENAI.adapt(
        OPENAI.parse_request(body), Target("m", 100, "max_completion_tokens", sampling=False, stop=False), []
    )
    assert changes["max_completion_tokens"] == 100
    assert {name for name, value in changes.items() if value is None} >= {
        "max_tokens", "tools", "temperature", "stop", "reasoning_effort",
    }  # fmt: skip
    with_tool = openai(tools=[{"type": "function", "function": {"name": "f"}}])
    assert OPENAI.adapt(OPENAI.parse_request(with_tool), Target("m"), []) == {}


def test_what_a_vendor_refuses_is_taken_out_and_told_unless_nobody_misses_it() -> None:
    warnings: list[str] = []
    body = openai(store=True, seed=3, metadata={"a": "b"}, parallel_tool_calls=True, temperature=0.5)
    body["tools"] = [{"type": "function", "function": {"name": "f"}}]
    target = Target("m", refuses=frozenset({"store", "seed", "metadata", "parallel_tool_calls", "user"}))
    changes = OPENAI.adapt(OPENAI.parse_request(body), target, warnings)
    assert changes == dict.fromkeys(("store", "seed", "metadata", "parallel_tool_calls"))
    assert warnings == [f"{name} left out: m does not take it" for name in ("seed", "parallel_tool_calls")]


WORDS = frozenset({"developer", "reasoning_content"})
OWN_CALL = openai(messages=[*CALLED, tool("a", "ok")])
AFTER_A_TOOL = openai(messages=[*CALLED, tool("a", "ok"), *HI])
DEVELOPER = openai(messages=[{"role": "developer", "content": "x"}, *HI])
THOUGHT = openai(messages=[*HI, {"role": "assistant", "content": "a", "reasoning_content": "hm"}, *HI])
PICTURE = openai(
    messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]
)


@pytest.mark.parametrize(
    ("body", "target", "takes"),
    [
        (
            openai(),
            Target("m", images=False, strict_order=True, refuses_in_messages=WORDS, tool_id_length=(9, 9)),
            True,
        ),
        (OWN_CALL, Target("m", tool_id_length=(1, 40), strict_order=True), True),
        (OWN_CALL, Target("m", tool_id_length=(9, 9)), False),
        (AFTER_A_TOOL, Target("m"), True),
        (AFTER_A_TOOL, Target("m", strict_order=True), False),
        (DEVELOPER, Target("m"), True),
        (DEVELOPER, Target("m", refuses_in_messages=WORDS), False),
        (THOUGHT, Target("m"), True),
        (THOUGHT, Target("m", refuses_in_messages=WORDS), False),
        (PICTURE, Target("m"), True),
        (PICTURE, Target("m", images=False), False),
    ],
)
def test_some_chats_must_be_written_anew(body: Any, target: Target, takes: bool) -> None:
    assert OPENAI.takes(OPENAI.parse_request(body), target) is takes


@pytest.mark.parametrize(
    ("body", "target", "takes"),
    [
        (SYSTEM_INSIDE, Target("m"), True),
        (SYSTEM_INSIDE, Target("m", inline_system=False), False),
        (anthropic(), Target("m", inline_system=False), True),
        (anthropic(tools=[TOOL]), Target("m", tools=False), False),
        (thought("c2ln"), Target("m"), True),
        (thought(""), Target("m"), True),
    ],
)
def test_some_bodies_must_be_written_anew(body: Any, target: Target, takes: bool) -> None:
    assert ANTHROPIC.takes(ANTHROPIC.parse_request(body), target) is takes


HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


@pytest.mark.parametrize(
    "marked",
    [
        HOUR,
        {"tools": [TOOL | HOUR]},
        {"system": [{"type": "text", "text": "a", **HOUR}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "a", **HOUR}]}]},
    ],
    ids=["the whole", "tools", "system", "messages"],
)
def test_a_body_written_anew_keeps_its_prompt_cached(marked: Any) -> None:
    conversation = ANTHROPIC.parse_request(anthropic(**marked))
    made = ANTHROPIC.render_request(conversation, Target("m"))
    assert made.body["cache_control"] == HOUR["cache_control"]
    assert "cache_control" not in str(OPENAI.render_request(conversation, Target("m")).body)
