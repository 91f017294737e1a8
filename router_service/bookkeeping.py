"""Outcome -> the rows that a ledger keeps: facts about a request, none of its words unless the user wants them."""

import json
import re
from typing import Any

from router_service.outcome import Outcome

Row = dict[str, Any]
_TOLD_BY_THE_VENDOR = re.compile(r"^(answered \d+|failed before its first content)\b.*", re.S)
_LONGEST = 300


def request_row(outcome: Outcome, *, asks: bool = False) -> Row:
    """One request. Tokens and dollars are None where nobody knows, never 0. `asks`: keep what was asked, too."""
    usage, trace = outcome.usage, outcome.trace
    return {
        "id": outcome.id,
        "at": outcome.started,
        "session": outcome.session,
        "kind": outcome.kind,
        "client": outcome.client,
        "route": outcome.route,
        "score": outcome.score,
        "scores": json.dumps([[name, round(fit, 4)] for name, fit in trace.fits]) if trace.fits else None,
        "difficulty": max(trace.difficulty, key=lambda one: one[1])[0] if trace.difficulty else None,
        "asked": outcome.model_asked[:200],
        "served": outcome.model_served,
        "status": outcome.status,
        "tries": len(outcome.attempts),
        "failed": sum(bool(attempt.trouble) for attempt in outcome.attempts),
        "input": usage.input,
        "cached": usage.cached,
        "cache_write": usage.cache_write,
        "output": usage.output,
        "reasoning": usage.reasoning,
        "cost": outcome.cost,
        "baseline": outcome.baseline,
        "first_content": outcome.first_content,
        "duration": outcome.duration,
        "routing": trace.seconds or None,
        "trouble": _trouble(outcome),
        "caller": outcome.caller,
        "warnings": len(outcome.warnings),
        "ask": trace.ask[:4000] or None if asks else None,
    }


def attempt_rows(outcome: Outcome) -> list[Row]:
    """The tries of a request, in order from 1."""
    return [
        {
            "request": outcome.id,
            "number": number,
            "at": outcome.started,
            "candidate": attempt.candidate,
            "status": attempt.status,
            "trouble": attempt.brief or without_words(attempt.trouble),
            "seconds": attempt.seconds,
        }
        for number, attempt in enumerate(outcome.attempts, 1)
    ]


def _trouble(outcome: Outcome) -> str:
    """What we refuse ourselves, we refuse by quoting it; the status says as much as may be kept."""
    return "refused by archgw" if outcome.kind == "refused" else outcome.brief or without_words(outcome.error)


def without_words(trouble: str) -> str:
    """What went wrong, without what the vendor said of it, which may repeat what was asked."""
    found = _TOLD_BY_THE_VENDOR.match(trouble)
    return found[1] if found else trouble[:_LONGEST]
