"""What the ledger says, summed up: by model, vendor, preference, day, session or client. Prints nothing."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from sqlalchemy import ColumnElement, Connection, Float, Integer, Select, and_, case, cast, func, literal, select

from router_service.shell.ledger_schema import attempts, requests, signals

By = Literal["model", "provider", "preference", "day", "session", "client"]
BY: tuple[By, ...] = get_args(By)
BUCKETS = 24  # of a line's little curve
BLAMELESS = (400, 413, 422, 499)  # the client's own mistakes, and its leaving
NOBODY = "(nobody)"


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle, and what nineteen of twenty stay below; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One group. Tokens and dollars are sums of what is known; `unpriced` requests are in neither cost nor savings.

    `saved` is against the baseline model: negative where it would have been cheaper. `first_content` in seconds,
    `speed` in tokens of output a second after it. `tries`, `failed_tries`: of a model, however the request ended.
    `curve`: requests in each of BUCKETS equal parts of the time looked at.
    """

    name: str
    requests: int = 0
    errors: int = 0
    failovers: int = 0
    input: int = 0
    cached: int = 0
    cache_write: int = 0
    output: int = 0
    cost: float = 0.0
    unpriced: int = 0
    saved: float | None = None
    first_content: Spread = Spread()
    speed: Spread = Spread()
    tries: int | None = None
    failed_tries: int | None = None
    signals: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Stats:
    by: By
    since: float
    until: float
    total: Line
    lines: tuple[Line, ...]


def stats(connection: Connection, by: By, *, since: float, until: float | None = None, offset: int = 0) -> Stats:
    """Of the requests from `since` to `until`, seconds since the epoch; days begin `offset` seconds before UTC's.

    Lines with the most requests come first, days in their order.
    """
    until = time.time() if until is None else until
    within = and_(requests.c.at >= since, requests.c.at < until)
    group = _group(by, connection.dialect.name, offset)
    lines = _lines(connection, group, within, since, until)
    if by == "model":
        lines = [_with_tries(connection, line, since, until) for line in lines]
    ordered = sorted(lines, key=lambda line: line.name if by == "day" else (-line.requests, line.name))
    everything = _lines(connection, literal("all"), within, since, until)
    return Stats(by, since, until, everything[0] if everything else Line("all"), tuple(ordered))


def _group(by: By, dialect: str, offset: int) -> ColumnElement[Any]:
    served = case((requests.c.served == "", NOBODY), else_=requests.c.served)
    match by:
        case "model":
            return served
        case "provider":
            return _before_slash(served, dialect)
        case "preference":
            return requests.c.route
        case "session":
            return session_of(requests.c.session, dialect)
        case "client":
            return requests.c.client
        case "day":
            number = whole((requests.c.at + offset) / 86_400, dialect)
            return func.date(number * 86_400, "unixepoch") if dialect == "sqlite" else _postgres_date(number)


def whole(value: ColumnElement[Any], dialect: str) -> ColumnElement[int]:
    """Rounded down; above zero. SQLite may have been built without `floor`, and PostgreSQL's cast rounds up, too."""
    return cast(value if dialect == "sqlite" else func.floor(value), Integer)


