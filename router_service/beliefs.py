"""Which model for a preference: how often an answer of each was good, as a Beta distribution that forgets.

What is said of an answer counts for or against the model that gave it, the user's own word more than anything that is
only guessed from how the conversation went on. Before anything is said, the order that the user wrote holds: who stands
first is taken to be a little better, and all to be as good as answers have been on the whole.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from router_service.evidence import Turn

AGAINST: Mapping[str, float] = {  # of an answer, by signal; what is guessed comes to 1 at the most
    "override": 1.0,
    "correction": 0.5,
    "reverted": 0.75,
    "refusal": 0.75,
    "re-ask": 0.5,
    "retried": 0.5,
    "tool error": 0.5,
    "truncation": 0.25,
    "interrupted": 0.25,
}
SILENCE = 0.25  # for an answer against which nothing speaks
_EXPLICIT = 3.0
_PRIOR, _STRENGTH = (
    0.75,
    8.0,
)  # what an answer is taken to be worth before any was judged, and how many verdicts that is
_STEP = 0.03  # less for each place further down the list


@dataclass(frozen=True, slots=True)
class Verdict:
    """`good` and `bad` add up to the weight of what was said of one answer of a model, `at` a time."""

    route: str
    model: str
    difficulty: str
    at: float
    good: float
    bad: float
    request: str = ""


@dataclass(frozen=True, slots=True)
class Belief:
    """Beta(good, bad); `seen` is the weight of the verdicts it is made of, as they count now."""

    good: float
    bad: float
    seen: float = 0.0

    @property
    def mean(self) -> float:
        return self.good / (self.good + self.bad)

    def sample(self, chance: random.Random) -> float:
        return chance.betavariate(self.good, self.bad)


@dataclass(frozen=True, slots=True)
class Worth:
    """What is believed of a route's models, by label, over all asks and by difficulty; empty where nothing was said."""

    overall: Mapping[str, Belief] = field(default_factory=dict)
    by_difficulty: Mapping[str, Mapping[str, Belief]] = field(default_factory=dict)

    def of(self, difficulty: str) -> Mapping[str, Belief]:
        return self.by_difficulty.get(difficulty, self.overall)

    def means(self, difficulty: str) -> dict[str, float]:
        return {model: one.mean for model, one in self.of(difficulty).items()}

    def drawn(self, difficulty: str, chance: random.Random) -> dict[str, float]:
        """Who is less known is more often above those who are better known (Thompson)."""
        return {model: one.sample(chance) for model, one in self.of(difficulty).items()}


def verdicts(turns: Iterable[Turn]) -> list[Verdict]:
    """What was said of answers. Of one that went to the wrong preference nothing is said here: no model is to blame."""
    return [verdict for turn in turns if turn.should_be is None and turn.asked.served for verdict in _of(turn)]


def worth(
    found: Sequence[Verdict], route: str, models: Sequence[str], *, now: float, half_life: float, pooled: float = _PRIOR
) -> Worth:
    """Of the models of a route, in the order of its list. `half_life` in seconds; `pooled`, see there."""
    here = [one for one in found if one.route == route and one.model in models and one.at <= now]
    if not here:
        return Worth()
    prior = {model: max(0.05, pooled - _STEP * place) for place, model in enumerate(models)}
    overall = {model: _belief(here, model, prior[model], now, half_life) for model in models}
    by_difficulty = {
        difficulty: {
            model: _belief(some, model, overall[model].mean, now, half_life) for model in models
        }
        for difficulty in sorted({one.difficulty for one in here if one.difficulty})
        for some in [[one for one in here if one.difficulty == difficulty]]
    }  # fmt: skip
    return Worth(overall, by_difficulty)


def pooled(found: Iterable[Verdict], *, now: float, half_life: float) -> float:
    """What this caller's answers have been worth on the whole: what one is taken for of whom nothing is known yet."""
    good, bad = _PRIOR * _STRENGTH, (1 - _PRIOR) * _STRENGTH
    for one in found:
        weight = _left(one.at, now, half_life)
        good, bad = good + weight * one.good, bad + weight * one.bad
    return good / (good + bad)


def foretells(found: Sequence[Verdict], route: str, models: Sequence[str], *, half_life: float) -> tuple[float, float]:
    """How far off the beliefs were at each verdict, as they stood before it, and how far off the written order was:
    weighted sums of squares. The check on the user's own past.
    """
    here = sorted((one for one in found if one.route == route and one.model in models), key=lambda one: one.at)
    learned = static = 0.0
    chains = {model: _Chain(max(0.05, _PRIOR - _STEP * place)) for place, model in enumerate(models)}
    for one in here:
        weight, chain = one.good + one.bad, chains[one.model]
        was = one.good / weight
        learned += weight * (chain.mean(one.at, half_life) - was) ** 2
        static += weight * (chain.prior - was) ** 2
        chain.add(one, half_life)
    return learned, static


def less(found: Mapping[str, float], prices: Mapping[str, float | None], cost: float) -> dict[str, float]:
    """What is believed, less what money takes off: the dearest loses `cost` (0 to 1) of it, the others their share.
    Whose price nobody knows is the dearest.
    """
    dearest = max((one for one in prices.values() if one is not None), default=0.0)
    if not cost or not dearest:
        return dict(found)
    shares = {model: 1.0 if one is None else one / dearest for model, one in prices.items()}
    return {model: mean * (1 - cost * shares[model]) for model, mean in found.items()}


def _of(turn: Turn) -> list[Verdict]:
    asked, better = turn.asked, turn.better
    if better and better != asked.served:
        told = {better: (_EXPLICIT, 0.0), asked.served: (0.0, _EXPLICIT)}
    else:
        word = turn.latest("good", "bad")
        told = {asked.served: _weighed(turn, word.signal if word else "")}
    return [
        Verdict(asked.route, model, asked.difficulty, asked.at, good, bad, asked.request)
        for model, (good, bad) in told.items()
    ]


def _weighed(turn: Turn, word: str) -> tuple[float, float]:
    """The user's own word alone where there is one; else all that is guessed, up to 1, and silence."""
    if word:
        return (_EXPLICIT, 0.0) if word == "good" else (0.0, _EXPLICIT)
    signals = {one.signal for one in turn.said}
    against = min(1.0, sum(AGAINST.get(signal, 0.0) for signal in signals))
    return (0.0, against) if against else (SILENCE, 0.0)


def _belief(some: Sequence[Verdict], model: str, prior: float, now: float, half_life: float) -> Belief:
    good, bad, seen = prior * _STRENGTH, (1 - prior) * _STRENGTH, 0.0
    for one in some:
        if one.model == model:
            weight = _left(one.at, now, half_life)
            good, bad, seen = good + weight * one.good, bad + weight * one.bad, seen + weight * (one.good + one.bad)
    return Belief(good, bad, seen)


def _left(at: float, now: float, half_life: float) -> float:
    """Of a verdict's weight, after so much time."""
    return float(0.5 ** (max(0.0, now - at) / half_life))


class _Chain:
    """A belief that goes forward in time."""

    def __init__(self, prior: float) -> None:
        self.prior = prior
        self._good = self._bad = self._at = 0.0

    def mean(self, at: float, half_life: float) -> float:
        left = _left(self._at, at, half_life)
        good = self.prior * _STRENGTH + left * self._good
        return good / (_STRENGTH + left * (self._good + self._bad))

    def add(self, one: Verdict, half_life: float) -> None:
        left = _left(self._at, one.at, half_life)
        self._good, self._bad, self._at = left * self._good + one.good, left * self._bad + one.bad, one.at
