"""The exchanges under way: bounded, dropped once, and none goes without a record."""

import json

import pytest
from dialogue import CHAT, DEEPSEEK, GPT, MESSAGES, WALL, exchange_of, gateway_of, request

from router_service.conversation import Failure, Usage
from router_service.dialects import by_path
from router_service.effects import error_reply, header_value
from router_service.exchange import Exchange, Exchanges, Full
from router_service.outcome import AttemptOutcome


def exchange(id: str, *, size: int = 0, active: int = 0, touched: float = 0.0, tried: int = 0) -> Exchange:
    made = exchange_of(gateway_of(), model=GPT)
    made.id, made.body, made.active, made.touched, made.tried = id, b"x" * size, active, touched, tried
    return made


def test_what_was_added_is_found_until_it_is_dropped() -> None:
    exchanges, one = Exchanges(), exchange("a", size=5)
    exchanges.add(one)
    assert (exchanges.get("a"), len(exchanges), exchanges.bytes) == (one, 1, 5)
    assert exchanges.drop("a") is one
    assert (exchanges.get("a"), len(exchanges), exchanges.bytes) == (None, 0, 0)


def test_dropping_twice_takes_nothing_away() -> None:
    exchanges = Exchanges()
    exchanges.add(exchange("a", size=5))
    exchanges.drop("a")
    assert (exchanges.drop("a"), exchanges.bytes) == (None, 0)


@pytest.mark.parametrize(
    ("bounds", "size"), [({"limit": 2}, 1), ({"max_bytes": 10}, 5)], ids=["too many", "too large together"]
)
def test_the_oldest_that_nobody_works_on_makes_room(bounds: dict[str, int], size: int) -> None:
    exchanges = Exchanges(**bounds)
    exchanges.add(exchange("busy", size=size, active=1))
    exchanges.add(exchange("idle", size=size))
    exchanges.add(exchange("new", size=size, touched=5.0))
    assert [exchanges.get(id) is not None for id in ("busy", "idle", "new")] == [True, False, True]
    assert exchanges.bytes == 2 * size


def test_one_that_waits_for_its_next_attempt_makes_no_room() -> None:
    exchanges = Exchanges(limit=1)
    exchanges.add(exchange("between", touched=1.0))
    with pytest.raises(Full):
        exchanges.expect("new", 10, 5.9)
    exchanges.expect("new", 10, 6.0)
    assert exchanges.get("between") is None


def test_a_request_has_its_room_from_its_headers_on() -> None:
    exchanges = Exchanges(limit=2, max_bytes=100)
    exchanges.expect("a", 60, 0.0)
    assert (len(exchanges), exchanges.bytes) == (1, 60)
    with pytest.raises(Full):
        exchanges.expect("b", 60, 0.0)
    exchanges.add(exchange("a", size=50, active=1))
    assert (len(exchanges), exchanges.bytes) == (1, 50)
    exchanges.expect("b", 40, 0.0)
    with pytest.raises(Full):
        exchanges.expect("c", 0, 0.0)
    exchanges.forget("b")
    exchanges.forget("a")
    assert (len(exchanges), exchanges.bytes) == (1, 50), "an exchange is not forgotten"


def test_when_all_are_worked_on_there_is_no_room() -> None:
    exchanges = Exchanges(limit=1)
    exchanges.add(exchange("busy", active=1))
    with pytest.raises(Full):
        exchanges.add(exchange("new"))
    assert exchanges.get("new") is None


def test_one_that_is_larger_than_all_the_room_is_taken_alone() -> None:
    exchanges = Exchanges(max_bytes=10)
    exchanges.add(exchange("large", size=50))
    assert exchanges.bytes == 50


