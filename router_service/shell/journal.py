"""Keeps what came of requests: the most recent ones, counts by candidate, a line in the log, a row in the ledger."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from router_service.effects import Rate
from router_service.events import Rated
from router_service.feedback import LAST
from router_service.figures import Figures
from router_service.kinds import SIDE
from router_service.outcome import Outcome
from router_service.shell.ledger import Kept, Ledger, Rating
from router_service.shell.request_log import tell
from router_service.shell.telemetry import Telemetry

_WATCHER_BACKLOG = 1000  # a watcher that reads slower loses lines; requests never wait for one
_BEHIND = 0.5  # seconds after which the ledger holds what another service has answered


class Journal:
    """`alone`: no other service writes into the ledger, behind the same Envoy or elsewhere. `log`: of each outcome."""

    def __init__(
        self,
        ledger: Ledger | None = None,
        telemetry: Telemetry | None = None,
        *,
        recent: int = 500,
        alone: bool = True,
        log: Callable[[Outcome], None] = tell,
    ) -> None:
        self._alone, self._log = alone, log
        self.ledger, self.telemetry = ledger, telemetry
        self.recent: deque[Outcome] = deque(maxlen=recent)
        self.ended = 0
        self.figures = Figures()
        self._watchers: set[asyncio.Queue[Outcome]] = set()

    def record(self, outcome: Outcome) -> None:
        self.ended += 1
        self.recent.append(outcome)
        self.figures.count(outcome)
        for watcher in self._watchers:
            if not watcher.full():
                watcher.put_nowait(outcome)
        if self.ledger and not outcome.decided:  # which hold what came of requests: of a decision nobody tells
            self.ledger.record(outcome)
        if self.telemetry and not outcome.decided:
            self.telemetry.record(outcome)
        self._log(outcome)

    @property
    def ledger_trouble(self) -> str:
        """Why the ledger is not written; empty where it is, or where there is none."""
        trouble = self.ledger.tally.trouble if self.ledger else ""
        return f"the ledger cannot be written: {trouble}" if trouble else ""

    @property
    def losses(self) -> str:
        """What the ledger will never hold, in words; empty where nothing was lost."""
        lost = self.ledger.tally.lost if self.ledger else 0
        return f"{lost} requests are not in the ledger" if lost else ""

    @property
    def telemetry_trouble(self) -> str:
        """The same of what is told by OTLP."""
        return self.telemetry.tally.trouble if self.telemetry else ""

    def find(self, request: str, session: str = "") -> Outcome | None:
        """The request whose id begins so; without an id the last that a person waited for, in this session if given."""
        for outcome in reversed(self.recent):
            named = outcome.id.startswith(request) if request else outcome.kind not in SIDE
            if named and outcome.session.startswith(session):
                return outcome
        return None

    async def rate(self, wanted: Rate) -> Rated:
        """Behind the requests' backs: what has just been answered may not be in the ledger yet."""
        if self.ledger is None:
            return Rated(trouble="the config keeps no ledger, and so no feedback (ledger.url)")
        try:
            found = await self._meant(self.ledger, wanted)
        except (SQLAlchemyError, OSError):
            return Rated(trouble="the ledger cannot be read; try again")
        if found is None:
            return Rated()
        if not self.ledger.rate(Rating(found.request, wanted.feedback)):
            return Rated(trouble="the ledger cannot be written as fast as it is told; try again")
        return Rated(found.request, found.model, found.preference)

    async def _meant(self, ledger: Ledger, wanted: Rate) -> Kept | None:
        """The last may be another replica's, in a ledger that they share; while that cannot be read, it is our own."""
        here = self._recent(wanted)
        if here and wanted.feedback.request != LAST:
            return here
        if not self._alone:
            await asyncio.sleep(_BEHIND)
        try:
            there = await asyncio.to_thread(ledger.find, wanted.feedback, wanted.caller)
        except (SQLAlchemyError, OSError):
            if here:
                return here
            raise
        return max(filter(None, (here, there)), key=lambda one: one.at, default=None)

    def _recent(self, wanted: Rate) -> Kept | None:
        given = wanted.feedback
        for outcome in reversed(self.recent):
            turn = outcome.kind == "user turn" and outcome.model_served
            meant = turn if given.request == LAST else outcome.id == given.request and not outcome.decided
            if meant and outcome.caller == wanted.caller and outcome.session.startswith(given.session):
                return Kept(outcome.id, outcome.model_served, outcome.route, outcome.started, outcome.caller)
        return None

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[Outcome]]:
        queue: asyncio.Queue[Outcome] = asyncio.Queue(_WATCHER_BACKLOG)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)
