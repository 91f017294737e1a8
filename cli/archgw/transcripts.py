"""Claude Code's transcripts: their lines in, the user's turns out, with what models answered and used. No I/O.

A transcript holds one JSON object a line. Lines that have a uuid hang together by parentUuid, as a tree: whoever goes
back and asks again begins a branch. What a turn asks is read by the gateway's own rules from the branch that leads to
it. One answer of a model stands in several lines with the same message.id, each with the usage of the whole. A
subagent has a file of its own (in older versions lines between those of its parent, with isSidechain), and a session
that is taken up again may repeat another file. Shapes as written by Claude Code 2.1.197 and 2.1.330 in November 2026.
"""

import json
import re
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any

from router_service import intent
from router_service.asks import MOST_TURNS, turns, user_words
from router_service.conversation import BadRequest, Conversation, Json, Message, Text, Usage
from router_service.dialects import DIALECTS
from router_service.dialects.anthropic.reply import parse_usage

# Claude Code's own words for what was typed while a tool ran; in the transcript only the user's stand.
_QUEUED = "The user sent a new message while you were working:\n"
_COMMAND = ("<command-name>", "<command-message>")
_NOBODY = "<synthetic>"  # the model of lines that Claude Code answered by itself
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BadLine(ValueError):
    """A line that is none of a transcript. Its text says why, and none of the line's own words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of a model, whole: by what name it went, its tokens, and when it ended."""

    model: str
    usage: Usage
    at: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """What was asked, by the user or by an agent of its subagent, and who answered until the next turn.

    `thread` is the session, and the agent in it; `requested` is the model that the client asked for.
    """

    at: datetime
    thread: str
    ask: str
    context: tuple[str, ...]
    requested: str = ""
    answers: tuple[Answer, ...] = ()
    subagent: bool = False


@dataclass(slots=True)
class _Open:
    """A turn whose answers are still being read, by message.id."""

    turn: Turn
    requested: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Said:
    id: str
    message: Message


@dataclass(frozen=True, slots=True)
class _Node:
    """A line that others hang on: the last words of its branch, the turn that it belongs to, and its thread."""

    said: tuple[_Said, ...] = ()
    turn: str = ""
    agent: str = ""
    sidechain: bool = False
    command: bool = False


class History:
    """All transcripts together. What two of them repeat is there once."""

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def transcript(self) -> "Transcript":
        return Transcript(self._open)

    def turns(self) -> list[Turn]:
        """The oldest first."""
        found = [
            replace(one.turn, requested=one.requested, answers=tuple(one.answers.values()))
            for one in self._open.values()
        ]
        return sorted(found, key=lambda turn: turn.at)


class Transcript:
    """One file, line by line."""

    def __init__(self, found: dict[str, _Open]) -> None:
        self._found = found
        self._nodes: dict[str, _Node] = {}

    def feed(self, line: bytes) -> None:
        """Raises BadLine; the next line may be fed nevertheless."""
        entry = _entry(line)
        uuid = entry.get("uuid")
        if not isinstance(uuid, str):
            return  # what Claude Code keeps beside the conversation: modes, queues, requests as they were sent
        node = self._before(entry, uuid)
        self._nodes[uuid] = node
        match entry.get("type"):
            case "user":
                self._nodes[uuid] = self._asked(entry, uuid, _message(entry, "user"), node)
            case "assistant":
                self._nodes[uuid] = self._answered(entry, uuid, _message(entry, "assistant"), node)
            case "attachment" if prompt := _queued(entry):
                self._nodes[uuid] = self._asked(entry, uuid, Message("user", (Text(_QUEUED + prompt),)), node)

    def _before(self, entry: Json, uuid: str) -> _Node:
        """What this line inherits. After a compaction the branch begins anew, within the same turn."""
        sidechain = entry.get("isSidechain") is True
        parent = self._nodes.get(str(entry.get("parentUuid")))
        if parent and parent.sidechain == sidechain:
            return _Node(parent.said, parent.turn, parent.agent, sidechain)
        cut = self._nodes.get(str(entry.get("logicalParentUuid")), _Node())
        agent = str(entry.get("agentId") or (uuid if sidechain else ""))
        return _Node((), "" if sidechain else cut.turn, agent, sidechain)

    def _asked(self, entry: Json, uuid: str, message: Message, before: _Node) -> _Node:
        words = user_words(message)
        said = (*before.said, _Said("", message))[-MOST_TURNS - 1 :] if words else before.said
        node = _Node(said, before.turn, before.agent, before.sidechain, _is_command(message))
        parent = self._nodes.get(str(entry.get("parentUuid")), _Node())
        of_its_own = entry.get("isMeta") is True and not parent.command  # what a slash command expands to is an ask
        if not words or of_its_own or entry.get("isCompactSummary") is True:
            return node
        read = intent.read(
            Conversation(model="", messages=tuple(one.message for one in said)),
            {"x-claude-code-agent-id": before.agent},
        )
        if read.kind != "user turn":
            return node
        thread = f"{entry.get('sessionId') or ''}/{before.agent}"
        earlier = self._found.get(before.turn)  # what waited in the queue keeps the time at which it was typed
        at = max(_time(entry), earlier.turn.at) if earlier else _time(entry)
        turn = Turn(at, thread, read.ask, read.context, subagent=read.subagent)
        key = "\0".join((str(entry.get("timestamp") or uuid), before.agent, read.ask))
        self._found.setdefault(key, _Open(turn))
        return _Node(said, key, before.agent, before.sidechain)

    def _answered(self, entry: Json, uuid: str, message: Message, before: _Node) -> _Node:
        told: Json = entry["message"]
        model, id = str(told.get("model") or ""), str(told.get("id") or uuid)
        if model in ("", _NOBODY):
            return before
        turn = self._found.get(before.turn)
        if turn:
            turn.requested = turn.requested or str(entry.get("requestedModel") or model)
            known = turn.answers[id].usage if id in turn.answers else Usage()
            turn.answers[id] = Answer(model, _most(known, parse_usage(told.get("usage"))), _time(entry))
        return _Node(_joined(before.said, _Said(id, message)), before.turn, before.agent, before.sidechain)


