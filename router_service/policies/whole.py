"""A conversation that is to be summarized must fit as a whole: nothing of it may be left out.

Who serves the session has it in its prompt cache and knows its own reasoning, and so comes first. Where its window is
too small, the next of the route takes it whose window holds it; where nobody's does, the one with the widest.
"""

from router_service.plan import Candidate, Plan
from router_service.policies.pinned import stay
from router_service.policies.policy import Decision
from router_service.session import Pin


def choose(plan: Plan, pin: Pin | None, *, tokens: int, because: str) -> Decision:
    staying = stay(plan, pin, because=because)
    others = tuple(dict.fromkeys((staying.first, *staying.route.candidates, *plan.default.candidates)))
    holding = next((candidate for candidate in others if holds(candidate, tokens)), None)
    first = holding or max(others, key=lambda candidate: candidate.facts.context or 0)
    if first is staying.first:
        return staying
    small = f"the window of {staying.first.label} holds {staying.first.facts.context:,} tokens, and these are about"
    reason = f"{because} -> {first.label}: {small} {tokens:,}"
    return Decision(staying.route, plan.chain(staying.route, first), reason, staying.score)


def holds(candidate: Candidate, tokens: int) -> bool:
    """A window that nobody has told us of is taken for wide enough."""
    return not candidate.facts.context or tokens <= candidate.facts.context
