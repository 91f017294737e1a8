"""How it grows: python bench/scale.py [--figures bench/scale.json]

A simulation with the service times that `scale_measure.py` has measured. First one pod, at the loads that were
measured, too: what the simulation says of it against what was seen. Then ten to ten thousand pods: what they carry,
what they ask of the Redis and the PostgreSQL that they share, and which of these is full first. Seconds; asks nobody.
"""

import argparse
import heapq
import itertools
import json
import random
import statistics
from bisect import bisect_left
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FLEETS = (1, 10, 100, 1_000, 10_000)
CONNECTIONS = 100  # PostgreSQL's max_connections, as it comes
LEDGER_BYTES = 706  # of a request with its tries (bench/README.md)


@dataclass(frozen=True, slots=True)
class Work:
    """What a request takes of a core, in seconds, beside `events` of `event` each; and of the router model, where it
    is asked. `along`: an event that has waited behind another of its stream, and is handled with it. `waits`: what
    passes besides where nobody else asks, from process to process."""

    request: float
    event: float
    decision: float
    along: float
    waits: float = 0.0


@dataclass(frozen=True, slots=True)
class Agent:
    """What one coding agent at work asks for; assumptions, all of them.

    `every`: seconds between two requests. `turns`: the share of them that a person has typed, for which the model
    runs. `thinks`, `gap`, `events`: the vendor's seconds until the first event and between two, and their number.
    """

    every: float = 12.0
    turns: float = 1 / 6
    thinks: float = 1.5
    gap: float = 0.03
    events: int = 150
    hours: float = 8.0  # of a day


@dataclass(frozen=True, slots=True)
class Seen:
    """What is added to an answer until its last event, in seconds; the share of the core that was busy."""

    p50: float
    p99: float
    busy: float


