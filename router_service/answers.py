"""What the gateway answers itself, without a provider: health, models, token counts, and how to ask rightly.

And the headers that go with an answer, whosever it is.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, unquote

from router_service import counting
from router_service.budgets import Standing
from router_service.conversation import BadRequest, Conversation
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Dialect
from router_service.effects import header_value
from router_service.events import Headers
from router_service.exchange import Exchange
from router_service.feedback import PATH as FEEDBACK
from router_service.offers import Offer, offer, offers
from router_service.paths import DECIDE, METRICS, ROUTING
from router_service.plan import CLAUDE_CODES, FAST_MODELS, Candidate, Plan
from router_service.session import Session

_SERVED = ("model", "route", "reason", "kind", "request", "attempts", "cached", "prompt")
ESTIMATE = {"x-arch-warnings": "input_tokens is an estimate"}  # beside every number that no vendor has counted
_SINCE = "2026-01-01T00:00:00Z"  # the models API wants a birthday; the gateway's models have none
_LONGEST_PAGE = 1000  # of Anthropic's
_SHOWN = 200  # characters of a path in a message
_CLAUDE_CODE = ("claude-code/", "claude-cli/")  # as which it asks for models (2.1.330), and for everything else


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def answer(plan: Plan, method: str, path: str, headers: Headers, query: str = "") -> Answer | None:
    """The answer to a request that needs no body; None where it is for somebody else. Raises BadRequest."""
    if method not in ("GET", "HEAD"):
        return None
    if path == "/":
        return _json({"name": "archgw", "paths": [*_paths(), "/healthz", METRICS]})
    if path == "/healthz":
        return _json({"status": "ok", "models": len(plan.candidates)})
    anthropic = "anthropic-version" in headers
    if path == "/v1/models":
        listed = _for_claude_code(plan) if headers.get("user-agent", "").startswith(_CLAUDE_CODE) else offers(plan)
        return _json(_page(listed, query) if anthropic else {"object": "list", "data": [_openais(o) for o in listed]})
    if path.startswith("/v1/models/"):
        found = offer(plan, unquote(path.removeprefix("/v1/models/")))
        return _json(_anthropics(found) if anthropic else _openais(found))
    return None


def session(plan: Plan, session: Session, now: float, standings: Sequence[Standing] = ()) -> Answer:
    """What `archgw statusline` shows: who answered last and why, what the session has cost, and how the budgets stand
    that concern it; 404 for one unknown that none does."""
    served, budgets = session.served, {"budgets": [_standing(one) for one in standings]}
    if served is None:
        unknown = _json({"error": "nothing has been answered in this session yet"} | budgets)
        return unknown if standings else replace(unknown, status=404)
    return _json(
        budgets
        | {name: getattr(served, name) for name in _SERVED}
        | {
            "age": round(now - served.at, 1),
            "spent": round(session.spent, 6),
            "baseline": {"model": plan.baseline.label if plan.baseline else "", "cost": round(session.baseline, 6)},
            "switched": round(session.switched, 6),
            "unpriced": session.unpriced,
        }
    )


def _standing(standing: Standing) -> dict[str, Any]:
    """`until`: seconds since the epoch, null where it ends with the session; `state`: what it comes to by now."""
    budget = standing.budget
    return {
        "name": budget.name,
        "spent": round(standing.spent, 6),
        "limit": budget.at_most,
        "unit": budget.unit,
        "per": budget.per,
        "then": budget.then,
        "state": standing.state,
        "until": standing.until,
        "words": standing.words,
    }


def counted(dialect: Dialect, tokens: int) -> Answer:
    """How many tokens a request comes to, to a client of this dialect."""
    assert dialect.counter is not None
    return _json(dialect.counter.answer(tokens))


def own_headers(id: str) -> dict[str, str]:
    """What every reply of ours carries, so that no client has to ask whether a header is there."""
    return {
        "x-arch-model": "none",
        "x-arch-route": "none",
        "x-arch-reason": "answered by archgw itself",
        "x-arch-attempts": "0",
        "x-arch-request-id": id,
    }


def count_headers(candidate: Candidate, reason: str, id: str) -> dict[str, str]:
    return {
        "x-arch-model": header_value(candidate.label),
        "x-arch-route": "none",
        "x-arch-reason": header_value(reason[:700]),
        "x-arch-attempts": "0",
        "x-arch-request-id": id,
    }


def model_headers(exchange: Exchange, candidate: Candidate, warnings: Sequence[str]) -> dict[str, str]:
    """What goes with every answer of a model, and with what is said in place of one; `warnings`: beside it."""
    before = [a for a in exchange.attempts if a.trouble]
    reason = "".join([exchange.decision.reason, *(f"; {a.candidate} {a.trouble}" for a in before)])
    headers = {
        "x-arch-model": header_value(candidate.label),
        "x-arch-route": header_value(exchange.decision.name),
        "x-arch-reason": header_value(reason[:700]),
        "x-arch-attempts": str(exchange.tried - exchange.passed),
        "x-arch-request-id": exchange.id,
    }
    if exchange.keep:
        headers["x-arch-cache"] = exchange.keep.terms.mark
    if warnings:
        headers["x-arch-warnings"] = header_value("; ".join(warnings)[:700])
    return headers


def estimate(conversation: Conversation, candidate: Candidate) -> int:
    """The tokens that the request comes to at the candidate, hardly ever too few."""
    return counting.estimate(conversation, candidate.provider.tokenizer_of(candidate.model))


def estimated(candidate: Candidate, trouble: str) -> str:
    """Why the number is an estimate of ours."""
    return f"estimated by archgw: {candidate.label} {trouble or 'does not count tokens'}"


def wrong_method(method: str, path: str) -> str:
    right = "GET" if path == "/v1/models" else "POST"
    return f"archgw does not answer {method} {path}; send a {right}"


def unknown_path(method: str, path: str) -> str:
    return f"archgw does not answer {method} {path[:_SHOWN]}; it answers {', '.join(_paths())}"


def dialect_for(path: str, headers: Headers) -> Dialect:
    """The dialect in which to refuse a request whose path says none."""
    anthropic = path.startswith("/v1/messages") or "anthropic-version" in headers
    return DIALECTS["anthropic_messages" if anthropic else "openai_chat"]


def _paths() -> list[str]:
    asked = [f"POST {path}" for dialect in DIALECTS.values() for path in dialect.paths]
    counters = [f"POST {dialect.counter.path}" for dialect in DIALECTS.values() if dialect.counter]
    decided = [f"POST {ROUTING}{path}" for dialect in DIALECTS.values() for path in dialect.paths]
    return [*asked, *counters, f"POST {FEEDBACK}", f"POST {DECIDE}", *decided, "GET /v1/models"]


def _for_claude_code(plan: Plan) -> list[Offer]:
    """By names that it lists, each thing by one."""
    listed = [one for one in offers(plan) if one.id not in FAST_MODELS[1:]]
    return [replace(one, id=f"{CLAUDE_CODES}{one.id}") for one in listed]


def _page(listed: list[Offer], query: str) -> dict[str, Any]:
    """Anthropic's list, as its SDKs turn pages: the first `limit` after `after_id`, or the last before `before_id`."""
    asked = {name: values[-1] for name, values in parse_qs(query).items()}
    ids = [one.id for one in listed]
    start = _place(ids, asked, "after_id", -1) + 1
    end = _place(ids, asked, "before_id", len(ids))
    limit = _limit(asked.get("limit", str(_LONGEST_PAGE)))
    backwards = "before_id" in asked
    page = listed[start:end][-limit:] if backwards else listed[start:end][:limit]
    return {
        "data": [_anthropics(one) for one in page],
        "has_more": len(page) < end - start,
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
    }


def _place(ids: list[str], asked: dict[str, str], name: str, otherwise: int) -> int:
    if name not in asked:
        return otherwise
    if asked[name] not in ids:
        raise BadRequest(f"{name}: no model '{asked[name]}' is listed")
    return ids.index(asked[name])


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _LONGEST_PAGE:
        raise BadRequest(f"limit: expected a number from 1 to {_LONGEST_PAGE}, not '{text}'")
    return int(text)


def _anthropics(one: Offer) -> dict[str, Any]:
    told = {"type": "model", "id": one.id, "display_name": one.name, "created_at": _SINCE, "description": one.words}
    return told | _known(max_input_tokens=one.context, max_tokens=one.max_output)


def _openais(one: Offer) -> dict[str, Any]:
    """OpenAI says nothing of sizes; these are the words of OpenRouter and of Groq."""
    told = {"id": one.id, "object": "model", "created": 1767225600, "owned_by": one.name.partition("/")[0]}
    return told | _known(context_length=one.context, context_window=one.context, max_completion_tokens=one.max_output)


def _known(**figures: int | None) -> dict[str, int]:
    return {name: figure for name, figure in figures.items() if figure is not None}


def _json(value: dict[str, Any]) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(value).encode())
