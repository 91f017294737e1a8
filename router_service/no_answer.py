"""What the client is told when nobody could answer. Pure."""

from router_service import refusals
from router_service.conversation import KIND_BY_STATUS, Failure
from router_service.exchange import Exchange
from router_service.verdict import final_status


def failure(exchange: Exchange) -> Failure:
    """In words that name whoever was asked, and what became of it."""
    return _what_stands(exchange) or _all_failed(exchange)


def _what_stands(exchange: Exchange) -> Failure | None:
    """A refusal, where nobody has failed otherwise, or where the client itself can mend it, by asking for less."""
    refusal = exchange.refusal
    mended = refusal is not None and refusals.lacking(refusal) == "window"
    return refusal if mended or all(a.status in refusals.STATUSES for a in exchange.attempts) else None


def _all_failed(exchange: Exchange) -> Failure:
    tried = exchange.attempts
    told = "; ".join(f"{attempt.candidate} {attempt.trouble}" for attempt in tried)
    if exchange.over:
        told += f"; {exchange.over}"
    status = final_status([attempt.status for attempt in tried])
    return Failure(status, KIND_BY_STATUS[status], f"archgw: no model could answer. {told}")
