"""What speaks against an answer: told with the right answer, by sessions as they go on; and how often it is right."""

import json
from dataclasses import replace
from typing import Any

import pytest
from detecting import NAMES, OWN, found, measured, scores, split, turns, wilson, written
from dialogue import (
    A_OPEN,
    A_START,
    A_TEXT,
    ANTHROPIC_EVENTS,
    CLAUDE,
    STREAM,
    WALL,
    attempt_of,
    exchange_of,
    gateway_of,
)
from test_signals import SESSION, answered, call, result, said, user

from router_service.attempt import tear
from router_service.detectors import DETECTORS
from router_service.exchange import Gone, ResponseBody
from router_service.outcome import Outcome
from router_service.selection import Gateway
from router_service.session import Session

FLOOR = 0.9  # of precision: what is told may be counted on
ASK = "add a retry to fetch_user in api.py"


# -- measured ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged() -> list[tuple[Any, frozenset[str]]]:
    return [(turn, found(turn)) for turn in turns()]


def test_the_page_says_what_is_measured(judged: list[Any]) -> None:
    assert written() == measured(judged), "run python tests/detecting.py and read the difference"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_told_is_right_nine_times_of_ten(judged: list[Any], name: str) -> None:
    for part in split(judged):
        score = next(one for one in scores(part) if one.name == name)
        assert score.precision is None or score.precision >= FLOOR, score


def test_every_detector_is_measured_and_every_label_is_one(judged: list[Any]) -> None:
    assert {name.replace("_", " ") for name in DETECTORS} == {name.replace("-", " ") for name in NAMES}
    assert {label for turn, _ in judged for label in turn["labels"]} == set(NAMES)
    ids = [turn["id"] for turn, _ in judged]
    assert len(ids) == len(set(ids)) and OWN in {turn["author"] for turn, _ in judged}


def test_an_interval_of_wilsons() -> None:
    assert wilson(9, 10) == pytest.approx((0.596, 0.982), abs=0.001)
    assert wilson(0, 10)[0] == 0.0 and wilson(10, 10)[1] == 1.0


# -- sessions as they go on ----------------------------------------------------------------------------------------


def later(gateway: Gateway) -> None:
    """Half a minute passes."""
    key = "s/"
    session = gateway.sessions.get(key)
    assert session.served
    gateway.sessions.put(key, replace(session, served=replace(session.served, at=WALL - 30)))


def asked_again(gateway: Gateway, **more: Any) -> Outcome:
    later(gateway)
    return answered(gateway, user(ASK), said("Done."), user("now a jitter"), **more)


def test_the_same_turn_once_more_is_a_retry_and_nothing_else() -> None:
    gateway = gateway_of()
    first = answered(gateway, user(ASK))
    second = answered(gateway, user(ASK), said("Done."), user("no, that's wrong"))
    assert second.signals == ((first.id, "correction"),)
    later(gateway)
    third = answered(gateway, user(ASK), said("Done."), user("no, that's wrong"))
    assert third.signals == ((second.id, "retried"),), "the correction was told when it was said"


def test_the_first_ask_of_a_session_that_is_named_can_be_retried() -> None:
    gateway = gateway_of()
    first = answered(gateway, user(ASK))
    later(gateway)
    assert answered(gateway, user(ASK)).signals == ((first.id, "retried"),)


def test_a_tool_loop_is_one_turn_and_is_retried_as_a_whole() -> None:
    gateway = gateway_of()
    answered(gateway, user(ASK))
    last = answered(gateway, user(ASK), call(), result("fine"))
    assert last.signals == ()
    later(gateway)
    assert answered(gateway, user(ASK)).signals == ((last.id, "retried"),)


def test_a_program_that_tries_again_at_once_has_read_nothing() -> None:
    gateway = gateway_of()
    answered(gateway, user(ASK))
    assert answered(gateway, user(ASK)).signals == (), "no second has passed"


def test_threads_that_nobody_names_begin_alike_without_being_retried() -> None:
    gateway = gateway_of()
    messages = [user(ASK)]
    for _ in range(2):
        exchange = exchange_of(gateway, messages=messages, scores={"coding": 0.9}, stream=True)
        assert exchange.told == ()
        attempt = attempt_of(gateway, exchange)
        attempt.feed(STREAM, 0.1)
        attempt.feed(ResponseBody(b"".join(ANTHROPIC_EVENTS), end=True), 0.2)
        session = gateway.sessions.get(exchange.session)
        assert session.served
        gateway.sessions.put(exchange.session, replace(session, served=replace(session.served, at=WALL - 30)))


def streaming(gateway: Gateway) -> tuple[Any, Any]:
    exchange = exchange_of(gateway, messages=[user(ASK)], given=SESSION, scores={"coding": 0.9}, stream=True)
    attempt = attempt_of(gateway, exchange)
    attempt.feed(STREAM, 0.1)
    attempt.feed(ResponseBody(b"".join((A_START, A_OPEN, A_TEXT))), 0.2)
    return exchange, attempt


def test_who_leaves_in_the_middle_of_an_answer_and_goes_on_has_stopped_it() -> None:
    gateway = gateway_of()
    exchange, attempt = streaming(gateway)
    attempt.feed(Gone(), 1.0)
    assert asked_again(gateway).signals == ((exchange.id, "interrupted"),)
    assert asked_again(gateway).signals != ((exchange.id, "interrupted"),), "that one is answered"


