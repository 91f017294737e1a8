"""A drill without processes: what a strict client makes of bytes, that what is lost is found, and the page about it."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from archgw.drill import page, text
from archgw.drill.bars import axis_of, bar
from archgw.drill.findings import Chain, Findings, Row, Try, lines, spans, with_tries, worst
from archgw.drill.leads import by_name, find, leads
from archgw.drill.reading import CLIENTS, Reading, has_content, read
from archgw.drill.spending import at_most
from archgw.drill.verdict import Seen, judge
from dialogue import (
    A_CLOSE,
    A_DELTA,
    A_ERROR,
    A_OPEN,
    A_START,
    A_STOP,
    A_TEXT,
    ANTHROPIC_EVENTS,
    CLAUDE,
    GPT,
    O_DONE,
    O_ERROR,
    O_FINISH,
    O_ROLE,
    O_TEXT,
    OPENAI_EVENTS,
    STREAM,
    THREE,
    anthropic_event,
    anthropic_message,
    exchange_of,
    gateway_of,
    openai_chunk,
    openai_completion,
    plan_of,
    sent,
)

from router_service.attempt import Attempt
from router_service.events import RequestHeaders, ResponseBody
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.judging import Judge, Judgement
from router_service.plan import Candidate

ANTHROPIC, OPENAI = CLIENTS["anthropic"], CLIENTS["openai"]
SSE = "text/event-stream; charset=utf-8"
PING = b": ping\n\n"
OTHER = openai_chunk({"content": "hi"}, id="chatcmpl-2")


def read_stream(client: str, *events: bytes) -> Reading:
    return read(CLIENTS[client], status=200, kind=SSE, body=b"".join(events), streamed=True)


@pytest.mark.parametrize(
    ("client", "events"),
    [("anthropic", ANTHROPIC_EVENTS), ("openai", OPENAI_EVENTS), ("openai", (O_ROLE, O_TEXT, O_FINISH, O_DONE))],
)
def test_a_whole_stream_is_whole(client: str, events: tuple[bytes, ...]) -> None:
    assert read_stream(client, PING, *events) == Reading("hi", complete=True)
    crlf = b"".join(events).replace(b"\n", b"\r\n")
    assert read_stream(client, crlf) == Reading("hi", complete=True)


@pytest.mark.parametrize(
    ("client", "events"),
    [
        ("anthropic", ANTHROPIC_EVENTS[:-1]),
        ("anthropic", ANTHROPIC_EVENTS[:3]),
        ("anthropic", (*ANTHROPIC_EVENTS[:-1], A_STOP[:-1])),
        ("anthropic", ()),
        ("openai", OPENAI_EVENTS[:-1]),
        ("openai", OPENAI_EVENTS[:2]),
        ("openai", (*OPENAI_EVENTS[:-1], O_DONE[:-1])),
    ],
)
def test_a_stream_without_its_end_is_not(client: str, events: tuple[bytes, ...]) -> None:
    reading = read_stream(client, *events)
    assert not reading.complete and not reading.error
    assert judge(seen(), reading, {}).verdict == "LOST"


@pytest.mark.parametrize(
    ("client", "events", "flaw"),
    [
        ("anthropic", (A_START, *ANTHROPIC_EVENTS), "a second message_start"),
        ("anthropic", ANTHROPIC_EVENTS[1:], "content_block_start before message_start"),
        ("anthropic", (A_START, A_OPEN, A_OPEN), "a block begins inside another"),
        ("anthropic", (A_START, A_TEXT), "a piece of a block that is not open"),
        ("anthropic", (A_START, A_CLOSE), "the end of a block that is not open"),
        ("anthropic", (A_START, A_OPEN, A_TEXT, A_DELTA, A_STOP), "message_stop inside a block"),
        ("anthropic", (A_START, A_OPEN, A_TEXT, A_CLOSE, A_STOP), "message_stop without a stop reason"),
        ("anthropic", (A_START, A_OPEN, A_TEXT, A_CLOSE, A_OPEN), "block 0 where 1 is due"),
        ("anthropic", (*ANTHROPIC_EVENTS, A_TEXT), "content_block_delta after the end"),
        ("anthropic", (A_START, A_ERROR, A_OPEN), "content_block_start after the end"),
        ("anthropic", (A_START, b"event: message_stop\ndata: {nonsense\n\n"), "an event that is not JSON"),
        ("anthropic", (anthropic_event("message_end"),), "an event of the unknown type message_end"),
        ("anthropic", (A_START.replace(b"event: message_start\n", b""),), "an event without a name of type"),
        ("openai", (O_ROLE, O_TEXT, OTHER), "chunks with another id"),
        ("openai", (O_ROLE, openai_chunk({"content": "x"}, model="n")), "chunks with another model"),
        ("openai", (O_ROLE, O_TEXT, O_FINISH, O_TEXT), "words after the finish_reason"),
        ("openai", (O_ROLE, O_TEXT, O_FINISH, O_FINISH), "a second finish_reason"),
        ("openai", (O_ROLE, O_TEXT, O_DONE), "[DONE] without a finish_reason"),
        ("openai", (*OPENAI_EVENTS, O_TEXT), "something after [DONE]"),
        ("openai", (O_ROLE, O_ERROR, O_TEXT), "a chunk after the error"),
        ("openai", (b"data: {}\n\n",), "a chunk without choices"),
    ],
)
def test_what_no_client_should_see_is_a_flaw(client: str, events: tuple[bytes, ...], flaw: str) -> None:
    reading = read_stream(client, *events)
    assert flaw in "; ".join(reading.flaws)
    assert judge(seen(), reading, {}).verdict == "LOST"


@pytest.mark.parametrize(
    ("client", "events"), [("anthropic", (*ANTHROPIC_EVENTS[:3], A_ERROR)), ("openai", (O_ROLE, O_TEXT, O_ERROR))]
)
def test_an_error_event_is_told(client: str, events: tuple[bytes, ...]) -> None:
    reading = read_stream(client, *events)
    assert reading == Reading("hi", error="too many")
    judged = judge(seen(), reading, {"a": "hi there"})
    assert (judged.verdict, judged.saw) == ("told", "an error event after its first words: too many")


@pytest.mark.parametrize(
    ("client", "status", "body", "reading"),
    [
        ("anthropic", 200, anthropic_message({"type": "text", "text": "hi"}), Reading("hi", complete=True)),
        ("openai", 200, openai_completion(), Reading("hi", complete=True)),
        ("anthropic", 200, {"content": "hi"}, Reading(flaws=("a body that is no message",))),
        ("openai", 200, {"choices": []}, Reading(flaws=("a body that is no completion",))),
        ("openai", 200, b'{"choices": [', Reading(flaws=("a 200 whose body is not JSON",))),
        ("openai", 503, {"error": {"message": "down"}}, Reading(error="down")),
        ("anthropic", 500, b"", Reading(flaws=("an error without words",))),
        ("anthropic", 500, {"error": {}}, Reading(flaws=("an error without words",))),
    ],
)
def test_whole_answers_and_errors(client: str, status: int, body: Any, reading: Reading) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert read(CLIENTS[client], status=status, kind="application/json", body=raw, streamed=False) == reading


def test_an_answer_that_should_be_a_stream_and_is_none_is_a_flaw() -> None:
    body = json.dumps(anthropic_message({"type": "text", "text": "hi"})).encode()
    reading = read(ANTHROPIC, status=200, kind="application/json", body=body, streamed=True)
    assert reading.flaws == ("a stream of the type application/json",)


def test_content_is_words_not_the_beginning_of_a_stream() -> None:
    assert not has_content(ANTHROPIC, A_START + A_OPEN) and not has_content(OPENAI, O_ROLE)
    assert not has_content(ANTHROPIC, A_START + A_OPEN + A_TEXT[:-1])
    assert has_content(ANTHROPIC, A_START + A_OPEN + A_TEXT) and has_content(OPENAI, O_ROLE + O_TEXT)


# -- verdicts ------------------------------------------------------------------------------------------------------


SAYS = {"a": "simulated a: hello", "b": "simulated b: hello"}


def seen(ending: Any = "whole", status: int = 200, model: str = "a", seconds: float = 1.0) -> Seen:
    return Seen(ending, status, {"x-arch-model": model}, seconds=seconds)


@pytest.mark.parametrize(
    ("what", "reading", "verdict", "saw"),
    [
        (seen(), Reading("simulated a: hello", complete=True), "nothing lost", "one clean answer by a"),
        (seen(model="c"), Reading("whatever", complete=True), "nothing lost", "one clean answer by c"),
        (seen(status=503), Reading(error="down"), "told", "503: down"),
        (seen("refused", 0), Reading(), "cut off", "no connection"),
        (seen("broken"), Reading("simulated a:"), "cut off", "the connection broke in the middle of the answer"),
        (seen("broken", 0), Reading(), "cut off", "the connection broke before any answer"),
        (seen("hung", seconds=30.2), Reading("simulated a:"), "LOST", "no end within 30 s"),
        (seen(), Reading(complete=True), "LOST", "an empty answer"),
        (seen(), Reading("simulated b: hello", complete=True), "LOST", "words that are not a's, some of them b's"),
        (seen(), Reading("simulated a: hesimulated b: hello", complete=True), "LOST", "some of them b's"),
        (seen(), Reading("simulated a: he", complete=True), "LOST", "words that are not a's"),
        (seen(), Reading("simulated asimulated b", error="sorry"), "LOST", "some of them b's"),
        (seen("broken"), Reading("simulated b: hel"), "LOST", "some of them b's"),
        (seen("broken"), Reading("simulated a: ", flaws=("a second message_start",)), "LOST", "a second message_start"),
        (
            seen(model="c"),
            Reading("simulated b: hello", complete=True),
            "LOST",
            "c is said to have answered, but b did",
        ),
        (seen(), Reading("simulated a: he"), "LOST", "an answer without its end, and nobody said so"),
        (seen(status=500), Reading(flaws=("an error without words",)), "LOST", "an error without words"),
    ],
)
def test_verdicts(what: Seen, reading: Reading, verdict: str, saw: str) -> None:
    judged = judge(what, reading, SAYS)
    assert judged.verdict == verdict and saw in judged.saw


class Hasty(Attempt):
    """A gateway that lets the answer go before its first content: what an attempt must never do."""

    def __init__(self, gateway: Gateway, exchange: Exchange, candidate: Candidate, now: float) -> None:
        super().__init__(gateway, exchange, candidate, now)
        self._judge = Lenient(exchange, candidate, self._retelling, exchange.dialect)


class Lenient(Judge):
    def _judge_stream(self, chunk: bytes, *, end: bool) -> Judgement | None:
        self._events += self._retelling.read(chunk, end)
        return self._begun(end=end)


@pytest.mark.parametrize(("kind", "verdict"), [(Attempt, "nothing lost"), (Hasty, "LOST")])
def test_a_gateway_that_lets_go_too_early_is_found_out(kind: type[Attempt], verdict: str) -> None:
    """The first candidate begins and fails, the second answers; the client hears whatever is let go."""
    gateway = gateway_of()
    exchange = exchange_of(gateway, scores={"coding": 1.0}, stream=True)
    heard = b""
    for events in ((A_START, A_ERROR), ANTHROPIC_EVENTS):
        attempt = kind(gateway, exchange, gateway.plan.names[CLAUDE], 0.0)
        attempt.feed(RequestHeaders({}), 0.0)
        attempt.feed(STREAM, 0.1)
        for event in events:
            heard += sent(attempt.feed(ResponseBody(event, end=event is A_STOP), 0.2))
    answered = Seen("whole", 200, {"x-arch-model": CLAUDE}, heard)
    reading = read(ANTHROPIC, status=200, kind=SSE, body=heard, streamed=True)
    assert judge(answered, reading, {CLAUDE: "hi"}).verdict == verdict


# -- leads, money, lines -------------------------------------------------------------------------------------------


def test_every_model_is_in_front_once_by_what_it_leads() -> None:
    told = [(lead.label, lead.model, lead.route, lead.then) for lead in leads(plan_of(THREE))]
    assert told == [
        (GPT, "arch.main.v1", "", (CLAUDE, "deepseek/deepseek-chat")),
        (CLAUDE, "arch.main.v1", "coding", ("deepseek/deepseek-chat", GPT)),
        ("deepseek/deepseek-chat", "arch.main.v1", "small talk", (GPT, CLAUDE)),
    ]


def test_a_preference_that_is_called_as_none_is_is_asked_for_by_its_other_name() -> None:
    told = [(lead.label, lead.route) for lead in leads(plan_of(THREE.replace("small talk", "other")))]
    assert ("deepseek/deepseek-chat", "preference other") in told


def test_a_model_that_leads_nothing_is_asked_for_by_name() -> None:
    config = "llm_providers: [{model: openai/gpt-4o-mini}, {model: openai/gpt-4o}]"
    (_, second) = leads(plan_of(config))
    assert (second.model, second.route, second.then) == ("openai/gpt-4o", "", (GPT,))
    assert by_name(leads(plan_of(config))[0]).model == GPT


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("gpt-4o", ["openai/gpt-4o"]), ("openai/gpt-4o", ["openai/gpt-4o"]), ("x", ["a/x", "b/x"]), ("4o", [])],
)
def test_models_are_meant_by_name_or_by_its_end(wanted: str, found: list[str]) -> None:
    assert find(wanted, ["openai/gpt-4o", "a/x", "b/x"]) == found


def test_what_it_may_cost_is_counted_for_all_who_may_step_in() -> None:
    config = THREE + "failover: {attempts: 2}\n"
    asked = leads(plan_of(config))
    spending = at_most(asked, {lead.label: 10 for lead in asked}, writes=100)
    assert spending.requests == {"anthropic": 10, "deepseek": 10, "openai": 10}
    prices = {lead.label: lead.candidate.price for lead in asked}
    each = [prices[label].bill(input=40, output=100) for label in prices]  # type: ignore[union-attr]
    assert spending.dollars == pytest.approx(10 * sum(each)) and spending.unpriced == ()


def test_a_price_that_nobody_knows_is_told() -> None:
    config = """llm_providers:
  - {model: openai/gpt-4o-mini}
  - {model: own/m, base_url: "http://gpu.test:1", provider_interface: openai}
