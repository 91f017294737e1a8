"""Bytes -> the JSON object of a request, read strictly: what two parsers may read differently is refused, in words."""

import json
import math
import re
from typing import Any

from router_service import limits
from router_service.config import Limits
from router_service.conversation import BadRequest

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
_SHOWN = 40  # characters of a key or a number in a message


def read(body: bytes, most: Limits) -> dict[str, Any]:
    """The object; of characters that were cut in half (JavaScript does it to an emoji) a question mark is left.

    Raises BadRequest.
    """
    limits.check_size(most, body)
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


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_int=_whole, parse_float=_broken)
