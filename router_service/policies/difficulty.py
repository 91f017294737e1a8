"""`difficulty: auto`: a quick ask is for the cheap end of the pool, a deep one for the strong end, whatever the policy.

An end is half of the pool, one at least; the policy picks within it. Cheap is whom this request costs least, with what
his prompt cache still holds. Strong is who charges most, and where a price is not known, who is written first; and the
more a model was judged, the more who is judged best (`blend`). In between, or where the router model is not sure, the
policy has all of them.

How sure it must be is measured (docs/policies.md). It is asked more for `QUICK`: a quick ask at a strong model costs a
little money, any other at a weak one an answer.
"""

from dataclasses import replace
from typing import NamedTuple

from router_service.plan import Candidate, Route
from router_service.policies import cheapest
from router_service.policies.blend import blended
from router_service.policies.policy import Setting

QUICK, DEEP = 0.85, 0.6  # the least probabilities


class Narrowed(NamedTuple):
    """The route with an end of its pool, and why; with all of it, and no words, where there is no reason."""

    route: Route
    words: str = ""


def narrow(route: Route, setting: Setting) -> Narrowed:
    quick, deep = setting.difficulty.get("quick", 0.0), setting.difficulty.get("deep", 0.0)
    if not route.by_difficulty or len(route.candidates) == 1:
        return Narrowed(route)
    if quick >= QUICK:
        priced = any(setting.cost(one) is not None for one in route.candidates)
        ranked = sorted(route.candidates, key=lambda one: cheapest.known(one, setting))
        return _end(route, ranked, f"looks quick ({quick:.2f}), the cheap end") if priced else Narrowed(route)
    if deep >= DEEP:
        return _end(route, strongest(route, setting), f"looks deep ({deep:.2f}), the strong end")
    return Narrowed(route)


def strongest(route: Route, setting: Setting) -> list[Candidate]:
    """The pool, from the strongest on."""
    ranked = list(route.candidates)
    charged = {one.id: one.price.input + one.price.output for one in ranked if one.price}
    if len(charged) == len(ranked):
        ranked.sort(key=lambda one: -charged[one.id])
    strength = blended(ranked, setting)
    return sorted(ranked, key=lambda one: -strength[one.id])


def _end(route: Route, ranked: list[Candidate], words: str) -> Narrowed:
    end = ranked[: max(1, len(ranked) // 2)]
    return Narrowed(replace(route, candidates=tuple(one for one in route.candidates if one in end)), words)
