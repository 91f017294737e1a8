"""What the panels of the dashboard say of a ledger, in SQLite and in a real PostgreSQL, against sums made by hand."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from archgw.dashboard import asked, quality, sessions, sums
from archgw.dashboard.asked import Wanted
from archgw.dashboard.quality import Confusion
from archgw.dashboard.span import RANGES, Span, span
from archgw.stats import Spread
from sqlalchemy import Connection
from test_ledger import CLAUDE, GPT, kept, outcome, server, settings

from router_service.config import Ledger as Settings
from router_service.conversation import Usage
from router_service.outcome import AttemptOutcome, Outcome, Trace
from router_service.shell.ledger import sign

__all__ = ["server", "settings"]  # fixtures
NOON = 1_760_011_200.0
HOUR = Span(NOON - 3600, NOON, 60)


def turn(id: str, minutes: float, route: str, fits: tuple[tuple[str, float], ...], **more: object) -> Outcome:
    """A user turn so many minutes before noon."""
    base = outcome(id, at=NOON - minutes * 60, route=route, session=f"s{id[0]}/", attempts=(tried(CLAUDE),))
    return replace(base, trace=Trace(fits=fits), score=fits[0][1] if fits else None, **more)  # type: ignore[arg-type]


def tried(candidate: str, trouble: str = "", status: int = 200) -> AttemptOutcome:
    return AttemptOutcome(candidate, status, trouble, 1.0)


CODING, FIXES, NONE = "coding", "simple fixes", "none of them"
FAILED = (tried(GPT, "answered 529", 529), tried(CLAUDE))
REQUESTS = (
    turn("a1", 50, CODING, ((CODING, 0.9), (FIXES, 0.1)), first_content=0.2, cost=0.01, baseline=0.05),
    turn("a2", 40, CODING, ((CODING, 0.48), (FIXES, 0.44)), first_content=0.4, cost=None, attempts=FAILED),
    turn("a3", 30, FIXES, ((FIXES, 0.5), (CODING, 0.4)), model_served=GPT, attempts=(tried(GPT),), first_content=0.6),
    turn("b1", 20, "default", ((NONE, 0.6), (CODING, 0.4)), first_content=0.8, session="b/agent"),
    turn("b2", 10, CODING, (), kind="tool continuation", first_content=1.0, session="b/"),
    turn("c1", 5, "", (), kind="refused", model_served="", status=400, attempts=(), cost=None, baseline=None),
    turn("d1", 4, CODING, (), session="fingerprint/ab", model_served="", status=503, attempts=FAILED[:1], cost=None),
    turn("e1", 70, CODING, ((CODING, 0.9), (FIXES, 0.1)), cost=0.5),
)


@pytest.fixture
def database(settings: Settings, tmp_path: Path) -> Iterator[Connection]:
    with kept(replace(settings, keep=1e10), tmp_path, *REQUESTS) as connection:
        yield connection


@pytest.fixture
def nothing(settings: Settings, tmp_path: Path) -> Iterator[Connection]:
    with kept(replace(settings, keep=1e10), tmp_path, turn("z", 9e4, CODING, ())) as connection:
        yield connection


def test_headline_figures(database: Connection) -> None:
    told = sums.headline(database, HOUR)
    assert (told.now.requests, told.now.errors, told.now.failovers, told.now.unpriced) == (7, 1, 1, 1)
    assert told.now.cost == pytest.approx(0.01 + 3 * 0.25) and told.now.saved == pytest.approx(0.04 + 3 * 0.25)
    assert (told.now.read, told.now.cached, told.now.output) == (7 * 15, 7 * 5, 7 * 7)
    assert (told.before.requests, told.before.cost) == (1, 0.5)
    assert told.first_content == Spread(0.4, 1.0)
    assert told.ever


def test_what_was_spent_adds_up_over_time(database: Connection) -> None:
    told = sums.money(database, HOUR)
    assert len(told.at) == len(told.cost) == len(told.saved) == HOUR.parts
    assert sum(told.requests) == 7 and sum(told.cost) == pytest.approx(sums.headline(database, HOUR).now.cost)
    assert told.requests[10] == 1 and told.at[10] == NOON - 50 * 60


def test_each_preference_flows_to_who_answered(database: Connection) -> None:
    found = {(one.preference, one.model): one for one in sums.flow(database, HOUR)}
    counts = Counter((one.route, one.model_served) for one in REQUESTS[:-1])
    assert {pair: one.requests for pair, one in found.items()} == counts
    assert found[CODING, CLAUDE].unpriced == 1, "no price is not for nothing"
    assert found[CODING, ""].unpriced == 0, "who was not answered has nothing to pay"


def test_how_fast_each_model_is(database: Connection) -> None:
    told = sums.latency(database, HOUR)
    first, second = told.models
    assert (first.model, first.requests, first.first_content) == (CLAUDE, 4, Spread(0.4, 1.0))
    assert (second.model, second.first_content.p50) == (GPT, 0.6)
    assert [one for one in first.over_time if one is not None] == [0.2, 0.4, 0.8, 1.0]
    assert second.tokens.p50 == pytest.approx(7 / 1.4, abs=0.01), "to a thousandth"


def test_how_well_preferences_are_told_apart(database: Connection) -> None:
    sign(database, "a1", "bad")
    sign(database, "a2", "good")
    told = quality.quality(database, HOUR, [FIXES, CODING, "poems"])
    assert [one.name for one in told.preferences] == [FIXES, CODING, "poems"]
    fixes, coding, poems = told.preferences
    assert (coding.chosen, coding.best, coding.near, coding.good, coding.bad) == (2, 2, 1, 1, 1)
    assert coding.score == pytest.approx((0.9 + 0.48) / 2)
    assert (fixes.chosen, fixes.near, poems.chosen, poems.score) == (1, 1, 0, None)
    assert told.confusions == (Confusion(CODING, FIXES, 2),), "in whichever order they came"
    assert (told.turns, told.unmatched) == (4, 1)


def test_a_turn_that_is_kept_on_another_model_counts_for_what_fitted_it(settings: Settings, tmp_path: Path) -> None:
    """Leaving is too dear: `writing` fits best, `coding` goes on; or nothing fits, and `coding` goes on."""
    kept_on = turn("a1", 5, CODING, (("writing", 0.9), (CODING, 0.05), (NONE, 0.05)))
    nothing_fits = turn("a2", 4, CODING, ((NONE, 0.9), (CODING, 0.07), ("writing", 0.03)))
    with kept(replace(settings, keep=1e10), tmp_path, kept_on, nothing_fits) as connection:
        told = quality.quality(connection, HOUR, [CODING, "writing", "poems"])
    coding, writing, poems = told.preferences
    assert (coding.chosen, coding.best, coding.near) == (2, 0, 0) and coding.score == pytest.approx(0.06)
    assert (writing.chosen, writing.best, writing.score) == (0, 1, None)
    assert (poems.chosen, poems.best) == (0, 0)
    assert (told.turns, told.unmatched) == (2, 1)


def test_a_preference_that_has_left_the_config_is_shown_for_what_it_was(database: Connection) -> None:
    told = quality.quality(database, HOUR, [FIXES])
    assert [(one.name, one.configured) for one in told.preferences] == [(FIXES, True), (CODING, False)]


def test_how_the_models_have_been(database: Connection) -> None:
    found = {one.model: one for one in quality.health(database, HOUR)}
    assert (found[GPT].tries, found[GPT].failed, found[GPT].last_trouble) == (3, 2, "answered 529")
    assert found[GPT].last_failed == NOON - 4 * 60 and found[GPT].strip[20] == (1, 1)
    assert (found[CLAUDE].failed, found[CLAUDE].last_trouble, found[CLAUDE].last_failed) == (0, "", None)


def test_sessions_hold_their_threads(database: Connection) -> None:
    found = {one.id: one for one in sessions.sessions(database, HOUR, 10)}
    assert list(found) == ["fingerprint/ab", "sc", "b", "sa"], "the newest first"
    assert (found["sa"].turns, found["sa"].requests, found["sa"].failed, found["sa"].unpriced) == (3, 3, 1, 1)
    assert found["sa"].models == ((CLAUDE, 2), (GPT, 1))
    assert found["sa"].spent == pytest.approx(0.26) and found["sa"].saved == pytest.approx(0.29)
    assert (found["b"].turns, found["b"].requests) == (1, 2), "a sub-agent is of the session"
    assert found["fingerprint/ab"].models == () and found["fingerprint/ab"].unpriced == 0
    assert len(sessions.sessions(database, HOUR, 2)) == 2


def test_what_a_client_does_itself_is_no_trouble(settings: Settings, tmp_path: Path) -> None:
    left, wrong, broken = (
        turn(id, 5, CODING, (), status=status, model_served="", attempts=(tried(GPT, "as it says", status),))
        for id, status in (("a1", 499), ("a2", 400), ("a3", 500))
    )
    refused = [turn(f"b{n}", 5, CODING, (), status=n, model_served="", attempts=()) for n in (403, 404, 429)]
    with kept(replace(settings, keep=1e10), tmp_path, left, wrong, broken, *refused) as connection:
        assert [one.id for one in asked.newest(connection, Wanted(trouble=True), 5)] == ["a3"]
        assert {one.id for one in asked.newest(connection, Wanted(), 9) if one.troubled} == {"a3"}
        assert sessions.sessions(connection, HOUR, 5)[0].failed == 1
        assert quality.health(connection, HOUR)[0].failed == 1


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Wanted(), ["d1", "c1", "b2", "b1", "a3", "a2", "a1", "e1"]),
        (Wanted(preference=CODING), ["d1", "b2", "a2", "a1", "e1"]),
        (Wanted(model=GPT), ["a3"]),
        (Wanted(trouble=True), ["d1", "a2"]),
        (Wanted(trouble=True, model=CLAUDE), ["a2"]),
        (Wanted(before=(NOON - 40 * 60, "a2")), ["a1", "e1"]),
        (Wanted(preference="nothing's"), []),
    ],
    ids=str,
)
def test_requests_that_are_wanted(database: Connection, wanted: Wanted, ids: list[str]) -> None:
    assert [one.id for one in asked.newest(database, wanted, 50)] == ids


def test_all_about_one_request(database: Connection) -> None:
    sign(database, "a2", "bad")
    sign(database, "a2", "re-ask")
    told = asked.detail(database, "a2")
    assert told is not None
    assert (told.request.thumb, told.request.cost, told.request.failed) == ("bad", None, 1)
    assert told.fits == ((CODING, 0.48), (FIXES, 0.44))
    assert [(one.model, one.status, one.trouble) for one in told.tries] == [
        (GPT, 529, "answered 529"),
        (CLAUDE, 200, ""),
    ]
    assert set(told.signals) == {"bad", "re-ask"} and told.should_be is None
    sign(database, "a2", "should be", "model:x/y")
    again = asked.detail(database, "a2")
    assert again and again.should_be == "model:x/y"
    assert asked.detail(database, "nobody's") is None


def test_panels_about_nothing(nothing: Connection) -> None:
    told = sums.headline(nothing, HOUR)
    assert (told.now.requests, told.now.saved, told.first_content, told.ever) == (0, None, Spread(), True)
    assert sum(sums.money(nothing, HOUR).requests) == 0
    assert sums.flow(nothing, HOUR) == sums.latency(nothing, HOUR).models == quality.health(nothing, HOUR) == ()
    assert sessions.sessions(nothing, HOUR, 10) == ()
    assert [one.chosen for one in quality.quality(nothing, HOUR, [CODING]).preferences] == [0]


def test_usage_that_nobody_told_is_not_zero(settings: Settings, tmp_path: Path) -> None:
    silent = turn("a1", 5, CODING, (), usage=Usage(), cost=None, baseline=None, first_content=None)
    with kept(replace(settings, keep=1e10), tmp_path, silent) as connection:
        (row,) = asked.newest(connection, Wanted(), 5)
        assert (row.input, row.output, row.cost, row.first_content) == (None, None, None, None)
        assert sums.headline(connection, HOUR).now.unpriced == 1
        json.dumps(sums.money(connection, HOUR).cost, allow_nan=False)


@pytest.mark.parametrize("name", RANGES)
def test_a_range_has_equal_parts_up_to_now(name: str) -> None:
    found = span(name, NOON)
    assert found.until == NOON and found.times[0] == found.since and len(found.times) == found.parts
    assert found.before.until == found.since and found.place(found.parts) == found.parts - 1
