"""`prefer: listed`: the order in which the user wrote the models is the order in which they are asked."""

from router_service.plan import Candidate, Route


def first(route: Route) -> Candidate:
    return route.candidates[0]
