"""Requests one by one: the newest, those that have just ended, and all that is known about one."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, and_, or_, select

from archgw.stats import UNANSWERED
from router_service.evidence import SHOULD_BE, THUMBS
from router_service.shell.ledger_schema import attempts, requests, signals

_FOLLOWED = 2_000  # of the newest requests, those among which new ones are looked for
_AT_ONCE = 200
_TROUBLED = or_(requests.c.failed > 0, UNANSWERED)
_COLUMNS = (
    *("id", "at", "session", "kind", "client", "caller", "route", "reason", "score", "asked", "served", "status"),
    *("tries", "failed", "input", "cached", "cache_write", "output", "reasoning", "cost", "baseline"),
    *("first_content", "duration", "trouble", "warnings"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as the ledger has it. `thumb`: good, bad, or None.

    `troubled`: a try failed, or nobody answered; not by what the client did itself.
    """

    id: str
    at: float
    session: str
    kind: str
    client: str
    caller: str
    route: str
    reason: str
    score: float | None
    asked: str
    served: str
    status: int
    tries: int
    failed: int
    input: int | None
    cached: int | None
    cache_write: int | None
    output: int | None
    reasoning: int | None
    cost: float | None
    baseline: float | None
    first_content: float | None
    duration: float
    trouble: str
    warnings: int
    thumb: str | None
    troubled: bool


@dataclass(frozen=True, slots=True)
class Try:
    model: str
    status: int
    trouble: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Detail:
    """`fits`: how well each preference fitted, the best first; empty where the router model was not asked."""

    request: Asked
    fits: tuple[tuple[str, float], ...]
    difficulty: str
    routing: float | None
    ask: str
    tries: tuple[Try, ...]
    signals: tuple[str, ...]
    should_be: str | None  # preference:NAME or model:LABEL, as somebody has said


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which requests; what is None is any, and an empty name is one: no preference, nobody.

    `before`: those that began before this one, by its `at` and id.
    """

    preference: str | None = None
    model: str | None = None
    trouble: bool = False
    before: tuple[float, str] | None = None


def newest(connection: Connection, wanted: Wanted, limit: int) -> tuple[Asked, ...]:
    asked = _rows().where(*_conditions(wanted)).order_by(requests.c.at.desc(), requests.c.id.desc()).limit(limit)
    return tuple(map(_asked, connection.execute(asked).mappings()))


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    table = requests.c
    found: list[ColumnElement[bool]] = []
    if wanted.preference is not None:
        found.append(table.route == wanted.preference)
    if wanted.model is not None:
        found.append(table.served == wanted.model)
    if wanted.trouble:
        found.append(_TROUBLED)
    if wanted.before:
        at, id = wanted.before
        found.append(and_(table.at <= at, or_(table.at < at, table.id < id)))
    return found


def ids(connection: Connection, since: float) -> list[str]:
    """Of the newest requests that began after `since`: a request is written when it ends, and so in any order."""
    asked = select(requests.c.id).where(requests.c.at >= since).order_by(requests.c.at.desc()).limit(_FOLLOWED)
    return list(connection.scalars(asked))


def of_ids(connection: Connection, wanted: Collection[str]) -> tuple[Asked, ...]:
    """The oldest first; of very many the newest."""
    asked = _rows().where(requests.c.id.in_(wanted)).order_by(requests.c.at.desc()).limit(_AT_ONCE)
    return tuple(reversed([_asked(row) for row in connection.execute(asked).mappings()]))


def detail(connection: Connection, id: str) -> Detail | None:
    extra = select(requests.c.scores, requests.c.difficulty, requests.c.routing, requests.c.ask)
    row = connection.execute(_rows().where(requests.c.id == id)).mappings().one_or_none()
    if row is None:
        return None
    scores, difficulty, routing, ask = connection.execute(extra.where(requests.c.id == id)).one()
    tries = select(attempts).where(attempts.c.request == id).order_by(attempts.c.number)
    told = select(signals.c.signal, signals.c.told).where(signals.c.request == id).order_by(signals.c.at)
    told_of = {row.signal: row.told for row in connection.execute(told)}
    return Detail(
        request=_asked(row),
        fits=tuple((str(name), float(fit)) for name, fit in json.loads(scores or "[]")),
        difficulty=difficulty or "",
        routing=routing,
        ask=ask or "",
        tries=tuple(Try(one.candidate, one.status, one.trouble, one.seconds) for one in connection.execute(tries)),
        signals=tuple(told_of),
        should_be=told_of.get(SHOULD_BE),
    )


def _rows() -> Select[Any]:
    thumb = and_(signals.c.request == requests.c.id, signals.c.signal.in_(THUMBS))
    columns = [requests.c[name] for name in _COLUMNS]
    told = (signals.c.signal.label("thumb"), _TROUBLED.label("troubled"))
    return select(*columns, *told).join_from(requests, signals, thumb, isouter=True)


def _asked(row: RowMapping) -> Asked:
    return Asked(**{str(name): value for name, value in row.items()} | {"troubled": bool(row["troubled"])})
