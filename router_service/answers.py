"""What the gateway answers itself, without a provider: health, models, token counts, and how to ask rightly."""

import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from router_service import needs
from router_service.conversation import Conversation
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Dialect
from router_service.exchange import Headers, header_value
from router_service.plan import FAST_MODELS, ROUTED_MODELS, Candidate, Plan
from router_service.policies import explicit
from router_service.session import Session

_SERVED = ("model", "route", "reason", "kind", "request", "attempts", "cached", "prompt")
SESSION = "/archgw/sessions/"
ESTIMATE = {"x-arch-warnings": "input_tokens is an estimate"}  # beside every number that no vendor has counted
_SINCE = "2026-01-01T00:00:00Z"  # the models API wants a birthday; the gateway's models have none


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def answer(plan: Plan, method: str, path: str, headers: Headers) -> Answer | None:
    """The answer to a request that needs no body; None where it is for somebody else. Raises BadRequest."""
    if method not in ("GET", "HEAD"):
        return None
    if path == "/":
        return _json({"name": "archgw", "paths": [*_paths(), "/healthz"]})
    if path == "/healthz":
        return _json({"status": "ok", "models": len(plan.candidates)})
    anthropic = "anthropic-version" in headers
    if path == "/v1/models":
        return _json(_listed(plan, anthropic=anthropic))
    if path.startswith("/v1/models/"):
        return _json(_model(plan, unquote(path.removeprefix("/v1/models/")), anthropic=anthropic))
    return None


def session(plan: Plan, session: Session, now: float) -> Answer:
    """What `archgw statusline` shows: who answered last and why, and what the session has cost; 404 for one unknown."""
    served = session.served
    if served is None:
        return replace(_json({"error": "nothing has been answered in this session yet"}), status=404)
    return _json(
        {name: getattr(served, name) for name in _SERVED}
        | {
            "age": round(now - served.at, 1),
            "spent": round(session.spent, 6),
            "baseline": {"model": plan.baseline.label if plan.baseline else "", "cost": round(session.baseline, 6)},
            "switched": round(session.switched, 6),
            "unpriced": session.unpriced,
        }
    )


def counted(dialect: Dialect, tokens: int) -> Answer:
    """How many tokens a request comes to, to a client of this dialect."""
    assert dialect.counter is not None
    return _json(dialect.counter.answer(tokens))


def count_headers(candidate: Candidate, reason: str, id: str) -> dict[str, str]:
    return {
        "x-arch-model": header_value(candidate.label),
        "x-arch-route": "none",
        "x-arch-reason": header_value(reason[:700]),
        "x-arch-attempts": "0",
        "x-arch-request-id": id,
    }


def estimate(conversation: Conversation) -> int:
    """A token for every two letters and some for each message: more than most tokenizers make of it."""
    return needs.of(conversation).tokens * needs.MOST_LETTERS_PER_TOKEN // 2 + 4 * len(conversation.messages) + 1


def estimated(candidate: Candidate, trouble: str) -> str:
    """Why the number is an estimate of ours."""
    return f"estimated by archgw: {candidate.label} {trouble or 'does not count tokens'}"


def wrong_method(method: str, path: str) -> str:
    right = "GET" if path == "/v1/models" else "POST"
    return f"archgw does not answer {method} {path}; send a {right}"


def unknown_path(method: str, path: str) -> str:
    return f"archgw does not answer {method} {path}; it answers {', '.join(_paths())}"


def too_large(most: int) -> str:
    return f"the request is larger than {most // 2**20} MiB; shorten the conversation or its images"


def dialect_for(path: str, headers: Headers) -> Dialect:
    """The dialect in which to refuse a request whose path says none."""
    anthropic = path.startswith("/v1/messages") or "anthropic-version" in headers
    return DIALECTS["anthropic_messages" if anthropic else "openai_chat"]


def _paths() -> list[str]:
    asked = [f"POST {path}" for dialect in DIALECTS.values() for path in dialect.paths]
    counters = [f"POST {dialect.counter.path}" for dialect in DIALECTS.values() if dialect.counter]
    return [*asked, *counters, "GET /v1/models"]


def _ids(plan: Plan) -> list[str]:
    labels = [candidate.label for candidate in plan.candidates]
    return list(dict.fromkeys([*ROUTED_MODELS, *FAST_MODELS, *plan.aliases, *labels]))


def _listed(plan: Plan, *, anthropic: bool) -> dict[str, Any]:
    ids = _ids(plan)
    data = [_entry(id, anthropic=anthropic) for id in ids]
    if anthropic:
        return {"data": data, "has_more": False, "first_id": ids[0], "last_id": ids[-1]}
    return {"object": "list", "data": data}


def _model(plan: Plan, id: str, *, anthropic: bool) -> dict[str, Any]:
    """Every name that a request would be accepted for exists, unknown claude-* names included."""
    explicit.resolve(plan, id, claude_code=False)
    return _entry(id, anthropic=anthropic)


def _entry(id: str, *, anthropic: bool) -> dict[str, Any]:
    if anthropic:
        return {"type": "model", "id": id, "display_name": id, "created_at": _SINCE}
    return {"id": id, "object": "model", "created": 1767225600, "owned_by": id.partition("/")[0]}


def _json(value: dict[str, Any]) -> Answer:
    return Answer(200, {"content-type": "application/json"}, json.dumps(value).encode())
