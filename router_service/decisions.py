"""A decision told to who asks for nothing else: he goes to the model himself. Pure; never a key.

Whoever asks with a whole request gets the decision that the gateway would have made of it, made in the same way. What
that does to a session, and why: docs/decisions/0015-decision-only.md.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router_service import paths, upstream
from router_service.conversation import BadRequest, Conversation, Message, Text
from router_service.dialects import DIALECTS, by_path
from router_service.dialects.dialect import Dialect
from router_service.effects import Respond, header_value
from router_service.events import Headers
from router_service.exchange import Exchange
from router_service.plan import DEFAULT, ROUTED_MODELS, Candidate
from router_service.policies.policy import Scores
from router_service.session import session_key

PATH, CALL = paths.DECIDE, paths.CALL
ABOUT = tuple(path for dialect in DIALECTS.values() for path in dialect.paths)
PATHS = (PATH, *(f"{paths.ROUTING}{path}" for path in ABOUT))
EMPTY = 'the request has no body; send JSON such as {"prompt": "Fix this syntax error"}'
_FIELDS = ("prompt", "context", "messages", "model")
_ROLES = ("user", "assistant")
_SHOWN = 60  # characters of a stranger's words in an error
LONGEST = 700  # of a reason in a header


@dataclass(frozen=True, slots=True)
class Told:
    """A decision as it is told. `preference` is None where none was decided for: the default, or a lane in which the
    client itself chose. `scores`: probabilities by preference and "none", empty where the router model was not asked.
    """

    preference: str | None
    lane: str
    models: tuple[dict[str, str], ...]
    scores: Mapping[str, float]
    difficulty: Mapping[str, float]
    reason: str
    kind: str
    request_id: str
    session: str | None

    def json(self) -> bytes:
        return json.dumps({name: getattr(self, name) for name in self.__slots__}, ensure_ascii=False).encode()


def dialect(path: str) -> Dialect | None:
    """In which a decision is asked for at this path; None where none is. Errors of PATH look like Anthropic's."""
    if path == PATH:
        return DIALECTS["anthropic_messages"]
    return by_path(path.removeprefix(paths.ROUTING)) if path.startswith(f"{paths.ROUTING}/") else None


def asked(path: str) -> str:
    """The path at which a decision is asked for about what another's client sends to `path`; empty where none is.

    His own prefix may stand before it, as in /anthropic/v1/messages.
    """
    return next((f"{paths.ROUTING}{known}" for known in ABOUT if path.endswith(known)), "")


def conversation(path: str, body: Mapping[str, Any]) -> Conversation:
    """What was sent to `path`. Raises BadRequest."""
    spoken = dialect(path)
    assert spoken is not None
    return spoken.parse_request(dict(body)) if path != PATH else _question(body)


def session(path: str, conversation: Conversation, headers: Headers) -> str:
    """Its key; empty for a question that belongs to none."""
    return "" if path == PATH else session_key(conversation, headers)


def said(prompt: str, context: Sequence[str]) -> tuple[Message, ...]:
    """`context` is what was said before, newest first: `assistant: done`; what names no role is the user's."""
    return (*map(_message, reversed(context)), Message("user", (Text(prompt),)))


def told(exchange: Exchange, scores: Scores | None) -> Told:
    """`scores` after what was learned; None where the router model was not asked."""
    decision, routes = exchange.decision, exchange.plan.routes
    known = {} if scores is None or scores.trouble else {one.name: scores.routes.get(one.id, 0.0) for one in routes}
    return Told(
        preference=decision.route.name if decision.lane == "routed" and decision.route.id != DEFAULT else None,
        lane=decision.lane,
        models=tuple(_model(exchange, candidate) for candidate in _models(exchange)),
        scores=_rounded(known | {"none": scores.none}) if known and scores else {},
        difficulty=_rounded(scores.difficulty) if scores else {},
        reason=decision.reason,
        kind=exchange.intent.kind,
        request_id=exchange.id,
        session=exchange.session or None,
    )


