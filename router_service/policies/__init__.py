"""Selection policies by the word that config.yaml calls them."""

from router_service.policies import listed
from router_service.policies.policy import Policy

POLICIES: dict[str, Policy] = {
    "listed": listed.first,
}
