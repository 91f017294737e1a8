"""What learning is made of, as a file that is carried elsewhere: written, read and checked. No words."""

import base64
import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from router_service.evidence import EVERYTHING, NONE, Asked, Said, lesson_id, target
from router_service.shell import lessons
from router_service.shell.ledger_schema import left_out, signals, upsert, vectors

_VERSION = 1
_WIDEST = 65_536  # numbers of a vector
_AHEAD = 86_400.0  # seconds that another machine's clock may be before ours

Row = dict[str, Any]


class BadExport(Exception):
    """A file that `exported` did not write, or whose lessons mean nothing here. Its text says why."""


def exported(connection: Connection, keep: Callable[[Asked], bool]) -> dict[str, Any]:
    """Those asks about which something was said, with what was said: vectors, names and times, no words. What was said
    of a turn's later requests is written as said of its ask, without which it would mean nothing elsewhere.
    """
    evidence = lessons.read(connection)
    spoken = {one.about for one in evidence.said}
    asked = [one for one in evidence.asked if one.request in spoken and keep(one)]
    names, callers = {one.request for one in asked}, {one.caller for one in asked}
    said: dict[tuple[str, str], Said] = {}
    for word in sorted(evidence.said, key=lambda one: (one.at, one.request, one.signal)):
        if word.about in names:
            said[word.about, word.signal] = word  # the latest
    return {
        "archgw": "learned",
        "version": _VERSION,
        "asked": [_written(one) for one in sorted(asked, key=lambda one: one.at)],
        "said": [
            {"request": one.about, "signal": one.signal, "at": one.at, "told": one.told or None}
            for one in said.values()
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
    asked, said, gone = _parsed(found, caller, before=time.time() + _AHEAD)
    here = lessons.read(connection)
    _fit(asked, here.asked)
    known = {(one.about, one.signal) for one in here.said}
    said = [one for one in said if (one["request"], one["signal"]) not in known]
    new = []
    for table, rows in ((vectors, asked), (signals, said), (left_out, gone)):
        before = connection.scalar(select(func.count()).select_from(table)) or 0
        if rows:
            connection.execute(upsert(connection, table).on_conflict_do_nothing(), rows)
        new.append((connection.scalar(select(func.count()).select_from(table)) or 0) - before)
    return new[0], new[1]


def models_of(found: Any) -> set[str]:
    """The fingerprints of the router models that saw what was exported."""
    return {str(one.get("model", "")) for one in found["asked"] if one.get("vector")}


def _written(one: Asked) -> Row:
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


def _parsed(found: Any, caller: str | None, *, before: float) -> tuple[list[Row], list[Row], list[Row]]:
    """Rows of the ledger. What a reset has left out is left where it was: here, it would leave out what is here."""
    if not isinstance(found, dict) or found.get("archgw") != "learned":
        raise BadExport("is no export of archgw learned")
    if found.get("version") != _VERSION:
        raise BadExport(f"is of version {found.get('version')}, this archgw knows {_VERSION}")
    try:
        asked = [_asked(one, before) for one in found["asked"]]
        said = [_said(one, before) for one in found["said"]]
        gone = [_gone(one, before) for one in found.get("left_out", [])]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadExport(f"is damaged ({type(error).__name__})") from error
    reset = {one["caller"]: one["at"] for one in gone if one["what"] == EVERYTHING}
    whose = {one["request"]: one["caller"] for one in asked}
    said = [
        one for one in said if one["request"] in whose and one["at"] > reset.get(whose[one["request"]], 0.0)
    ]  # fmt: skip
    spoken = {one["request"] for one in said}
    asked = [one for one in asked if one["request"] in spoken]
    gone = [one for one in gone if one["what"] != EVERYTHING]
    return (asked, said, gone) if caller is None else (*_given(asked, said, gone, caller),)


def _asked(one: Any, before: float) -> Row:
    fits = [[_name(name), _number(fit, 1.0)] for name, fit in one["fits"]]
    vector = base64.b64decode(one["vector"], validate=True)
    if len(vector) > _WIDEST:
        raise ValueError(len(vector))
    return {
        "request": _name(one["request"])[:64],
        "at": _number(one["at"], before),
        "caller": _name(one["caller"]),
        "session": "",
        "route": _name(one["route"]),
        "served": _name(one["served"]),
        "difficulty": _name(one["difficulty"])[:20],
        "model": _name(one["model"])[:40],
        "vector": vector,
        "fits": json.dumps(fits),
    }


def _said(one: Any, before: float) -> Row:
    return {
        "request": _name(one["request"])[:64],
        "signal": _name(one["signal"])[:40],
        "at": _number(one["at"], before),
        "told": _name(one["told"]) if one.get("told") else None,
    }


def _gone(one: Any, before: float) -> Row:
    return {
        "caller": _name(one["caller"]),
        "what": _name(one["what"])[:64],
        "at": _number(one["at"], before),
    }


def _given(asked: list[Row], said: list[Row], gone: list[Row], caller: str) -> tuple[list[Row], list[Row], list[Row]]:
    """To somebody else, for whom each lesson has another id."""
    ids = _ids(asked, said, {one["caller"] for one in gone}, caller)
    asked = [one | {"caller": caller} for one in asked]
    kept: dict[str, Row] = {}
    for one in gone:
        what = ids.get((one["caller"], one["what"]), one["what"])
        kept[what] = {"caller": caller, "what": what, "at": max(one["at"], kept.get(what, one)["at"])}
    return asked, said, list(kept.values())


def _ids(asked: list[Row], said: list[Row], callers: set[str], caller: str) -> Mapping[tuple[str, str], str]:
    """By caller and id of theirs, the id of the same lesson of this caller."""
    names = {NONE} | {one["route"] for one in asked} | {name for one in asked for name, _ in json.loads(one["fits"])}
    names |= {meant.name for one in said if (meant := target(one["told"])) and meant.kind == "preference"}
    lessons_of = [("model", one) for one in names] + [("preference", one, other) for one in names for other in names]
    return {(whose, lesson_id(whose, *one)): lesson_id(caller, *one) for whose in callers for one in lessons_of}


def _fit(asked: list[Row], here: tuple[Asked, ...]) -> None:
    """Whether all vectors of one router model are equally long, those that are here included. Raises BadExport."""
    widths: dict[str, set[int]] = defaultdict(set)
    for one in asked:
        widths[one["model"]].add(len(one["vector"]))
    for model, found in widths.items():
        usual = [len(one.vector) for one in here if one.model == model and one.vector]
        found |= {max(usual, key=usual.count)} if usual else set()
        if len(found - {0}) > 1:
            raise BadExport("is damaged (its vectors are not all of one length)")


def _number(told: Any, most: float) -> float:
    """From 0 to `most`."""
    if isinstance(told, bool) or not isinstance(told, int | float):
        raise TypeError(told)
    if not math.isfinite(told) or not 0 <= told <= most:
        raise ValueError(told)
    return float(told)


def _name(told: Any) -> str:
    if not isinstance(told, str):
        raise TypeError(told)
    return told.replace("\0", "")[:200]
