"""Outcome -> what OpenTelemetry is told of it: a tree of spans, and measurements. Pure; never a word of what was asked.

By the semantic conventions for generative AI (open-telemetry/semantic-conventions-genai, as of November 2026): a server
span for the client's request, in it one for the router model and a client span for each try. Seconds since the epoch.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from router_service.bookkeeping import without_words
from router_service.conversation import Usage
from router_service.dialects import DIALECTS
from router_service.outcome import AttemptOutcome, Outcome
from router_service.pricing import total

Attribute = str | int | float | bool | Sequence[str]
Kind = Literal["server", "internal", "client"]

DURATION, FIRST_CHUNK = "gen_ai.client.operation.duration", "gen_ai.client.operation.time_to_first_chunk"
TOKENS = "gen_ai.client.token.usage"
# The buckets that the conventions prescribe.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
NUMBERS = tuple(float(4**power) for power in range(14))

_CALLED = {  # what the conventions call a vendor, where it is not our name
    "amazon_bedrock": "aws.bedrock",
    "azure_openai": "azure.ai.openai",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
_LEFT = 499  # the client did
_MOST = 5  # preferences whose fit is told
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


@dataclass(frozen=True, slots=True)
class Parent:
    """A span of the client's own, of which the request is a part."""

    trace: int
    span: int
    flags: int


@dataclass(frozen=True, slots=True)
class Span:
    """`error`: what went wrong, in words; None where nothing did."""

    name: str
    kind: Kind
    start: float
    end: float
    attributes: Mapping[str, Attribute]
    error: str | None = None
    children: tuple["Span", ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Measurement:
    name: str
    value: float
    attributes: Mapping[str, Attribute]


def parent(traceparent: str) -> Parent | None:
    """What a client's traceparent says (W3C Trace Context, 3.2); None where it is none."""
    found = _TRACEPARENT.fullmatch(traceparent)
    return Parent(*(int(part, 16) for part in found.groups())) if found else None


def of(outcome: Outcome) -> Span:
    """The server span of a request, and what is in it."""
    tries = [_try(outcome, number, attempt) for number, attempt in enumerate(outcome.attempts, 1)]
    path = DIALECTS[outcome.dialect].paths[0] if outcome.dialect else ""
    return Span(
        f"POST {path}" if path else "refused",
        "server",
        outcome.started,
        outcome.started + outcome.duration,
        _told(
            {
                "http.request.method": "POST" if path else None,
                "http.route": path,
                "http.response.status_code": outcome.status,
                "error.type": _server_error(outcome),
                "gen_ai.conversation.id": outcome.session.rstrip("/"),
                "archgw.request.id": outcome.id,
                "archgw.kind": outcome.kind,
                "archgw.route": outcome.route,
                "archgw.reason": outcome.reason,
                "archgw.score": outcome.score,
                "archgw.tries": len(outcome.attempts),
                "archgw.cache": outcome.cache,
                "archgw.model.asked": outcome.model_asked,
                "archgw.model.served": outcome.model_served,
                "archgw.client": outcome.client,
                "archgw.caller": outcome.caller,
                "archgw.cost.dollars": outcome.cost,
                "archgw.baseline.dollars": outcome.baseline,
            }
        ),
        _words(outcome.brief, outcome.error) if _server_error(outcome) else None,
        (*_routing(outcome), *tries),
    )


def measurements(outcome: Outcome) -> Iterator[Measurement]:
    """What the conventions want measured of each call of a model."""
    for attempt in outcome.attempts:
        asked = _asked(attempt)
        start, end = _times(outcome, attempt)
        yield Measurement(DURATION, end - start, asked | _told({"error.type": _error(outcome, attempt)}))
        if not _served(outcome, attempt):
            continue
        if outcome.streamed:
            yield Measurement(FIRST_CHUNK, attempt.seconds, asked)
        for kind, tokens in (("input", _read(outcome.usage)), ("output", outcome.usage.output)):
            if tokens is not None:
                yield Measurement(TOKENS, tokens, asked | {"gen_ai.token.type": kind})


def _routing(outcome: Outcome) -> Iterator[Span]:
    trace = outcome.trace
    if not (trace.seconds or trace.trouble):
        return
    start = outcome.started + trace.began
    yield Span(
        "route",
        "internal",
        start,
        start + trace.waited,
        _told(
            {
                "archgw.route": outcome.route,
                "archgw.score": outcome.score,
                "archgw.routing.seconds": trace.seconds,
                "archgw.routing.fits": [f"{name} {fit:.3f}" for name, fit in trace.fits[:_MOST]],
                "archgw.routing.difficulty": max(trace.difficulty, key=lambda one: one[1], default=("", 0.0))[0],
                "error.type": "_OTHER" if trace.trouble else None,
            }
        ),
        trace.trouble or None,
    )


def _try(outcome: Outcome, number: int, attempt: AttemptOutcome) -> Span:
    start, end = _times(outcome, attempt)
    error = _error(outcome, attempt)
    told: dict[str, Attribute | None] = {
        "gen_ai.request.stream": outcome.streamed or None,
        "http.response.status_code": attempt.status or None,
        "error.type": error,
        "archgw.candidate": attempt.candidate,
        "archgw.try": number,
    }
    if _served(outcome, attempt):
        usage = outcome.usage
        told |= {
            "gen_ai.response.model": outcome.model_told,
            "gen_ai.response.time_to_first_chunk": attempt.seconds if outcome.streamed else None,
            "gen_ai.usage.input_tokens": _read(usage),
            "gen_ai.usage.cache_read.input_tokens": usage.cached,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write,
            "gen_ai.usage.output_tokens": usage.output,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
            "archgw.cost.dollars": outcome.cost,
        }
    words = _words(attempt.brief, attempt.trouble) or _words(outcome.brief, outcome.error)
    return Span(f"chat {attempt.model}", "client", start, end, _asked(attempt) | _told(told), words if error else None)


def _asked(attempt: AttemptOutcome) -> dict[str, Attribute]:
    return _told(
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _CALLED.get(attempt.provider, attempt.provider),
            "gen_ai.request.model": attempt.model,
            "server.address": attempt.host,
            "server.port": attempt.port or None,
        }
    )


