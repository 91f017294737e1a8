"""Values -> JSON without white space, other scripts unescaped: what providers are sent."""

import json
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder()
_SLOWLY = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def encode(value: Any) -> bytes:
    """A whole body. Of characters that were cut in half a question mark is left.

    Ten times as fast as `text`; numbers nearer to 0 than 0.0001, or from 1e16 on, are spelt without zeros or plus in
    their exponents, or without exponents.
    """
    try:
        return _ENCODER.encode(value)
    except UnicodeEncodeError:
        return text(value).encode("utf-8", "replace")


def text(value: Any) -> str:
    """Spelt as Python spells it, with characters that were cut in half as they are."""
    return _SLOWLY.encode(value)
