"""Who is to blame for an answer that broke off, and that he is not asked first for a while.

When a client leaves looks to us as when a provider tears its stream. What Envoy does next, or says, tells them apart.
"""

from dataclasses import replace

from router_service.bill import broke_off
from router_service.cooling import BROKE_OFF
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.outcome import GONE
from router_service.plan import Candidate

COOL_FOR = 30.0  # seconds in which who broke off in the middle of an answer is not asked first
_IN_AN_ANSWER = f"{BROKE_OFF} in an answer"


def came_back(gateway: Gateway, exchange: Exchange, now: float) -> None:
    """That Envoy comes says that the client is still there: who was cut off before did it himself.

    Envoy does not count it against him, as it had heard nothing of an answer yet (seen on 1.40).
    """
    last = exchange.attempts[-1] if exchange.attempts else None
    if last is None or not (exchange.cut or last.status == GONE):
        return
    exchange.cut = None
    trouble = f"{BROKE_OFF} after {last.seconds:.1f} s"
    exchange.attempts[-1] = replace(last, status=0, trouble=trouble)
    _leave_alone(gateway, exchange, _served(exchange), now, trouble)


def tear(gateway: Gateway, attempt: str, now: float) -> None:
    """Envoy says of this attempt, by the name that its `Ask` gave it, that the provider tore its stream.

    It says so a moment before or after the attempt's own stream ends, which looks the same when the client leaves.
    """
    id, _, number = attempt.partition("/")
    exchange = gateway.exchanges.get(id)
    if exchange is None or str(exchange.tried) != number:
        return  # the next one is being asked already
    exchange.torn = exchange.tried
    if exchange.cut:
        blame(gateway, exchange, _served(exchange), now)


def blame(gateway: Gateway, exchange: Exchange, candidate: Candidate, now: float) -> None:
    """The answer that was cut off: its provider did it."""
    assert exchange.cut is not None
    trouble = "tore the connection"
    told = tuple((about, "error" if signal == "unfinished" else signal) for about, signal in exchange.cut.signals)
    exchange.cut = replace(exchange.cut, status=200, error=f"archgw: {candidate.label}: {trouble}", signals=told)
    broke_off(gateway.sessions, exchange)
    broke_in_answer(gateway, exchange, candidate, now)


def broke_in_answer(gateway: Gateway, exchange: Exchange, candidate: Candidate, now: float) -> None:
    """The client asks again, and had better be answered by somebody else. To Envoy it was a 200."""
    _leave_alone(gateway, exchange, candidate, now, _IN_AN_ANSWER)


def _leave_alone(gateway: Gateway, exchange: Exchange, candidate: Candidate, now: float, why: str) -> None:
    gateway.paces.failed(candidate.id, 0.0, now)
    seconds = min(COOL_FOR, exchange.plan.failover.cool_at_most)
    if seconds:
        gateway.cooling.cool(candidate.id, now + seconds, why)


def _served(exchange: Exchange) -> Candidate:
    last = exchange.attempts[-1].candidate
    return next(one for one in exchange.decision.chain.candidates if one.label == last)
