"""How far one try at one candidate has come, and what is kept of it: for its request, its session, the paces.

It is the one place where a try begins, is counted, and ends. Pure.
"""

from typing import Literal

from router_service import kinds, signals
from router_service.bill import settle
from router_service.effects import Record
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.outcome import GONE, AttemptOutcome
from router_service.plan import Candidate
from router_service.retelling import Retelling
from router_service.session import Ended, Pin

MAX_TOLD = 2000  # characters of what went wrong that are kept with the outcome

State = Literal["asking", "judging", "streaming", "done"]


class Progress:
    """`begun` and `first_content`: when it was; `warnings`: what the client is told beside the answer.

    `trouble`: what went wrong after first content, and `broke`: by the candidate's doing. `brief`: what went wrong at
    all, without the provider's own words, where it has said some.
    """

    def __init__(
        self, gateway: Gateway, exchange: Exchange, candidate: Candidate, retelling: Retelling, now: float
    ) -> None:
        self._gateway, self._exchange, self._candidate, self._retelling = gateway, exchange, candidate, retelling
        exchange.tried += 1
        exchange.active += 1
        self.number = exchange.tried
        self.name = f"{exchange.id}/{exchange.tried}"
        self.state: State = "asking"
        self.begun = now
        self.first_content: float | None = None
        self.warnings = exchange.budgets
        self.trouble = ""
        self.broke = False
        self.brief = ""

    # -- on the way -------------------------------------------------------------------------------------------

    def commit(self, now: float) -> None:
        """First content: it is this one that answers."""
        self.state = "streaming"
        self.first_content = now
        self.keep(200, "", now)
        if self._exchange.conversation.stream and self._exchange.intent.kind in kinds.TURNS:
            self._gateway.paces.began(self._candidate.id, now - self.begun, now)
        self.pin(self._candidate.id)

    def keep(self, status: int, trouble: str, now: float) -> None:
        """What came of the question: an answer that begins, or `trouble`."""
        exchange, candidate = self._exchange, self._candidate
        self._gateway.paces.over(self.name)
        told = AttemptOutcome(
            candidate.label,
            status,
            trouble[:MAX_TOLD],
            seconds=now - self.begun,
            brief=self.brief if trouble else "",
            began=self.begun - exchange.started,
            provider=candidate.provider.name,
            model=candidate.model,
            host=candidate.address.host,
            port=candidate.address.port,
        )
        exchange.attempts.append(told)

    def pin(self, candidate: str) -> None:
        """Who stepped in finishes the turn."""
        decision, session = self._exchange.decision, self._exchange.session
        if self._exchange.intent.kind in kinds.TURNS and decision.lane == "routed":
            self._gateway.sessions.set_pin(session, Pin(decision.route.id, candidate, decision.score))

    # -- the end ----------------------------------------------------------------------------------------------

    def leave(self, now: float) -> None:
        """The try is over, and its request is not: Envoy may come again."""
        self.state = "done"
        self._exchange.active -= 1
        self._exchange.touched = now

    def close(self) -> None:
        """The request is over with it."""
        self.state = "done"
        self._exchange.active -= 1
        self._gateway.exchanges.drop(self._exchange.id)

    def finish(self, now: float, *, status: int, error: str = "") -> Record:
        """The request is over with it, and what came of that goes to the books."""
        self.close()
        if status == 200 and not self.trouble:
            self._measure(now)
        return self.record(now, status=status, error=error or self.trouble)

    def record(self, now: float, *, status: int, error: str = "") -> Record:
        cost, baseline = self._bill(now, "left" if status == GONE else "broken" if error else "whole")
        return Record(
            self._exchange.outcome(
                now=now,
                status=status,
                served=self._candidate.label if self.first_content is not None else "",
                usage=self._retelling.usage,
                first_content=self.first_content,
                error=error,
                brief=self.brief if error else "",
                warnings=self.warnings,
                ask=self._gateway.show_asks,
                cost=cost,
                baseline=baseline,
                signal=self._signal(),
                model_told=self._retelling.model,
            )
        )

    def _measure(self, now: float) -> None:
        """How fast it answered. Side requests are short, and say nothing of a turn."""
        paces, tokens, exchange = self._gateway.paces, self._retelling.usage.output, self._exchange
        if self.first_content is None or exchange.intent.kind not in kinds.TURNS:
            return
        if exchange.conversation.stream:
            paces.streamed(self._candidate.id, tokens, now - self.first_content, now)
        else:
            paces.whole(self._candidate, tokens, now - self.begun, now)

    def _signal(self) -> signals.Signal | None:
        if self.first_content is None or self._exchange.intent.kind not in kinds.TURNS:
            return None
        return signals.of_answer(self._retelling.ended, declined=self._retelling.declined, broke=self.broke)

    def _bill(self, now: float, ended: Ended) -> tuple[float | None, float | None]:
        """What it cost, and what the baseline would have."""
        if self.first_content is None:
            return None, None
        gateway, exchange = self._gateway, self._exchange
        at = exchange.wall + now - exchange.started
        return settle(
            gateway.sessions,
            gateway.spending,
            exchange,
            self._candidate,
            self._retelling.usage,
            baseline=exchange.plan.baseline,
            at=at,
            ended=ended,
        )
