"""How the budgets of a gateway stand at this moment."""

import time

from router_service.budgets import Spending, Standing, all_standings, lasting_standings
from router_service.config import Budget
from router_service.gateway import Gateway


def of_all(gateway: Gateway) -> list[Standing]:
    return all_standings(*_what(gateway))


def of_lasting(gateway: Gateway) -> list[Standing]:
    """All but sessions."""
    return lasting_standings(*_what(gateway))


def _what(gateway: Gateway) -> tuple[tuple[Budget, ...], Spending, list[str], tuple[str, ...], float]:
    plan = gateway.plan
    return plan.budgets, gateway.spending, [client.name for client in plan.clients], plan.preferences, time.time()
