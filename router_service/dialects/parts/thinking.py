"""How hard to think, in each vendor's words: an effort here, a budget of tokens there."""

from router_service.conversation import Reasoning

# Claude Code asks for 4,000 ("think"), 10,000 and 31,999 ("ultrathink") tokens.
BUDGET_BY_EFFORT = {
    "minimal": 1_024, "low": 4_096, "medium": 12_288, "high": 24_576, "xhigh": 31_999, "max": 31_999,
}  # fmt: skip
LEAST_BUDGET = 1_024  # Anthropic refuses less


def asked(effort: str | None) -> Reasoning | None:
    """What OpenAI's word for an effort asks for; `none` is not to think."""
    if not effort:
        return None
    return Reasoning(enabled=False) if effort == "none" else Reasoning(enabled=True, effort=effort)


def effort(reasoning: Reasoning) -> str:
    """The effort asked for; a budget counts as the first effort that covers it."""
    if reasoning.effort or reasoning.budget is None:
        return reasoning.effort
    return next((word for word in ("low", "medium") if reasoning.budget <= BUDGET_BY_EFFORT[word]), "high")


USUAL = ("low", "medium", "high")
ORDER = ("minimal", "low", "medium", "high", "xhigh", "max")


def nearest(effort: str, known: tuple[str, ...] = ()) -> str:
    """The effort in words that a model knows; a word of its vendor's that we do not know stays."""
    known = known or USUAL
    if effort in known or effort not in ORDER:
        return effort
    at = ORDER.index(effort)
    return min((word for word in known if word in ORDER), key=lambda word: abs(ORDER.index(word) - at), default=effort)


def budget(reasoning: Reasoning) -> int:
    if reasoning.budget is not None:
        return max(reasoning.budget, LEAST_BUDGET)
    return BUDGET_BY_EFFORT.get(reasoning.effort, BUDGET_BY_EFFORT["medium"])
