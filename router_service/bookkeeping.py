"""Outcome -> the rows that a ledger keeps: facts about a request, none of its words unless the user wants them."""

import json
import re
from typing import Any

from router_service.evidence import packed
from router_service.outcome import BLAMELESS, Outcome

Row = dict[str, Any]
_TOLD_BY_THE_VENDOR = re.compile(r"^(answered \d+|failed before its first content)\b.*", re.S)
_LONGEST = 300


def request_row(outcome: Outcome, *, asks: bool = False) -> Row:
    """One request. Tokens and dollars are None where nobody knows, never 0. `asks`: keep what was asked, too."""
    usage, trace = outcome.usage, outcome.trace
    return {
        "id": outcome.id,
        "at": outcome.started,
        "session": _text(outcome.session),
        "kind": outcome.kind,
        "client": _text(outcome.client),
        "route": _text(outcome.route),
        "reason": _text(outcome.reason, 700),
        "score": outcome.score,
        "scores": json.dumps([[name, round(fit, 4)] for name, fit in trace.fits]) if trace.fits else None,
        "difficulty": max(trace.difficulty, key=lambda one: one[1])[0] if trace.difficulty else None,
        "asked": _text(outcome.model_asked),
        "served": _text(outcome.model_served),
        "status": outcome.status,
        "tries": len(outcome.attempts),
        "failed": sum(bool(one.trouble) and one.status not in BLAMELESS for one in outcome.attempts),
        "input": _count(usage.input),
        "cached": _count(usage.cached),
        "cache_write": _count(usage.cache_write),
        "output": _count(usage.output),
        "reasoning": _count(usage.reasoning),
        "cost": outcome.cost,
        "baseline": outcome.baseline,
        "first_content": outcome.first_content,
        "duration": outcome.duration,
        "routing": trace.seconds or None,
        "trouble": _trouble(outcome),
        "caller": _text(outcome.caller),
        "warnings": len(outcome.warnings),
        "cache": outcome.cache,
        "ask": _text(trace.ask, 4000) or None if asks else None,
    }


def attempt_rows(outcome: Outcome) -> list[Row]:
    """The tries of a request, in order from 1."""
    return [
        {
            "request": outcome.id,
            "number": number,
            "at": outcome.started,
            "candidate": _text(attempt.candidate),
            "status": attempt.status,
            "trouble": _text(attempt.brief or without_words(attempt.trouble), _LONGEST),
            "seconds": attempt.seconds,
        }
        for number, attempt in enumerate(outcome.attempts, 1)
    ]


def signal_rows(outcome: Outcome) -> list[Row]:
    """What speaks for or against its answer, and for or against earlier ones."""
    at = outcome.started + outcome.duration
    return [{"request": request, "signal": signal, "at": at} for request, signal in outcome.signals]


def vector_rows(outcome: Outcome) -> list[Row]:
    """An ask as the router model saw it; none where it did not read it, or where nothing is to be learned."""
    seen, difficulty = outcome.trace.seen, outcome.trace.difficulty
    if seen is None or not outcome.kind.endswith("user turn"):
        return []
    row = {
        "request": outcome.id,
        "at": outcome.started,
        "caller": _text(outcome.caller),
        "session": _text(outcome.session),
        "route": _text(outcome.route),
        "served": _text(outcome.model_served),
        "difficulty": max(difficulty, key=lambda one: one[1])[0] if difficulty else "",
        "model": seen.model,
        "vector": packed(seen.vector),
        "fits": json.dumps([[name, round(fit, 6)] for name, fit in seen.fits]),
    }
    return [row]


def _trouble(outcome: Outcome) -> str:
    """What we refuse ourselves, we refuse by quoting it; the status says as much as may be kept."""
    told = "refused by archgw" if outcome.kind == "refused" else outcome.brief or without_words(outcome.error)
    return _text(told, _LONGEST)


def _text(told: str, most: int = 200) -> str:
    """As every database takes it: no half characters, no NUL, no longer than its column."""
    return told.encode("utf-8", "replace").decode().replace("\0", "")[:most]


def _count(tokens: int | None) -> int | None:
    """What no column holds is a vendor's nonsense, and not known."""
    return tokens if tokens is not None and 0 <= tokens < 2**31 else None


def without_words(trouble: str) -> str:
    """What went wrong, without what the vendor said of it, which may repeat what was asked."""
    found = _TOLD_BY_THE_VENDOR.match(trouble)
    return found[1] if found else trouble[:_LONGEST]
