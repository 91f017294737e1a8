"""What thrift about switching models saves, and what it costs in preferred answers: python bench/switching.py

1,000 simulated working sessions through the decisions that the gateway makes (`policies.preference`), with the
published prices of the models in config.yaml: never switching, switching whenever a preference names another model,
and ours. No provider is asked and no router model runs: which preference a turn belongs to is drawn, and always judged
rightly.

How sessions are drawn (lognormal unless said otherwise; a guess at what coding agents do, written down so that it can
be disputed): 6 turns in the middle, 25 and more in one of ten; 4 requests a turn, 12 and more in one of ten; 20,000
tokens to begin with, 1,500 more a request; 350 tokens of answer; 70 s between turns, more than the five minutes that a
vendor keeps what it has read in one of seven, 8 s between the requests of a turn. The next turn is about the same
thing in seven cases of ten. At 160,000 tokens the client compacts the conversation to 30,000, which nobody has read
then.
"""

import argparse
import random
import statistics
from dataclasses import dataclass, replace
from math import log
from pathlib import Path

from router_service import pricing
from router_service.config import parse
from router_service.conversation import Usage
from router_service.plan import Candidate, Plan, Route, plan
from router_service.policies import pinned, preference
from router_service.policies.policy import Decision, Scores, Setting
from router_service.session import NEW, Pin, Session

KEYS = ("ANTHROPIC", "OPENAI", "DEEPSEEK", "XAI", "GEMINI", "MISTRAL", "GROQ")
SAME = 0.7  # of turns are about what the one before was about
POLICIES = {
    "never switch": {"sticky": "session"},
    "always switch": {"sticky": "never"},
    "ours, no share": {"max_switch_spend": 0.0},
    "ours, 10 %": {"max_switch_spend": 0.1},
    "ours, 20 % (default)": {"max_switch_spend": 0.2},
    "ours, 40 %": {"max_switch_spend": 0.4},
}


@dataclass(frozen=True)
class Turn:
    """`after`: seconds since the turn before. `requests`: (new tokens, tokens of the answer) of each."""

    route: Route
    after: float
    requests: tuple[tuple[int, int], ...]


@dataclass
class Bill:
    spent: float = 0.0
    switched: float = 0.0
    turns: int = 0
    preferred: int = 0


def drawn(routes: tuple[Route, ...], rng: random.Random) -> list[Turn]:
    route, turns = rng.choice(routes), []
    for number in range(max(1, round(rng.lognormvariate(*_middle(6, 25))))):
        if number and rng.random() > SAME:
            route = rng.choice([other for other in routes if other is not route])
        count = max(1, round(rng.lognormvariate(*_middle(4, 12))))
        requests = tuple(
            (round(rng.lognormvariate(*_middle(1500, 6000))), round(rng.lognormvariate(*_middle(350, 1200))))
            for _ in range(count)
        )
        turns.append(Turn(route, rng.lognormvariate(*_middle(70, 420)), requests))
    return turns


def _middle(median: float, tenth: float) -> tuple[float, float]:
    """Mean and deviation of the logarithm, from the median and what one of ten exceeds."""
    return log(median), (log(tenth) - log(median)) / 1.2816


def served(plan: Plan, turns: list[Turn], bill: Bill) -> None:
    session, now, context = NEW, 1_000_000.0, 20_000
    for turn in turns:
        now += turn.after
        decision = _decided(plan, turn.route, session, now)
        candidate = decision.first
        bill.turns += 1
        bill.preferred += candidate is turn.route.candidates[0]
        spent = max(0.0, decision.switch.price) if decision.switch and decision.switch.done else 0.0
        session = session.turned(_pin(decision), spent)
        for number, (new, written) in enumerate(turn.requests):
            context += new
            if context > 160_000:
                context, session = 30_000, replace(session, reads={})
            read = session.reads.get(candidate.id)
            cached = min(read.tokens, context) if read and read.warm(now) else 0
            usage = _usage(candidate, context, cached, written)
            cost = pricing.cost(candidate.price, usage)
            session = session.answered(candidate.id, usage, now, opens_turn=number == 0).paid(cost, cost)
            context += written
            now += 8
    bill.spent += session.spent
    bill.switched += session.switched


def _pin(decision: Decision) -> Pin:
    return Pin(decision.route.id, decision.first.id, decision.score)


def _usage(candidate: Candidate, context: int, cached: int, written: int) -> Usage:
    """Anthropic counts what it writes to its cache apart; with the others it is input."""
    anew = context - cached
    apart = candidate.provider.name == "anthropic"
    return Usage(0 if apart else anew, cached, anew if apart else None, written)


def _decided(plan: Plan, route: Route, session: Session, now: float) -> Decision:
    if session.pin and plan.routing.sticky == "session":
        return pinned.stay(plan, session.pin, because="sticky")
    return preference.choose(plan, Scores({route.id: 1.0}, none=0.0), Setting(session, now=now))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--config", type=Path, default=Path(__file__).parent.parent / "config.yaml")
    known = parser.parse_args()
    environment = {f"{name}_API_KEY": "k" for name in KEYS}
    whole = plan(parse(known.config.read_text("utf-8"), file=str(known.config), environment=environment))
    routes = tuple(route for route in whole.routes if route.candidates[0].price)
    left_out = [route.candidates[0].label for route in whole.routes if not route.candidates[0].price]
    rng = random.Random(7)
    sessions = [drawn(routes, rng) for _ in range(known.sessions)]
    length = statistics.mean(len(turns) for turns in sessions)
    print(f"{len(sessions)} sessions of {length:.1f} turns on the average; {len(routes)} preferences", end="")
    print(f" (left out, price unknown: {', '.join(left_out)})\n" if left_out else "\n")
    print("| | $ a session | of it into switches | turns served by the preferred model |\n|---|---|---|---|")
    for name, changes in POLICIES.items():
        bill = Bill()
        ours = replace(whole, routing=replace(whole.routing, **changes))  # type: ignore[arg-type]
        for turns in sessions:
            served(ours, turns, bill)
        each, share = bill.spent / len(sessions), bill.preferred / bill.turns
        switches = f"{100 * bill.switched / bill.spent:.0f} %" if name.startswith("ours") else "-"
        print(f"| {name} | {each:.2f} | {switches} | {100 * share:.0f} % |")


if __name__ == "__main__":
    main()
