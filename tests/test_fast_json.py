"""The fast JSON is the standard library's JSON."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_service.fast_json import dumps, loads

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
TEXTS = {
    "NaN": b"[NaN, -Infinity]",
    "beyond a float": b"[1e400, -1e400]",
    "beyond 64 bits": b"[18446744073709551616, -9223372036854775809]",
    "minus zero": b"[-0, -0.0]",
    "half a character": rb'"\ud800"',
    "half a character, as bytes": b'"\xed\xa0\x80"',
    "half a character in a name": rb'{"\ud800": 1}',
    "a mark of the byte order": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a name twice": b'{"a": 1, "b": 2, "a": 3}',
    "names by escapes": rb'{"\u0075sage": 1}',
    "a NUL": rb'"\u0000"',
}
BROKEN = (b"", b"{", b"[1,]", b"01", b"1.", b"{} x", b"'a'", b'"\x01"', b'"\xff"', b"nul", b'{"a" 1}', b"{1: 2}")


def standard(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


@given(VALUES)
def test_what_is_written_is_read_as_it_was(value: Any) -> None:
    assert (
        repr(loads(json.dumps(value).encode())) == repr(loads(json.dumps(value))) == repr(json.loads(json.dumps(value)))
    )


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda one: st.lists(one) | st.dictionaries(st.text(), one),
    )
)
def test_it_is_written_to_the_byte_as_by_the_standard_library(value: Any) -> None:
    assert dumps(value) == standard(value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_written_as_the_same_number(value: float) -> None:
    assert json.loads(dumps(value)) == value


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_is_odd_is_read_as_by_the_standard_library(text: bytes) -> None:
    assert repr(loads(text)) == repr(json.loads(text))


@pytest.mark.parametrize("text", BROKEN, ids=repr)
def test_what_is_broken_is_refused_in_the_same_words(text: bytes) -> None:
    with pytest.raises(ValueError) as ours:
        loads(text)
    with pytest.raises(ValueError) as theirs:
        json.loads(text)
    assert str(ours.value) == str(theirs.value)


def test_what_is_nested_too_deeply_is_told_as_that() -> None:
    with pytest.raises(RecursionError):
        loads(b"[" * 100_000 + b"]" * 100_000)


def test_what_is_no_number_is_nothing() -> None:
    assert dumps([math.nan, math.inf]) == b"[null,null]"


def test_what_only_the_standard_library_writes_is_written_by_it() -> None:
    class Word(str):
        __slots__ = ()

    assert dumps({"a": Word("b"), None: 1}) == standard({"a": Word("b"), None: 1})
