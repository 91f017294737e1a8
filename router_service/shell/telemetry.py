"""Tells a collector what came of requests, behind the requests' backs.

What is to be told waits in a bounded queue for a thread of its own. A collector that is away or slow costs telemetry,
which is counted, never a request its answer.
"""

import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from router_service.outcome import Outcome
from router_service.plan import Plan
from router_service.shell.waiting import Waiting

_log = logging.getLogger("archgw.telemetry")
_WAITING = 2048  # outcomes; those that find no room are lost, and counted
_AT_ONCE = 64  # outcomes in one message: while it is written, requests wait for the interpreter, if only for moments
_GATHER = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Sent:
    """Whether it was `told`. `trouble`: why that, or something else, is not; in words without secrets."""

    told: bool = True
    trouble: str = ""


class Sink(Protocol):
    """Where it is told."""

    def send(self, outcomes: Sequence[Outcome]) -> Sent:
        """Called from time to time without any outcome."""
        ...

    def close(self) -> None:
        """Tell what is left, and nothing twice."""
        ...


@dataclass(slots=True)
class Tally:
    """Of requests."""

    sent: int = 0
    lost: int = 0
    trouble: str = ""


def of(plan: Plan, worker: str = "") -> "Telemetry | None":
    """What the config asks for, which was read where the library is. `worker`: the name of one of several."""
    address = plan.telemetry.otlp
    if not address:
        return None
    from router_service.shell.otlp import Otlp  # a quarter of a second, and in no installation without the extra

    try:
        return Telemetry(Otlp(address, worker), address)
    except Exception as error:  # a variable that the library cannot read costs nobody the gateway
        return Telemetry(Nowhere(error), address)


class Nowhere:
    """Stands in for a library that cannot be set up."""

    def __init__(self, error: Exception) -> None:
        self._trouble = f"OpenTelemetry's library failed with {type(error).__name__}; is an OTEL_ variable amiss?"

    def send(self, outcomes: Sequence[Outcome]) -> Sent:
        return Sent(told=False, trouble=self._trouble)

    def close(self) -> None:
        return


class Telemetry:
    """`record` returns at once, whatever the collector does. `where` it is told is for the log."""

    def __init__(self, sink: Sink, where: str, *, waiting: int = _WAITING, gather: float = _GATHER) -> None:
        self._sink, self._where = sink, where
        self._waiting: Waiting[Outcome] = Waiting(waiting, at_once=_AT_ONCE, gather=gather)
        self._thread = threading.Thread(target=self._tell_all, name="telemetry", daemon=True)
        self.tally = Tally()

    def start(self) -> None:
        self._thread.start()

    def record(self, outcome: Outcome) -> None:
        self.tally.lost += not self._waiting.put(outcome)

    def close(self, within: float = 5.0) -> None:
        """Tell what waits, for so many seconds at most."""
        self._waiting.end()
        self._thread.join(within)

    def _tell_all(self) -> None:
        last = False
        while not last:
            batch, last = self._waiting.batch()
            self._send(batch)
        with suppress(Exception):  # whatever it is, nobody is left to be told
            self._sink.close()

    def _send(self, batch: list[Outcome]) -> None:
        try:
            sent = self._sink.send(batch)
        except Exception as error:  # this thread must not end; what an error says may hold a header
            sent = Sent(told=False, trouble=type(error).__name__)
        if sent.told:
            self.tally.sent += len(batch)
        else:
            self.tally.lost += len(batch)
        self._note(sent.trouble)

    def _note(self, trouble: str) -> None:
        """Once, until it is well again."""
        if trouble and not self.tally.trouble:
            _log.warning(
                "telemetry cannot be sent to %s (%s); requests go on, and are not told there", self._where, trouble
            )
        if self.tally.trouble and not trouble:
            _log.warning("telemetry is sent again; %d requests were not told", self.tally.lost)
        self.tally.trouble = f"telemetry cannot be sent: {trouble}" if trouble else ""
