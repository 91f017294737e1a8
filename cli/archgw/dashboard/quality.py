"""How well preferences are told apart, and how the models have been: what went wrong, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Float, and_, case, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from archgw.dashboard.span import Span
from archgw.stats import count_of
from router_service.outcome import BLAMELESS
from router_service.shell.ledger import THUMBS
from router_service.shell.ledger_schema import attempts, requests, signals

NEAR = 0.15  # a runner-up that is so near might have been chosen as well
_NO_PREFERENCE = ("default", "explicit", "fast", "")
_NONE = "none of them"


@dataclass(frozen=True, slots=True)
class Preference:
    """`chosen`: user turns that went to it. `near`: those whose runner-up was nearly as good. `score`: how well it
    fitted on average, None where nothing did."""

    name: str
    configured: bool
    chosen: int
    score: float | None
    near: int
    good: int
    bad: int


@dataclass(frozen=True, slots=True)
class Confusion:
    """How often two preferences were so near that either might have been chosen, in whichever order."""

    one: str
    other: str
    times: int


@dataclass(frozen=True, slots=True)
class Quality:
    """`unmatched`: user turns for which no preference was chosen."""

    preferences: tuple[Preference, ...]
    confusions: tuple[Confusion, ...]
    turns: int
    unmatched: int
    near: float = NEAR


@dataclass(frozen=True, slots=True)
class Health:
    """Of a model's tries in this time. `strip`: tries and failed ones, for each part of it."""

    model: str
    tries: int
    failed: int
    last_trouble: str
    last_failed: float | None
    strip: tuple[tuple[int, int], ...]


def quality(connection: Connection, span: Span, configured: Sequence[str]) -> Quality:
    """Of the turns that the router model was asked about. Configured preferences come first, in their order."""
    each = _judged(span, connection.dialect.name)
    is_near = each.score - each.next_to < NEAR
    asked = select(
        each.route,
        case((is_near, each.best)).label("one"),
        case((is_near, each.second)).label("other"),
        func.count().label("times"),
        func.sum(each.score).label("score"),
    ).group_by(each.route, "one", "other")
    rows: dict[str, list[Any]] = {}
    for row in connection.execute(asked):
        rows.setdefault(row.route, []).append(row)
    thumbs = _thumbs(connection, span)
    names = dict.fromkeys([*configured, *(one for one in rows if one not in _NO_PREFERENCE)])
    every = [row for some in rows.values() for row in some]
    return Quality(
        preferences=tuple(_preference(name, rows.get(name, ()), thumbs, configured) for name in names),
        confusions=_confusions(every),
        turns=sum(row.times for row in every),
        unmatched=sum(row.times for row in every if row.route in _NO_PREFERENCE),
    )


def _judged(span: Span, dialect: str) -> Any:
    """The two best of [[name, probability], ...] of each turn: columns route, best, score, second, next_to.

    Materialized, for else the JSON is read again for every mention of a column.
    """
    table = requests.c
    scores = table.scores if dialect == "sqlite" else cast(table.scores, JSONB)
    judged = select(table.route, scores.label("scores")).where(span.holds(table.at), table.scores.is_not(None))
    read = (judged.cte("read").prefix_with("materialized") if dialect != "sqlite" else judged.subquery()).c
    name, fit, other, next_to = (
        func.json_extract(read.scores, f"$[{i}][{j}]") if dialect == "sqlite" else read.scores[i][j].astext
        for i in (0, 1)
        for j in (0, 1)
    )
    two = select(
        read.route,
        name.label("best"),
        cast(fit, Float).label("score"),
        other.label("second"),
        func.coalesce(cast(next_to, Float), 0.0).label("next_to"),
    )
    return two.cte("judged").prefix_with("materialized").c


def _preference(
    name: str, rows: Sequence[Any], thumbs: dict[tuple[str, str], int], configured: Sequence[str]
) -> Preference:
    good, bad = (thumbs.get((name, thumb), 0) for thumb in THUMBS)
    chosen = sum(row.times for row in rows)
    return Preference(
        name=name,
        configured=name in configured,
        chosen=chosen,
        score=sum(row.score for row in rows) / chosen if chosen else None,
        near=sum(row.times for row in rows if row.one is not None),
        good=good,
        bad=bad,
    )


def _thumbs(connection: Connection, span: Span) -> dict[tuple[str, str], int]:
    asked = (
        select(requests.c.route, signals.c.signal, func.count())
        .join_from(signals, requests, signals.c.request == requests.c.id)
        .where(span.holds(requests.c.at), signals.c.signal.in_(THUMBS))
        .group_by(requests.c.route, signals.c.signal)
    )
    return {(route, signal): count for route, signal, count in connection.execute(asked)}


def _confusions(rows: Sequence[Any]) -> tuple[Confusion, ...]:
    """The most frequent first. That nothing fitted well either is no confusion of two."""
    found: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.other is not None and _NONE not in (row.one, row.other):
            pair = (min(row.one, row.other), max(row.one, row.other))
            found[pair] = found.get(pair, 0) + row.times
    return tuple(Confusion(*pair, times) for pair, times in sorted(found.items(), key=lambda item: (-item[1], item[0])))


def health(connection: Connection, span: Span) -> tuple[Health, ...]:
    """By name. The client's own mistakes are held against nobody."""
    table = attempts.c
    failed = and_(table.trouble != "", table.status.not_in(BLAMELESS))
    asked = (
        select(
            table.candidate,
            span.part(table.at, connection.dialect.name).label("part"),
            func.count().label("tries"),
            count_of(failed).label("failed"),
            func.max(case((failed, table.at))).label("last"),
        )
        .where(span.holds(table.at))
        .group_by(table.candidate, "part")
    )
    rows: dict[str, list[Any]] = {}
    for row in connection.execute(asked):
        rows.setdefault(row.candidate, []).append(row)
    last = {model: max((row.last for row in parts if row.last), default=None) for model, parts in rows.items()}
    troubles = _troubles(connection, [(model, at) for model, at in last.items() if at])
    return tuple(_health(model, rows[model], last[model], troubles.get(model, ""), span) for model in sorted(rows))


def _troubles(connection: Connection, wanted: Sequence[tuple[str, float]]) -> dict[str, str]:
    if not wanted:
        return {}
    table = attempts.c
    asked = select(table.candidate, table.trouble).where(
        table.at.in_([at for _, at in wanted]), tuple_(table.candidate, table.at).in_(wanted), table.trouble != ""
    )
    return {row.candidate: row.trouble for row in connection.execute(asked)}


def _health(model: str, rows: Sequence[Any], last: float | None, trouble: str, span: Span) -> Health:
    strip = [(0, 0)] * span.parts
    for row in rows:
        tries, failed = strip[span.place(row.part)]
        strip[span.place(row.part)] = (tries + row.tries, failed + row.failed)
    return Health(model, sum(row.tries for row in rows), sum(row.failed for row in rows), trouble, last, tuple(strip))
