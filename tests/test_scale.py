"""The simulation of bench/scale.py, where what must come out is known."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

from scale import Agent, Work, first_full, fleet, one_core, whole

WORK = Work(request=0.010, event=0.001, decision=0.050, along=0.0002, waits=0.005)
AGENT = Agent(turns=0.0, thinks=0.5, gap=0.02, events=20)
SHARED = {
    "redis_command_us": 10.0,
    "redis_us_of_a_budget": {"1": 3.0, "10": 5.0, "1000": 300.0},
    "redis_commands_of_a_request": 3.0,
    "redis_commands_each_second": 2.0,
    "postgresql_cpu_us_of_a_request": 50.0,
    "postgresql_cpu_us_each_second": 1000.0,
    "postgresql_connections": 2.0,
}


def test_where_nobody_else_asks_nothing_is_waited_for() -> None:
    """Half of the request before, the last event, and what passes from process to process."""
    seen = one_core(WORK, 0.01, AGENT, seconds=20_000)
    assert seen.p50 == pytest.approx(0.005 + 0.001 + 0.005)


def test_a_core_is_busy_with_what_it_is_asked_for() -> None:
    assert whole(WORK, replace(AGENT, turns=0.5)) == pytest.approx(0.010 + 0.020 + 0.025)
    seen = one_core(WORK, 10, AGENT)
    assert seen.busy == pytest.approx(0.3, rel=0.1) and seen.p99 > seen.p50 > 0.011


def test_events_that_have_waited_go_along() -> None:
    """So a core that is asked for more than it can do one by one still does it."""
    one_by_one = replace(WORK, along=WORK.event)
    crowded, alone = one_core(WORK, 30, AGENT, seconds=120), one_core(one_by_one, 30, AGENT, seconds=120)
    assert crowded.busy < alone.busy and crowded.p99 < alone.p99


def test_what_pods_share_grows_with_them_and_budgets_faster() -> None:
    ten, hundred = (fleet(pods, 5.0, SHARED, AGENT) for pods in (10, 100))
    for name in ("postgresql", "connections", "gigabytes"):
        assert getattr(hundred, name) == pytest.approx(10 * getattr(ten, name))
    assert hundred.redis - hundred.of_it_budgets == pytest.approx(10 * (ten.redis - ten.of_it_budgets))
    assert hundred.of_it_budgets > 50 * ten.of_it_budgets
    assert first_full("PostgreSQL's connections", 5.0, SHARED, AGENT) == 51
