"""Who cools steps back: the first of its chain who does not answers first; where all do, who will be well again first.

What the client named itself is asked all the same: it is the client's word, and costs the time of a refusal. Not so one
that broke off in an answer: there the client's own retry had better be answered by somebody else, if anybody may step
in. Nothing is said of who fits: `able` does.
"""

from collections.abc import Callable
from dataclasses import replace

from router_service.cooling import Cooling
from router_service.plan import Candidate, Plan
from router_service.policies.policy import Decision

Able = Callable[[Candidate], bool]


def choose(plan: Plan, decision: Decision, cooling: Cooling, *, now: float, able: Able) -> Decision:
    first = decision.first
    left = cooling.left(first.id, now)
    named = decision.lane == "explicit"
    if not left or (named and (not cooling.broke_off(first.id, now) or decision.chain.attempts == 1)):
        return decision
    others = [candidate for candidate in decision.chain.candidates if candidate is not first and able(candidate)]
    # The first of those who are well, for min() takes the first of equals; else the one who will be soonest.
    chosen = min([first, *others], key=lambda candidate: cooling.left(candidate.id, now))
    words = f"{first.label} is to be left alone for {_whole(left)} s more ({cooling.why(first.id, now)})"
    if chosen is first:
        return replace(decision, reason=f"{decision.reason}; {words}, and nobody is well sooner")
    chain = plan.chain(decision.route, chosen)
    return replace(decision, chain=chain, reason=f"{decision.reason}; {words} -> {chosen.label}", switch=None)


def later(decision: Decision, cooling: Cooling, *, now: float, able: Able) -> frozenset[str]:
    """Ids of those who step in only when all others have failed: who cools, where somebody else does not."""
    if not cooling.all(now):
        return frozenset()
    others = [candidate for candidate in decision.chain.candidates[1:] if able(candidate)]
    cold = frozenset(candidate.id for candidate in others if cooling.left(candidate.id, now))
    return cold if len(cold) < len(others) else frozenset()


def _whole(seconds: float) -> int:
    return max(1, round(seconds))
