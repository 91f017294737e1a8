"""What was learned, out of the ledger: the lessons of every caller, and what was asked where that was kept."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from archgw import configs
from archgw.books import Books, Unreadable
from archgw.home import home
from router_service.evidence import EVERYTHING, Evidence, LeftOut
from router_service.lessons import Lesson
from router_service.plan import Plan
from router_service.shell import fingerprint, lessons
from router_service.shell.ledger_schema import requests

if TYPE_CHECKING:
    from router_service.learning import Learned

_AT_ONCE = 500  # names in one question: SQLite takes a thousand or so


@dataclass(frozen=True, slots=True)
class Found:
    """`asks`: by request, in the user's words, where the ledger keeps them."""

    plan: Plan
    model: str
    evidence: Evidence
    learned: "Mapping[str, Learned]"
    asks: Mapping[str, str] = field(default_factory=dict)

    @property
    def lessons(self) -> list[Lesson]:
        return [lesson for caller in sorted(self.learned) for lesson in self.learned[caller].lessons]

    @property
    def strange(self) -> int:
        return sum(one.strange for one in self.learned.values())

    def left_out(self) -> list[LeftOut]:
        """Single requests, and all at once: what no lesson tells."""
        known = {lesson.id for lesson in self.lessons}
        return [one for one in self.evidence.left_out if one.what not in known]


def planned(config: Path | None) -> Plan:
    """Of the config that is named, of the gateway that runs, or of the one that is found; as if every key were set."""
    stack = home().stack()
    return configs.complete(configs.find(config or (Path(stack.config) if stack else None)))


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
    return Found(plan, model, evidence, kept, _asks(connection, named))


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
