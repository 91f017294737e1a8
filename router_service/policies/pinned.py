"""A turn stays with the model that began it; without one, the default answers."""

from router_service.plan import DEFAULT, Plan
from router_service.policies.policy import Decision
from router_service.session import Pin


def stay(plan: Plan, pin: Pin | None, *, because: str) -> Decision:
    candidate = plan.candidate(pin.candidate) if pin else None
    beside = next((route for route in plan.routes if pin and route.id == pin.route and route.passed_over), None)
    if candidate is None and beside and beside.candidates:
        first = beside.candidates[0]
        reason = "; ".join([f"{because} -> {first.label} ({beside.name})", *beside.passed_over])
        return Decision(beside, plan.chain(beside, first), reason, pin.score if pin else None)
    if pin is None or candidate is None:
        first = plan.default.candidates[0]
        return Decision(plan.default, plan.chain(plan.default, first), f"{because} -> {first.label} (default)")
    route = next((route for route in plan.routes if route.id == pin.route), plan.default)
    name = "the default" if route.id == DEFAULT else route.name
    reason = f"{because} -> stays with {candidate.label} ({name})"
    return Decision(route, plan.chain(route, candidate), reason, pin.score)
