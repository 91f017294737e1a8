"""The newest sessions: how long, on which models, for how much."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, case, func, select

from archgw.dashboard.span import Span
from archgw.stats import count_of, session_of
from router_service.shell.ledger_schema import requests

_THREADS = 40  # for one session that is shown, so many threads are looked through


@dataclass(frozen=True, slots=True)
class Session:
    """`models`: who answered how often, the most first. `spent` is of the answers with a known price."""

    id: str
    client: str
    first: float
    last: float
    turns: int
    requests: int
    failed: int
    models: tuple[tuple[str, int], ...]
    spent: float
    unpriced: int
    saved: float | None


def sessions(connection: Connection, span: Span, limit: int) -> tuple[Session, ...]:
    """Those in which something was asked last; requests that belong to none are left out."""
    table = requests.c
    threads = (
        select(table.session)
        .where(table.at >= span.since, table.session != "")
        .group_by(table.session)
        .order_by(func.max(table.at).desc())
        .limit(limit * _THREADS)
    )
    wanted = _first_of(connection.scalars(threads).all(), limit)
    asked = (
        select(
            table.session,
            table.served,
            func.min(table.client).label("client"),
            func.min(table.at).label("first"),
            func.max(table.at).label("last"),
            count_of(table.kind == "user turn").label("turns"),
            func.count().label("requests"),
            count_of(table.failed > 0).label("failed"),
            func.sum(table.cost).label("spent"),
            func.count(case((table.cost.is_(None), table.served))).label("unpriced"),
            func.sum(table.baseline - table.cost).label("saved"),
        )
        .where(table.at >= span.since, table.session.in_([thread for threads in wanted.values() for thread in threads]))
        .group_by(table.session, table.served)
    )
    rows: dict[str, list[Any]] = {id: [] for id in wanted}
    for row in connection.execute(asked):
        rows[session_of(row.session)].append(row)
    return tuple(_session(id, parts) for id, parts in rows.items() if parts)


def _first_of(threads: Sequence[str], limit: int) -> dict[str, list[str]]:
    """So many sessions, each with its threads, in the order of their newest."""
    found: dict[str, list[str]] = {}
    for thread in threads:
        session = session_of(thread)
        if session in found or len(found) < limit:
            found.setdefault(session, []).append(thread)
    return found


def _session(id: str, rows: Sequence[Any]) -> Session:
    answered: Counter[str] = Counter()
    for row in rows:
        answered[row.served] += row.requests if row.served else 0
    models = sorted(answered.items() - {("", 0)}, key=lambda one: (-one[1], one[0]))
    saved = [row.saved for row in rows if row.saved is not None]
    return Session(
        id=id,
        client=min(row.client for row in rows),
        first=min(row.first for row in rows),
        last=max(row.last for row in rows),
        turns=sum(row.turns for row in rows),
        requests=sum(row.requests for row in rows),
        failed=sum(row.failed for row in rows),
        models=tuple(models),
        spent=sum(row.spent or 0.0 for row in rows),
        unpriced=sum(row.unpriced for row in rows if row.served),
        saved=sum(saved) if saved else None,
    )
