"""The steering of replies: what the text of the user asks the simulated model to say.

`@@[{"text": "hi"}]@@` is one turn, `@@[[{"tool": "ls"}], [{"text": "done"}]]@@` two turns of a tool loop. It sits
in the user's own words, so it survives any gateway and any translation. docs/simulate.md has the grammar.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a conversation, in no dialect: its text, whether it calls tools, what tools answered, and its
    images, as base64 or as they are referred to."""

    role: Literal["system", "user", "assistant"]
    text: str = ""
    calls: bool = False
    result: str = ""
    images: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """`turns` are lists of steps; `flaw` says what is wrong with a script that cannot be read."""

    turns: tuple[tuple[Json, ...], ...] = ()
    flaw: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A script, and the text around it."""

    script: Script
    rest: str


@dataclass(frozen=True, slots=True)
class Cue:
    """Where the conversation stands: the steps to play now (none: answer by default) and what led here.

    `route`: what a routing prompt is answered, empty for every other.
    """

    steps: tuple[Json, ...] = ()
    question: str = ""
    result: str = ""
    turn: int = 0
    flaw: str = ""
    digest: str = ""
    route: str = ""


OPENING = re.compile(r"@@\s*(?=[\[{\"])")
CLOSING = re.compile(r"\s*@@")
REMINDER = re.compile(r"<system-reminder>.*?(?:</system-reminder>|\Z)", re.DOTALL)
STEP_KEYS = frozenset(
    (
        "text",
        "digest",
        "thinking",
        "tool",
        "input",
        "arguments",
        "id",
        "chunks",
        "bytes",
        "delay_ms",
        "refuse",
        "stop",
        "usage",
    )
)


def cue(conversation: Sequence[Said]) -> Cue:
    """The script rules from the message that holds it until the assistant answers without calling a tool."""
    result = conversation[-1].result if conversation else ""
    start = last_prompt(conversation)
    if start < 0:
        return Cue(result=result)
    question = own_words(conversation[start].text)
    turn = tool_turns(conversation[start + 1 :])
    found = find(question)
    if found is None:
        return Cue((), question, result, turn)
    turns = found.script.turns
    steps = turns[turn] if turn < len(turns) else ()
    recited = digest(conversation) if any(step.get("digest") for step in steps) else ""
    return Cue(steps, found.rest, result, turn, found.script.flaw, recited)


def digest(conversation: Sequence[Said]) -> str:
    """A checksum of all words, results of tools and images, the system prompt's left out: 32 hexadecimal digits.

    The same in every dialect: how texts are spread over messages and blocks, and white space, make no difference.
    """
    told = (
        (kind, piece)
        for said in conversation
        if said.role != "system"
        for kind, piece in (("result", said.result), (said.role, said.text), *(("image", one) for one in said.images))
        if piece
    )
    sum_of = hashlib.blake2b(digest_size=16)
    for kind, pieces in groupby(told, key=lambda one: one[0]):
        sum_of.update(f"\0{kind}\0".encode())
        for _, piece in pieces:
            sum_of.update("".join(piece.split()).encode("utf-8", "surrogatepass"))
    return sum_of.hexdigest()


def last_prompt(conversation: Sequence[Said]) -> int:
    """Index of the message that opened the present tool loop; -1 when nobody asked anything.

    User messages that follow an assistant's final words belong together: the last with words of its own counts,
    or the last with a script.
    """
    answered = max(
        (index for index, said in enumerate(conversation) if said.role == "assistant" and not said.calls),
        default=-1,
    )
    asked = [
        index
        for index in range(answered + 1, len(conversation))
        if conversation[index].role == "user" and own_words(conversation[index].text)
    ]
    scripted = [index for index in asked if find(own_words(conversation[index].text))]
    return (scripted or asked or [-1])[-1]


def tool_turns(conversation: Sequence[Said]) -> int:
    """Assistant turns that called tools; messages of one role in a row are one turn."""
    spoken = (said for said in conversation if said.role != "system")
    return sum(role == "assistant" for role, _ in groupby(spoken, key=lambda said: said.role))


def own_words(text: str) -> str:
    return REMINDER.sub("", text).strip()


def find(words: str) -> Found | None:
    """The last script in the text. Diff hunks (`@@ -1,3 +1,4 @@`) are none; broken JSON is a flawed one."""
    flawed: Found | None = None
    for opening in reversed(list(OPENING.finditer(words))):
        try:
            value, end = json.JSONDecoder().raw_decode(words, opening.end())
        except ValueError as error:
            flawed = flawed or Found(Script(flaw=str(error)), words)
            continue
        if closing := CLOSING.match(words, end):
            rest = words[: opening.start()] + words[closing.end() :]
            return Found(parse(value), rest.strip())
    return flawed


def parse(value: Any) -> Script:
    turns = value if isinstance(value, list) and value and isinstance(value[0], list) else [value]
    script = Script(tuple(tuple(steps(turn)) for turn in turns))
    unknown = {key for turn in script.turns for step in turn for key in step} - STEP_KEYS
    return Script(flaw=f"unknown step {', '.join(sorted(unknown))}") if unknown else script


def steps(turn: Any) -> list[Json]:
    listed = turn if isinstance(turn, list) else [turn]
    return [step if isinstance(step, dict) else {"text": str(step)} for step in listed]