"""
    asked = leads(plan_of(config))
    spending = at_most(asked, {lead.label: 1 for lead in asked}, writes=100)
    assert spending.unpriced == ("own/m",) and spending.total == 2


def row(**more: Any) -> Row:
    told: dict[str, Any] = {
        "candidate": "a/x",
        "scenario": "529",
        "client": "anthropic",
        "verdict": "nothing lost",
        "saw": "one clean answer by b/y",
        "status": 200,
        "model": "b/y",
        "first_content": 0.5,
        "seconds": 0.75,
        "tries": (Try("a/x", 529, "answered 529 (Overloaded)", 0.2), Try("b/y", 200, "", 0.3)),
    }
    return Row(**told | more)


def test_what_clients_saw_alike_is_one_line_with_the_slower_of_them() -> None:
    slower, other = row(client="openai", seconds=0.9), row(client="openai", verdict="LOST")
    assert [(line.row, line.clients) for line in lines([row(), slower])] == [(slower, ("anthropic", "openai"))]
    assert len(lines([row(), other])) == 2
    assert worst([row(), other]) == "LOST"


def test_a_row_is_failed_tries_then_waiting_then_the_answer() -> None:
    told = [(span.kind, span.begin, span.end) for span in spans(row())]
    assert told == [("failed", 0.0, 0.2), ("waiting", 0.2, 0.5), ("answer", 0.5, 0.75)]
    silent = row(first_content=None, model="", status=503, tries=())
    assert [(span.kind, span.end) for span in spans(silent)] == [("waiting", 0.75)]


def test_a_good_answer_for_which_the_broken_model_was_not_asked_shows_nothing() -> None:
    (_, second) = row().tries
    assert with_tries(row(tries=()), row().tries) == row()
    untried = with_tries(row(), (second,))
    assert untried.verdict == "not tried" and "without that a/x was asked" in untried.saw
    assert with_tries(row(verdict="told"), (second,)).verdict == "told"
    assert not findings(untried).passed and not findings(untried).lost and findings(row()).passed


def findings(*rows: Row, leaks: tuple[str, ...] = ()) -> Findings:
    return Findings(
        config="<mine>.yaml",
        version="1.2.3",
        kind="Simulated.",
        began="2026-11-27 10:00",
        seconds=12.0,
        clients=("anthropic", "openai"),
        chains=(Chain("a/x", ("b/y",), "it is asked for by name"),),
        changes=("nobody is put aside here",),
        rows=rows,
        leaks=leaks,
        requests=7,
    )


def test_a_leak_is_a_loss() -> None:
    assert not findings(row()).lost
    assert findings(row(), leaks=("b/y: x-api-key (a key of a)",)).lost
    assert findings(row(verdict="LOST")).lost


# -- the page ------------------------------------------------------------------------------------------------------


class Balance(HTMLParser):
    """Raises AssertionError where a tag closes another than the last that was opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in ("meta", "col", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    told = page.html(findings(row(), row(scenario="envoy", back=1.5, tries=(), saw="<b>broke</b>")))
    balance = Balance()
    balance.feed(told)
    assert balance.open == []
    assert not re.search(r"https?:|src=|@import|url\(", told)
    assert "&lt;mine&gt;.yaml" in told and "&lt;b&gt;broke&lt;/b&gt;" in told and "<b>broke" not in told
    assert "The gateway was back after 1.5 s." in told
    assert 'a/x <span class="x">answered 529</span>' in told and "answered 529 (Overloaded)" in told


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (findings(row()), "Nothing was lost"),
        (findings(row(), row(verdict="LOST")), "Lost: 1 of 2 answers."),
        (findings(row(), row(verdict="not tried")), "Nothing has been shown by 1 of 2 answers."),
        (findings(row(), leaks=("b/y: cookie (meant for the gateway)",)), "1 headers reached somebody"),
    ],
)
def test_the_page_says_what_was_lost(found: Findings, words: str) -> None:
    assert words in page.html(found)
    assert ("Nothing was lost" in page.html(found)) is found.passed


