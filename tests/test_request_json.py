"""Bodies are read by another parser first: it must read what ours reads, and leave to ours what it would not refuse."""

import json
from typing import Any

import pytest

from router_service import request_json
from router_service.config import Limits
from router_service.conversation import BadRequest
from router_service.fast_json import dumps, text

FILLER = "x" * 20_000  # with which a body is so long that its keys are counted otherwise
READ: dict[str, str] = {
    "numbers": '"a":[0,-0,-0.0,1.5,1E5,1e-7,12345678901234567890123,-9223372036854775809]',
    "words": '"a":[true,false,null,"",{},[]]',
    "escapes": r'"a":"\u00e9\ud83d\ude00\/\b\f\n\r\t\"\\","b\u0065":1',
    "JSON within a string": r'"a":"{\"b\": 1, \"b\": 2, \"c\" : \"\\\"d\\\":\"}"',
    "a string that begins with a colon": '"a":":b","c":" :d"',
    "a key that ends with a backslash": r'"a\\":1,"b\"":2,"c\\\"":3',
    "white space before colons": '"a" :1,"b"\n:2,"c" \t :3',
    "half of a character": r'"a":"\ud83d","b":"\ude00\ud83d"',
}
REFUSED: dict[str, str] = {
    "twice": '"a":1,"b":2,"a":3',
    "twice, before white space": '"a":1,"b":2,"a" \n:3',
    "twice, once with escapes": r'"a":1,"\u0061":3',
    "twice, deep within": '"a":[{"b":{"c":1,"c":1}}]',
    "twice, behind a backslash": r'"a\\":1,"a\\":2',
    "twice, beside a key within a string": r'"a":1,"a":2,"b":"\\\":"',
    "NaN": '"a":NaN',
    "more than a number can be": '"a":1e999',
    "a zero that leads": '"a":01',
    "a bare line end": '"a":"\n"',
    "no end": '"a":[1',
    "too deep": '"a":' + "[" * 300 + "]" * 300,
}


@pytest.mark.parametrize("members", READ.values(), ids=READ.keys())
def test_long_and_short_bodies_are_read_as_ours_reads_them(members: str) -> None:
    for body in (f"{{{members}}}", f'{{{members},"filler":"{FILLER}"}}'):
        assert repr(read(body)) == repr(request_json._strictly(body.encode(), Limits()))


@pytest.mark.parametrize("members", REFUSED.values(), ids=REFUSED.keys())
def test_long_and_short_bodies_are_refused_alike(members: str) -> None:
    refusals = []
    for body in (f"{{{members}}}", f'{{{members},"filler":"{FILLER}"}}'):
        with pytest.raises(BadRequest) as refused:
            read(body)
        refusals.append(refused.value.message)
    assert refusals[0].partition("line")[0] == refusals[1].partition("line")[0]


def test_what_agents_send_is_read_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": f'{FILLER} {{"a": 1}} : "b"'}] * 3, "tools": []}
    monkeypatch.setattr(request_json, "_strictly", lambda body, most: pytest.fail("read the slow way"))
    for written in (json.dumps(body), json.dumps(body, separators=(",", ":")), json.dumps(body, indent=1)):
        assert read(written) == body


WRITTEN: dict[str, Any] = {
    "letters": 'naïve 你好 \x7f \x1b \u2028 "q" \\ / \n\r\t\b\f',
    "values": {"a": [1, -0.0, 1.5, 10**30, True, None, {}, []]},
    "half of a character": "\ud83d half",
}


@pytest.mark.parametrize("value", WRITTEN.values(), ids=WRITTEN.keys())
def test_what_is_written_fast_is_what_python_writes(value: Any) -> None:
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    assert dumps(value) == written.encode("utf-8", "replace")
    assert text(value) == written


def read(body: str) -> dict[str, Any]:
    return request_json.read(body.encode(), Limits())
