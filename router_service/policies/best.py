"""`prefer: best`: whose answers are judged best, as learned from what you say of them, and do with them.

The order that you wrote holds until the evidence speaks clearly: of all who come within `NEAR` of the best, who serves
the session answers, else who is written first. Whom nobody has judged is taken to be as good as the mean of those who
have been.
"""

from router_service.plan import Candidate, Route
from router_service.policies.policy import Choice, Setting, compared

NEAR = 0.05


def first(route: Route, setting: Setting) -> Choice:
    written, here = route.candidates, setting.here(route)
    if len(written) == 1:
        return Choice(written[0])
    if not any(one.id in setting.beliefs for one in written):
        return Choice(written[0], "best: nothing is learned yet, so as written")
    belief = opinions(route, setting)
    enough = max(belief.values()) - NEAR
    near = [one for one in written if belief[one.id] >= enough]
    chosen = here if here in near else near[0]
    others = sorted((one for one in written if one is not chosen), key=lambda one: -belief[one.id])
    too_near = ", too near to tell" if belief[chosen.id] < max(belief.values()) else ""

    def told(one: Candidate) -> str:
        return f"{belief[one.id]:.2f}" + ("" if one.id in setting.beliefs else " (unjudged)")

    return Choice(chosen, compared("best", chosen, others, told, too_near))


def opinions(route: Route, setting: Setting) -> dict[str, float]:
    """Of each in the pool, by id; nobody's opinion of one is the mean of what is known of the others. Not empty."""
    known = [setting.beliefs[one.id] for one in route.candidates if one.id in setting.beliefs]
    return {one.id: setting.beliefs.get(one.id, sum(known) / len(known)) for one in route.candidates}
