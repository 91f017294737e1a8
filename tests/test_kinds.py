"""What every request of a real client is, and what no change that means nothing may make of it.

`recordings/kinds.tsv` says for each recorded request its kind, whether it is a subagent's, and what was asked. It was
written by reading the requests, and is mended by reading them.
"""

import csv
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded import FOLDER, Recorded, requests

from router_service.conversation import BadRequest
from router_service.dialects import by_path
from router_service.intent import Intent, read
from router_service.kinds import SIDE, Kind
from router_service.session import session_key

REQUESTS = tuple(requests())
every_request = pytest.mark.parametrize("recorded", REQUESTS, ids=[one.id for one in REQUESTS])


@dataclass(frozen=True)
class Expected:
    kind: str
    subagent: bool
    ask: str


def expectations() -> dict[tuple[str, int], Expected]:
    with (FOLDER / "kinds.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {
        (row["client"], int(row["number"])): Expected(row["kind"], row["subagent"] == "yes", json.loads(row["ask"]))
        for row in rows
    }


EXPECTED = expectations()


def read_of(recorded: Recorded) -> Intent:
    return read(recorded.conversation, recorded.headers)


def test_every_recorded_request_has_been_judged() -> None:
    assert set(EXPECTED) == {(one.client, one.number) for one in REQUESTS}


@every_request
def test_a_recorded_request_is_what_a_reader_takes_it_for(recorded: Recorded) -> None:
    found = read_of(recorded)
    assert Expected(found.kind, found.subagent, found.ask) == EXPECTED[recorded.client, recorded.number]


HINTS = ("x-claude-code-request-class", "x-claude-code-prompt-id", "x-codex-turn-metadata", "x-claude-code-compaction")


def unhinted(recorded: Recorded) -> Recorded:
    return replace(recorded, headers={name: it for name, it in recorded.headers.items() if name not in HINTS})


@every_request
def test_without_the_headers_that_hint_at_it_it_is_told_all_the_same(recorded: Recorded) -> None:
    found = read_of(unhinted(recorded))
    assert Expected(found.kind, found.subagent, found.ask) == EXPECTED[recorded.client, recorded.number]


def test_no_client_shares_a_thread_with_another_or_with_its_subagents() -> None:
    threads = {one.id: session_key(one.conversation, one.headers) for one in REQUESTS}
    told = [one for one in REQUESTS if "x-claude-code-session-id" in one.headers or one.client in ("codex", "opencode")]
    assert not any(threads[one.id].startswith("fingerprint/") for one in told)
    subagents = {threads[one.id] for one in REQUESTS if read_of(one).subagent}
    assert subagents and subagents.isdisjoint(threads[one.id] for one in REQUESTS if not read_of(one).subagent)


# -- changes that mean nothing, and some that do -------------------------------------------------------------------

REMINDER = "<system-reminder>\nToday's date is 2026-11-27. The user likes tests.\n</system-reminder>"
CHAT_LIKE = [one for one in REQUESTS if "messages" in one.body]
of_messages = pytest.mark.parametrize("recorded", CHAT_LIKE, ids=[one.id for one in CHAT_LIKE])


def changed(recorded: Recorded, *messages: dict[str, Any]) -> Recorded:
    return replace(recorded, body=recorded.body | {"messages": list(messages)})


