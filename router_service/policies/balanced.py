"""`prefer: balanced`: quality, cost and speed, as much of each as its weight says.

Each is told as a share of the best in the pool: who costs twice as much as the cheapest has half a point for cost, who
takes four times as long a quarter of one for speed. So neither the unit matters nor how far off the last one is. For
quality the order that you wrote stands, of each as far as little was seen of it yet (`blend`). The
mean of the points, weighed, decides; of all who come within `NEAR` of the highest, who serves the session answers, else
who is written first.
"""

from collections.abc import Mapping, Sequence

from router_service.plan import Candidate, Route
from router_service.policies.blend import blended
from router_service.policies.cheapest import dollars
from router_service.policies.policy import Choice, Setting, compared

NEAR = 0.05


def first(route: Route, setting: Setting) -> Choice:
    written, here = route.candidates, setting.here(route)
    if len(written) == 1:
        return Choice(written[0])
    points = score(route, setting)
    enough = max(points.values()) - NEAR
    near = [one for one in written if points[one.id] >= enough]
    chosen = here if here in near else near[0]
    others = sorted((one for one in written if one is not chosen), key=lambda one: -points[one.id])
    too_near = ", too near to tell" if points[chosen.id] < max(points.values()) else ""
    quality, weights = blended(written, setting), route.weights

    def told(one: Candidate) -> str:
        cost = setting.cost(one)
        parts = [
            (weights.quality, f"quality {quality[one.id]:.2f}"),
            (weights.cost, "price unknown" if cost is None else dollars(cost)),
            (weights.speed, f"{setting.seconds(one):.1f} s"),
        ]
        return f"{points[one.id]:.2f} ({', '.join(words for weight, words in parts if weight)})"

    return Choice(chosen, compared("balanced", chosen, others, told, too_near))


def score(route: Route, setting: Setting) -> Mapping[str, float]:
    """Points by id, 0 to 1."""
    pool, weights = route.candidates, route.weights
    quality = blended(pool, setting)
    cost = _least([setting.cost(one) for one in pool])
    speed = _least([setting.seconds(one) for one in pool])
    total = weights.quality + weights.cost + weights.speed
    return {
        one.id: (weights.quality * quality[one.id] + weights.cost * cheap + weights.speed * quick) / total
        for one, cheap, quick in zip(pool, cost, speed, strict=True)
    }


def _least(amounts: Sequence[float | None]) -> list[float]:
    """Each as the share of it that the least is. What is not known counts as the most that is; if nothing is, it has no
    say. Beside what is free everything would come to nothing, so that counts as half of the least that is not free.
    """
    known = [amount for amount in amounts if amount is not None]
    paid = [amount for amount in known if amount > 0]
    if not paid:
        return [1.0 if amount is not None or not known else 0.0 for amount in amounts]
    told = [max(known) if amount is None else amount or min(paid) / 2 for amount in amounts]
    return [min(told) / amount for amount in told]
