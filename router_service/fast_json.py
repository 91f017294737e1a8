"""JSON as fast as it goes, for what comes and goes with every request; read and written as the standard library does.

What msgspec will not have (NaN, numbers beyond a float, half characters, a mark of the byte order), the standard
library itself reads and writes, and says what is wrong where it will not either.
"""

import json
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_SLOWLY = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def loads(said: bytes | str) -> Any:
    """What `json.loads` gives. Raises ValueError; RecursionError where it is nested too deeply."""
    try:
        return _decode(said)
    except (msgspec.MsgspecError, UnicodeError):
        return json.loads(said)


def dumps(value: Any) -> bytes:
    """Compact, and in UTF-8; half a character is a question mark. Two things the standard library writes otherwise: the
    exponent of a very large or very small float, which is the same number, and NaN, which is null here.
    """
    try:
        return _encode(value)
    except (UnicodeError, TypeError, OverflowError):
        return text(value).encode("utf-8", "replace")


def text(value: Any) -> str:
    """Spelt as Python spells it, ten times as slowly, with characters that were cut in half as they are."""
    return _SLOWLY.encode(value)
