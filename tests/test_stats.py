"""Sums over the ledger, in SQLite and in a real PostgreSQL, against the same sums made by hand."""

import itertools
import random
import statistics
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from archgw.dashboard.span import Span
from archgw.dashboard.sums import headline
from archgw.stats import BUCKETS, BY, Line, Spread, hits, session_of, sparkline, stats
from sqlalchemy import Connection, insert, text
from test_ledger import CLAUDE, GPT, kept, outcome, server, settings

from router_service.config import Ledger as Settings
from router_service.conversation import Usage
from router_service.outcome import AttemptOutcome, Outcome
from router_service.shell.ledger_schema import requests as ledger_requests
from router_service.shell.ledger_schema import signals

__all__ = ["server", "settings"]  # fixtures
NOON = 1_760_011_200.0  # 2025-10-09 12:00 UTC
DAY = 86_400.0


def requests() -> list[Outcome]:
    """Four days, two models, three preferences, a failure here and there."""
    chance = random.Random(11)
    made = []
    for number in range(400):
        served, route = chance.choice([GPT, CLAUDE]), chance.choice(["coding", "small talk", "default"])
        failed = chance.random() < 0.1
        tries = [AttemptOutcome(GPT, 503, "answered 503", 0.1)] if failed else []
        base = outcome(
            f"r{number}", at=NOON + number * DAY / 100, model_served=served, route=route, session=f"s{number % 7}/main"
        )
        cost = None if served == GPT and chance.random() < 0.2 else chance.random() / 100
        made.append(
            replace(
                base,
                attempts=(*tries, AttemptOutcome(served, 200, "", 1.0)),
                usage=Usage(input=chance.randrange(1000), cached=None, cache_write=3, output=chance.randrange(1, 500)),
                cost=cost,
                baseline=None if chance.random() < 0.1 else 0.005,
                first_content=chance.random(),
                duration=2 + chance.random(),
            )
        )
    nobody = replace(
        outcome("nobody", at=NOON + 5),
        model_served="",
        status=503,
        cost=None,
        baseline=None,
        usage=Usage(),
        first_content=None,
        attempts=(AttemptOutcome(GPT, 503, "answered 503", 0.1), AttemptOutcome(CLAUDE, 500, "answered 500", 0.1)),
    )
    refused = replace(nobody, id="refused", status=400, attempts=())
    return [*made, nobody, refused]


@pytest.fixture
def database(settings: Settings, tmp_path: Path) -> Iterator[Connection]:
    with kept(replace(settings, keep=1e10), tmp_path, *requests()) as connection:
        yield connection


def by_name(connection: Connection, by: str, **more: float) -> dict[str, Line]:
    return {line.name: line for line in stats(connection, by, since=0.0, until=NOON + 9 * DAY, **more).lines}  # type: ignore[arg-type]


def test_sums_of_a_model(database: Connection) -> None:
    mine = [one for one in requests() if one.model_served == GPT]
    line = by_name(database, "model")[GPT]
    assert line.requests == len(mine)
    assert line.failovers == sum(len(one.attempts) > 1 for one in mine)
    assert (line.input, line.output) == (
        sum(one.usage.input or 0 for one in mine),
        sum(one.usage.output or 0 for one in mine),
    )
    assert (line.cached, line.cache_write) == (0, 3 * len(mine))
    assert line.cost == pytest.approx(sum(one.cost or 0 for one in mine))
    assert line.unpriced == sum(one.cost is None for one in mine) > 0
    both = [(one.cost, one.baseline) for one in mine if one.cost is not None and one.baseline is not None]
    assert line.saved == pytest.approx(sum(baseline - cost for cost, baseline in both))
    tries = [try_ for one in requests() for try_ in one.attempts if try_.candidate == GPT]
    assert (line.tries, line.failed_tries) == (len(tries), sum(bool(try_.trouble) for try_ in tries))


def test_how_much_was_read_from_a_cache(settings: Settings, tmp_path: Path) -> None:
    """Of what vendors have told: those that never say make nobody's share smaller."""
    told = (Usage(100, 300, 600, 1), Usage(0, 1000, None, 1), Usage(500, 0, None, 1), Usage(500, None, None, 1))
    warm = [replace(outcome(f"w{at}", at=NOON), model_served=GPT, usage=usage) for at, usage in enumerate(told)]
    silent = replace(outcome("s", at=NOON), model_served=CLAUDE, usage=Usage(700, None, None, 1))
    with kept(replace(settings, keep=1e10), tmp_path, *warm, silent) as connection:
        found = by_name(connection, "model")
        everything = stats(connection, "day", since=0.0, until=NOON + 9 * DAY)
    assert found[GPT].hit_rate == pytest.approx(1300 / 2500)
    assert found[CLAUDE].hit_rate is None
    assert everything.total.hit_rate == pytest.approx(1300 / 2500)


