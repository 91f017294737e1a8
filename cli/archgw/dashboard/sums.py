"""Headline figures, money over time, the flow from preferences to models, and how fast the models are."""

from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from sqlalchemy import Connection, and_, func, literal, select

from archgw.dashboard.span import Span
from archgw.stats import SPEED, Spread, every, hits, spread, sums, values
from router_service.shell.ledger_schema import requests

_MILLISECONDS, _TENTHS = 1000, 10  # of a second, and of a token a second


@dataclass(frozen=True, slots=True)
class Totals:
    """Tokens and dollars are sums of what is known; `unpriced` answers are in neither `cost` nor `saved`.

    `saved` is against the baseline model, None where nothing can be compared. `hits`: answered from the cache, where
    that is asked.
    """

    requests: int = 0
    errors: int = 0
    failovers: int = 0
    read: int = 0
    cached: int = 0
    output: int = 0
    cost: float = 0.0
    unpriced: int = 0
    saved: float | None = None
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Headline:
    """`before`: of the same time before."""

    now: Totals
    before: Totals
    first_content: Spread
    ever: bool  # whether the ledger holds anything at all


@dataclass(frozen=True, slots=True)
class Money:
    """For each part of the time: when it begins, and the sums of it."""

    at: list[float]
    requests: list[int]
    failovers: list[int]
    cost: list[float]
    saved: list[float]
    read: list[int]
    cached: list[int]


@dataclass(frozen=True, slots=True)
class Stream:
    """What a preference (or `default`, `explicit`, `fast`) was answered by; `model` is empty where nobody did."""

    preference: str
    model: str
    requests: int
    cost: float
    unpriced: int


@dataclass(frozen=True, slots=True)
class Speed:
    """Of a model. `over_time`: the middle of first content in each part, None where it answered nothing."""

    model: str
    requests: int
    first_content: Spread
    tokens: Spread
    over_time: list[float | None]
    tokens_over_time: list[float | None]


@dataclass(frozen=True, slots=True)
class Latency:
    at: list[float]
    models: tuple[Speed, ...]


def headline(connection: Connection, span: Span) -> Headline:
    answered = and_(span.holds(requests.c.at), requests.c.first_content.is_not(None))
    waits = connection.scalar(select(every(requests.c.first_content, _MILLISECONDS)).where(answered))
    return Headline(
        now=replace(_totals(connection, span), hits=hits(connection, span.holds(requests.c.at))),
        before=_totals(connection, span.before),
        first_content=spread(sorted(values(waits)), _MILLISECONDS),
        ever=connection.scalar(select(requests.c.id).limit(1)) is not None,
    )


def _totals(connection: Connection, span: Span) -> Totals:
    asked = sums(literal("all"), span.holds(requests.c.at))
    row = connection.execute(asked).mappings().one_or_none()
    return _total(row) if row else Totals()


def _total(row: Any) -> Totals:
    return Totals(
        requests=row["requests"],
        errors=row["errors"],
        failovers=row["failovers"],
        read=row["read"] or 0,
        cached=row["cached"] or 0,
        output=row["output"] or 0,
        cost=row["cost"] or 0.0,
        unpriced=row["unpriced"],
        saved=row["saved"],
    )


def money(connection: Connection, span: Span) -> Money:
    part = span.part(requests.c.at, connection.dialect.name)
    found = [Totals()] * span.parts
    for row in connection.execute(sums(part, span.holds(requests.c.at))).mappings():
        found[span.place(row["name"])] = _total(row)
    return Money(
        at=span.times,
        requests=[one.requests for one in found],
        failovers=[one.failovers for one in found],
        cost=[one.cost for one in found],
        saved=[one.saved or 0.0 for one in found],
        read=[one.read for one in found],
        cached=[one.cached for one in found],
    )


def flow(connection: Connection, span: Span) -> tuple[Stream, ...]:
    """The widest first."""
    table = requests.c
    asked = (
        select(table.route, table.served, func.count(), func.sum(table.cost), func.count(table.cost))
        .where(span.holds(table.at))
        .group_by(table.route, table.served)
    )
    found = [
        Stream(route, served, count, cost or 0.0, count - priced if served else 0)
        for route, served, count, cost, priced in connection.execute(asked)
    ]
    return tuple(sorted(found, key=lambda one: (-one.requests, one.preference, one.model)))


def latency(connection: Connection, span: Span) -> Latency:
    """The models with the most answers first."""
    table = requests.c
    asked = (
        select(
            table.served,
            span.part(table.at, connection.dialect.name).label("part"),
            every(table.first_content, _MILLISECONDS).label("waits"),
            every(SPEED, _TENTHS).label("speeds"),
        )
        .where(span.holds(table.at), table.served != "", table.first_content.is_not(None))
        .group_by(table.served, "part")
    )
    rows: dict[str, list[Any]] = {}
    for row in connection.execute(asked):
        rows.setdefault(row.served, []).append(row)
    speeds = [_speed(model, parts, span) for model, parts in rows.items()]
    return Latency(span.times, tuple(sorted(speeds, key=lambda one: (-one.requests, one.model))))


def _speed(model: str, rows: list[Any], span: Span) -> Speed:
    waits: list[list[int]] = [[] for _ in range(span.parts)]
    speeds: list[list[int]] = [[] for _ in range(span.parts)]
    for row in rows:
        place = span.place(row.part)
        waits[place] = sorted(waits[place] + values(row.waits))
        speeds[place] = sorted(speeds[place] + values(row.speeds))
    every_wait = sorted(chain.from_iterable(waits))
    return Speed(
        model=model,
        requests=len(every_wait),
        first_content=spread(every_wait, _MILLISECONDS),
        tokens=spread(sorted(chain.from_iterable(speeds)), _TENTHS),
        over_time=[spread(one, _MILLISECONDS).p50 for one in waits],
        tokens_over_time=[spread(one, _TENTHS).p50 for one in speeds],
    )
