"""What a drill with the real vendors may cost at most: told before anybody is asked."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from archgw.drill.leads import Lead
from router_service.plan import Candidate

READS = 40  # tokens of the question, with what vendors put around it


@dataclass(frozen=True, slots=True)
class Spending:
    """`requests`: how many at most, by vendor. `dollars` are for those whose price is known; `unpriced` the others."""

    requests: dict[str, int]
    dollars: float
    unpriced: tuple[str, ...]

    @property
    def total(self) -> int:
        return sum(self.requests.values())


def at_most(leads: Sequence[Lead], rows: dict[str, int], *, writes: int) -> Spending:
    """`rows`: how often each of the broken models is asked, by label: each time all who step in for it may be.

    `writes` is the limit of an answer in tokens.
    """
    asked: Counter[Candidate] = Counter()
    for lead in leads:
        for candidate in lead.chain.candidates[1 : lead.chain.attempts]:
            asked[candidate] += rows[lead.label]
    requests: Counter[str] = Counter()
    for candidate, times in asked.items():
        requests[candidate.provider.name] += times
    bills = [
        times * candidate.price.bill(input=READS, output=writes)
        for candidate, times in asked.items()
        if candidate.price
    ]
    unpriced = tuple(sorted(candidate.label for candidate in asked if candidate.price is None))
    return Spending(dict(requests), sum(bills), unpriced)
