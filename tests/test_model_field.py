"""Fields changed in the client's own bytes: nothing else moves."""

import json
from typing import Any

import pytest

from router_service.model_field import replace_fields, replace_model

REPLACED: list[tuple[str, str, str]] = [
    ("first", '{"model":"old","x":1}', '{"model":"new","x":1}'),
    ("last", '{"x": 1, "model": "old"}', '{"x": 1, "model": "new"}'),
    ("alone", '{"model":"old"}', '{"model":"new"}'),
    ("white space", ' {\n\t"model"\r\n:  "old" ,\n "x": [ ] }\n', ' {\n\t"model"\r\n:  "new" ,\n "x": [ ] }\n'),
    ("in a tool's schema", '{"tools":[{"properties":{"model":{"type":"string"}}}],"model":"old"}',
     '{"tools":[{"properties":{"model":{"type":"string"}}}],"model":"new"}'),
    ("behind it as well", '{"model":"old","tools":[{"model":"old"}],"x":{"model":"old"}}',
     '{"model":"new","tools":[{"model":"old"}],"x":{"model":"old"}}'),
    ("in a string", r'{"a":"say \"model\":\"old\"","model":"old"}', r'{"a":"say \"model\":\"old\"","model":"new"}'),
    ("at the end of a string", r'{"a":"x\"model","model":"old"}', r'{"a":"x\"model","model":"new"}'),
    ("as a value", '{"a":"model","b":["model"],"model":"old"}', '{"a":"model","b":["model"],"model":"new"}'),
    ("brackets in strings", r'{"a":"}]{[\"","b":{"c":"}"},"model":"old"}',
     r'{"a":"}]{[\"","b":{"c":"}"},"model":"new"}'),
    ("backslashes", r'{"a":"\\","b":["\\\""],"model":"old"}', r'{"a":"\\","b":["\\\""],"model":"new"}'),
    ("twice", '{"model":"other","x":1,"model":"old"}', '{"model":"new","x":1,"model":"new"}'),
    ("escapes in the key", r'{"mod\u0065l":"old","x":1}', r'{"mod\u0065l":"new","x":1}'),
    ("escapes in one of two", r'{"mod\u0065l":"other","model":"old"}', r'{"mod\u0065l":"new","model":"new"}'),
    ("escapes in the value", r'{"model":"\u006fld","x":"ü"}', r'{"model":"new","x":"ü"}'),
    ("quotes in the value", r'{"model":"o\"l,}d","x":1}', r'{"model":"new","x":1}'),
    ("beyond ASCII", '{"a":"grüß 👋","model":"old"}', '{"a":"grüß 👋","model":"new"}'),
    ("numbers and words", '{"a":-1.5e3,"b":null,"c":true,"model":"old","d":0}',
     '{"a":-1.5e3,"b":null,"c":true,"model":"new","d":0}'),
    ("deep", '{"a":' + "[" * 500 + "]" * 500 + ',"model":"old"}', '{"a":' + "[" * 500 + "]" * 500 + ',"model":"new"}'),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), [case[1:] for case in REPLACED], ids=[case[0] for case in REPLACED])
def test_only_the_model_is_replaced(body: str, expected: str) -> None:
    parsed = json.loads(body)["model"]
    assert replace_model(body.encode(), parsed, "new").decode() == expected
    assert replace_fields(body.encode(), {"model": "new"}).decode() == expected


CHANGED: list[tuple[str, str, dict[str, Any], str]] = [
    ("set", '{"a": 1, "b": [2]}', {"b": {"c": None}}, '{"a": 1, "b": {"c":null}}'),
    ("remove the first", '{"a": 1, "b": 2}', {"a": None}, '{"b": 2}'),
    ("remove the middle", '{"a": 1,\n "b": 2,\n "c": 3}', {"b": None}, '{"a": 1,\n "c": 3}'),
    ("remove the last", '{"a": 1, "b": 2 }', {"b": None}, '{"a": 1 }'),
    ("remove the last two", '{"a": 1, "b": 2, "c": 3}', {"b": None, "c": None}, '{"a": 1}'),
    ("remove all", '{ "a": 1, "b": 2 }', {"a": None, "b": None}, "{  }"),
    ("remove twins", '{"a": 1, "b": 2, "a": 3}', {"a": None}, '{"b": 2}'),
    ("remove what is not there", '{"a": 1}', {"b": None}, '{"a": 1}'),
    ("add", '{"a": 1 }', {"b": 2}, '{"a": 1,"b":2 }'),
    ("add to nothing", "{}", {"b": 2, "c": "ü"}, '{"b":2,"c":"ü"}'),
    ("add and remove all", '{"a": 1}', {"a": None, "b": 2}, '{"b":2}'),
    ("false and zero are values", '{"a": 1, "b": 2}', {"a": False, "b": 0}, '{"a": false, "b": 0}'),
    ("a null of the client's stays", '{"a": null, "b": 1}', {"b": 2}, '{"a": null, "b": 2}'),
    ("nothing", '{"a": 1}', {}, '{"a": 1}'),
    ("nothing to nothing", " { } ", {}, " { } "),
]  # fmt: skip


@pytest.mark.parametrize(("body", "changes", "expected"), [c[1:] for c in CHANGED], ids=[c[0] for c in CHANGED])
def test_fields_are_set_and_removed_in_place(body: str, changes: dict[str, Any], expected: str) -> None:
    made = replace_fields(body.encode(), changes).decode()
    assert made == expected
    wanted = json.loads(body) | changes
    assert json.loads(made) == {k: v for k, v in wanted.items() if not (v is None and k in changes)}


@pytest.mark.parametrize("body", ["", "[]", '"model"', "{", '{"a"}', '{"a":1,}', '{"a":[1}', '{"a":"x', "null"])
def test_what_is_no_object_is_a_value_error(body: str) -> None:
    with pytest.raises(ValueError, match="not a JSON object"):
        replace_fields(body.encode(), {"model": "new"})
