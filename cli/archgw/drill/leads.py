"""Who is asked first, by which preference, and who steps in: what a drill goes through, model by model."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from router_service.plan import ROUTED_MODELS, Candidate, Chain, Plan, Route
from router_service.route_prompt import names


@dataclass(frozen=True, slots=True)
class Lead:
    """One model in front. `model` is what the client asks for; `route` the preference that is to be chosen for it,
    as an LLM that routes calls it, empty where none is. `because` says in words how the model came to be first."""

    candidate: Candidate
    chain: Chain
    model: str
    route: str
    because: str

    @property
    def label(self) -> str:
        return self.candidate.label

    @property
    def then(self) -> tuple[str, ...]:
        """Who may be asked after it, in order."""
        return tuple(candidate.label for candidate in self.chain.candidates[1 : self.chain.attempts])


def leads(plan: Plan) -> tuple[Lead, ...]:
    """Every model once: by the first preference that it leads, as the default, or else by its name."""
    return tuple(_lead(plan, candidate) for candidate in plan.candidates)


def by_name(lead: Lead) -> Lead:
    """The same model, asked for by its name; who steps in stays."""
    return replace(lead, model=lead.label, route="")


def find(wanted: str, labels: Iterable[str]) -> list[str]:
    """The models that are meant by a name, or by the end of one."""
    known = list(labels)
    exact = [label for label in known if label == wanted]
    return exact or [label for label in known if f"/{label}".endswith(f"/{wanted}")]


def _lead(plan: Plan, candidate: Candidate) -> Lead:
    led = next((route for route in plan.routes if _first(route) is candidate), None)
    if led:
        chain = plan.chain(led, candidate)
        called = next(name for name, route in names(plan.routes).items() if route is led)
        return Lead(candidate, chain, ROUTED_MODELS[0], called, f"“{led.name}” is asked for")
    chain = plan.chain(plan.default, candidate)
    if _first(plan.default) is candidate:
        return Lead(candidate, chain, ROUTED_MODELS[0], "", "no preference fits: it is the default")
    return Lead(candidate, chain, candidate.label, "", "it is asked for by name")


def _first(route: Route) -> Candidate:
    return route.candidates[0]
