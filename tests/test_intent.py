"""What kind of request it is and what the user last asked, in the shapes that clients send."""

import json
from typing import Any

import pytest
from dialogue import CHAT, MESSAGES, conversation_of

from router_service.intent import Intent, read
from router_service.kinds import MARKS, SIDE, Mark

REMINDER = "<system-reminder>\nAs you answer, mind CLAUDE.md: fix typos.\n</system-reminder>"
NOTIFICATION = "<system-reminder>[SYSTEM NOTIFICATION - NOT USER INPUT]\nAgent a1 has finished: ok\n</system-reminder>"
TYPED = "The user sent a new message while you were working:\nmake it blue"
QUEUED = f"{TYPED}\n\nThis is how Claude Code surfaces messages the user sends mid-turn. Address the message above."


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def user(*blocks: dict[str, Any] | str) -> dict[str, Any]:
    return {"role": "user", "content": [text(block) if isinstance(block, str) else block for block in blocks]}


def said(words: str = "done") -> dict[str, Any]:
    return {"role": "assistant", "content": words}


def called(*names: str) -> dict[str, Any]:
    blocks = [{"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": {}} for name in names]
    return {"role": "assistant", "content": blocks}


def result(name: str = "Read", content: Any = "1\tfix the bug in main.py") -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{name}", "content": content}


def system(words: str) -> dict[str, Any]:
    return {"role": "system", "content": words}


ASK = "write a parser for TOML"
ASKED = user(ASK)


def intent(
    *messages: dict[str, Any], path: str = MESSAGES, given: dict[str, str] | None = None, **fields: Any
) -> Intent:
    return read(conversation_of(path, **{"messages": list(messages) or [ASKED]} | fields), given or {})


# -- kinds ---------------------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a first ask": ([ASKED], "user turn"),
    "content as a string": ([{"role": "user", "content": ASK}], "user turn"),
    "an ask after an answer": ([ASKED, said(), user("and a test")], "user turn"),
    "reminders before the ask": ([user(REMINDER, REMINDER, ASK)], "user turn"),
    "a reminder in the ask's own text": ([user(f"{REMINDER}\n{ASK}")], "user turn"),
    "a system message behind the ask": ([ASKED, system(REMINDER)], "user turn"),
    "results of tools": ([ASKED, called("Read"), user(result())], "tool continuation"),
    "results as blocks": ([ASKED, called("Read"), user(result(content=[text("x")]))], "tool continuation"),
    "results with a reminder": ([ASKED, called("Read"), user(result(), REMINDER)], "tool continuation"),
    "results and a system message": ([ASKED, called("Read"), user(result()), system("mind it")], "tool continuation"),
    "results in two messages": ([ASKED, called("A", "B"), user(result("B")), user(result("A"))], "tool continuation"),
    "results and words of the user's": ([ASKED, called("Read"), user(result(), "no, use Rust")], "user turn"),
    "words typed meanwhile, beside a result": ([ASKED, called("Read"), user(result(), QUEUED)], "tool continuation"),
    "words typed meanwhile, in a result": (
        [ASKED, called("Read"), user(result(content=f"x\n\n{TYPED}"))],
        "tool continuation",
    ),
    "words typed meanwhile, of the system": (
        [ASKED, called("Read"), user(result()), system(QUEUED)],
        "tool continuation",
    ),
    "words typed just before the turn ended": ([ASKED, said(), user(QUEUED)], "user turn"),
    "words typed meanwhile, and new ones": ([ASKED, called("Read"), user(result(), QUEUED, "stop")], "user turn"),
    "a hook that speaks": ([ASKED, said(), user("Stop hook feedback:\n- [lint]: 2 errors")], "tool continuation"),
    "an answer that was cut off": (
        [ASKED, said("a"), user("Output token limit hit. Resume directly")],
        "tool continuation",
    ),
    "a file that has those words": (
        [ASKED, called("Read"), user(result(content=f'12\t_QUEUED = "{TYPED}"'))],
        "tool continuation",
    ),
    "a subagent has finished": ([ASKED, said(), user(NOTIFICATION)], "tool continuation"),
    "a tool was loaded": (
        [ASKED, called("ToolSearch"), user(result("ToolSearch"), "Tool loaded.")],
        "tool continuation",
    ),
    "an interruption alone": ([ASKED, called("Read"), user("[Request interrupted by user]")], "tool continuation"),
    "an interruption and new words": ([ASKED, user("[Request interrupted by user]", "use Rust")], "user turn"),
    "a summary to go on from": (
        [user("This session is being continued from a previous one: ...")],
        "tool continuation",
    ),
    "a summary to write": ([ASKED, said(), user("CRITICAL: Respond with TEXT ONLY. Summarize ...")], "compaction"),
    "a summary to write, behind a result": (
        [ASKED, called("Read"), user(result(), "CRITICAL: Respond with TEXT ONLY. Summarize ...")],
        "compaction",
    ),
}