def texts(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The blocks of a message; a string is one."""
    content = message.get("content")
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content or [])


def last_of_the_user(recorded: Recorded) -> int:
    messages = recorded.body["messages"]
    return max(at for at, message in enumerate(messages) if message["role"] == "user")


def with_last(recorded: Recorded, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Recorded:
    """The last message of the user's with other blocks."""
    messages = list(recorded.body["messages"])
    at = last_of_the_user(recorded)
    messages[at] = messages[at] | {"content": change(texts(messages[at]))}
    return changed(recorded, *messages)


def same(one: Intent, other: Intent) -> bool:
    return (one.kind, one.subagent, one.ask.split()) == (other.kind, other.subagent, other.ask.split())


@of_messages
def test_a_reminder_changes_nothing_wherever_it_stands(recorded: Recorded) -> None:
    block = {"type": "text", "text": REMINDER}
    before = with_last(recorded, lambda blocks: [block, *blocks])
    behind = with_last(recorded, lambda blocks: [*blocks, block])
    of_the_system = changed(recorded, *recorded.body["messages"], {"role": "system", "content": REMINDER})
    apart = changed(recorded, *recorded.body["messages"], {"role": "user", "content": [block]})
    for one in (before, behind, of_the_system, apart):
        assert same(read_of(one), read_of(recorded))


@of_messages
def test_content_as_a_string_is_content_as_a_block(recorded: Recorded) -> None:
    as_blocks = with_last(recorded, lambda blocks: blocks)
    assert same(read_of(as_blocks), read_of(recorded))


@of_messages
def test_a_text_in_two_blocks_is_asked_as_in_one(recorded: Recorded) -> None:
    def halved(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        *rest, last = blocks
        words = last.get("text", "")
        if " " not in words or words.startswith("<") or EXPECTED[recorded.client, recorded.number].kind != "user turn":
            return blocks
        head, _, tail = words.partition(" ")
        return [*rest, last | {"text": head}, last | {"text": tail}]

    assert same(read_of(with_last(recorded, halved)), read_of(recorded))


@of_messages
def test_a_result_behind_a_call_goes_on_with_the_turn_and_its_ask(recorded: Recorded) -> None:
    before = read_of(recorded)
    if recorded.path == "/v1/messages":
        call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]}
        result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]}
    else:
        function = {"name": "Read", "arguments": "{}"}
        call = {"role": "assistant", "tool_calls": [{"id": "t", "type": "function", "function": function}]}
        result = {"role": "tool", "tool_call_id": "t", "content": "ok"}
    after = read_of(changed(recorded, *recorded.body["messages"], call, result))
    assert after.ask == before.ask
    assert after.kind == ("tool continuation" if before.kind == "user turn" else before.kind)


@of_messages
def test_new_words_behind_an_answer_open_a_turn(recorded: Recorded) -> None:
    said, asked = {"role": "assistant", "content": "Done."}, {"role": "user", "content": "and in Rust?"}
    after = read_of(unhinted(changed(recorded, *recorded.body["messages"], said, asked)))
    kind = EXPECTED[recorded.client, recorded.number].kind
    told_by_more_than_words = kind in SIDE  # by what the system says, or by the one tool that is offered
    assert (after.kind, after.ask) == (kind if told_by_more_than_words else "user turn", "and in Rust?")


@of_messages
def test_no_turn_of_the_users_becomes_a_side_request_by_what_a_tool_reads(recorded: Recorded) -> None:
    """A tool may read this very file, or the words of a client's own."""
    if recorded.path != "/v1/messages" or read_of(recorded).kind in SIDE:
        return
    words = "CRITICAL: Respond with TEXT ONLY\n[SUGGESTION MODE: Suggest what the user might naturally type next\n1\tx"
    call = {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {}}]}
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": words}]}
    after = read_of(changed(recorded, *recorded.body["messages"], call, result))
    assert after.kind not in SIDE and (after.kind == "compaction") == (read_of(recorded).kind == "compaction")


# -- anything at all -----------------------------------------------------------------------------------------------

