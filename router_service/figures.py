"""What is counted of outcomes, for whoever asks how the gateway does. Pure, and a few microseconds for a request.

Everything is counted by what the config names, and by words of ours: never by a word of a client's or a user's.
"""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from router_service.outcome import BLAMELESS, AttemptOutcome, Outcome

_TOKENS = ("input", "cached", "cache_write", "output", "reasoning")
FIRST_CONTENT = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0)  # seconds
WHOLE = (*FIRST_CONTENT, 300.0, 600.0)
ROUTING = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0)


@dataclass(slots=True)
class Tally:
    """How one candidate has done since the service started. Of its `tries`, some neither answered nor failed: the
    client left, or asked for what nobody can answer."""

    answered: int = 0
    failed: int = 0
    last_trouble: str = ""
    tries: int = 0

    def count(self, attempt: AttemptOutcome) -> None:
        self.tries += 1
        if attempt.trouble and attempt.status not in BLAMELESS:
            self.failed += 1
            self.last_trouble = attempt.brief or attempt.trouble
        elif not attempt.trouble:
            self.answered += 1


class Histogram:
    """`counts` by upper bound, which belongs to its bucket; the last is of what is beyond all of them."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds, self.counts, self.sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


@dataclass(slots=True)
class Answers:
    """What the answers of one candidate came to: tokens by kind, dollars, and how long they took.

    `baseline`: what the same would have cost on the baseline model, and what it did cost where nobody knows that; so
    the difference is what was saved. `unpriced` answers are in neither. `stepped_in`: for another that had failed.
    """

    tokens: Counter[str] = field(default_factory=Counter)
    cost: float = 0.0
    baseline: float = 0.0
    unpriced: int = 0
    stepped_in: int = 0
    first_content: Histogram = field(default_factory=lambda: Histogram(FIRST_CONTENT))
    whole: Histogram = field(default_factory=lambda: Histogram(WHOLE))

    def count(self, outcome: Outcome) -> None:
        for kind in _TOKENS:
            if tokens := getattr(outcome.usage, kind):
                self.tokens[kind] += tokens
        if outcome.cost is None:
            self.unpriced += 1
        else:
            self.cost += outcome.cost
            self.baseline += outcome.cost if outcome.baseline is None else outcome.baseline
        self.stepped_in += len(outcome.attempts) > 1
        if outcome.streamed and outcome.attempts:  # its own time: what others took before is not held against it
            self.first_content.observe(outcome.attempts[-1].seconds)
        self.whole.observe(outcome.duration)


class Figures:
    """`requests` by the class of the status that the client got, the route's id, and the kind; `decisions` likewise, of
    those who asked for nothing else. `tallies` and `answers`
    by the label of the candidate. `routing`: how long the router model took; `unrouted`: where it was late, or failed.
    `cache`: requests by how the cache had to do with them; `spared`: dollars that its hits would have cost.
    """

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, str]] = Counter()
        self.decisions: Counter[tuple[str, str, str]] = Counter()
        self.tallies: dict[str, Tally] = {}
        self.answers: dict[str, Answers] = {}
        self.routing = Histogram(ROUTING)
        self.unrouted = 0
        self.cache: Counter[str] = Counter()
        self.spared = 0.0

    def count(self, outcome: Outcome) -> None:
        ended = self.decisions if outcome.decided else self.requests
        ended[f"{outcome.status // 100}xx", outcome.route_id, outcome.kind] += 1
        for attempt in outcome.attempts:
            self._tally(attempt.candidate).count(attempt)
        if outcome.cache:
            self.cache[outcome.cache] += 1
        if outcome.cache == "hit":  # no answer of the model's: its figures are left as they are
            self.spared += outcome.baseline or 0.0
        elif outcome.model_served:
            self._answers(outcome.model_served).count(outcome)
        if outcome.trace.seconds:
            self.routing.observe(outcome.trace.seconds)
        self.unrouted += bool(outcome.trace.trouble)

    def _tally(self, label: str) -> Tally:
        return self.tallies.get(label) or self.tallies.setdefault(label, Tally())

    def _answers(self, label: str) -> Answers:
        return self.answers.get(label) or self.answers.setdefault(label, Answers())