@pytest.mark.parametrize(("messages", "kind"), KINDS.values(), ids=KINDS.keys())
def test_a_kind_is_told_by_the_messages(messages: list[dict[str, Any]], kind: str) -> None:
    assert intent(*messages).kind == kind


def schema(*properties: str) -> dict[str, Any]:
    shape = {"type": "object", "properties": {name: {"type": "string"} for name in properties}}
    return {"format": {"type": "json_schema", "schema": shape}}


SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
TOOL = {"name": "Read", "description": "reads", "input_schema": {"type": "object"}}
FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "a title": ({"tools": [], "output_config": schema("title")}, "title"),
    "a title, as older clients ask": ({"output_format": schema("title")["format"]}, "title"),
    "an object with a title and more": ({"output_config": schema("title", "body")}, "user turn"),
    "a title with tools at hand": ({"tools": [TOOL], "output_config": schema("title")}, "user turn"),
    "a title and the name of a branch": ({"output_config": schema("title", "branch")}, "title"),
    "a probe": ({"max_tokens": 1}, "probe"),
    "one token of many messages": ({"max_tokens": 1, "messages": [ASKED, said(), ASKED]}, "user turn"),
    "one token, with tools at hand": ({"max_tokens": 1, "tools": [TOOL]}, "user turn"),
    "a search": ({"tools": [SEARCH], "tool_choice": {"type": "tool", "name": "web_search"}}, "web search"),
    "a search among other tools": ({"tools": [SEARCH, TOOL]}, "user turn"),
    "no tools at all": ({"tools": []}, "user turn"),
}


@pytest.mark.parametrize(("fields", "kind"), FIELDS.values(), ids=FIELDS.keys())
def test_a_kind_is_told_by_the_fields(fields: dict[str, Any], kind: str) -> None:
    assert intent(**fields).kind == kind


VERDICT = {"stop_sequences": ["</block>"]}
OF_CLAUDE_CODE = {"x-claude-code-session-id": "s"}


@pytest.mark.parametrize(
    ("fields", "given", "kind"),
    [
        (VERDICT, OF_CLAUDE_CODE, "classifier"),
        ({"stop_sequences": ["</severity>"]}, OF_CLAUDE_CODE, "classifier"),
        (VERDICT | {"stream": True}, OF_CLAUDE_CODE, "user turn"),
        (VERDICT | {"tools": [TOOL]}, OF_CLAUDE_CODE, "user turn"),
        (VERDICT, {}, "user turn"),
        ({"system": "You are a security monitor for autonomous AI coding agents.\n"}, {}, "classifier"),
        ({"system": "Write like: You are a security monitor for autonomous AI coding agents."}, {}, "user turn"),
    ],
    ids=["its stop", "its other stop", "streamed", "with tools", "another client's", "its first words", "in prose"],
)
def test_a_classifier_of_permissions(fields: dict[str, Any], given: dict[str, str], kind: str) -> None:
    assert intent(given=given, **fields).kind == kind


def hinted(word: str) -> dict[str, str]:
    return {"x-claude-code-request-class": word}


def of_codex(**fields: str) -> dict[str, str]:
    return {"x-codex-turn-metadata": json.dumps(fields)}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (hinted("auxiliary"), "auxiliary"),
        (hinted("compaction"), "compaction"),
        (hinted("side_reply"), "side question"),
        (hinted("main"), "user turn"),
        (hinted("subagent"), "user turn"),
        (hinted("workflow"), "user turn"),
        (hinted("new-one"), "user turn"),
        (of_codex(request_kind="turn"), "user turn"),
        (of_codex(request_kind="compaction"), "compaction"),
        (of_codex(request_kind="memory"), "auxiliary"),
        (of_codex(request_kind="prewarm"), "auxiliary"),
        (of_codex(request_kind="new-one"), "user turn"),
        ({"x-codex-turn-metadata": "no JSON"}, "user turn"),
        ({"x-codex-turn-metadata": "[]"}, "user turn"),
    ],
)
def test_a_hint_of_the_clients_leads(given: dict[str, str], kind: str) -> None:
    assert intent(given=given).kind == kind


