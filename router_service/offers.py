"""The models that a client may choose: under which name, what to say of it, and how much it takes."""

from collections.abc import Iterable
from dataclasses import dataclass

from router_service.plan import CLAUDE_CODES, FAST_MODELS, ROUTED_MODELS, Plan
from router_service.policies import explicit
from router_service.policies.explicit import Named


@dataclass(frozen=True, slots=True)
class Offer:
    """`id` is what a client asks for, `name` and `words` are for people. `context` and `max_output` are tokens,
    None where unknown; where several models may answer, those of the most capable: who is too small is passed over.
    """

    id: str
    name: str
    words: str
    context: int | None
    max_output: int | None


def offers(plan: Plan) -> list[Offer]:
    labels = [candidate.label for candidate in plan.candidates]
    return [offer(plan, id) for id in dict.fromkeys([*ROUTED_MODELS, *FAST_MODELS, *plan.aliases, *labels])]


def offer(plan: Plan, id: str) -> Offer:
    """Every name that a request would be accepted for is one, unknown claude-* names included. Raises BadRequest."""
    named = explicit.resolve(plan, id, claude_code=False)
    takers = (named.candidate,) if named.candidate else plan.candidates
    return Offer(
        id=id,
        name=id.removeprefix(CLAUDE_CODES),
        words=_words(named),
        context=_most(candidate.facts.context for candidate in takers),
        max_output=_most(candidate.facts.max_output for candidate in takers),
    )


def _words(named: Named) -> str:
    if named.candidate is None:
        return "Each request to the model that your preferences name for it"
    return f"Small, fast work: {named.candidate.label}" if named.lane == "fast" else f"Always {named.candidate.label}"


def _most(figures: Iterable[int | None]) -> int | None:
    return max((figure for figure in figures if figure), default=None)
