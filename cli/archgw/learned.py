"""What was learned, out of the ledger: the lessons of every caller, and what was asked where that was kept."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from sqlalchemy import Connection, select

from archgw import client, configs
from archgw.books import Books, Unreadable
from archgw.home import Home, home
from router_service.config import ConfigErrors
from router_service.evidence import EVERYTHING, Evidence, LeftOut
from router_service.lessons import Lesson
from router_service.plan import Plan
from router_service.shell import fingerprint, lessons
from router_service.shell.files import Source, variables
from router_service.shell.ledger_schema import requests

if TYPE_CHECKING:
    from router_service.learning import Learned

_AT_ONCE = 500  # names in one question: SQLite takes a thousand or so


@dataclass(frozen=True, slots=True)
class Found:
    """`asks`: by request, in the user's words, where the ledger keeps them. `client`: whose alone it is."""

    plan: Plan
    model: str
    evidence: Evidence
    learned: "Mapping[str, Learned]"
    asks: Mapping[str, str] = field(default_factory=dict)
    client: str | None = None

    @property
    def lessons(self) -> list[Lesson]:
        return [lesson for caller in sorted(self.learned) for lesson in self.learned[caller].lessons]

    @property
    def gone(self) -> list[str]:
        """Preferences that the config has no more, and were named as the right ones."""
        return sorted({name for one in self.learned.values() for name in one.gone})

    @property
    def strange(self) -> int:
        return sum(one.strange for one in self.learned.values())

    def left_out(self) -> list[LeftOut]:
        """Single requests, and all at once: what no lesson tells."""
        known = {lesson.id for lesson in self.lessons}
        return [one for one in self.evidence.left_out if one.what not in known and self.client in (None, one.caller)]


def planned(config: Path | None) -> Plan:
    """The one in use, where a gateway runs on the named config, or none is named; else as if every key were set."""
    at = home()
    stack = at.stack()
    path = configs.find(config or (Path(stack.config) if stack else None))
    used = _in_use(at) if stack and path == Path(stack.config).resolve() else None
    return used or configs.complete(path)


def _in_use(at: Home) -> Plan | None:
    """None while the gateway does not answer."""
    try:
        usable = {one.label for one in client.status(at).candidates}
        accepted = Source.from_json(at.accepted.read_text("utf-8"), {})
        config = replace(accepted, variables=variables(Path(accepted.file))).config()
    except (OSError, ValueError, KeyError, ConfigErrors, grpc.RpcError):
        return None
    return configs.of(config, usable) if usable else None


@contextmanager
def books(plan: Plan) -> Iterator[Books]:
    """Raises Unreadable."""
    opened = Books(plan.ledger, home().ledger)
    if opened.missing:
        raise Unreadable("nothing has been recorded yet", "start the gateway and ask something: archgw up")
    try:
        yield opened
    finally:
        opened.close()


def found(connection: Connection, plan: Plan, *, client: str | None = None) -> Found:
    """`client`: of this one alone."""
    from router_service.learning import learn  # and numpy with it, for which no other command shall wait

    evidence, model = lessons.read(connection), fingerprint.of(plan.routing)
    learned = learn(evidence, plan, model, now=time.time())
    kept = {caller: one for caller, one in learned.items() if client is None or caller == client}
    named = [piece.request for one in kept.values() for lesson in one.lessons for piece in lesson.pieces]
    return Found(plan, model, evidence, kept, _asks(connection, named), client)


def named(found: Found, what: str) -> list[tuple[str, str]]:
    """(caller, lesson or request) whose id begins so."""
    ids = {(lesson.caller, lesson.id) for lesson in found.lessons}
    ids |= {(lesson.caller, piece.request) for lesson in found.lessons for piece in lesson.pieces}
    ids |= {(one.caller, one.what) for one in found.evidence.left_out if one.what != EVERYTHING}
    whole = [one for one in ids if one[1] == what]
    return whole or sorted(one for one in ids if one[1].startswith(what))


def _asks(connection: Connection, named: list[str]) -> dict[str, str]:
    asks: dict[str, str] = {}
    for at in range(0, len(named), _AT_ONCE):
        some = select(requests.c.id, requests.c.ask).where(requests.c.id.in_(named[at : at + _AT_ONCE]))
        asks |= {row.id: row.ask for row in connection.execute(some) if row.ask}
    return asks