def test_bars_share_one_axis() -> None:
    quick, slow = row(seconds=0.6), row(first_content=9.0, seconds=10.0)
    axis = axis_of([quick, slow])
    assert axis.at(0) == 0 and axis.at(10.0) == 1 and 0 < axis.at(0.01) < axis.at(0.1) < axis.at(1.0) < 1
    assert [words for _, words in axis.ticks] == ["10 ms", "0.1 s", "1 s", "10 s"]
    kinds = re.findall(r'<rect class="(\w+)"', bar(quick, axis))
    assert kinds == ["failed", "waiting", "answer", "first"]
    assert 'class="first"' not in bar(row(first_content=None), axis)


def test_markdown_has_a_line_for_each_thing_that_was_broken() -> None:
    told = text.markdown(findings(row(saw="a | b"), row(client="openai", saw="a | b"), row(scenario="kill")))
    assert "| answers 529, overloaded | a \\| b | a/x answered 529 -> b/y | 500 ms | 750 ms | nothing lost |" in told
    assert told.count("nothing lost |") == 2 and "3 rows: 3 nothing lost, 0 LOST" in told
    assert "| is gone: its port is closed | anthropic: one clean answer by b/y |" in told


def test_as_json_it_says_all() -> None:
    told = json.loads(json.dumps(findings(row(), row(verdict="told")).as_json()))
    assert told["verdicts"] == {"nothing lost": 1, "told": 1, "cut off": 0, "not tried": 0, "LOST": 0}
    assert told["lost"] is False and told["passed"] is True
    assert told["rows"][0]["tries"][0] == {
        "model": "a/x",
        "status": 529,
        "trouble": "answered 529 (Overloaded)",
        "seconds": 0.2,
    }
