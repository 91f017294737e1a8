"""What the ledger says, summed up: by model, vendor, preference, day, session or client. Prints nothing."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from itertools import chain
from typing import Any, Literal, get_args

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    Integer,
    Select,
    String,
    and_,
    case,
    cast,
    func,
    or_,
    select,
    text,
)

from router_service.outcome import BLAMELESS
from router_service.shell.ledger_schema import attempts, requests, signals

By = Literal["model", "provider", "preference", "day", "session", "client"]
BY: tuple[By, ...] = get_args(By)
BUCKETS = 24  # of a line's little curve
NOBODY = "(nobody)"
_QUARTER = 900  # seconds; every time zone begins its day on one
Part = Mapping[str, Any]  # what adds up to a line: its sums, and every value of what is not summed
_SUMMED = (
    *("requests", "errors", "failovers", "unpriced"),
    *("input", "cached", "cache_write", "output", "cost"),
)
_READ = func.coalesce(requests.c.input, 0) + requests.c.cached + func.coalesce(requests.c.cache_write, 0)
# What nobody answered, though it was asked well: not what a client asked wrongly, or may not ask, or gave up.
UNANSWERED = and_(requests.c.served == "", or_(requests.c.status >= 500, requests.c.failed > 0))
_HIT = requests.c.cache == text("'hit'")  # to the letter, for so an index knows them
_AFTER = requests.c.duration - requests.c.first_content
# Of one answer, in tokens of output a second after first content; null where it is too short to say.
SPEED = case((and_(_AFTER > 0.05, requests.c.output > 0), cast(requests.c.output, Float) / _AFTER))


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle, and what nineteen of twenty stay below; None where nothing was measured."""

    p50: float | None = None
    p95: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One group. Tokens and dollars are sums of what is known; `unpriced` requests are in neither cost nor savings.

    `saved` is against the baseline model: negative where it would have been cheaper. `hit_rate` is the share of what
    was read that came out of vendors' prompt caches, of what they say it of; None where none does. `first_content` in
    seconds, `speed` in tokens of output a second after it. `tries`, `failed_tries`: of a model, however the request
    ended. `curve`: requests in each of BUCKETS equal parts of the time looked at. `hits`: answered from the cache.
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
    hit_rate: float | None = None
    first_content: Spread = Spread()
    speed: Spread = Spread()
    tries: int | None = None
    failed_tries: int | None = None
    signals: Mapping[str, int] = field(default_factory=dict)
    curve: tuple[int, ...] = ()
    hits: int = 0


@dataclass(frozen=True, slots=True)
class Stats:
    by: By
    since: float
    until: float
    total: Line
    lines: tuple[Line, ...]


def stats(
    connection: Connection, by: By, *, since: float, until: float | None = None, zone: tzinfo | None = None
) -> Stats:
    """Of the requests from `since` to `until`, seconds since the epoch; days are `zone`'s, else this machine's.

    Lines with the most requests come first, days in their order.
    """
    until = time.time() if until is None else until
    within = and_(requests.c.at >= since, requests.c.at < until)
    key, name = _group(by, connection.dialect.name, zone)
    parts = _parts(connection, key, name, within, since, until)
    told = _signals(connection, key, name, since, until)
    groups = [_Group(name, some) for name, some in parts.items()]
    lines = [group.line(told.get(group.name, {})) for group in groups]
    if by == "model":
        lines = _with_tries(connection, lines, since, until)
    cached = hits_by(connection, key, name, within)
    lines = [replace(line, hits=cached[line.name]) for line in lines]
    ordered = sorted(lines, key=lambda line: line.name if by == "day" else (-line.requests, line.name))
    everything = replace(_Group.of_all(groups).line(_together(told.values())), hits=cached.total())
    return Stats(by, since, until, everything, tuple(ordered))


Name = Callable[[Any], str]


def _group(by: By, dialect: str, zone: tzinfo | None) -> tuple[ColumnElement[Any], Name]:
    """What the database groups by, and the name of the line in which such a group is told."""
    table = requests.c
    match by:
        case "model":
            return table.served, lambda served: served or NOBODY
        case "provider":
            return table.served, lambda served: served.partition("/")[0] or NOBODY
        case "preference":
            return table.route, str
        case "session":
            return table.session, session_of
        case "client":
            return table.client, str
        case "day":
            quarter = whole(table.at / _QUARTER, dialect)
            return quarter, lambda number: datetime.fromtimestamp(number * _QUARTER, zone).date().isoformat()


def session_of(key: str) -> str:
    """The session that a thread belongs to; what is known by how it began is a thread alone."""
    return key if key.startswith("fingerprint/") else key.partition("/")[0]


def whole(value: ColumnElement[Any], dialect: str) -> ColumnElement[int]:
    """Rounded down; above zero. SQLite may have been built without `floor`, and PostgreSQL's cast rounds up, too."""
    return cast(value if dialect == "sqlite" else func.floor(value), Integer)


def count_of(when: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((when, 1), else_=0))


def sums(group: ColumnElement[Any], within: ColumnElement[bool]) -> Select[Any]:
    table = requests.c
    answered = table.served != ""
    return (
        select(
            group.label("name"),
            func.count().label("requests"),
            count_of(UNANSWERED).label("errors"),
            count_of(and_(answered, table.failed > 0)).label("failovers"),
            *(func.sum(table[name]).label(name) for name in ("input", "cached", "cache_write", "output", "cost")),
            func.sum(_READ).label("read"),  # null where the vendor does not say what it had cached
            count_of(and_(answered, table.cost.is_(None))).label("unpriced"),
            func.sum(table.baseline - table.cost).label("saved"),  # null where either is, and left out then
        )
        .where(within)
        .group_by("name")
    )