def test_the_middle_and_the_slow_end(database: Connection) -> None:
    line = by_name(database, "model")[CLAUDE]
    times = sorted(one.first_content or 0.0 for one in requests() if one.model_served == CLAUDE)
    middle, slow = (times[-(-len(times) * share // 100) - 1] for share in (50, 95))
    assert line.first_content == Spread(pytest.approx(middle, abs=1e-3), pytest.approx(slow, abs=1e-3))
    speeds = [
        (one.usage.output or 0) / (one.duration - (one.first_content or 0))
        for one in requests()
        if one.model_served == CLAUDE
    ]
    assert line.speed.p50 == pytest.approx(statistics.median_low(speeds), abs=0.1)


def test_who_got_no_answer_is_an_error_and_who_asked_wrongly_is_none(database: Connection) -> None:
    line = by_name(database, "model")["(nobody)"]
    assert (line.requests, line.errors, line.saved, line.first_content) == (2, 1, None, Spread())


@pytest.mark.parametrize(
    ("status", "tries", "errors"),
    [
        (503, ((503, "answered 503"),), 1),
        (429, ((429, "answered 429"),), 1),
        (503, (), 1),
        (404, (), 0),
        (403, (), 0),
        (429, (), 0),
        (400, ((400, "answered 400"),), 0),
        (499, ((499, "was cut off"),), 0),
    ],
    ids=["a vendor's", "its limit", "no room", "no such model", "a stranger", "a budget", "a bad request", "it left"],
)
def test_what_the_client_itself_did_is_no_error(
    settings: Settings, tmp_path: Path, status: int, tries: tuple[tuple[int, str], ...], errors: int
) -> None:
    made = tuple(AttemptOutcome(GPT, code, trouble, 0.1) for code, trouble in tries)
    with kept(settings, tmp_path, outcome(status=status, model_served="", attempts=made)) as connection:
        assert stats(connection, "client", since=0.0).total.errors == errors


@pytest.mark.parametrize("by", BY)
def test_every_request_is_in_one_line(database: Connection, by: str) -> None:
    found = stats(database, by, since=0.0, until=NOON + 9 * DAY)  # type: ignore[arg-type]
    assert sum(line.requests for line in found.lines) == found.total.requests == len(requests())
    assert sum(line.cost for line in found.lines) == pytest.approx(found.total.cost)
    assert all(len(line.curve) == BUCKETS and sum(line.curve) == line.requests for line in found.lines)


def test_groups(database: Connection) -> None:
    assert set(by_name(database, "provider")) == {"openai", "anthropic", "(nobody)"}
    assert set(by_name(database, "preference")) == {"coding", "small talk", "default"}
    assert {f"s{number}" for number in range(7)} < set(by_name(database, "session")), "threads of a session are one"


def test_sessions_that_are_told_by_their_beginning_are_one_each(settings: Settings, tmp_path: Path) -> None:
    keys = ("fingerprint/ab", "fingerprint/cd", "s1/", "s1/agent")
    asked = [outcome(f"r{number}", at=NOON, session=key) for number, key in enumerate(keys)]
    with kept(replace(settings, keep=1e10), tmp_path, *asked) as connection:
        assert set(by_name(connection, "session")) == {"fingerprint/ab", "fingerprint/cd", "s1"}


def test_days_are_those_of_the_user(database: Connection) -> None:
    found = stats(database, "day", since=0.0, until=NOON + 9 * DAY, zone=UTC)
    assert [line.name for line in found.lines] == ["2025-10-09", "2025-10-10", "2025-10-11", "2025-10-12", "2025-10-13"]
    assert [line.requests for line in found.lines] == [52, 100, 100, 100, 50]
    ahead = stats(database, "day", since=0.0, until=NOON + 9 * DAY, zone=timezone(timedelta(hours=12)))
    assert [line.name for line in ahead.lines] == ["2025-10-10", "2025-10-11", "2025-10-12", "2025-10-13"]


def test_a_summers_night_is_told_in_winter_as_it_was(settings: Settings, tmp_path: Path) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    times = (datetime(2025, 7, 10, 0, 30, tzinfo=berlin), datetime(2025, 11, 10, 0, 30, tzinfo=berlin))
    asked = [outcome(str(at), at=at.timestamp()) for at in times]
    with kept(replace(settings, keep=1e10), tmp_path, *asked) as connection:
        found = stats(connection, "day", since=0.0, zone=berlin)
    assert [line.name for line in found.lines] == ["2025-07-10", "2025-11-10"]


def test_one_answer_that_no_vendor_gives_spoils_no_view(settings: Settings, tmp_path: Path) -> None:
    odd = outcome(usage=Usage(output=2**31 - 1), first_content=0.4, duration=0.46)
    with kept(settings, tmp_path, odd) as connection:
        assert stats(connection, "model", since=0.0).total.speed.p50 == pytest.approx((2**31 - 1) / 0.06, rel=1e-6)


def test_only_what_is_within(database: Connection) -> None:
    found = stats(database, "model", since=NOON + DAY, until=NOON + 2 * DAY)
    assert found.total.requests == 100
    assert stats(database, "model", since=NOON + 8 * DAY, until=NOON + 9 * DAY).lines == ()


def test_signals_are_counted_where_the_answer_is(database: Connection) -> None:
    mine = [one.id for one in requests() if one.model_served == GPT][:3]
    rows = [
        {"request": id, "signal": signal, "at": NOON} for id, signal in zip(mine, ["good", "good", "bad"], strict=True)
    ]
    database.execute(insert(signals), rows)
    assert by_name(database, "model")[GPT].signals == {"good": 2, "bad": 1}
    assert by_name(database, "model")[CLAUDE].signals == {}


def test_a_curve_is_as_high_as_its_numbers() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert sparkline([]) == "" and sparkline([0, 0]) == "  "
    assert list(itertools.pairwise(sparkline(range(1, 9)))) == list(itertools.pairwise("▁▂▃▄▅▆▇█"))


@pytest.mark.parametrize(
    ("key", "session"),
    [("s/", "s"), ("s/agent-1", "s"), ("fingerprint/0a1b", "fingerprint/0a1b"), ("", ""), ("odd", "odd")],
)
def test_threads_of_a_session_are_one_and_those_without_one_are_each_their_own(key: str, session: str) -> None:
    assert session_of(key) == session


@pytest.mark.parametrize(
    ("by", "found"),
    [("model", {CLAUDE: 2, GPT: 1}), ("preference", {"coding": 2, "small talk": 1}), ("day", {"2025-10-09": 3})],
)
def test_what_the_cache_answered_is_counted_and_makes_nobody_fast(
    settings: Settings, tmp_path: Path, by: str, found: dict[str, int]
) -> None:
    hit = {"cache": "hit", "cost": 0.0, "baseline": 0.5, "usage": Usage(), "attempts": (), "first_content": None}
    asked = [
        outcome("miss", at=NOON, cache="miss"),
        outcome("hit 1", at=NOON, **hit),
        outcome("hit 2", at=NOON, **hit),
        outcome("hit 3", at=NOON, **(hit | {"model_served": GPT, "route": "small talk"})),
        outcome("long ago", at=NOON - 9 * DAY, **hit),
    ]
    with kept(replace(settings, keep=1e10), tmp_path, *asked) as connection:
        told = stats(connection, by, since=NOON - DAY, until=NOON + DAY, zone=UTC)  # type: ignore[arg-type]
        span = Span(NOON - DAY, NOON + DAY, 24)
        headline_ = headline(connection, span)
    assert {line.name: line.hits for line in told.lines} == found and told.total.hits == 3
    assert (told.total.requests, told.total.cost, told.total.saved) == (4, 0.25, pytest.approx(1.75))
    assert told.total.unpriced == 0 and told.total.first_content == Spread(0.4, 0.4)
    assert (headline_.now.hits, headline_.now.saved) == (3, pytest.approx(1.75))


def test_hits_are_found_without_going_through_all_requests(tmp_path: Path) -> None:
    """They are few among months of requests."""
    with kept(Settings(), tmp_path, outcome(cache="hit")) as connection:
        asked = text("explain query plan select count(*) from requests where at >= 1 and at < 9e9 and cache = 'hit'")
        (plan,) = connection.execute(asked).all()
        assert "requests_hits" in plan.detail
        assert hits(connection, ledger_requests.c.at > 0) == 1
