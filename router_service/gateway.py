"""What all requests share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from router_service.budgets import Spending
from router_service.cooling import Cooling
from router_service.exchange import Exchanges
from router_service.learning import Learned
from router_service.pace import Paces
from router_service.plan import Plan
from router_service.session import Sessions


@dataclass(slots=True)
class Gateway:
    """The plan, the sessions, the exchanges under way, and where ids come from."""

    plan: Plan
    new_id: Callable[[], str]
    sessions: Sessions = field(default_factory=Sessions)
    exchanges: Exchanges = field(default_factory=Exchanges)
    cooling: Cooling = field(default_factory=Cooling)
    spending: Spending = field(default_factory=Spending)
    paces: Paces = field(default_factory=Paces)
    show_asks: bool = False
    learned: Mapping[str, Learned] = field(default_factory=dict)  # by caller
    random: Callable[[], float] = lambda: 1.0  # from 0 to 1; as it stands, nothing is left to chance
