"""What an LLM that routes is told, and how its answer is read."""

import json
import re
from dataclasses import replace

import pytest
from dialogue import gateway_of

from router_service.route_prompt import chosen, messages, refused

ROUTES = gateway_of().plan.routes


def test_the_routes_and_the_conversation_are_json_in_their_tags() -> None:
    (message,) = messages(ROUTES, "same for the other", ["assistant: parser done", "user: write a parser"])
    found = {tag: re.search(rf"<{tag}>\n(.*)\n</{tag}>", message["content"]) for tag in ("routes", "conversation")}
    routes, said = (json.loads(part[1]) for part in found.values() if part)
    assert routes == [{"name": route.name, "description": route.description} for route in ROUTES]
    assert said == [
        {"role": "user", "content": "write a parser"},
        {"role": "assistant", "content": "parser done"},
        {"role": "user", "content": "same for the other"},
    ]


@pytest.mark.parametrize("form", ['{{"route": "{}"}}', "{{'route': '{}'}}", 'So: ```json\n{{"route" : "{}"}}\n```'])
def test_the_answer_names_a_route(form: str) -> None:
    assert chosen(form.format(ROUTES[0].name), ROUTES) is ROUTES[0]
    assert chosen(form.format(ROUTES[0].name.upper()), ROUTES) is ROUTES[0]
    assert chosen(form.format("other"), ROUTES) is None


@pytest.mark.parametrize(
    ("configured", "called"),
    [
        (["other"], ["preference other"]),
        (["Other", "docs"], ["preference Other", "docs"]),
        (["preference other", "other"], ["preference other", "preference preference other"]),
        (["other", "preference other"], ["preference other", "preference preference other"]),
    ],
)
def test_a_preference_that_is_called_as_none_is_goes_by_another_name(configured: list[str], called: list[str]) -> None:
    routes = [replace(ROUTES[0], id=name, name=name) for name in configured]
    told = re.findall(r'"name": "([^"]*)"', messages(routes, "hi", ())[0]["content"])
    assert told == called
    assert [chosen(json.dumps({"route": name}), routes) for name in called] == routes
    assert chosen('{"route": "other"}', routes) is None


@pytest.mark.parametrize(
    "form",
    [
        '<think>docs? {{"route": "{other}"}} no</think>{{"route": "{meant}"}}',
        'docs? {{"route": "{other}"}} no</think>\n{{"route": "{meant}"}}',
        '<thinking>{{"route": "{other}"}}</thinking><think>x</think>{{"route": "{meant}"}}',
        '{{"route": "{other}"}}. No: {{"route": "{meant}"}}',
        '{{"route": "{meant}"}}<think>or {{"route": "{other}"}}',
    ],
    ids=["thinking", "its beginning missing", "twice", "corrected", "its end missing"],
)
def test_the_last_route_outside_of_thinking_is_meant(form: str) -> None:
    assert chosen(form.format(other=ROUTES[0].name, meant=ROUTES[1].name), ROUTES) is ROUTES[1]


def test_thinking_that_was_cut_off_is_no_answer() -> None:
    with pytest.raises(ValueError, match="no route in the answer"):
        chosen(f'<think>{{"route": "{ROUTES[0].name}"}} fits, or', ROUTES)


@pytest.mark.parametrize(
    ("status", "keyed", "words"),
    [
        (401, True, "401: its key was refused"),
        (403, False, "403: it wants a key"),
        (503, True, "503"),
        (307, False, "307"),
    ],
)
def test_a_status_that_is_no_answer_is_told(status: int, keyed: bool, words: str) -> None:
    assert refused(status, keyed=keyed) == words


def test_a_name_with_quotes_is_understood_as_json_writes_it() -> None:
    named = replace(ROUTES[0], name='say "why" \\ é')
    assert chosen(json.dumps({"route": named.name}), [named]) is named


@pytest.mark.parametrize("answer", ['{"route": "\\x"}', "", "code generation", '{"route": "made up"}', '{"route": 3}'])
def test_an_answer_of_no_use(answer: str) -> None:
    with pytest.raises(ValueError, match="route"):
        chosen(answer, ROUTES)
