"""The preference that fits best wins, unless leaving the session's model for it costs more than it may.

When none fits, the session's last model or the default answers.
"""

from dataclasses import replace

from router_service.plan import Candidate, Plan, Route
from router_service.policies import POLICIES, difficulty
from router_service.policies.pinned import stay
from router_service.policies.policy import Choice, Decision, Scores, Setting
from router_service.switching import Switch, switch

_ANY = Setting()


def choose(plan: Plan, scores: Scores, setting: Setting = _ANY) -> Decision:
    """`setting.session` as it is before this turn."""
    pin = setting.session.pin
    if scores.trouble:
        return stay(plan, pin, because=scores.trouble)
    ranked = sorted(plan.routes, key=lambda route: -scores.routes.get(route.id, 0.0))
    if not ranked:
        return stay(plan, pin, because="no preference is usable")
    best = ranked[0]
    score = scores.routes.get(best.id, 0.0)
    threshold = 0.0 if scores.before else plan.routing.threshold  # what corrections have moved goes where they say
    if score < max(scores.none, threshold):
        nearest = f"no preference fits (nearest {best.name} {score:.2f}, none {scores.none:.2f}{_before(scores, '')})"
        return stay(plan, pin, because=nearest)
    if not best.candidates:
        return stay(plan, pin, because="; ".join([f"{best.name} ({score:.2f})", *best.passed_over]))
    chosen = _pick(best, setting)
    first = chosen.candidate
    fits = f"{best.name} ({score:.2f}{_before(scores, best.id)}{_over(ranked[1:], scores)})"
    priced = _switch(plan, setting, first)
    if priced and not priced.done:
        return replace(stay(plan, pin, because=f"{fits}; {priced.words}"), switch=priced)
    fits += f"; {chosen.words}" if chosen.words else ""
    reasons = [f"{fits} -> {first.label}", *best.passed_over, *([priced.words] if priced else [])]
    return Decision(best, plan.chain(best, first), "; ".join(reasons), score, switch=priced)


def _pick(route: Route, setting: Setting) -> Choice:
    """Who is picked and may not be asked now is left out, if anybody may be.

    In the written order he steps back when all is decided: see `cooled`.
    """
    chosen = _by_policy(route, setting)
    if not route.weighs:
        return chosen
    able = tuple(candidate for candidate in route.candidates if setting.able(candidate))
    if chosen.candidate in able or not able:
        return chosen
    told = f"{chosen.candidate.label} is to be left alone"
    other = _by_policy(replace(route, candidates=able), setting)
    return replace(other, words="; ".join(filter(None, [told, other.words])))


def _by_policy(route: Route, setting: Setting) -> Choice:
    """Of the end of the pool that the ask is for, the policy's pick."""
    narrowed, because = difficulty.narrow(route, setting)
    chosen = POLICIES[route.prefer](narrowed, setting)
    if not because:
        return chosen
    return replace(chosen, words="; ".join(filter(None, [because, chosen.words])))


def _switch(plan: Plan, setting: Setting, first: Candidate) -> Switch | None:
    """What leaving the session's model for this one costs; None where nobody is left, or no thrift is asked for."""
    session = setting.session
    here = plan.candidate(session.pin.candidate) if session.pin else None
    if here is None or here is first or plan.routing.sticky == "never":
        return None
    return switch(session, here, first, share=plan.routing.max_switch_spend, now=setting.now)


def _before(scores: Scores, id: str) -> str:
    """What it was before anything was learned, where that is another number."""
    before = scores.before.get(id)
    return f", {before:.2f} before your corrections of similar asks" if before is not None else ""


def _over(others: list[Route], scores: Scores) -> str:
    """The runner-up, who may be "none"."""
    rivals = [(scores.routes.get(route.id, 0.0), route.name) for route in others[:1]]
    score, name = max([*rivals, (scores.none, "none of them")])
    return f" over {name} {score:.2f}"
