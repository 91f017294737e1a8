"""Keeps what came of requests: the most recent ones, counts by candidate, a line in the log, a row in the ledger."""

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from router_service.kinds import SIDE
from router_service.outcome import Outcome
from router_service.shell.ledger import Ledger

_log = logging.getLogger("archgw.requests")
_BLAMELESS = (400, 413, 422, 499)  # the client's own mistakes, and its leaving
_WATCHER_BACKLOG = 1000  # a watcher that reads slower loses lines; requests never wait for one


@dataclass(slots=True)
class Tally:
    """How one candidate has done since the service started. Of its `tries`, some neither answered nor failed: the
    client left, or asked for what nobody can answer."""

    answered: int = 0
    failed: int = 0
    last_trouble: str = ""
    tries: int = 0


class Journal:
    def __init__(self, ledger: Ledger | None = None, *, recent: int = 500) -> None:
        self.ledger = ledger
        self.recent: deque[Outcome] = deque(maxlen=recent)
        self.ended = 0
        self.tallies: dict[str, Tally] = {}
        self.classes: Counter[str] = Counter()  # of the statuses that clients got: 2xx, 4xx, 5xx
        self._watchers: set[asyncio.Queue[Outcome]] = set()

    def record(self, outcome: Outcome) -> None:
        self.ended += 1
        self.recent.append(outcome)
        self.classes[f"{outcome.status // 100}xx"] += 1
        self._count(outcome)
        for watcher in self._watchers:
            if not watcher.full():
                watcher.put_nowait(outcome)
        if self.ledger:
            self.ledger.record(outcome)
        _log.info("%s", json.dumps(facts(outcome)))

    @property
    def ledger_trouble(self) -> str:
        """Why the ledger is not whole, in words; empty where it is, or where there is none."""
        if self.ledger is None:
            return ""
        tally = self.ledger.tally
        told = [f"the ledger cannot be written: {tally.trouble}"] if tally.trouble else []
        lost = [f"{tally.lost} requests are not in the ledger"] if tally.lost else []
        return "; ".join([*told, *lost])

    def find(self, request: str, session: str = "") -> Outcome | None:
        """The request whose id begins so; without an id the last that a person waited for, in this session if given."""
        for outcome in reversed(self.recent):
            named = outcome.id.startswith(request) if request else outcome.kind not in SIDE
            if named and outcome.session.startswith(session):
                return outcome
        return None

    @contextmanager
    def watch(self) -> Iterator[asyncio.Queue[Outcome]]:
        queue: asyncio.Queue[Outcome] = asyncio.Queue(_WATCHER_BACKLOG)
        self._watchers.add(queue)
        try:
            yield queue
        finally:
            self._watchers.discard(queue)

    def _count(self, outcome: Outcome) -> None:
        for attempt in outcome.attempts:
            tally = self.tallies.setdefault(attempt.candidate, Tally())
            tally.tries += 1
            if attempt.trouble and attempt.status not in _BLAMELESS:
                tally.failed += 1
                tally.last_trouble = attempt.brief or attempt.trouble
            elif attempt.status != 499:
                tally.answered += 1


def facts(outcome: Outcome) -> dict[str, object]:
    """What the log may say: facts about the request, never its words."""
    return {
        "id": outcome.id,
        "kind": outcome.kind,
        "client": outcome.client,
        **({"caller": outcome.caller} if outcome.caller else {}),
        "route": outcome.route,
        "asked": outcome.model_asked,
        "served": outcome.model_served,
        "status": outcome.status,
        "attempts": [[a.candidate, a.status, round(a.seconds, 3)] for a in outcome.attempts],
        "first_content": None if outcome.first_content is None else round(outcome.first_content, 3),
        "duration": round(outcome.duration, 3),
    }
