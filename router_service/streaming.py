"""An answer that streams to the client, from its first content to its end. There is no going back. Pure."""

from router_service import torn
from router_service.conversation import Failure
from router_service.effects import Effect, Send, Wake
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.judging import Begun
from router_service.outcome import GONE
from router_service.plan import Candidate
from router_service.progress import Progress
from router_service.retelling import MAX_HELD, TOO_MUCH, Retelling
from router_service.verdict import brief, scrubbed, scrubbed_bytes

PING_AFTER = 15.0  # seconds of silence after which a streaming client hears a comment
_PING = b": ping\n\n"


class Stream:
    """Begins, is fed what the provider says, and ends with it; or in the client's dialect, when that goes wrong."""

    def __init__(
        self, gateway: Gateway, exchange: Exchange, candidate: Candidate, retelling: Retelling, progress: Progress
    ) -> None:
        self._gateway, self._exchange, self._candidate = gateway, exchange, candidate
        self._retelling, self._progress = retelling, progress
        self._passed = 0  # bytes since the first content
        self._heard = 0.0

    def begin(self, begun: Begun, now: float) -> list[Effect]:
        first = self._retelling.begin(begun.held, begun.events, end=begun.end)
        self._progress.commit(now)
        self._heard = now
        effects = self._pass_on(first, begun.end, now)
        return effects if self._progress.state == "done" else [*effects, Wake(self._next_look(0.0, now))]

    def feed(self, chunk: bytes, now: float, *, end: bool) -> list[Effect]:
        self._heard = now
        try:
            chunk = self._retelling.unpack(chunk)
        except ValueError as error:
            return self._break(str(error), now)
        self._passed += len(chunk)
        if not self._retelling.same and self._passed > MAX_HELD:
            return self._break(TOO_MUCH, now)
        fresh = self._retelling.read(chunk, end)
        return self._pass_on(self._retelling.tell(chunk, fresh, end=end), end, now)

    def on_tick(self, now: float) -> list[Effect]:
        silent, longest = now - self._heard, self._exchange.plan.failover.stall_timeout
        if self._exchange.left(now) <= 0:
            return self._break(f"was not done within {self._exchange.plan.listener.timeout:g} s", now)
        if silent >= longest:
            return self._break(f"fell silent for {longest:g} s", now)
        wake = Wake(self._next_look(silent, now))
        return [Send(_PING), wake] if silent >= PING_AFTER else [wake]

    def on_gone(self, now: float) -> None:
        """Whether the client left or the provider tore it, Envoy says; until then it is the client."""
        exchange, progress = self._exchange, self._progress
        progress.leave(now)
        exchange.cut = progress.record(now, status=GONE, error="the stream was cut before its end").outcome
        if exchange.torn == progress.number:
            torn.blame(self._gateway, exchange, self._candidate, now)

    def end_with(self, trouble: str, now: float, *, first: bytes = b"") -> list[Effect]:
        """Say what went wrong in the client's dialect, and end the stream cleanly; after `first`."""
        if self._progress.trouble:  # the client has been told already
            return [Send(first, end=True), self._progress.finish(now, status=200)]
        self._progress.trouble = f"archgw: {self._candidate.label}: {trouble}"
        event = self._exchange.dialect.render_error_event(Failure(502, "api_error", self._progress.trouble))
        return [Send(first + event, end=True), self._progress.finish(now, status=200)]

    def _pass_on(self, out: bytes, end: bool, now: float) -> list[Effect]:
        failure = self._retelling.failed
        if failure:
            said = scrubbed(failure.message, self._candidate.secret)
            self._progress.brief = brief(200, failure)
            if self._retelling.broke_off or not self._retelling.same or failure.odd:
                return self._break(said, now, first=out)
            self._progress.trouble = said  # the vendor's own error event, in the client's dialect already
            out = scrubbed_bytes(out, self._candidate.secret)
            self._mark(now)
        if end:
            return [Send(out, end=True), self._progress.finish(now, status=200)]
        return [Send(out)] if out else []

    def _break(self, trouble: str, now: float, *, first: bytes = b"") -> list[Effect]:
        """The stream went wrong after content, by the candidate's doing."""
        self._mark(now)
        return self.end_with(trouble, now, first=first)

    def _mark(self, now: float) -> None:
        self._progress.broke = True
        torn.broke_in_answer(self._gateway, self._exchange, self._candidate, now)

    def _next_look(self, silent: float, now: float) -> float:
        """Seconds until the client is to hear a ping, or that nothing more comes, or that its time is up.

        A look that comes while the provider speaks finds when the next one is due, so that no event has to move it.
        """
        exchange = self._exchange
        ping = PING_AFTER - silent if silent < PING_AFTER else PING_AFTER
        return max(0.0, min(ping, exchange.plan.failover.stall_timeout - silent, exchange.left(now)))