def one_core(work: Work, rate: float, agent: Agent, *, seconds: float = 600.0, seed: int = 7) -> Seen:
    """A pod on one core, `rate` requests a second at random.

    Each piece of work waits for those before it: half of a request's before the vendor is asked, each event when the
    vendor sends it, the rest behind the last.
    """
    chance, order = random.Random(seed), itertools.count()
    pieces: list[tuple[float, int, int, int]] = []  # when, in which order, of which request, which piece
    started: list[float] = []
    at = 0.0
    while at < seconds:
        at += chance.expovariate(rate)
        heapq.heappush(pieces, (at, next(order), len(started), -1))
        started.append(at)
    free = busy = 0.0
    added = []
    asks = [chance.random() < agent.turns for _ in started]
    first = [0.0] * len(started)  # when the vendor's first event comes
    told = [0] * len(started)  # events that have gone on to the client
    while pieces:
        when, _, request, piece = heapq.heappop(pieces)
        begins = max(when, free)
        if 0 <= piece < agent.events:
            if piece < told[request]:
                continue  # it went along with the one before
            there = min(agent.events, int((begins - first[request]) / agent.gap + 1e-9) + 1)
            takes = work.event + max(0, there - piece - 1) * work.along
            told[request] = max(there, piece + 1)
        else:
            takes = work.request / 2 + (work.decision if piece < 0 and asks[request] else 0.0)
        free = begins + takes
        busy += takes
        if piece < 0:
            first[request] = free + agent.thinks
            for number in range(agent.events):
                heapq.heappush(pieces, (first[request] + number * agent.gap, next(order), request, number))
        elif piece < agent.events <= told[request]:
            added.append(free + work.waits - started[request] - agent.thinks - agent.gap * (agent.events - 1))
            heapq.heappush(pieces, (free, next(order), request, agent.events))
    added.sort()
    return Seen(statistics.median(added), added[len(added) * 99 // 100], busy / max(free, seconds))


def _like(figures: dict[str, Any]) -> Agent:
    """What was asked when it was measured."""
    return Agent(turns=0, thinks=figures["thinks"], gap=figures["gap"], events=figures["events"])


def whole(work: Work, agent: Agent) -> float:
    """Seconds of a core that a request takes in all."""
    return work.request + agent.events * work.event + agent.turns * work.decision


def work_of(figures: dict[str, Any]) -> Work:
    request, event, decision = (sum(figures[name].values()) for name in ("request", "event", "decision"))
    along = min(event, sum(figures["event_along"].values()))
    work = Work(request - event, event, decision, along)  # what was measured as a request has an event of its own
    idle, like = figures["loads"][0], _like(figures)
    return replace(work, waits=max(0.0, idle["p50"] - one_core(work, idle["rate"], like).p50))


# -- what pods share -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fleet:
    """So many pods, each at `rate` requests a second; shares are of one core of Redis, cores of PostgreSQL."""

    pods: int
    rate: float
    redis: float
    of_it_budgets: float
    postgresql: float
    connections: float
    gigabytes: float  # of ledger a day

    @property
    def full(self) -> list[str]:
        found = ["Redis"] if self.redis > 1 else []
        return found + (["PostgreSQL's connections"] if self.connections > CONNECTIONS else [])


def fleet(pods: int, rate: float, shared: dict[str, Any], agent: Agent) -> Fleet:
    """With one budget that all pods spend of: each reads it once a second, out of what all have written there."""
    command = shared["redis_command_us"] / 1e6
    budgets = pods * _between(shared["redis_us_of_a_budget"], pods) / 1e6
    commands = pods * (rate * shared["redis_commands_of_a_request"] + shared["redis_commands_each_second"])
    written = rate * shared["postgresql_cpu_us_of_a_request"] + shared["postgresql_cpu_us_each_second"]
    return Fleet(
        pods,
        rate,
        redis=commands * command + budgets,
        of_it_budgets=budgets,
        postgresql=pods * written / 1e6,
        connections=pods * shared["postgresql_connections"],
        gigabytes=pods * rate * agent.hours * 3600 * LEDGER_BYTES / 1e9,
    )


def _between(measured: dict[str, float], pods: int) -> float:
    """A straight line from one measured number of pods to the next."""
    known = sorted((int(number), us) for number, us in measured.items())
    at = min(max(1, bisect_left(known, (pods, 0.0))), len(known) - 1)
    (less, low), (more, high) = known[at - 1], known[at]
    return low + (high - low) * (pods - less) / (more - less)


def first_full(what: str, rate: float, shared: dict[str, Any], agent: Agent) -> int:
    """The least number of pods at which this is full."""
    low, high = 0, 1_000_000
    while high - low > 1:
        pods = (low + high) // 2
        low, high = (low, pods) if what in fleet(pods, rate, shared, agent).full else (pods, high)
    return high


# -- tables ----------------------------------------------------------------------------------------------------------


def main() -> None:
    options = _parser().parse_args()
    figures = json.loads(options.figures.read_text())
    work, agent = work_of(figures), Agent()
    print(f"a request {_ms(work.request)}, a decision {_ms(work.decision)}, an event {_ms(work.event)} of a core, and")
    print(f"{_ms(work.along)} where it is handled with another of its stream;")
    print(f"{_ms(work.waits)} pass from process to process (what is added where nobody else asks, less the work)\n")
    _one_pod(figures, work)
    _loads(work, agent)
    if figures["shared"]:
        _fleets(figures, work, agent, options.busy)


def _one_pod(figures: dict[str, Any], work: Work) -> None:
    most = 1 / (work.request + work.event)
    print("One pod on one core, as measured and as simulated:\n\n| | measured | simulated | ratio |\n|---|---|---|---|")
    _compared("at the most, requests/s", figures["at_the_most"], most, "{:.0f}")
    like = _like(figures)
    for load in figures["loads"][1:]:
        seen = one_core(work, load["rate"], like)
        name = f"{load['rate']:.0f} streams/s of {like.events} events, {seen.busy:.0%} busy"
        _compared(f"{name}: added, p50 ms", load["p50"] * 1000, seen.p50 * 1000, "{:.1f}")
        _compared(f"{name}: added, p99 ms", load["p99"] * 1000, seen.p99 * 1000, "{:.1f}")
    print()


def _compared(name: str, measured: float, simulated: float, form: str) -> None:
    print(f"| {name} | {form.format(measured)} | {form.format(simulated)} | {simulated / measured:.2f} |")


def _loads(work: Work, agent: Agent) -> None:
    print(
        f"A pod on one core and coding agents (a request every {agent.every:g} s, {agent.turns:.0%} of them typed by a"
        f" person, {agent.events} events):\n\n| agents at work | requests/s | busy | added p50 ms | p99 ms |"
    )
    print("|---|---|---|---|---|")
    for share in (0.2, 0.4, 0.6, 0.8, 0.9):
        rate = share / whole(work, agent)
        seen = one_core(work, rate, agent, seconds=1800)
        cells = f"{rate * agent.every:.0f} | {rate:.1f} | {seen.busy:.0%} | {seen.p50 * 1000:.1f}"
        print(f"| {cells} | {seen.p99 * 1000:.0f} |")
    print()


def _fleets(figures: dict[str, Any], work: Work, agent: Agent, busy: float) -> None:
    shared, rate = figures["shared"], busy / whole(work, agent)
    memory = figures["memory"]["at_rest_mb"] + figures["memory"]["stream_kb"] / 1024 * rate * (
        agent.thinks + agent.gap * agent.events
    )
    print(f"Fleets of pods that are {busy:.0%} busy, {memory:.0f} MB each:\n")
    head = ["pods", "agents at work", "requests/s", "streams", "Redis, of a core", "of that, one budget"]
    head += ["PostgreSQL, cores", "its connections", "ledger, GB a day", "full"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for pods in FLEETS:
        one = fleet(pods, rate, shared, agent)
        cells = [f"{pods:,}", f"{pods * rate * agent.every:,.0f}", f"{pods * rate:,.0f}"]
        cells += [f"{pods * rate * (agent.thinks + agent.gap * agent.events):,.0f}", f"{one.redis:.2f}"]
        cells += [f"{one.of_it_budgets:.2f}", f"{one.postgresql:.2f}", f"{one.connections:,.0f}"]
        print(f"| {' | '.join(cells)} | {one.gigabytes:,.1f} | {', '.join(one.full) or '-'} |")
    print()
    for what in ("PostgreSQL's connections", "Redis"):
        print(f"{what}: full at {first_full(what, rate, shared, agent):,} pods")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figures", type=Path, default=HERE / "scale.json")
    parser.add_argument("--busy", type=float, default=0.6, help="the share of its core that a pod uses")
    return parser


if __name__ == "__main__":
    main()
