"""Bytes -> the JSON object of a request, read strictly: what two parsers may read differently is refused, in words.

It is read by msgspec, in half the time, where it is certain that ours would read the same: msgspec takes nothing that
ours refuses but a key that is given twice, and so the keys are counted. All else is ours to read, and to find words
for.
"""

import json
import math
import re
from typing import Any

import msgspec
import numpy as np

from router_service import limits
from router_service.config import Limits
from router_service.conversation import BadRequest

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_LONG = 16_384  # bytes from which on numpy counts faster than a regular expression
# A colon behind a quote, unless that is surely an escaped one; or behind white space that follows one, or follows more.
_KEY_ENDS = re.compile(rb':(?:(?<=":)(?<!(?<!\\)\\":)|(?<=[" \t\n\r][ \t\n\r]:))')
_SHOWN = 40  # characters of a key or a number in a message


def read(body: bytes, most: Limits) -> dict[str, Any]:
    """The object; of characters that were cut in half (JavaScript does it to an emoji) a question mark is left.

    Raises BadRequest.
    """
    limits.check_size(most, body)
    return _quickly(body, most) or _strictly(body, most)


def _quickly(body: bytes, most: Limits) -> dict[str, Any] | None:
    """None where it is not certain that the other way would come to the same."""
    try:
        parsed = _MSGSPEC.decode(body)
        if not isinstance(parsed, dict):
            return None
        members = limits.check_shape(most, parsed)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # BadRequest, too: there may be worse to tell
        return None
    return parsed if members == _most_keys(body) else None


def _most_keys(body: bytes) -> int:
    """As many keys as a valid JSON object may have, and hardly ever more than it has: see `_KEY_ENDS`."""
    if len(body) < _LONG:
        return len(_KEY_ENDS.findall(body))
    letters = np.frombuffer(body, np.uint8)
    colons = np.flatnonzero(letters == _COLON)
    before, second, third = (letters[colons - back] for back in (1, 2, 3))
    escaped = (before == _QUOTE) & (second == _BACKSLASH) & (third != _BACKSLASH)
    spaced = (before <= _SPACE) & ((second == _QUOTE) | (second <= _SPACE))
    return int(np.count_nonzero(((before == _QUOTE) & ~escaped) | spaced))


def _strictly(body: bytes, most: Limits) -> dict[str, Any]:
    try:
        parsed = _DECODER.decode(body.decode())
        if isinstance(parsed, dict):
            limits.check_shape(most, parsed)
        if _SURROGATE.search(body):
            parsed = json.loads(json.dumps(parsed, ensure_ascii=False).encode("utf-8", "replace"))
    except BadRequest:
        raise
    except RecursionError as error:
        raise limits.too_deep(most) from error
    except ValueError as error:
        raise BadRequest(f"the request body is not valid JSON: {_flaw(body, error)}") from error
    if not isinstance(parsed, dict):
        raise BadRequest(f"the request body must be a JSON object, not {type(parsed).__name__}")
    return parsed


def _flaw(body: bytes, error: ValueError) -> str:
    if body.startswith(_BOMS):
        return "it begins with a byte order mark; send UTF-8 without one"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is no UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno} column {error.colno}: {error.msg}"
    return str(error)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that is given twice one parser takes the first value, another the last."""
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"the request body gives {json.dumps(twice[:_SHOWN])} twice in one object; give it once")
    return found


def _constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON number")


def _whole(digits: str) -> int:
    try:
        return int(digits)
    except ValueError as error:  # Python reads 4300 digits
        raise ValueError(f"a number of {len(digits):,} digits, {digits[:_SHOWN]}...") from error


def _broken(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):  # which no JSON can say again
        raise ValueError(f"{digits[:_SHOWN]} is more than a number can be")
    return number


_COLON, _QUOTE, _BACKSLASH, _SPACE = b':"\\ '
_MSGSPEC = msgspec.json.Decoder()
_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole, parse_float=_broken)
