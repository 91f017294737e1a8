"""`prefer: listed`: the order in which the user wrote the models is the order in which they are asked."""

from router_service.plan import Route
from router_service.policies.policy import Choice, Setting


def first(route: Route, setting: Setting) -> Choice:
    return Choice(route.candidates[0])
