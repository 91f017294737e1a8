"""What the router model reads: envelopes off, the ask before its context, long texts cut where it hurts least."""

import itertools
import re

import pytest

from router_service.asks import (
    MOST_TURNS,
    ask_and_context,
    context_text,
    fitted,
    preference_text,
    shortened,
)
from router_service.conversation import Conversation, Message, Role, Text

PRINTED = "<bash-stdout>Error: 403</bash-stdout>"
SELECTED = "<ide_selection>The user selected the lines 1 to 3 from /a.py:\nx = 1\n</ide_selection>"


def conversation(*turns: str) -> Conversation:
    """Turns of the user and the assistant, one after the other."""
    roles: tuple[Role, Role] = ("user", "assistant")
    return Conversation(model="m", messages=tuple(Message(roles[i % 2], (Text(text),)) for i, text in enumerate(turns)))


def ask(*turns: str) -> str:
    return ask_and_context(conversation(*turns))[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("why?", "why?"),
        ("<system-reminder>be terse</system-reminder>\nwhy?", "why?"),
        ("<ide_opened_file>The user opened a.py</ide_opened_file> fix it", "fix it"),
        (f"{SELECTED} what does this do", "what does this do"),
        ("<environment_details>\n# VSCode Visible Files\na.py\n</environment_details>\nadd a test", "add a test"),
        ("<task>\nadd a test\n</task>", "add a test"),
        ("<user_query>add a test</user_query>", "add a test"),
        (f"{PRINTED}\nwhy does it say so", f"{PRINTED}\nwhy does it say so"),
        ("what does <system-reminder> mean in a prompt", "what does <system-reminder> mean in a prompt"),
        ("a   wide \t gap", "a wide gap"),
    ],
)  # fmt: skip
def test_envelopes_come_off(given: str, words: str) -> None:
    assert ask(given) == words


@pytest.mark.parametrize(
    "given",
    [
        "<bash-stdout>a b</bash-stdout><bash-stderr></bash-stderr>",
        "<local-command-stdout>ok</local-command-stdout>",
        "<command-name>/model</command-name>",
        "[Request interrupted by user]",
    ],
)
def test_what_is_not_the_users_is_no_ask(given: str) -> None:
    assert ask("first", "done", given) == "first"


def test_the_context_is_the_turns_before_newest_first() -> None:
    turns = [f"turn {i}" for i in range(9)]
    found, context = ask_and_context(conversation(*turns))
    assert found == "turn 8"
    assert context == ("assistant: turn 7", "user: turn 6", "assistant: turn 5", "user: turn 4")
    assert len(context) == MOST_TURNS


def test_turns_of_the_past_are_shorter_than_the_ask() -> None:
    long = "a" * 500 + "b" * 500
    found, context = ask_and_context(conversation(long, long, long))
    assert len(found) > 2 * len(context[0]) and found.endswith("b") and context[0].endswith("b")


@pytest.mark.parametrize(
    ("given", "short"),
    [("a" * 10, "a" * 10), ("a" * 6 + "b" * 5, "aaaaaa ... bbbb")],
    ids=["short enough", "too long"],
)
def test_shortened(given: str, short: str) -> None:
    assert shortened(given, most=10) == short


@pytest.mark.parametrize(
    ("name", "description", "text"),
    [
        ("code generation", "new code", "code generation: new code"),
        ("bug_fixing", "repair  what\n broke", "bug fixing: repair what broke"),
        ("", "new code", "new code"),
        ("codegen", "", "codegen"),
    ],
)
def test_a_preference_as_it_is_read(name: str, description: str, text: str) -> None:
    assert preference_text(name, description) == text


def test_the_context_as_it_is_read() -> None:
    assert context_text(("assistant: done\nnow", "user: go")) == "assistant: done now | user: go"


@pytest.mark.parametrize(
    ("ask_tokens", "context_tokens", "room", "expected"),
    [
        (4, 3, 10, ("0123", "abc")),  # all fits
        (8, 6, 10, ("01234567", "ab")),  # the context gives way, down to a quarter
        (4, 9, 10, ("0123", "abcdef")),  # the context takes what the ask leaves
        (10, 0, 5, ("01289", "")),  # the ask loses its middle
        (10, 9, 8, ("012789", "ab")),  # both
    ],
)
def test_fitted(ask_tokens: int, context_tokens: int, room: int, expected: tuple[str, str]) -> None:
    ask_ids = list(range(ask_tokens))
    found, context = fitted(ask_ids, [ord("a") + i for i in range(context_tokens)], room)
    assert len(found) + len(context) <= room
    assert ("".join(map(str, found)), "".join(map(chr, context))) == expected


def test_spaces_and_tabs_become_one_space_as_soon_as_there_are_two() -> None:
    spelt = ["".join(letters) for count in range(7) for letters in itertools.product(" \ta", repeat=count)]
    assert [ask(f"x{text}x") for text in spelt] == [re.sub(r"[ \t]{2,}", " ", f"x{text}x") for text in spelt]