def reply(exchange: Exchange, told: Told) -> Respond:
    """Under the headers that every answer of the gateway's carries."""
    headers = {
        "content-type": "application/json",
        "x-arch-model": header_value(exchange.decision.first.label),
        "x-arch-route": header_value(exchange.decision.name),
        "x-arch-reason": header_value(told.reason[:LONGEST]),
        "x-arch-attempts": "0",
        "x-arch-request-id": told.request_id,
    }
    if exchange.budgets:
        headers["x-arch-warnings"] = header_value("; ".join(exchange.budgets)[:LONGEST])
    return Respond(200, headers, told.json())


def advice(told: Told) -> dict[str, str]:
    """The same as headers of the request, for somebody else's Envoy: its routes know models by their vendors' names."""
    first, labels = told.models[0], ", ".join(model["model"] for model in told.models)
    return {
        "x-arch-model": header_value(first["name"]),
        "x-arch-provider": header_value(first["provider"]),
        "x-arch-route": header_value(told.preference or (DEFAULT if told.lane == "routed" else told.lane)),
        "x-arch-reason": header_value(told.reason[:LONGEST]),
        "x-arch-models": header_value(labels),
        "x-arch-request-id": told.request_id,
    }


def _models(exchange: Exchange) -> list[Candidate]:
    """Who would be asked, in order: who cools after all others, who cannot take the request not at all."""
    chain = exchange.decision.chain
    able = [candidate for candidate in chain.candidates if not exchange.passes(candidate)]
    return sorted(able, key=lambda candidate: candidate.id in exchange.later)[: chain.attempts]


def _model(exchange: Exchange, candidate: Candidate) -> dict[str, str]:
    """`model` and `provider` as the config knows them, `name` as the vendor does; `dialect`: in which the gateway would
    ask it, below this `base_url`.
    """
    spoken = exchange.dialect.name if exchange.session else ""  # a question comes in nobody's
    asked, address = upstream.dialect_of(candidate, spoken, exchange.conversation), candidate.address
    root = address.path or candidate.provider.root(asked.name)
    return {
        "model": candidate.label,
        "provider": candidate.label.partition("/")[0],
        "name": candidate.model,
        "base_url": f"{address.scheme}://{address.authority}{root}",
        "dialect": asked.name,
    }


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {name: round(share, 4) for name, share in shares.items()}


def _question(body: Mapping[str, Any]) -> Conversation:
    for field in body:
        if field not in _FIELDS:
            raise BadRequest(
                f"{json.dumps(field[:_SHOWN])} is no field of {PATH}; it has {', '.join(_FIELDS)}. A whole request"
                f" has a path of its own: {', '.join(PATHS[1:])}"
            )
    if ("prompt" in body) == ("messages" in body):
        raise BadRequest("expected a prompt, or messages, and not both")
    model = body.get("model", ROUTED_MODELS[0])
    if not isinstance(model, str):
        raise BadRequest("model: expected a name")
    if "messages" in body:
        if "context" in body:
            raise BadRequest("context: goes with a prompt; messages tell what was said before")
        return DIALECTS["openai_chat"].parse_request({"model": model, "messages": body["messages"]})
    prompt, context = body["prompt"], body.get("context", [])
    if not isinstance(prompt, str) or not prompt.strip():
        raise BadRequest("prompt: expected words")
    if not isinstance(context, list) or not all(isinstance(turn, str) for turn in context):
        raise BadRequest('context: expected a list of words, the newest first, such as ["assistant: done", "user: hi"]')
    for at, turn in enumerate(context):
        if _role(turn) not in _ROLES:
            raise BadRequest(f'context[{at}]: expected who said it before the words: "assistant: done" or "user: hi"')
    return Conversation(model=model, messages=said(prompt, context))


def _message(turn: str) -> Message:
    role = _role(turn)
    if role in _ROLES:
        return Message("assistant" if role == "assistant" else "user", (Text(turn.partition(":")[2].strip()),))
    return Message("user", (Text(turn),))


def _role(turn: str) -> str:
    role, found, _ = turn.partition(":")
    return role.strip() if found else ""