def test_what_is_left_alone_goes_with_a_record() -> None:
    exchanges = Exchanges(idle=30, unasked=100)
    exchanges.add(exchange("left", touched=5.0, tried=1))
    exchanges.add(exchange("busy", touched=5.0, active=1))
    exchanges.add(exchange("waits for its first attempt", touched=5.0))
    exchanges.add(exchange("fresh", touched=20.0))
    assert exchanges.expire(35.0) == [], "just not yet"
    (outcome,) = exchanges.expire(36.0)
    assert (outcome.id, outcome.status, outcome.duration) == ("left", 499, 5.0)
    assert len(exchanges) == 3 and exchanges.expire(36.0) == []
    assert [outcome.id for outcome in exchanges.expire(106.0)] == ["waits for its first attempt"]


def test_what_made_room_is_recorded_once() -> None:
    exchanges = Exchanges(limit=1)
    exchanges.add(exchange("first"))
    exchanges.add(exchange("second", touched=40.0))
    assert [outcome.id for outcome in exchanges.expire(41.0)] == ["first"]
    assert exchanges.expire(41.0) == []


# -- outcomes ------------------------------------------------------------------------------------------------------


def test_an_outcome_tells_what_came_of_it() -> None:
    gateway = gateway_of()
    asked = {"user-agent": "claude-cli/2.1.330 (external, cli)", "x-claude-code-session-id": "s"}
    made = exchange_of(gateway, scores={"small-talk": 0.8}, given=asked, at=10.0)
    made.attempts.append(AttemptOutcome(DEEPSEEK, 200, "", 1.5))
    outcome = made.outcome(now=14.0, status=200, served=DEEPSEEK, usage=Usage(input=3), first_content=12.0)
    assert (outcome.id, outcome.started, outcome.kind, outcome.client) == (
        "id-1",
        WALL,
        "user turn",
        "claude-cli/2.1.330",
    )
    assert (outcome.session, outcome.route, outcome.score) == ("s/", "small talk", 0.8)
    assert (outcome.model_asked, outcome.model_served, outcome.status) == ("arch.main.v1", DEEPSEEK, 200)
    assert (outcome.first_content, outcome.duration) == (2.0, 4.0)
    assert (outcome.usage, outcome.attempts) == (Usage(input=3), (AttemptOutcome(DEEPSEEK, 200, "", 1.5),))


@pytest.mark.parametrize(("shown", "ask"), [(False, ""), (True, "x" * 80)])
def test_what_was_asked_is_told_only_where_the_user_wants_it(shown: bool, ask: str) -> None:
    made = exchange_of(gateway_of(), model=GPT, messages=[{"role": "user", "content": "x" * 200}])
    assert made.outcome(now=0, status=200, ask=shown).ask == ask


def test_a_subagents_request_says_so() -> None:
    made = exchange_of(gateway_of(), model=GPT, given={"x-claude-code-agent-id": "a"})
    assert made.outcome(now=0, status=200).kind == "subagent: user turn"


def test_the_last_attempt_is_the_one_that_the_chain_allows() -> None:
    made = exchange_of(gateway_of(), body=json.dumps(request(model=GPT)).encode())
    seen = []
    for made.tried in range(5):
        seen.append(made.last_attempt)
    assert seen == [False, False, False, True, True]


# -- replies of ours -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [MESSAGES, CHAT])
def test_an_error_is_told_in_the_clients_dialect(path: str) -> None:
    dialect = by_path(path)
    assert dialect
    reply = error_reply(dialect, Failure(529, "overloaded_error", "later"), {"x-a": "b"}, retry=True)
    assert (reply.status, reply.retry) == (529, True)
    assert reply.headers == {"content-type": "application/json", "x-a": "b"}
    assert json.loads(reply.body)["error"]["message"] == "later"


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        ("coding (0.70) -> gpt", "coding (0.70) -> gpt"),
        ("two\r\nlines\tand  more", "two lines and more"),
        ("“ü” 👋", "%E2%80%9C%C3%BC%E2%80%9D %F0%9F%91%8B"),
        ("nul\x00", "nul%00"),
        ("", ""),
    ],
    ids=["plain", "lines", "other scripts", "a control character", "nothing"],
)
def test_a_header_can_carry_any_text(text: str, carried: str) -> None:
    assert header_value(text) == carried
