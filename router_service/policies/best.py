"""`prefer: best`: whose answers are judged best, as learned from what you say of them, and do with them.

The order that you wrote holds until the evidence speaks clearly: of all who come within `NEAR` of the best, who serves
the session answers, else who is written first. One answer alone moves nothing: whoever is to go before another must be
better even without the answer that speaks for him most, and the one that speaks against the other most.
"""

from collections.abc import Mapping, Sequence

from router_service.beliefs import Opinion
from router_service.plan import Candidate, Route
from router_service.policies.policy import Choice, Setting, compared

NEAR = 0.05


def first(route: Route, setting: Setting) -> Choice:
    written, here = route.candidates, setting.here(route)
    if len(written) == 1:
        return Choice(written[0])
    if not all(one.id in setting.beliefs for one in written):
        return Choice(written[0], "best: nothing is learned yet, so as written")
    opinions = _less(written, setting)
    near = [written[at] for at in nearest([opinions[one.id] for one in written])]
    chosen = here if here in near else near[0]
    others = sorted((one for one in written if one is not chosen), key=lambda one: -opinions[one.id].mean)
    behind = max(one.mean for one in opinions.values()) - opinions[chosen.id].mean
    why = f", too {'near' if behind <= NEAR else 'little was said'} to tell" if behind else ""

    def told(one: Candidate) -> str:
        return f"{opinions[one.id].mean:.2f}" + ("" if opinions[one.id].trust else " (unjudged)")

    return Choice(chosen, compared("best", chosen, others, told, why))


def nearest(opinions: Sequence[Opinion]) -> list[int]:
    """Those than whom nobody is clearly better, by position. Not empty."""
    surest = max(one.low for one in opinions)
    return [at for at, one in enumerate(opinions) if one.high >= surest - NEAR]


def _less(pool: Sequence[Candidate], setting: Setting) -> Mapping[str, Opinion]:
    """What is believed, less what money takes off (`learning.cost`): the dearest loses `setting.dearness` of it, the
    others their share. Whose price nobody knows is the dearest.
    """
    prices = {one.id: _price(one, setting) for one in pool}
    dearest = max((price for price in prices.values() if price is not None), default=0.0)
    if not dearest:
        return {one.id: setting.beliefs[one.id] for one in pool}
    shares = {id: 1.0 if price is None else price / dearest for id, price in prices.items()}
    return {one.id: setting.beliefs[one.id].less(setting.dearness * shares[one.id]) for one in pool}


def _price(candidate: Candidate, setting: Setting) -> float | None:
    """Of reading the whole request and answering it, in dollars."""
    price = candidate.price
    return price.when(setting.now).bill(input=setting.tokens, output=int(setting.written)) if price else None
