"""How well preferences are told apart, and how the models have been: what went wrong, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Float, and_, case, cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from archgw.dashboard.span import Span
from archgw.stats import count_of
from router_service.evidence import THUMBS
from router_service.outcome import BLAMELESS
from router_service.shell.ledger_schema import attempts, requests, signals

NEAR = 0.15  # a runner-up that is so near might have been chosen as well
_NO_PREFERENCE = ("default", "explicit", "fast", "")
_NONE = "none of them"


@dataclass(frozen=True, slots=True)
class Preference:
    """`chosen`: user turns that went to it, and `score` how well it fitted them on average, None where there are none.

    `best`: turns that it fitted best, though another may have gone on because leaving was too dear; `near`: those of
    them whose runner-up was nearly as good.
    """

    name: str
    configured: bool
    chosen: int
    best: int
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
    """`unmatched`: user turns that none of them fitted."""

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
    rival = case((each.score - each.next_to < NEAR, each.second)).label("rival")
    asked = select(
        each.route, each.best, rival, func.count().label("times"), func.sum(each.fitted).label("fitted")
    ).group_by(each.route, each.best, "rival")
    rows = connection.execute(asked).all()
    thumbs = _thumbs(connection, span)
    known = (one for row in rows for one in (row.route, row.best) if one not in (*_NO_PREFERENCE, _NONE))
    return Quality(
        preferences=tuple(_preference(name, rows, thumbs, configured) for name in dict.fromkeys([*configured, *known])),
        confusions=_confusions(rows),
        turns=sum(row.times for row in rows),
        unmatched=sum(row.times for row in rows if row.best == _NONE),
    )


def _judged(span: Span, dialect: str) -> Any:
    """The two best of [[name, probability], ...] of each turn, and what fitted the route that was chosen: columns
    route, best, score, second, next_to, fitted.

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
        case((read.route == name, cast(fit, Float)), else_=_fit_of_route(read, dialect)).label("fitted"),
    )
    return two.cte("judged").prefix_with("materialized").c


def _fit_of_route(read: Any, dialect: str) -> Any:
    """Looked for only where another fitted best."""
    if dialect == "sqlite":
        one = func.json_each(read.scores).table_valued("value").c.value
        name, fit = func.json_extract(one, "$[0]"), func.json_extract(one, "$[1]")
    else:
        one = func.jsonb_array_elements(read.scores).column_valued("one")
        name, fit = (cast(one, JSONB)[0].astext, cast(one, JSONB)[1].astext)
    return select(cast(fit, Float)).where(name == read.route).limit(1).scalar_subquery()


def _preference(
    name: str, rows: Sequence[Any], thumbs: dict[tuple[str, str], int], configured: Sequence[str]
) -> Preference:
    good, bad = (thumbs.get((name, thumb), 0) for thumb in THUMBS)
    went = [row for row in rows if row.route == name]
    best = [row for row in rows if row.best == name]
    chosen = sum(row.times for row in went)
    return Preference(
        name=name,
        configured=name in configured,
        chosen=chosen,
        best=sum(row.times for row in best),
        score=sum(row.fitted or 0.0 for row in went) / chosen if chosen else None,
        near=sum(row.times for row in best if row.rival is not None),
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
        if row.rival is not None and _NONE not in (row.best, row.rival):
            pair = (min(row.best, row.rival), max(row.best, row.rival))
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
