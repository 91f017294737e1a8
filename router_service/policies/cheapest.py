"""`prefer: cheapest`: whom this request is expected to cost least.

What is read anew and what the vendor's prompt cache still holds of the session, and as many tokens of an answer as are
usual, at this hour of the day and for a request of this size. A price that nobody knows is not taken for nothing: who
has one goes before.
"""

from math import floor, log10

from router_service.plan import Candidate, Route
from router_service.policies.policy import Choice, Setting, compared


def first(route: Route, setting: Setting) -> Choice:
    here = setting.here(route)

    def order(candidate: Candidate) -> tuple[float, bool]:
        """Of equals, who serves the session; else who is written first, for sorted() keeps that order."""
        return known(candidate, setting), candidate is not here

    chosen, *others = sorted(route.candidates, key=order)
    if not others:
        return Choice(chosen)
    priced = [one for one in others if setting.cost(one) is not None]
    unknown = [one.label for one in route.candidates if setting.cost(one) is None]
    if len(unknown) == len(route.candidates):
        return Choice(chosen, "cheapest: nobody's price is known")
    lacking = f" (price unknown: {', '.join(unknown)})" if unknown else ""
    return Choice(chosen, compared("cheapest", chosen, priced, lambda one: dollars(known(one, setting)), lacking))


def known(candidate: Candidate, setting: Setting) -> float:
    """Dollars; more than anything where the price is not known."""
    cost = setting.cost(candidate)
    return float("inf") if cost is None else cost


def dollars(amount: float) -> str:
    """To two digits, however little: amounts are compared here. `$0.0042`, `$0.13`, `$2.10`."""
    if amount >= 1 or not amount:
        return f"${amount:.2f}"
    return f"${amount:.{1 - floor(log10(amount))}f}"
