"""Two services go on with one session at once; what they made of it is one session again."""

from dataclasses import replace

import pytest

from router_service.session import NEW, Pin, Read, Served, Session
from router_service.session_merge import merged

GPT, CLAUDE = Pin("coding", "gpt", 0.9), Pin("jokes", "claude", 0.8)


def served(request: str, at: float, ended: str = "whole") -> Served:
    return Served("gpt", "coding", "coding -> gpt", "user turn", request, 1, at, ended=ended)  # type: ignore[arg-type]


BASE = Session(
    pin=GPT,
    reads={"gpt": Read(100, 5.0), "claude": Read(50, 4.0)},
    served=served("1", 5.0),
    turns=2,
    requests=10,
    written=30,
    spent=1.0,
    baseline=2.0,
    switched=0.25,
    unpriced=1,
)


def test_what_both_have_paid_adds_up_and_the_new_pin_stays() -> None:
    """A sub-agent's answer is paid for here, by who still holds the turn before; there the next turn has begun."""
    mine, theirs = BASE.paid(0.5, 0.5), BASE.turned(CLAUDE, switched=0.5).paid(0.25, 1.0)
    found = merged(mine, theirs, BASE)
    assert found == replace(theirs, spent=1.75, baseline=3.5)
    assert merged(theirs, mine, BASE) == found, "whoever writes last"


@pytest.mark.parametrize(
    ("mine", "theirs", "pin"),
    [(GPT, CLAUDE, CLAUDE), (CLAUDE, GPT, CLAUDE), (CLAUDE, Pin("x", "y", 1.0), CLAUDE), (GPT, None, GPT)],
    ids=["theirs is new", "mine is new", "both are", "theirs is none"],
)
def test_the_pin_is_of_who_has_set_another(mine: Pin, theirs: Pin | None, pin: Pin) -> None:
    assert merged(replace(BASE, pin=mine), replace(BASE, pin=theirs, turns=3), BASE).pin == pin


def test_the_last_answer_is_the_later_one_with_the_turns_before_it() -> None:
    older = replace(BASE, served=served("2", 6.0), before=("a",))
    newer = replace(BASE, served=served("3", 7.0), before=("b",))
    for mine, theirs in ((older, newer), (newer, older)):
        found = merged(mine, theirs, BASE)
        assert (found.served, found.before) == (newer.served, ("b",))


def test_that_an_answer_broke_off_is_not_forgotten_by_who_did_not_hear_of_it() -> None:
    broken = replace(BASE, served=served("1", 5.0, "broken"))
    assert merged(BASE.paid(1, 1), broken, BASE).served == broken.served
    assert merged(broken, BASE.paid(1, 1), BASE).served == broken.served


def test_of_what_each_model_has_read_the_later_holds() -> None:
    mine = replace(BASE, reads={"gpt": Read(200, 8.0)})
    theirs = replace(BASE, reads={"gpt": Read(150, 7.0), "claude": Read(90, 9.0)})
    assert merged(mine, theirs, BASE).reads == {"gpt": Read(200, 8.0), "claude": Read(90, 9.0)}


@pytest.mark.parametrize("theirs", [NEW.paid(0.5, 0.5), replace(BASE, requests=9, spent=0.75)], ids=["anew", "older"])
def test_a_store_that_has_lost_the_session_takes_nothing_from_it(theirs: Session) -> None:
    """It came back empty, and another service wrote what it knew: little, or nearly all."""
    mine = BASE.paid(0.25, 0.5)
    found = merged(mine, theirs, BASE)
    assert (found.pin, found.requests, found.turns, found.spent) == (GPT, 10, 2, 1.25)
    assert found.served == BASE.served


def test_where_nobody_else_has_written_it_is_mine_to_the_last_digit() -> None:
    mine = replace(BASE, spent=0.1 + 0.2)
    assert merged(mine, BASE, BASE) is mine
