"""The preference that fits best wins; when none fits, the session's last model or the default answers."""

from router_service.plan import Plan, Route
from router_service.policies import POLICIES
from router_service.policies.pinned import stay
from router_service.policies.policy import Decision, Scores
from router_service.session import Pin


def choose(plan: Plan, scores: Scores, pin: Pin | None) -> Decision:
    if scores.trouble:
        return stay(plan, pin, because=scores.trouble)
    ranked = sorted(plan.routes, key=lambda route: -scores.routes.get(route.id, 0.0))
    if not ranked:
        return stay(plan, pin, because="no preference is usable")
    best = ranked[0]
    score = scores.routes.get(best.id, 0.0)
    if score < max(scores.none, plan.routing.threshold):
        return stay(plan, pin, because=f"no preference fits (nearest {best.name} {score:.2f}, none {scores.none:.2f})")
    if not best.candidates:
        return stay(plan, pin, because="; ".join([f"{best.name} ({score:.2f})", *best.passed_over]))
    first = POLICIES.get(best.prefer, POLICIES["listed"])(best)
    reason = f"{best.name} ({score:.2f}{_over(ranked[1:], scores)}) -> {first.label}"
    return Decision(best, plan.chain(best, first), "; ".join([reason, *best.passed_over]), score)


def _over(others: list[Route], scores: Scores) -> str:
    """The runner-up, who may be "none"."""
    rivals = [(scores.routes.get(route.id, 0.0), route.name) for route in others[:1]]
    score, name = max([*rivals, (scores.none, "none of them")])
    return f" over {name} {score:.2f}"
