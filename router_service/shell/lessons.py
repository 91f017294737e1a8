"""What learning is made of, in the ledger's database: read, left out and taken back."""

import json
import math
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, case, delete, func, insert, select

from router_service.evidence import Asked, Evidence, LeftOut, Said
from router_service.shell.ledger_schema import left_out, requests, signals, vectors

MOST = 5_000  # asks of each caller: the newest, and besides as many of those about which something was said
ALL = 20_000  # of all callers, who are given equal shares
_LATEST = 250e9  # seconds since the epoch: what comes afterwards is no time


def count(connection: Connection) -> int:
    """How much was said: less where something was taken back."""
    return connection.scalar(select(func.count()).select_from(signals)) or 0


def mark(connection: Connection) -> tuple[Any, ...]:
    """Changes whenever something was said, or left out; whether something was taken back, `count` tells."""
    said = (connection.scalar(select(func.max(signals.c.at))),)
    gone = connection.execute(select(func.max(left_out.c.at), func.count()).select_from(left_out)).one()
    return (*said, *gone)


def read(connection: Connection) -> Evidence:
    """What cannot be read is left out, whoever has written it."""
    words = _words()
    queries = (_newest(), _newest(vectors.c.request.in_(select(words.subquery().c.turn))))
    found = [_asked(row) for query in queries for row in connection.execute(query)]
    asked = {one.request: one for one in found if one}
    since = min((one.at for one in asked.values()), default=0.0)
    said = [
        Said(row.request, row.signal, row.at, row.told or "", "" if row.turn == row.request else row.turn)
        for row in connection.execute(words.where(signals.c.at >= since))
        if row.turn in asked and _is_time(row.at)
    ]
    return Evidence(tuple(asked.values()), tuple(said), tuple(_left_out(connection)))


def leave_out(connection: Connection, caller: str, what: str, at: float) -> None:
    take_back(connection, caller, what)
    connection.execute(insert(left_out).values(caller=caller, what=what, at=at))


def take_back(connection: Connection, caller: str, what: str) -> bool:
    """Let it count again; whether it had been left out."""
    here = (left_out.c.caller == caller, left_out.c.what == what)
    return bool(connection.execute(delete(left_out).where(*here)).rowcount)


def _words() -> Select[Any]:
    """What was said, with the ask (`turn`) that it speaks of: of what continues a turn, the user's words that began it,
    even if those were not routed; then nothing is learned of either.
    """
    begun = requests.alias()
    turn = (
        select(begun.c.id)
        .where(begun.c.session == requests.c.session, begun.c.caller == requests.c.caller)
        .where(begun.c.kind.endswith("user turn"), begun.c.at <= requests.c.at)
        .order_by(begun.c.at.desc())
        .limit(1)
        .correlate(requests)
        .scalar_subquery()
    )
    goes_on = requests.c.kind.endswith("tool continuation")
    return select(
        signals.c.request, signals.c.signal, signals.c.at, signals.c.told,
        case((goes_on, turn), else_=signals.c.request).label("turn"),
    ).select_from(signals.outerjoin(requests, requests.c.id == signals.c.request))  # fmt: skip


def _newest(*where: ColumnElement[bool]) -> Select[Any]:
    """Of each caller so many, so that a busy one takes nothing from the others."""
    place = func.row_number().over(partition_by=vectors.c.caller, order_by=vectors.c.at.desc())
    ranked = select(vectors.c.request, place.label("place")).where(*where).subquery()
    found = select(vectors).join(ranked, ranked.c.request == vectors.c.request)
    return found.where(ranked.c.place <= MOST).order_by(ranked.c.place).limit(ALL)


def _left_out(connection: Connection) -> Iterable[LeftOut]:
    rows = connection.execute(select(left_out))
    return [LeftOut(row.caller, row.what, row.at) for row in rows if _is_time(row.at)]


def _asked(row: Row[Any]) -> Asked | None:
    try:
        fits = tuple((str(name), float(fit)) for name, fit in json.loads(row.fits))
    except (ValueError, TypeError):
        return None
    if not _is_time(row.at) or not all(math.isfinite(fit) for _, fit in fits):
        return None
    return Asked(
        row.request,
        row.at,
        row.caller,
        row.session,
        row.route,
        row.served,
        row.difficulty,
        row.model,
        bytes(row.vector),
        fits,
    )


def _is_time(at: float) -> bool:
    return 0 <= at < _LATEST  # which no NaN is
