"""Selection policies by the word that config.yaml calls them."""

from router_service.policies import balanced, best, cheapest, fastest, listed
from router_service.policies.policy import Policy

POLICIES: dict[str, Policy] = {
    "listed": listed.first,
    "cheapest": cheapest.first,
    "fastest": fastest.first,
    "best": best.first,
    "balanced": balanced.first,
}
