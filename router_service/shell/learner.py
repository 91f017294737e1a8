"""Learns behind the requests' backs: looks whether something was said, and if so learns all of it anew."""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from router_service.config import Ledger as Settings
from router_service.learning import Learned, learn
from router_service.plan import Plan
from router_service.shell import lessons
from router_service.shell.ledger import engine
from router_service.shell.ledger_schema import MIGRATIONS, version
from router_service.shell.logs import place

LOOK_EVERY = 2.0  # seconds
_COUNT_EVERY = 60.0  # seconds in which a database that many may share is asked how much was said; of a file, each time
_REST = 20.0  # times what learning took, until the next: much of it holds up who answers requests
_ANEW_AFTER = 600.0  # seconds after which it is learned anew though nothing was said: what was said is older then

_log = logging.getLogger("archgw.learning")


def of(plan: Plan, file: Path | None) -> "Learner | None":
    """Out of the ledger that the config names; without one, nothing is learned. Raises BadLedger."""
    url = plan.ledger.url
    return None if url == "none" or (url == "sqlite" and file is None) else Learner(plan.ledger, file)


class Learner:
    """`look` is for a thread: it reads a database, and computes for a second where there is much to learn from."""

    def __init__(self, settings: Settings, file: Path | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = None if settings.url.startswith("postgres") else _path(settings, file)
        self._engine = engine(settings.url, file, read_only=True)
        self._seen: tuple[Any, ...] = ()
        self._current = False
        self._counted: tuple[float, int] = (float("-inf"), 0)
        self._learned_at = float("-inf")
        self._not_before = float("-inf")
        self._clock = clock
        self._error = ""

    @property
    def trouble(self) -> str:
        """Why nothing new is learned, in words; empty where it is."""
        return f"nothing new is learned from feedback ({self._error})" if self._error else ""

    def look(self, plan: Plan, model: str, now: float) -> Mapping[str, Learned] | None:
        """What was learned, by caller; None where it is what it was, or where it was learned too lately. `model` is the
        fingerprint of the router model in use, `now` in seconds since the epoch. Raises nothing, whatever is in the
        ledger: requests go on, with what was learned before.
        """
        if not plan.learning.enabled:
            changed, self._seen, self._error = bool(self._seen), (), ""
            return {} if changed else None
        begun = self._clock()
        if begun < self._not_before:
            return None
        try:
            found = self._look(plan, model, now)
            self._error = ""
        except Exception as error:  # its words may be of the ledger's
            told = f"{type(error).__name__} at {place(error)}"
            if told != self._error:
                _log.warning("nothing new is learned from feedback (%s)", told)
            self._error, found = told, None
        if found is not None or self._error:
            self._not_before = self._clock() + _REST * (self._clock() - begun)
        return found

    def close(self) -> None:
        self._engine.dispose()

    def _look(self, plan: Plan, model: str, now: float) -> Mapping[str, Learned] | None:
        if self._file and not self._file.exists():
            return None
        with self._engine.begin() as connection:
            if not self._is_current(connection):  # nothing was written yet
                return None
            known = _told(plan), model
            seen = (*lessons.mark(connection), self._count(connection), *known)
            if seen == self._seen and self._clock() - self._learned_at < _ANEW_AFTER:
                return None
            seen = (*lessons.mark(connection), self._count(connection, anew=True), *known)
            evidence = lessons.read(connection)
        found = learn(evidence, plan, model, now=now)
        self._seen, self._learned_at = seen, self._clock()
        return found

    def _is_current(self, connection: Connection) -> bool:
        """A file may be put away while we look; a database that was as we want it stays so."""
        if self._file or not self._current:
            self._current = version(connection) == len(MIGRATIONS)
        return self._current

    def _count(self, connection: Connection, *, anew: bool = False) -> int:
        """PostgreSQL counts by reading: a hundred services that did so every two seconds would be its main work."""
        if self._file:
            return lessons.count(connection)
        if anew or self._clock() - self._counted[0] > _COUNT_EVERY:
            self._counted = self._clock(), lessons.count(connection)
        return self._counted[1]


def _told(plan: Plan) -> object:
    """All that learning knows of a plan."""
    return (
        plan.learning,
        plan.routing.threshold,
        [(route.id, route.name, route.prefer, [one.label for one in route.candidates]) for route in plan.routes],
    )


def _path(settings: Settings, file: Path | None) -> Path | None:
    return Path(settings.url.removeprefix("sqlite:///")) if ":" in settings.url else file
