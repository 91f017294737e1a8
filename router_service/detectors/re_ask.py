"""The user asks again what he asked before, in nearly the same words."""

import re

from router_service.asks import as_before
from router_service.detectors.detector import Next

_SAME = 0.85  # share of their words that two asks have in common
_FEW = 4  # different words, below which nothing is said
_USER = "user: "  # before what the user said earlier, as `Intent.context` has it
_NOT_A_WORD = re.compile(r"[\W_]+")


def finds(given: Next) -> int | None:
    if given.intent.kind != "user turn":
        return None
    before = next((turn.removeprefix(_USER) for turn in given.intent.context if turn.startswith(_USER)), "")
    return 0 if _alike(as_before(given.intent.ask), before) else None


def _alike(ask: str, before: str) -> bool:
    """A short one ("go on", "yes, please") may well be said twice."""
    one, other = ({*_NOT_A_WORD.sub(" ", text).casefold().split()} for text in (ask, before))
    return min(len(one), len(other)) >= _FEW and len(one & other) >= _SAME * len(one | other)
