"""A line of facts in the log for every request, written behind the requests' backs.

What is to be written waits in a bounded queue for a thread of its own, which writes many lines at once. A log that
nobody reads fast enough costs lines, which are counted, never a request its answer.
"""

import json
import logging
import threading
from datetime import UTC, datetime

from router_service.outcome import Outcome
from router_service.shell.logs import REQUESTS
from router_service.shell.waiting import Waiting

_log = logging.getLogger(REQUESTS)
_trouble = logging.getLogger("archgw.log")
_WAITING = 10_000  # outcomes; those that find no room are lost, and counted
_AT_ONCE = 200  # lines in one piece
_GATHER = 0.2  # seconds


def tell(*outcomes: Outcome) -> None:
    """A line for each, in one piece."""
    _log.info("%s", "\n".join(json.dumps(facts(outcome)) for outcome in outcomes))


class RequestLog:
    """`record` returns at once, whatever becomes of the log."""

    def __init__(self, *, waiting: int = _WAITING, gather: float = _GATHER) -> None:
        self._waiting: Waiting[Outcome] = Waiting(waiting, at_once=_AT_ONCE, gather=gather)
        self._thread = threading.Thread(target=self._write_all, name="request log", daemon=True)
        self._lost = 0

    def start(self) -> None:
        self._thread.start()

    def record(self, outcome: Outcome) -> None:
        self._lost += not self._waiting.put(outcome)

    def close(self, within: float = 5.0) -> None:
        """Write what waits, for so many seconds at most."""
        self._waiting.end()
        self._thread.join(within)

    def _write_all(self) -> None:
        last, told = False, 0
        while not last:
            batch, last = self._waiting.batch()
            if batch:
                tell(*batch)
            if self._lost > told:
                told = self._lost
                _trouble.warning("the log cannot be written as fast as requests end; %d are not in it", told)


def facts(outcome: Outcome) -> dict[str, object]:
    """What the log may say: facts about the request, never its words."""
    began = datetime.fromtimestamp(outcome.started, UTC).isoformat(timespec="milliseconds")
    return {
        "time": began.replace("+00:00", "Z"),
        "id": outcome.id,
        "kind": outcome.kind,
        **({"decided": True} if outcome.decided else {}),
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
