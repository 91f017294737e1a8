"""What learning is made of, in the ledger's database: read, left out and taken back, exported and imported."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from router_service.evidence import SHOULD_BE, THUMBS, Asked, Evidence, LeftOut, Said
from router_service.shell.ledger_schema import left_out, requests, signals, vectors

MOST = 5_000  # asks: the newest, and besides as many of those about which the user has said something
EXPLICIT = (*THUMBS, SHOULD_BE)
_VERSION = 1


class BadExport(Exception):
    """A file that `exported` did not write, or whose lessons mean nothing here. Its text says why."""


def mark(connection: Connection) -> tuple[Any, ...]:
    """Changes whenever something was said, or left out."""
    said = connection.execute(select(func.max(signals.c.at), func.count())).one()
    gone = connection.execute(select(func.max(left_out.c.at), func.count()).select_from(left_out)).one()
    return (*said, *gone)


def read(connection: Connection) -> Evidence:
    newest = select(vectors).order_by(vectors.c.at.desc()).limit(MOST)
    spoken = select(signals.c.request).where(signals.c.signal.in_(EXPLICIT))
    about = select(vectors).where(vectors.c.request.in_(spoken)).order_by(vectors.c.at.desc()).limit(MOST)
    asked = {row.request: _asked(row) for query in (newest, about) for row in connection.execute(query)}
    return Evidence(tuple(asked.values()), tuple(_said(connection, asked)), tuple(_left_out(connection)))


def leave_out(connection: Connection, caller: str, what: str, at: float) -> None:
    take_back(connection, caller, what)
    connection.execute(insert(left_out).values(caller=caller, what=what, at=at))


def take_back(connection: Connection, caller: str, what: str) -> bool:
    """Let it count again; whether it had been left out."""
    here = (left_out.c.caller == caller, left_out.c.what == what)
    return bool(connection.execute(delete(left_out).where(*here)).rowcount)


def exported(connection: Connection, keep: Callable[[Asked], bool]) -> dict[str, Any]:
    """Those asks about which something was said, with what was said: vectors, names and times, no words."""
    evidence = read(connection)
    spoken = {one.request for one in evidence.said}
    asked = [one for one in evidence.asked if one.request in spoken and keep(one)]
    names, callers = {one.request for one in asked}, {one.caller for one in asked}
    return {
        "archgw": "learned",
        "version": _VERSION,
        "asked": [_written(one) for one in sorted(asked, key=lambda one: one.at)],
        "said": [
            {"request": one.request, "signal": one.signal, "at": one.at, "told": one.told or None}
            for one in sorted(evidence.said, key=lambda one: (one.at, one.request, one.signal))
            if one.request in names
        ],
        "left_out": [
            {"caller": one.caller, "what": one.what, "at": one.at}
            for one in evidence.left_out
            if one.caller in callers
        ],
    }  # fmt: skip


def imported(connection: Connection, found: Any, *, caller: str | None = None) -> tuple[int, int]:
    """Asks and signals that were not there before. What is there already stays as it is. `caller`: whose it becomes,
    where it is not to stay whose it was. Raises BadExport.
    """
    asked, said, gone = _parsed(found, caller)
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    new = []
    for table, rows in ((vectors, asked), (signals, said), (left_out, gone)):
        before = connection.scalar(select(func.count()).select_from(table)) or 0
        if rows:
            connection.execute(dialect.insert(table).on_conflict_do_nothing(), rows)
        new.append((connection.scalar(select(func.count()).select_from(table)) or 0) - before)
    return new[0], new[1]


def models_of(found: Any) -> set[str]:
    """The fingerprints of the router models that saw what was exported."""
    return {str(one.get("model", "")) for one in found["asked"] if one.get("vector")}


def _said(connection: Connection, asked: Mapping[str, Asked]) -> Iterable[Said]:
    """What was said of these asks, and of requests that followed them."""
    since = min((one.at for one in asked.values()), default=0.0)
    query = (
        select(signals, requests.c.session, requests.c.at.label("asked"))
        .select_from(signals.outerjoin(requests, requests.c.id == signals.c.request))
        .where(signals.c.at >= since)
    )
    for row in connection.execute(query):
        about = asked.get(row.request)
        if about is not None or row.asked is not None:
            session, at = (about.session, about.at) if about else (row.session, row.asked)
            yield Said(row.request, row.signal, row.at, row.told or "", at, session)


def _left_out(connection: Connection) -> Iterable[LeftOut]:
    return [LeftOut(row.caller, row.what, row.at) for row in connection.execute(select(left_out))]


def _asked(row: Row[Any]) -> Asked:
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
        tuple((str(name), float(fit)) for name, fit in json.loads(row.fits)),
    )


def _written(one: Asked) -> dict[str, Any]:
    return {
        "request": one.request,
        "at": one.at,
        "caller": one.caller,
        "route": one.route,
        "served": one.served,
        "difficulty": one.difficulty,
        "model": one.model,
        "vector": base64.b64encode(one.vector).decode(),
        "fits": [list(fit) for fit in one.fits],
    }


def _parsed(found: Any, caller: str | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    if not isinstance(found, dict) or found.get("archgw") != "learned":
        raise BadExport("is no export of archgw learned")
    if found.get("version") != _VERSION:
        raise BadExport(f"is of version {found.get('version')}, this archgw knows {_VERSION}")
    try:
        asked = [
            {
                "request": _name(one["request"]),
                "at": float(one["at"]),
                "caller": _name(one["caller"]) if caller is None else caller,
                "session": "",
                "route": _name(one["route"]),
                "served": _name(one["served"]),
                "difficulty": _name(one["difficulty"])[:20],
                "model": _name(one["model"])[:40],
                "vector": base64.b64decode(one["vector"], validate=True),
                "fits": json.dumps([[_name(name), float(fit)] for name, fit in one["fits"]]),
            }
            for one in found["asked"]
        ]
        names = {one["request"] for one in asked}
        said = [
            {
                "request": _name(one["request"]),
                "signal": _name(one["signal"])[:40],
                "at": float(one["at"]),
                "told": _name(one["told"]) if one.get("told") else None,
            }
            for one in found["said"]
            if one["request"] in names
        ]
        gone = [
            {
                "caller": _name(one["caller"]) if caller is None else caller,
                "what": _name(one["what"])[:64],
                "at": float(one["at"]),
            }
            for one in found.get("left_out", [])
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadExport(f"is damaged ({type(error).__name__})") from error
    return asked, said, gone


def _name(told: Any) -> str:
    if not isinstance(told, str):
        raise TypeError(told)
    return told.replace("\0", "")[:200]