def _postgres_date(number: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.to_char(func.to_timestamp(number * 86_400).op("at time zone")("UTC"), "YYYY-MM-DD")


def _before_slash(column: ColumnElement[Any], dialect: str) -> ColumnElement[Any]:
    if dialect != "sqlite":
        return func.split_part(column, "/", 1)
    return case((func.instr(column, "/") > 0, func.substr(column, 1, func.instr(column, "/") - 1)), else_=column)


def session_of(column: ColumnElement[str], dialect: str) -> ColumnElement[str]:
    """The key of the session that a thread's key belongs to; one that is told by its beginning has one thread."""
    return case((column.startswith("fingerprint/"), column), else_=_before_slash(column, dialect))


def _lines(
    connection: Connection, group: ColumnElement[Any], within: ColumnElement[bool], since: float, until: float
) -> list[Line]:
    found = {str(row["name"]): row for row in connection.execute(sums(group, within)).mappings()}
    first = _spreads(connection, group, within, requests.c.first_content)
    after = requests.c.duration - requests.c.first_content
    measurable = and_(within, after > 0.05, requests.c.output > 0)  # shorter says nothing of speed
    speed = _spreads(connection, group, measurable, cast(requests.c.output, Float) / after)
    told = _signals(connection, group, within)
    curves = _curves(connection, group, within, since, until)
    return [
        Line(
            name=name,
            requests=row["requests"],
            errors=row["errors"],
            failovers=row["failovers"],
            input=row["input"] or 0,
            cached=row["cached"] or 0,
            cache_write=row["cache_write"] or 0,
            output=row["output"] or 0,
            cost=row["cost"] or 0.0,
            unpriced=row["unpriced"],
            saved=row["saved"],
            first_content=first.get(name, Spread()),
            speed=speed.get(name, Spread()),
            signals=told.get(name, {}),
            curve=curves[name],
        )
        for name, row in found.items()
    ]


def count_of(when: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((when, 1), else_=0))


def sums(group: ColumnElement[Any], within: ColumnElement[bool]) -> Select[Any]:
    table = requests.c
    answered = table.served != ""
    return (
        select(
            group.label("name"),
            func.count().label("requests"),
            count_of(and_(~answered, table.status.not_in(BLAMELESS))).label("errors"),
            count_of(and_(answered, table.failed > 0)).label("failovers"),
            *(func.sum(table[name]).label(name) for name in ("input", "cached", "cache_write", "output", "cost")),
            count_of(and_(answered, table.cost.is_(None))).label("unpriced"),
            func.sum(table.baseline - table.cost).label("saved"),  # null where either is, and left out then
        )
        .where(within)
        .group_by("name")
    )


def _spreads(
    connection: Connection, group: ColumnElement[Any], within: ColumnElement[bool], value: ColumnElement[Any]
) -> dict[str, Spread]:
    ranked = (
        select(
            group.label("name"),
            value.label("value"),
            func.row_number().over(partition_by=group, order_by=value).label("place"),
            func.count().over(partition_by=group).label("count"),
        )
        .where(within, value.is_not(None))
        .subquery()
    )
    places = [
        func.max(case((ranked.c.place == (ranked.c["count"] * percent + 99) // 100, ranked.c.value))).label(name)
        for name, percent in (("p50", 50), ("p95", 95))
    ]
    found = connection.execute(select(ranked.c.name, *places).group_by(ranked.c.name))
    return {str(row.name): Spread(row.p50, row.p95) for row in found}


def _signals(
    connection: Connection, group: ColumnElement[Any], within: ColumnElement[bool]
) -> dict[str, dict[str, int]]:
    asked = (
        select(group.label("name"), signals.c.signal, func.count().label("count"))
        .join_from(signals, requests, signals.c.request == requests.c.id)
        .where(within)
        .group_by("name", signals.c.signal)
    )
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(asked):
        found.setdefault(str(row.name), {})[row.signal] = row[2]
    return found


def _curves(
    connection: Connection, group: ColumnElement[Any], within: ColumnElement[bool], since: float, until: float
) -> dict[str, tuple[int, ...]]:
    """From the first request to now: a ledger that is younger than `since` has no empty beginning."""
    first = connection.scalar(select(func.min(requests.c.at)).where(within))
    begin = max(since, first) if first is not None else since
    width = max((until - begin) / BUCKETS, 1e-6)
    bucket = whole((requests.c.at - begin) / width, connection.dialect.name)
    asked = select(group.label("name"), bucket.label("bucket"), func.count().label("count")).where(within)
    found: dict[str, list[int]] = {}
    for row in connection.execute(asked.group_by("name", "bucket")):
        curve = found.setdefault(str(row.name), [0] * BUCKETS)
        curve[min(max(row.bucket, 0), BUCKETS - 1)] += row[2]
    return {name: tuple(curve) for name, curve in found.items()}


def _with_tries(connection: Connection, line: Line, since: float, until: float) -> Line:
    table = attempts.c
    counted = select(func.count(), count_of(and_(table.trouble != "", table.status.not_in(BLAMELESS))))
    within = and_(table.at >= since, table.at < until, table.candidate == line.name)
    tries, failed = connection.execute(counted.where(within)).one()
    return replace(line, tries=tries, failed_tries=failed or 0)


def sparkline(curve: Sequence[int]) -> str:
    """A row of bars, as high as the numbers; nothing is a space."""
    most = max(curve, default=0)
    bars = "▁▂▃▄▅▆▇█"
    return "".join(" " if not one else bars[min(7, one * 8 // (most + 1))] for one in curve)
