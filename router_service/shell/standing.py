"""How all budgets of a gateway stand at this moment."""

import time

from router_service.budgets import Standing, all_standings
from router_service.selection import Gateway


def of_all(gateway: Gateway) -> list[Standing]:
    plan = gateway.plan
    clients = [client.name for client in plan.clients]
    return all_standings(plan.budgets, gateway.spending, clients, plan.preferences, time.time())
