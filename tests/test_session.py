"""Which thread a request belongs to, and who serves it."""

import json
from typing import Any

import pytest
from dialogue import CHAT, MESSAGES, conversation_of

from router_service.session import Pin, Sessions, session_key

BILLING = {"type": "text", "text": "x-anthropic-billing-header: cc_version=1; cch=aaaa;"}
RULES = {"type": "text", "text": "You are a coding agent."}
ID = "5c9f6b0e-8c59-4d0b-9d0f-0d6b3f1f2b11"


def key(path: str = MESSAGES, given: dict[str, str] | None = None, **fields: Any) -> str:
    return session_key(conversation_of(path, **fields), given or {})


@pytest.mark.parametrize(
    ("given", "fields", "expected"),
    [
        ({"x-claude-code-session-id": ID}, {}, f"{ID}/"),
        ({"x-claude-code-session-id": ID, "x-claude-code-agent-id": "a1"}, {}, f"{ID}/a1"),
        ({}, {"metadata": {"user_id": f'{{"device_id":"d","session_id":"{ID}"}}'}}, f"{ID}/"),
        ({"x-session-id": "ses_1", "x-session-affinity": "ses_1"}, {}, "ses_1/"),
        ({"session-id": ID, "thread-id": "t"}, {}, "t/"),
        ({"session-id": ID}, {}, f"{ID}/"),
        ({"x-claude-code-session-id": ID}, {"metadata": {"user_id": '{"session_id":"other"}'}}, f"{ID}/"),
    ],
    ids=["header", "a subagent", "metadata", "opencode", "Codex", "Codex without threads", "header before metadata"],
)
def test_a_client_that_tells_its_session(given: dict[str, str], fields: dict[str, Any], expected: str) -> None:
    assert key(given=given, **fields) == expected


@pytest.mark.parametrize(
    "odd",
    ["a\ud800b", "\x1b]0;owned\x07", "línea", "a\nb"],
    ids=["half a letter", "an escape", "other letters", "lines"],
)
def test_an_id_of_any_bytes_is_kept_as_what_every_store_and_terminal_takes(odd: str) -> None:
    told = {"metadata": {"user_id": json.dumps({"session_id": odd})}}
    found = key(**told)
    assert found.isascii() and found.isprintable() and found == key(**told) != f"{odd}/"


def test_an_id_of_megabytes_is_kept_as_a_short_one() -> None:
    long = {"metadata": {"user_id": json.dumps({"session_id": "x" * 3_000_000})}}
    assert len(key(**long)) < 50
    assert key(**long) == key(**long) != key(metadata={"user_id": json.dumps({"session_id": "x" * 3_000_001})})
    assert len(key(given={"x-claude-code-session-id": ID, "x-claude-code-agent-id": "a" * 60_000})) < 100


@pytest.mark.parametrize("user_id", ["[" * 100_000, "plain", "[1]", "17", '{"session_id": null}', ""])
def test_a_user_id_that_holds_no_session_is_no_session(user_id: str) -> None:
    assert key(metadata={"user_id": user_id}) == key()


FIRST = [{"role": "user", "content": "write a parser"}]
LATER = [*FIRST, {"role": "assistant", "content": "done"}, {"role": "user", "content": "and a test"}]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"messages": FIRST}, {"messages": LATER}, True, id="a thread that goes on"),
        pytest.param({"messages": FIRST}, {"messages": LATER[2:]}, False, id="another beginning"),
        pytest.param({"system": [RULES]}, {"system": "You are a poet."}, False, id="another system"),
        pytest.param({"system": [BILLING, RULES]}, {"system": [RULES]}, True, id="the block that always changes"),
        pytest.param({"model": "a"}, {"model": "b"}, True, id="another model"),
    ],
)
def test_a_client_that_tells_none_is_known_by_how_its_thread_began(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    assert (key(**one) == key(**other)) is same


def test_openai_clients_are_told_apart_as_well() -> None:
    assert key(CHAT, messages=FIRST) == key(CHAT, messages=LATER) != key(CHAT, messages=LATER[2:])


PIN = Pin("coding", "gpt", 0.5)


def test_nobody_serves_a_thread_that_is_new() -> None:
    assert Sessions().pin("new") is None


def test_a_pin_is_kept_until_the_next() -> None:
    sessions = Sessions()
    sessions.set_pin("s", PIN)
    sessions.set_pin("s", Pin("talk", "claude"))
    assert (sessions.pin("s"), len(sessions)) == (Pin("talk", "claude"), 1)


def test_the_session_that_was_set_longest_ago_is_forgotten() -> None:
    sessions = Sessions(limit=2)
    for name in ("a", "b", "a", "c"):
        sessions.set_pin(name, PIN)
    assert [sessions.pin(name) for name in ("a", "b", "c")] == [PIN, None, PIN]