def _parts(
    connection: Connection,
    key: ColumnElement[Any],
    name: Name,
    within: ColumnElement[bool],
    since: float,
    until: float,
) -> dict[str, list[Part]]:
    """By the name of a line, what adds up to it: once over the ledger."""
    asked = sums(key, within).add_columns(
        every(_bucket(connection, within, since, until), 1).label("buckets"),
        every(requests.c.first_content, 1000).label("waits"),
        every(SPEED, 10).label("speeds"),
    )
    found: dict[str, list[Part]] = {}
    for row in connection.execute(asked).mappings():
        found.setdefault(name(row["name"]), []).append(dict(row))
    return found


def _bucket(connection: Connection, within: ColumnElement[bool], since: float, until: float) -> ColumnElement[int]:
    """Which of BUCKETS equal parts of the time a request is in.

    From the first request to now: a ledger that is younger than `since` has no empty beginning.
    """
    first = connection.scalar(select(func.min(requests.c.at)).where(within))
    begin = max(since, first) if first is not None else since
    width = max((until - begin) / BUCKETS, 1e-6)
    return whole((requests.c.at - begin) / width, connection.dialect.name)


class _Group:
    """The parts of a group, and how long each of its answers took: `waits` in milliseconds, `speeds` in a tenth."""

    def __init__(self, name: str, parts: list[Part]) -> None:
        self.name, self.parts = name, parts
        self.waits, self.speeds = (
            sorted(chain.from_iterable(values(part[of]) for part in parts)) for of in ("waits", "speeds")
        )
        self.buckets = Counter(chain.from_iterable(values(part["buckets"]) for part in parts))

    @classmethod
    def of_all(cls, groups: Sequence["_Group"]) -> "_Group":
        """What is in order already is sorted quickly."""
        whole = cls("all", [])
        whole.parts = [part for group in groups for part in group.parts]
        whole.waits = sorted(chain.from_iterable(group.waits for group in groups))
        whole.speeds = sorted(chain.from_iterable(group.speeds for group in groups))
        for group in groups:
            whole.buckets.update(group.buckets)
        return whole

    def line(self, told: Mapping[str, int]) -> Line:
        compared = any(part["saved"] is not None for part in self.parts)
        return Line(
            name=self.name,
            **{of: self._total(of) for of in _SUMMED},
            saved=self._total("saved") if compared else None,
            hit_rate=self._hit_rate(),
            first_content=spread(self.waits, 1000),
            speed=spread(self.speeds, 10),
            signals=told,
            curve=self._curve(),
        )

    def _hit_rate(self) -> float | None:
        read = self._total("read")
        return self._total("cached") / read if read else None

    def _total(self, of: str) -> Any:
        return sum([part[of] or 0 for part in self.parts])

    def _curve(self) -> tuple[int, ...]:
        curve = [0] * BUCKETS
        for bucket, count in self.buckets.items():
            curve[min(max(bucket, 0), BUCKETS - 1)] += count
        return tuple(curve)


def every(value: ColumnElement[Any], fine: int) -> ColumnElement[str]:
    """Every value of a group, in parts of `fine`: a hundred thousand are sorted sooner in Python than in SQLite."""
    return func.aggregate_strings(cast(cast(value * fine, BigInteger), String), ",")


def values(told: str | None) -> list[int]:
    """What `every` has told."""
    return list(map(int, told.split(","))) if told else []


def spread(ordered: Sequence[int], fine: int) -> Spread:
    """Of values in parts of `fine`."""
    if not ordered:
        return Spread()
    return Spread(*(ordered[-(-len(ordered) * percent // 100) - 1] / fine for percent in (50, 95)))


def _signals(
    connection: Connection, key: ColumnElement[Any], name: Name, since: float, until: float
) -> dict[str, Counter[str]]:
    """There are few, and none is older than its request: `at + 0` keeps SQLite from going through the requests."""
    at = requests.c.at + 0
    asked = (
        select(key.label("name"), signals.c.signal, func.count())
        .join_from(signals, requests, signals.c.request == requests.c.id)
        .where(signals.c.at >= since, at >= since, at < until)
        .group_by("name", signals.c.signal)
    )
    found: dict[str, Counter[str]] = {}
    for group, signal, count in connection.execute(asked):
        found.setdefault(name(group), Counter())[signal] += count
    return found


def hits_by(connection: Connection, key: ColumnElement[Any], name: Name, within: ColumnElement[bool]) -> Counter[str]:
    """Requests that were answered from the cache, by the name of a line."""
    asked = select(key.label("name"), func.count()).where(within, _HIT).group_by("name")
    found: Counter[str] = Counter()
    for group, count in connection.execute(asked):
        found[name(group)] += count
    return found


def hits(connection: Connection, within: ColumnElement[bool]) -> int:
    """All of them."""
    return connection.scalar(select(func.count()).select_from(requests).where(within, _HIT)) or 0


def _together(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in several:
        total.update(one)
    return dict(total)


def _with_tries(connection: Connection, lines: list[Line], since: float, until: float) -> list[Line]:
    table = attempts.c
    failed = count_of(and_(table.trouble != "", table.status.not_in(BLAMELESS)))
    asked = select(table.candidate, func.count(), failed).where(table.at >= since, table.at < until)
    found = {name: (tries, bad) for name, tries, bad in connection.execute(asked.group_by(table.candidate))}
    counted = ((line, *found.get(line.name, (0, 0))) for line in lines)
    return [replace(line, tries=tries, failed_tries=bad) for line, tries, bad in counted]


def sparkline(curve: Sequence[int]) -> str:
    """A row of bars, as high as the numbers; nothing is a space."""
    most = max(curve, default=0)
    bars = "▁▂▃▄▅▆▇█"
    return "".join(" " if not one else bars[min(7, one * 8 // (most + 1))] for one in curve)