def _entry(line: bytes) -> Json:
    try:
        entry = json.loads(line)
        if _SURROGATE.search(line):  # of characters that were cut in half a question mark is left
            entry = json.loads(json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace"))
    except json.JSONDecodeError as error:
        raise BadLine(f"not JSON: {error.msg} at column {error.colno}") from None
    except UnicodeDecodeError:
        raise BadLine("not text in UTF-8") from None
    except (RecursionError, ValueError):
        raise BadLine("nested too deeply, or a number too long") from None
    if not isinstance(entry, dict):
        raise BadLine("not a JSON object")
    return entry


def _message(entry: Json, role: str) -> Message:
    found = entry.get("message")
    if not isinstance(found, dict) or found.get("role") != role:
        raise BadLine(f"no message of {'an' if role == 'assistant' else 'a'} {role} where one belongs")
    try:
        (message,) = DIALECTS["anthropic_messages"].parse_request({"model": "-", "messages": [found]}).messages
    except BadRequest:
        raise BadLine("not a message as Anthropic's are") from None
    return message


def _queued(entry: Json) -> str:
    """What the user typed while a tool ran; notices of tasks come the same way."""
    attachment = entry.get("attachment")
    if not isinstance(attachment, dict) or attachment.get("type") != "queued_command":
        return ""
    prompt = attachment.get("prompt")
    if isinstance(prompt, list):
        prompt = "\n".join(str(part.get("text") or "") for part in prompt if isinstance(part, dict))
    return prompt if isinstance(prompt, str) and attachment.get("commandMode", "prompt") == "prompt" else ""


def _is_command(message: Message) -> bool:
    return any(part.text.lstrip().startswith(_COMMAND) for part in message.parts if isinstance(part, Text))


def _joined(said: tuple[_Said, ...], new: _Said) -> tuple[_Said, ...]:
    """The lines of one answer are one message, as the gateway sees it; what says nothing is left out."""
    if said and said[-1].id == new.id:
        return (*said[:-1], _Said(new.id, Message("assistant", (*said[-1].message.parts, *new.message.parts))))
    speaks = any(turns(Conversation(model="", messages=(new.message,))))
    return (*said, new)[-MOST_TURNS - 1 :] if speaks else said


def _most(one: Usage, other: Usage) -> Usage:
    """Of the lines of one answer the first may have been written before its end."""
    names = [field.name for field in fields(Usage)]
    return Usage(**{name: max(getattr(one, name) or 0, getattr(other, name) or 0) for name in names})


def _time(entry: dict[str, Any]) -> datetime:
    try:
        at = datetime.fromisoformat(str(entry.get("timestamp")))
    except ValueError:
        return _LONG_AGO
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if 1970 <= at.year < 2200 else _LONG_AGO