@pytest.mark.parametrize(
    ("word", "fields", "kind"),
    [
        ("main", {"max_tokens": 1}, "user turn"),
        ("main", {"output_config": schema("title")}, "user turn"),
        ("auxiliary", {"max_tokens": 1}, "probe"),
        ("auxiliary", {"output_config": schema("title")}, "title"),
        ("auxiliary", {"tools": [SEARCH]}, "web search"),
        ("auxiliary", {"messages": [ASKED, said(), user("CRITICAL: Respond with TEXT ONLY.")]}, "compaction"),
    ],
)
def test_a_shape_says_more_of_what_is_auxiliary_and_nothing_of_the_users(
    word: str, fields: dict[str, Any], kind: str
) -> None:
    assert intent(given=hinted(word), **fields).kind == kind


@pytest.mark.parametrize("mark", MARKS, ids=[f"{mark.kind}: {(mark.system or mark.user)[:40]}" for mark in MARKS])
class TestOfAMark:
    def asked(self, mark: Mark, words: str, **more: Any) -> str:
        """The kind of a second turn that begins with these words, on the side that the mark is looked for."""
        turn = [ASKED, said(), user(ASK if mark.system else words)]
        return intent(*turn, system=words if mark.system else "You are an agent.", **more).kind

    def test_it_tells_the_kind(self, mark: Mark) -> None:
        assert self.asked(mark, f"{mark.system or mark.user} and so on") == mark.kind

    def test_in_the_middle_of_a_text_it_is_prose(self, mark: Mark) -> None:
        assert self.asked(mark, f"What does this mean: {mark.system or mark.user} ...") == "user turn"

    def test_beside_tools_it_means_the_same_where_the_client_offers_them(self, mark: Mark) -> None:
        expected = "user turn" if mark.bare else mark.kind
        assert self.asked(mark, f"{mark.system or mark.user} ...", tools=[TOOL]) == expected

    def test_the_turn_before_says_nothing_of_this_one(self, mark: Mark) -> None:
        if mark.user:
            assert intent(user(f"{mark.user} ..."), said(), ASKED).kind == "user turn"


def test_a_clients_own_turn_is_its_own_through_its_tool_loop() -> None:
    begun = [ASKED, said(), user("You are now acting as the memory extraction subagent. Look at the messages.")]
    assert intent(*begun, called("Write"), user(result("Write"))).kind == "auxiliary"


def test_a_side_question_is_asked_in_the_users_words() -> None:
    asked = user("<system-reminder>This is a side question from the user. Answer it.</system-reminder>\n\nwhich port?")
    found = intent(ASKED, called("Read"), user(result()), asked, given=hinted("auxiliary"))
    assert (found.kind, found.ask) == ("side question", "which port?")


def test_a_hint_of_main_leaves_a_continuation_what_it_is() -> None:
    messages = [ASKED, called("Read"), user(result())]
    assert intent(*messages, given={"x-claude-code-request-class": "main"}).kind == "tool continuation"


def test_only_what_the_user_never_sees_is_a_side_request() -> None:
    assert {"title", "probe", "classifier", "web search", "auxiliary"} == SIDE


# -- subagents -----------------------------------------------------------------------------------------------------

BILLING = "x-anthropic-billing-header: cc_version=2.1.330; cc_entrypoint=cli;"
AGENT_PROSE = "Use the Agent tool to launch a subagent. cc_is_subagent is not yours to set."


@pytest.mark.parametrize(
    ("fields", "given", "subagent"),
    [
        ({}, {"x-claude-code-agent-id": "a1"}, True),
        ({}, {"x-claude-code-request-class": "subagent"}, True),
        ({}, {"x-claude-code-request-class": "workflow"}, True),
        ({}, {"x-parent-session-id": "ses_1"}, True),
        ({}, {"x-openai-subagent": "review"}, True),
        ({}, of_codex(thread_source="subagent"), True),
        ({}, of_codex(thread_source="user"), False),
        ({"system": [text(f"{BILLING} cc_is_subagent=true;"), text("You search.")]}, {}, True),
        ({"system": [text(BILLING), text(AGENT_PROSE)]}, {}, False),
        ({"system": [text(BILLING), text("cc_is_subagent=true")]}, {}, False),
        ({}, {"x-claude-code-request-class": "main"}, False),
        ({}, {}, False),
    ],
    ids=[
        "its id",
        "its class",
        "of a workflow",
        "opencode's",
        "Codex's",
        "Codex's thread",
        "Codex's own",
        "its billing block",
        "prose about them",
        "prose in their words",
        "main",
        "nothing",
    ],
)
def test_a_subagent_is_told_by_its_client_never_by_prose(
    fields: dict[str, Any], given: dict[str, str], subagent: bool
) -> None:
    assert intent(given=given, **fields).subagent is subagent