ODD_BLOCKS: tuple[Any, ...] = (
    {"type": "text", "text": ""},
    {"type": "text", "text": REMINDER},
    {"type": "text", "text": "<system-reminder>never closed"},
    {"type": "text", "text": "[Request interrupted by user]"},
    {"type": "text", "text": "<command-name>/review</command-name>\n<command-args>x</command-args>"},
    {"type": "text", "text": "<local-command-stdout>ok</local-command-stdout>"},
    {"type": "text", "text": "The user sent a new message while you were working:\nmake it blue"},
    {"type": "text", "text": "The user sent a new message while you were working:"},
    {"type": "text", "text": "\U0001f600" * 300},
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
    {
        "type": "tool_result",
        "tool_use_id": "t",
        "content": "The user sent a new message while you were working:\nfaster",
    },
    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "ok"}], "is_error": True},
    {"type": "tool_result", "tool_use_id": "t"},
    {"type": "container_upload", "file_id": "f"},
    {"type": "tomorrows_block", "text": 17},
)
ODD_MESSAGES: tuple[Any, ...] = (
    {"role": "user", "content": ""},
    {"role": "user", "content": []},
    {"role": "assistant", "content": ""},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Bash", "input": {}}]},
    {"role": "system", "content": "The user sent a new message while you were working:\nstop"},
    {"role": "user", "content": "CRITICAL: Respond with TEXT ONLY. Summarize."},
)
ODD_FIELDS: tuple[tuple[str, Any], ...] = (
    ("tools", []), ("max_tokens", 1), ("metadata", {"user_id": "{"}), ("system", ""), ("stop_sequences", ["</block>"]),
    ("output_config", {"format": {"type": "json_schema", "schema": {}}}), ("stream", False), ("thinking", None),
)  # fmt: skip


def spoiled(recorded: Recorded, chance: random.Random) -> Recorded:
    """The request with some blocks more, in another order, or without what it had."""
    body = json.loads(json.dumps(recorded.body))
    key = "messages" if "messages" in body else "input"
    for _ in range(chance.randint(1, 5)):
        message = chance.choice(body[key])
        match chance.randrange(7):
            case 0:
                message["content"] = [*texts(message), chance.choice(ODD_BLOCKS)]
            case 1:
                message["content"] = chance.sample(texts(message), len(texts(message)))
            case 2:
                message["content"] = " ".join(str(block.get("text", "")) for block in texts(message))
            case 3:
                body[key].append(chance.choice(ODD_MESSAGES))
            case 4:
                body.pop(chance.choice(sorted(body.keys() - {key}) or ["nothing"]), None)
            case 5:
                body.update([chance.choice(ODD_FIELDS)])
            case 6:
                body[key] = body[key][chance.randrange(len(body[key])) :]
    names = list(recorded.headers)
    kept = {name: recorded.headers[name] for name in chance.sample(names, chance.randint(0, len(names)))}
    return replace(recorded, body=body, headers=kept)


@pytest.mark.parametrize("seed", range(500))
def test_of_a_spoiled_request_something_is_made_or_its_mistake_is_told(seed: int) -> None:
    chance = random.Random(seed)
    request = spoiled(chance.choice(REQUESTS), chance)
    try:
        found = read_of(request)
    except BadRequest as error:  # the dialect's to say, before anybody asks what kind it is
        assert error.message
        return
    assert found.kind in get_args(Kind)
    assert found.ask or found.kind != "user turn", "nobody asked anything"
    assert not found.ask or any(found.ask.split()[0] in text for text in texts_of_all(request))
    assert session_key(request.conversation, request.headers)


def texts_of_all(request: Recorded) -> list[str]:
    return [
        json.dumps(message, ensure_ascii=False) for message in request.body.get("messages") or request.body["input"]
    ]


@given(st.recursive(st.text(max_size=40), lambda inner: st.lists(inner, max_size=4), max_leaves=8), st.data())
def test_whatever_words_there_are_a_kind_is_found(words: Any, data: Any) -> None:
    role = data.draw(st.sampled_from(["user", "assistant", "system"]))
    dialect = by_path("/v1/messages")
    assert dialect is not None
    flat = [{"type": "text", "text": json.dumps(word) if not isinstance(word, str) else word} for word in words]
    message = {"role": role, "content": flat if isinstance(words, list) else words}
    try:
        conversation = dialect.parse_request({"model": "m", "max_tokens": 9, "messages": [message]})
    except BadRequest:
        return
    found = read(conversation, {})
    assert found.kind in ("user turn", "tool continuation")
    assert (found.kind == "user turn") == (found.ask != "")
