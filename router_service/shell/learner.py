"""Learns behind the requests' backs: looks whether something was said, and if so learns all of it anew."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from router_service.config import Ledger as Settings
from router_service.learning import Learned, learn
from router_service.plan import Plan
from router_service.shell import fingerprint, lessons
from router_service.shell.ledger import engine
from router_service.shell.ledger_schema import MIGRATIONS, NewerLedger, version

LOOK_EVERY = 2.0  # seconds
_ANEW_AFTER = 600.0  # seconds after which it is learned anew though nothing was said: what was said is older then

_log = logging.getLogger("archgw.learning")


def of(plan: Plan, file: Path | None) -> "Learner | None":
    """Out of the ledger that the config names; without one, nothing is learned. Raises BadLedger."""
    url = plan.ledger.url
    return None if url == "none" or (url == "sqlite" and file is None) else Learner(plan.ledger, file)


class Learner:
    """`look` is for a thread: it reads a database, and computes for a second where there is much to learn from."""

    def __init__(self, settings: Settings, file: Path | None) -> None:
        self._file = None if settings.url.startswith("postgres") else _path(settings, file)
        self._engine = engine(settings.url, file, read_only=True)
        self._seen: tuple[Any, ...] = ()
        self._learned_at = float("-inf")
        self._trouble = ""

    def look(self, plan: Plan, now: float) -> Mapping[str, Learned] | None:
        """What was learned, by caller; None where it is what it was. `now` in seconds since the epoch."""
        if not plan.learning.enabled:
            changed, self._seen = bool(self._seen), ()
            return {} if changed else None
        try:
            return self._look(plan, now)
        except (SQLAlchemyError, OSError, NewerLedger) as error:  # what was learned before goes on
            if not self._trouble:
                _log.warning("what was said cannot be read, and nothing new is learned (%s)", type(error).__name__)
            self._trouble = type(error).__name__
            return None

    def close(self) -> None:
        self._engine.dispose()

    def _look(self, plan: Plan, now: float) -> Mapping[str, Learned] | None:
        if self._file and not self._file.exists():
            return None
        with self._engine.begin() as connection:
            if version(connection) < len(MIGRATIONS):  # nothing was written yet
                return None
            seen = (*lessons.mark(connection), _told(plan), fingerprint.of(plan.routing))
            if seen == self._seen and time.monotonic() - self._learned_at < _ANEW_AFTER:
                return None
            evidence = lessons.read(connection)
        found = learn(evidence, plan, seen[-1], now=now)
        self._seen, self._learned_at, self._trouble = seen, time.monotonic(), ""
        return found


def _told(plan: Plan) -> object:
    """All that learning knows of a plan."""
    return plan.learning, [
        (route.id, route.name, route.prefer, [one.label for one in route.candidates]) for route in plan.routes
    ]


def _path(settings: Settings, file: Path | None) -> Path | None:
    return Path(settings.url.removeprefix("sqlite:///")) if ":" in settings.url else file