def _served(outcome: Outcome, attempt: AttemptOutcome) -> bool:
    return bool(outcome.model_served) and attempt is outcome.attempts[-1]


def _times(outcome: Outcome, attempt: AttemptOutcome) -> tuple[float, float]:
    """Of who answered, until the answer's end."""
    start = outcome.started + attempt.began
    whole = outcome.started + outcome.duration
    return start, max(start, whole) if _served(outcome, attempt) else start + attempt.seconds


def _error(outcome: Outcome, attempt: AttemptOutcome) -> str | None:
    """The vendor's status, `cancelled` where the client left, `_OTHER` for all that has no status."""
    if _served(outcome, attempt):
        left = outcome.status == _LEFT
        return "cancelled" if left else "_OTHER" if outcome.error or attempt.trouble else None
    if attempt.status == _LEFT:
        return "cancelled"
    return str(attempt.status) if attempt.status >= 400 else "_OTHER"


def _server_error(outcome: Outcome) -> str | None:
    """What is the client's own doing is none; an answer that broke off is one, whatever its status said."""
    if outcome.status >= 500:
        return str(outcome.status)
    return "_OTHER" if outcome.status < 400 and outcome.error else None


def _words(brief: str, trouble: str) -> str:
    """Without a vendor's own, which may quote what was asked."""
    return brief or without_words(trouble)


def _read(usage: Usage) -> int | None:
    """All input, what was cached included: so the conventions count it."""
    said = (usage.input, usage.cached, usage.cache_write)
    return None if said == (None, None, None) else total(usage)


def _told(attributes: Mapping[str, Attribute | None]) -> dict[str, Attribute]:
    """Those of which something is known."""
    return {name: value for name, value in attributes.items() if value is not None and value not in ("", [])}
