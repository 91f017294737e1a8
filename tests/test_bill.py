"""What a request would have cost on the baseline model, where that answers itself and where others do."""

from dataclasses import replace

import pytest
from dialogue import CLAUDE, GPT, WALL, exchange_of, gateway_of

from router_service.bill import settle
from router_service.conversation import Usage
from router_service.gateway import Gateway
from router_service.plan import Candidate
from router_service.pricing import Price, cost

DEAR, CHEAP = Price(3, 0.3, 3.75, 15), Price(0.3, 0.03, 0.3, 1)
LONG = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]


def answered(gateway: Gateway, label: str, usage: Usage, *, at: float) -> tuple[float | None, float | None]:
    """What it cost, and what it would have on Claude."""
    exchange = exchange_of(gateway, model=label, given={"x-claude-code-session-id": "s"}, messages=LONG)
    baseline = priced(gateway, CLAUDE)
    return settle(gateway.sessions, gateway.spending, exchange, priced(gateway, label), usage, baseline=baseline, at=at)


def priced(gateway: Gateway, label: str) -> Candidate:
    return replace(gateway.plan.names[label], price=DEAR if label == CLAUDE else CHEAP)


@pytest.mark.parametrize("cached", [0, None, 15_000])
def test_the_baseline_alone_saves_nothing_and_costs_no_more_than_itself(cached: int | None) -> None:
    gateway = gateway_of()
    for number in range(4):
        usage = Usage(input=20_000 + 1000 * number, cached=cached, output=100)
        cost, baseline = answered(gateway, CLAUDE, usage, at=WALL + number)
        assert cost == baseline


def test_where_others_answered_in_between_the_baseline_still_knew_it_all() -> None:
    gateway = gateway_of()
    answered(gateway, GPT, Usage(input=20_000, output=100), at=WALL)
    paid, baseline = answered(gateway, CLAUDE, Usage(input=21_000, cached=0, output=100), at=WALL + 10)
    assert paid == cost(DEAR, Usage(input=21_000, output=100))
    assert baseline == pytest.approx(cost(DEAR, Usage(input=0, cached=20_100, cache_write=900, output=100)))


def test_what_was_read_elsewhere_long_ago_is_no_cache_any_more() -> None:
    gateway = gateway_of()
    answered(gateway, GPT, Usage(input=20_000, output=100), at=WALL)
    answered(gateway, CLAUDE, Usage(input=21_000, output=100), at=WALL + 10)
    usage = Usage(input=22_000, cached=0, output=100)
    answered(gateway, CLAUDE, usage, at=WALL + 400)  # and from here on Claude is alone
    paid, baseline = answered(gateway, CLAUDE, usage, at=WALL + 401)
    assert paid == baseline
