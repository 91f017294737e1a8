"""What a budget that downgrades asks for: who takes the request for the least money answers it first.

Of the chain that was chosen, so that preferences hold as far as money lets them; those who step in stay the same.
Prices are those of reading all of it anew: where less is to be spent, what a prompt cache still holds is no reason to
stay. What the client named itself is its word, and left alone.
"""

from collections.abc import Callable
from dataclasses import replace

from router_service.plan import Candidate, Plan
from router_service.policies.policy import Decision

Able = Callable[[Candidate], bool]


def choose(
    plan: Plan, decision: Decision, *, tokens: int, written: float, able: Able, because: str, now: float
) -> Decision:
    """`tokens` that the request comes to, `written`: those that its answer is likely to; `because`: in words. `now` in
    seconds since the epoch: some cost more at some hours of the day.
    """
    if decision.lane == "explicit":
        return decision
    first = decision.first
    others = [candidate for candidate in decision.chain.candidates[1:] if able(candidate)]

    def price(candidate: Candidate) -> float:
        known = candidate.price
        return known.when(now).bill(input=tokens, output=int(written)) if known else float("inf")

    chosen = min([first, *others] if able(first) else others or [first], key=price)
    if chosen is first:
        return replace(decision, reason=f"{decision.reason}; {because}, and nobody is cheaper")
    chain = plan.chain(decision.route, chosen)
    return replace(decision, chain=chain, reason=f"{decision.reason}; {because} -> {chosen.label}", switch=None)
