"""How the first hop says no: in the client's dialect, and to the books. Pure."""

from dataclasses import replace

from router_service import allowance, answers, decisions, feedback, limits
from router_service.budgets import Standing
from router_service.conversation import Failure
from router_service.dialects import by_path
from router_service.effects import Effect, Record, Respond, error_reply
from router_service.exchange import MAX_KEPT, traceparent
from router_service.gateway import Gateway
from router_service.outcome import Outcome
from router_service.request import Request, Understood


def refuse(request: Request, failure: Failure, now: float, more: dict[str, str] | None = None) -> list[Effect]:
    """`more`: headers that go with it."""
    explained = answers.own_headers(request.id) | {"x-arch-reason": "refused by archgw"} | (more or {})
    if request.path == feedback.PATH:  # no model was asked for anything
        headers = explained | {"content-type": "application/json"}
        return [Respond(failure.status, headers, feedback.refused(failure))]
    told = Record(_outcome(request, failure, now))
    if request.path == decisions.CALL:  # Envoy makes a status of gRPC's of it
        return [told, Respond(failure.status, explained, failure.message.encode())]
    dialect = by_path(request.path) or decisions.dialect(request.path)
    dialect = dialect or answers.dialect_for(request.path, request.headers)
    return [told, error_reply(dialect, failure, explained)]


def over_budget(understood: Understood, blocking: list[Standing], now: float) -> list[Effect]:
    request, asked = understood.request, understood.intent
    failure, headers = allowance.refuse(blocking, request.wall)
    _, reply = refuse(request, failure, now, headers)
    outcome = replace(
        _outcome(request, failure, now),
        kind=("subagent: " if asked.subagent else "") + asked.kind,
        session=understood.session,
        reason=allowance.REASON,
        model_asked=understood.label(),
        brief=allowance.REASON,
    )
    return [Record(outcome), reply]


def for_now(gateway: Gateway, request: Request, now: float) -> list[Effect]:
    """Before the body is here, where there is no room for one more: whoever waits holds nothing."""
    exchanges = gateway.exchanges
    failure = limits.too_many_requests(gateway.plan.limits, len(exchanges), exchanges.bytes)
    return refuse(request, failure, now, limits.COME_BACK)


def _outcome(request: Request, failure: Failure, now: float) -> Outcome:
    return Outcome(
        id=request.id,
        started=request.wall,
        kind="refused",
        client=request.headers.get("user-agent", "").split(" ")[0][:MAX_KEPT],
        session="",
        route="",
        reason="refused by archgw",
        model_asked="",
        model_served="",
        status=failure.status,
        duration=now - request.started,
        error=failure.message[:MAX_KEPT],
        caller=request.caller,
        parent=traceparent(request.headers),
        brief="feedback that cannot be kept" if request.path == feedback.PATH else "",
        decided=request.decides or request.path == decisions.CALL,
    )