# -- asks ----------------------------------------------------------------------------------------------------------

EXPANDED = "Review the pull request for bugs."
ASKS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "a string": ([{"role": "user", "content": ASK}], ASK),
    "behind reminders": ([user(REMINDER, ASK)], ASK),
    "before reminders": ([user(ASK, REMINDER)], ASK),
    "around a reminder": ([user(f"{ASK} {REMINDER}")], ASK),
    "before a system message": ([ASKED, system(REMINDER)], ASK),
    "of the turn that goes on": ([ASKED, called("Read"), user(result())], ASK),
    "the newest": ([ASKED, said(), user("and a test")], "and a test"),
    "in two messages": ([user("one"), user("two")], "two"),
    "in two blocks": ([user("one", "two")], "one\ntwo"),
    "beside a result": ([ASKED, called("Read"), user(result(), "no, use Rust")], "no, use Rust"),
    "typed meanwhile, beside a result": ([ASKED, called("Read"), user(result(), QUEUED)], "make it blue"),
    "typed meanwhile, in a result": ([ASKED, called("Read"), user(result(content=f"x\n\n{TYPED}"))], "make it blue"),
    "typed meanwhile, in a block of a result": (
        [ASKED, called("Read"), user(result(content=[text("x"), text(QUEUED)]))],
        "make it blue",
    ),
    "typed meanwhile, of the system": ([ASKED, called("Read"), user(result()), system(QUEUED)], "make it blue"),
    "typed meanwhile, of the system, as 2.1.197 closes it": (
        [
            ASKED,
            called("Read"),
            user(result()),
            system(f"{TYPED}\n\nIMPORTANT: After completing your current task, ..."),
        ],
        "make it blue",
    ),
    "typed meanwhile, in a reminder": (
        [ASKED, called("Read"), user(result(), f"<system-reminder>{TYPED}</system-reminder>")],
        "make it blue",
    ),
    "a slash command that expands": (
        [user("<command-message>review</command-message>\n<command-name>/review</command-name>", EXPANDED)],
        EXPANDED,
    ),
    "a local command": (
        [ASKED, said(), user("<command-name>/model</command-name>", "<local-command-stdout>ok</local-command-stdout>")],
        ASK,
    ),
    "a shell line": ([ASKED, user("<bash-input>ls</bash-input>", "<bash-stdout>a b</bash-stdout>")], ASK),
    "an interruption": ([ASKED, user("[Request interrupted by user for tool use]")], ASK),
    "a summary, and what comes next": ([user("This session is being continued from ...", "go on")], "go on"),
    "a subagent's report": ([ASKED, said(), user(NOTIFICATION)], ASK),
    "none": ([user(REMINDER)], ""),
}


@pytest.mark.parametrize(("messages", "ask"), ASKS.values(), ids=ASKS.keys())
def test_the_ask_is_the_users_last_words(messages: list[dict[str, Any]], ask: str) -> None:
    assert intent(*messages).ask == ask


def test_an_openai_client_asks_likewise() -> None:
    messages = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": [text(ASK)]},
        {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "ls", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "a b"},
    ]
    found = intent(*messages, path=CHAT)
    assert (found.kind, found.ask) == ("tool continuation", ASK)


def test_an_image_alone_is_no_ask() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aa"}}
    assert intent(user(image)).ask == ""


def test_code_in_an_ask_does_not_drown_it() -> None:
    ask = intent(user(f"why is this slow?\n```python\n{'x = 1' * 500}\n```\nplease explain")).ask
    assert ask.startswith("why is this slow?") and ask.endswith("please explain")
    assert len(ask) < 300


def test_a_long_ask_keeps_its_beginning_and_its_end() -> None:
    ask = intent(user(f"summarize this: {'blah ' * 1000} and keep it short")).ask
    assert ask.startswith("summarize this:") and ask.endswith("and keep it short")
    assert len(ask) < 820


# -- context -------------------------------------------------------------------------------------------------------


def test_the_context_is_what_came_before_newest_first() -> None:
    found = intent(user("one"), said("first answer"), user("two"), said("second answer"), user("three"))
    assert found.context == ("assistant: second answer", "user: two", "assistant: first answer", "user: one")


def test_tools_that_were_called_are_told_by_name() -> None:
    found = intent(ASKED, called("Read", "Grep", "Read"), user(result(), "and now?"))
    assert found.context == ("assistant: (used Read, Grep)", f"user: {ASK}")


def test_what_came_after_the_ask_is_no_context() -> None:
    assert intent(ASKED, called("Read"), user(result())).context == ()
