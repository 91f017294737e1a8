"""What an answered request cost, and what session and budgets keep of it. Dollars, and seconds since the epoch."""

from dataclasses import replace

from router_service import budgets, kinds, pricing
from router_service.budgets import Spending
from router_service.conversation import Usage
from router_service.detectors import retried
from router_service.exchange import Exchange
from router_service.plan import Candidate
from router_service.session import Ended, Served, Sessions, main_thread


def settle(
    sessions: Sessions,
    spending: Spending,
    exchange: Exchange,
    candidate: Candidate,
    usage: Usage,
    *,
    baseline: Candidate | None,
    at: float,
    ended: Ended = "whole",
) -> tuple[float | None, float | None]:
    """What it cost, and what it would have on the baseline had that answered all along; None where nobody knows.

    The session keeps both, and of its turns what the model has read. It is added to every budget that it concerns.
    """
    session, kind = sessions.get(exchange.session), exchange.intent.kind
    cost = pricing.cost(candidate.price, usage, at=at)
    alone = candidate == baseline and not session.reads.keys() - {candidate.id}  # then what it cost is what it costs
    stayed = usage if alone else pricing.had_it_stayed(usage, session.known(at))
    other = pricing.cost(baseline.price if baseline else None, stayed, at=at)
    if kind in kinds.TURNS:
        served, opens_turn = _served(exchange, candidate, usage, at, ended), kind == "user turn"
        session = session.settled(candidate.id, usage, served, opens_turn=opens_turn, cost=cost, baseline=other)
    else:
        session = session.paid(cost, other)
    sessions.put(exchange.session, session)
    main = main_thread(exchange.session)
    if main != exchange.session:  # what a sub-agent costs is the session's cost
        sessions.put(main, sessions.get(main).paid(cost, other))
    if exchange.plan.budgets:
        budgets.account(spending, exchange.plan.budgets, exchange.asker, cost=cost, usage=usage, at=at)
    return cost, other


def broke_off(sessions: Sessions, exchange: Exchange) -> None:
    """It was not the client that left this answer."""
    session = sessions.get(exchange.session)
    if session.served and session.served.request == exchange.id:
        sessions.put(exchange.session, replace(session, served=replace(session.served, ended="broken")))


def _served(exchange: Exchange, candidate: Candidate, usage: Usage, at: float, ended: Ended) -> Served:
    read = pricing.total(usage)
    return Served(
        model=candidate.label,
        route=exchange.decision.name,
        reason=exchange.decision.reason,
        kind=exchange.intent.kind,
        request=exchange.id,
        attempts=exchange.tried - exchange.passed,
        at=at,
        cached=None if usage.cached is None or not read else usage.cached / read,
        prompt=exchange.prompt,
        turn=retried.mark(exchange.conversation, exchange.intent.asked),
        ended=ended,
        caller=exchange.caller,
    )
