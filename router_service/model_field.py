"""Top-level fields of a JSON object, changed in the client's own bytes: everything else stays as it came.

Prompt caches and signatures hang on the exact bytes, so nothing is parsed and written again. How long each value is,
msgspec says; where it reads the body otherwise than we do, or not at all, regular expressions skip whole strings and
brackets (Python 3.11: possessive `++`).
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from router_service.fast_json import dumps

STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_OBJECT = re.compile(rb"\s*+\{\s*+")
_KEY = re.compile(rb"(" + STRING + rb")\s*+:\s*+", re.DOTALL)
_SCALAR = re.compile(STRING + rb"|[^\s,\[\]{}\"]++", re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"\[\]{}]*+(?:' + STRING + rb'[^"\[\]{}]*+)*+([\[\]{}])', re.DOTALL)
_NEXT = re.compile(rb"\s*+(,\s*+|\})")
_MODEL = re.compile(rb'"model"\s*+:\s*+(' + STRING + rb")", re.DOTALL)
_LONG = 32 * 1024  # bytes
_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])  # top-level values as they stand, not read


def replace_model(body: bytes, parsed_model: str, model: str) -> bytes:
    """The body with `model` in place of `parsed_model`, which is what a JSON parser read there.

    The word stands once in most bodies; where no key can be spelt with escapes either, that is the place. A long body
    is sooner measured than looked through for both.
    """
    if len(body) < _LONG and body.count(b'"model"') == 1 and b"\\u006" not in body:
        found = _MODEL.search(body)
        if found and json.loads(found[1]) == parsed_model:
            return body[: found.start(1)] + dumps(model) + body[found.end(1) :]
    return replace_fields(body, {"model": model})


def rename_stream(begun: bytes, model: str) -> bytes:
    """The beginning of a Messages stream, in whose first event the model is called `model`."""
    lines = begun.splitlines(keepends=True)
    return b"".join(_renamed(line, model) if b'"message_start"' in line else line for line in lines)


def replace_fields(body: bytes, changes: Mapping[str, Any]) -> bytes:
    """The body with these top-level fields set, or taken out where the value is None; ValueError if malformed.

    A field that occurs twice is changed twice, for parsers differ in which one they believe. One that does
    not occur is added at the end.
    """
    members = _members(body)
    kept = [member for member in members if changes.get(member.key, member) is not None]
    present = {member.key for member in members}
    added = [
        dumps(key) + b":" + dumps(value) for key, value in changes.items() if value is not None and key not in present
    ]
    written = b"".join(
        body[member.start : member.value]
        + (dumps(changes[member.key]) if member.key in changes else body[member.value : member.end])
        + (body[member.end : member.next] if member is not kept[-1] else b"")
        for member in kept
    )
    start, end = (members[0].start, members[-1].end) if members else (body.index(b"{") + 1,) * 2
    return body[:start] + b",".join([written, *added] if kept else added) + body[end:]


def values(body: bytes, names: Collection[str]) -> dict[str, Any]:
    """What these top-level fields hold, of those that are there; ValueError if malformed."""
    return {member.key: json.loads(body[member.value : member.end]) for member in _members(body) if member.key in names}


def _renamed(line: bytes, model: str) -> bytes:
    found = _MODEL.search(line)
    return line[: found.start(1)] + dumps(model) + line[found.end(1) :] if found else line


@dataclass(slots=True, eq=False)
class _Member:
    """Where a member begins, its value begins and ends, and the next member begins."""

    key: str
    start: int
    value: int
    end: int
    next: int


def _members(body: bytes) -> list[_Member]:
    return _measured(body) or list(_scanned(body))


def _measured(body: bytes) -> list[_Member]:
    """With msgspec's word for how long each value is; none where that does not come out even, as with a key that is
    given twice, of which msgspec tells the last value alone. (What clients send has been refused by then: see
    `request_json`.)"""
    try:
        raw = _RAW.decode(body)
        members, at = [], _match(_OBJECT, body, 0).end()
        for _ in raw:
            members.append(_member(body, at, raw))
            at = members[-1].next
    except (msgspec.MsgspecError, ValueError, KeyError):
        return []
    return members if not body[at:].strip() and len({member.key for member in members}) == len(raw) else []


def _scanned(body: bytes) -> Iterator[_Member]:
    at = _match(_OBJECT, body, 0).end()
    more = not body.startswith(b"}", at)
    while more:
        member = _member(body, at)
        yield member
        at, more = member.next, not body.endswith(b"}", member.end, member.next)


def _member(body: bytes, at: int, raw: Mapping[str, msgspec.Raw] | None = None) -> _Member:
    key = _match(_KEY, body, at)
    name = json.loads(key[1])
    end = _end_of_value(body, key.end()) if raw is None else key.end() + len(memoryview(raw[name]))
    return _Member(name, at, key.end(), end, _match(_NEXT, body, end).end())


def _end_of_value(body: bytes, at: int) -> int:
    if body[at : at + 1] not in (b"{", b"["):
        return _match(_SCALAR, body, at).end()
    depth, at = 1, at + 1
    while depth:
        bracket = _match(_TO_BRACKET, body, at)
        depth += 1 if bracket[1] in b"[{" else -1
        at = bracket.end()
    return at


def _match(pattern: re.Pattern[bytes], body: bytes, at: int) -> re.Match[bytes]:
    found = pattern.match(body, at)
    if found is None:
        raise ValueError(f"not a JSON object at byte {at}")
    return found