def test_what_a_provider_tore_nobody_has_stopped() -> None:
    gateway = gateway_of()
    exchange, attempt = streaming(gateway)
    attempt.feed(Gone(), 1.0)
    tear(gateway, f"{exchange.id}/1", 1.1)
    assert asked_again(gateway).signals == ()


def test_what_broke_off_is_not_retried_by_the_user() -> None:
    gateway = gateway_of()
    _, attempt = streaming(gateway)
    attempt.feed(ResponseBody(b"", end=True), 1.0)
    later(gateway)
    assert answered(gateway, user(ASK), stream=False).signals == ()


def edit(id: str, old: str, new: str) -> dict[str, Any]:
    given = {"file_path": "/d.py", "old_string": old, "new_string": new}
    return {"role": "assistant", "content": [{"type": "tool_use", "id": id, "name": "Edit", "input": given}]}


def done(id: str) -> dict[str, Any]:
    return user([{"type": "tool_result", "tool_use_id": id, "content": "ok"}])


def test_an_edit_that_is_undone_speaks_of_the_turn_that_made_it() -> None:
    gateway = gateway_of()
    thread = [user(ASK)]
    answered(gateway, *thread)
    thread += [edit("e1", "seen = []", "seen = set()"), done("e1")]
    made = answered(gateway, *thread)
    thread += [said("A set now."), user("and write the docs")]
    docs = answered(gateway, *thread)
    thread += [said("Written."), user("take the list again")]
    asked = answered(gateway, *thread)
    assert (made.signals, docs.signals, asked.signals) == ((), (), ())
    thread += [edit("e2", "seen = set()", "seen = []"), done("e2")]
    assert answered(gateway, *thread).signals == ((made.id, "reverted"),)
    thread += [call(), result("fine")]
    assert answered(gateway, *thread).signals == (), "it is told once"


def test_of_turns_that_nobody_remembers_nothing_is_told() -> None:
    gateway = gateway_of()
    thread = [user(ASK), edit("e1", "a", "b"), done("e1"), said(), user("undo it")]
    answered(gateway, *thread)
    thread += [edit("e2", "b", "a"), done("e2")]
    assert answered(gateway, *thread).signals == ()


def test_a_session_remembers_a_few_turns() -> None:
    gateway = gateway_of()
    thread = [user(ASK)]
    ids = []
    for n in range(12):
        ids.append(answered(gateway, *thread).id)
        thread += [said(), user(f"step {n}, which is another one")]
    session: Session = gateway.sessions.get("s/")
    assert session.served and session.served.request == ids[-1] and session.served.model == CLAUDE
    assert session.before == tuple(reversed(ids[-9:-1]))


# -- words ---------------------------------------------------------------------------------------------------------


def told(words: Any, *, answer: str = "I have added it.", **more: Any) -> frozenset[str]:
    before = [user(ASK), said(answer)]
    turn = {"client": "sdk", "before": before, "now": [user(words)], "asked_model": "routed"} | more
    return found(turn)


@pytest.mark.parametrize(
    "words",
    [
        'Translate: "No, that\'s wrong."',
        "Add this text: `still failing`",
        "> still failing\nwhat does he mean by that",
        "```\nIt doesn't work\n```\nexplain this log",
        "What does „das ist falsch“ mean?",
    ],
)
def test_what_is_quoted_says_nothing(words: str) -> None:
    assert told(words) == frozenset()


def test_a_complaint_may_stand_behind_what_is_pasted() -> None:
    log = "\n".join(f"line {n} of a log. It goes on" for n in range(200))
    assert told(f"{log}\nStill the same error.") == {"correction"}
    assert told(f"here is the log\n{log}\nwhat is the fourth line about?") == frozenset()


def test_to_a_question_no_is_an_answer() -> None:
    assert told("no", answer="Shall I commit it?") == frozenset()
    assert told("no", answer="I have committed it.") == {"correction"}
    assert told("No, that's wrong.", answer="Shall I commit it?") == {"correction"}


def test_a_model_that_asks_a_subagent_complains_of_nothing() -> None:
    turn = {"client": "claude-code", "before": [user(ASK), said()], "now": [user("No, that's wrong.")]}
    gateway = gateway_of()
    answered(gateway, user(ASK))
    more = {"x-claude-code-agent-id": "a1"}
    exchange = exchange_of(gateway, messages=turn["before"] + turn["now"], given=SESSION | more, scores={"coding": 0.9})
    assert exchange.told == ()


def test_words_in_any_number_cost_little() -> None:
    for words in ("no " * 100_000, "still " * 50_000, '"' * 200_000, "it is " * 50_000 + "wrong", " " * 300_000 + "x"):
        told(words)  # nothing backtracks: a hang would fail the run


def test_calls_that_are_no_json_are_no_edits() -> None:
    broken = {"role": "assistant", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "Edit"}}]}
    broken["tool_calls"][0]["function"]["arguments"] = "[" * 5000  # type: ignore[index]
    gateway = gateway_of()
    messages = [user(ASK), broken, {"role": "tool", "tool_call_id": "t", "content": json.dumps("x")}]
    assert exchange_of(gateway, path="/v1/chat/completions", messages=messages, scores={"coding": 0.9}).told == ()
