"""Which model for a preference: how often an answer of each was good, as a Beta distribution that forgets.

What is said of an answer counts for or against the model that gave it, the user's own word more than anything that is
only guessed from how the conversation went on. Before anything is said, the order that the user wrote holds: who stands
first is taken to be a little better, and all to be as good as answers have been on the whole.
"""

import random
from collections import defaultdict
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
    "error": 0.5,
    "truncation": 0.25,
    "interrupted": 0.25,
}
SILENCE = 0.25  # for an answer against which nothing speaks
_EXPLICIT = 3.0
_PRIOR, _STRENGTH = 0.75, 8.0  # what an answer is taken to be worth before any was judged, as so many verdicts
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
class Opinion:
    """How good a model's answers are taken to be, 0 to 1: without the answer that speaks for it most (`low`), without
    the one that speaks against it most (`high`). `trust`: 0 where it was never judged, towards 1 the more it was.
    """

    mean: float
    low: float
    high: float
    trust: float

    @classmethod
    def sure(cls, mean: float) -> "Opinion":
        return cls(mean, mean, mean, 1.0)

    def less(self, share: float) -> "Opinion":
        """By so much of it."""
        left = 1 - share
        return Opinion(left * self.mean, left * self.low, left * self.high, self.trust)


@dataclass(frozen=True, slots=True)
class Belief:
    """Beta(good, bad); `seen` is the weight of the verdicts it is made of, as they count now. See Opinion."""

    good: float
    bad: float
    seen: float
    low: float
    high: float

    @classmethod
    def of(cls, mean: float) -> "Belief":
        """Before anything was seen."""
        return cls(mean * _STRENGTH, (1 - mean) * _STRENGTH, 0.0, mean, mean)

    @property
    def mean(self) -> float:
        return self.good / (self.good + self.bad)

    @property
    def opinion(self) -> Opinion:
        return Opinion(self.mean, self.low, self.high, 1 - _STRENGTH / (_STRENGTH + self.seen))

    def sample(self, chance: random.Random) -> float:
        return chance.betavariate(self.good, self.bad)

    def after(self, told: Sequence[tuple[float, float]]) -> "Belief":
        """What becomes of it with these verdicts, (good, bad) each. What it was before weighs no more than a belief of
        which nothing was seen, however much it is made of: that was seen of the same model, but elsewhere.
        """
        good, bad = sum(one for one, _ in told), sum(one for _, one in told)
        most, worst = max((one for one, _ in told), default=0.0), max((one for _, one in told), default=0.0)
        elsewhere = min(_STRENGTH, max(0.0, self.seen - good - bad))
        return Belief(
            self.mean * _STRENGTH + good,
            (1 - self.mean) * _STRENGTH + bad,
            elsewhere + good + bad,
            _mean(self.low, good - most, bad),
            _mean(self.high, good, bad - worst),
        )


@dataclass(frozen=True, slots=True)
class Worth:
    """What is believed of a route's models, by label, over all asks and by difficulty; empty where nothing was said."""

    overall: Mapping[str, Belief] = field(default_factory=dict)
    by_difficulty: Mapping[str, Mapping[str, Belief]] = field(default_factory=dict)

    def of(self, difficulty: str) -> Mapping[str, Belief]:
        if not difficulty:
            return self.overall
        return self.by_difficulty.get(difficulty) or {model: one.after(()) for model, one in self.overall.items()}

    def opinions(self, difficulty: str) -> dict[str, Opinion]:
        return {model: one.opinion for model, one in self.of(difficulty).items()}

    def drawn(self, difficulty: str, chance: random.Random) -> dict[str, Opinion]:
        """Who is less known is more often above those who are better known (Thompson)."""
        return {model: Opinion.sure(one.sample(chance)) for model, one in self.of(difficulty).items()}


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
    told: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for one in here:
        left = _left(one.at, now, half_life)
        for difficulty in {"", one.difficulty}:
            told[difficulty, one.model].append((left * one.good, left * one.bad))
    overall = {
        model: Belief.of(_prior(pooled, place)).after(told["", model]) for place, model in enumerate(models)
    }  # fmt: skip
    by_difficulty = {
        difficulty: {model: overall[model].after(told[difficulty, model]) for model in models}
        for difficulty in sorted({one.difficulty for one in here if one.difficulty})
    }
    return Worth(overall, by_difficulty)


def pooled(found: Iterable[Verdict], *, now: float, half_life: float) -> float:
    """What this caller's answers have been worth on the whole: what one is taken for of whom nothing is known yet.

    However often a model was judged, it is one model: who is alone in having answered, and badly, makes others look
    half as bad.
    """
    told: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for one in found:
        (good, bad), left = told[one.model], _left(one.at, now, half_life)
        told[one.model] = good + left * one.good, bad + left * one.bad
    return _over_models(told.values())


def foretells(found: Sequence[Verdict], route: str, models: Sequence[str], *, half_life: float) -> tuple[float, float]:
    """How far off the beliefs were at each verdict on the route, as `worth` would have had them before it, and how far
    off the written order alone was: weighted sums of squares. The check on the user's own past; `found`: all of it.
    """
    learned = static = 0.0
    every, chains = defaultdict[str, _Chain](_Chain), defaultdict[tuple[str, str], _Chain](_Chain)
    for one in sorted(found, key=lambda one: one.at):
        if one.route == route and one.model in models:
            weight, was = one.good + one.bad, one.good / (one.good + one.bad)
            pooled = _over_models(chain.seen(one.at, half_life) for chain in every.values())
            prior = _prior(pooled, models.index(one.model))
            believed = prior
            for difficulty in dict.fromkeys(("", one.difficulty)):
                chain = chains[difficulty, one.model]
                believed = chain.mean(believed, one.at, half_life)
                chain.add(one, half_life)
            learned += weight * (believed - was) ** 2
            static += weight * (prior - was) ** 2
        every[one.model].add(one, half_life)
    return learned, static


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
        if good or bad
    ]


def _weighed(turn: Turn, word: str) -> tuple[float, float]:
    """The user's own word alone where there is one; else all that is guessed, up to 1, and silence."""
    if word:
        return (_EXPLICIT, 0.0) if word == "good" else (0.0, _EXPLICIT)
    signals = {one.signal for one in turn.said}
    against = min(1.0, sum(AGAINST.get(signal, 0.0) for signal in signals))
    if against or "unfinished" in signals:  # of an answer that was not read to its end silence says nothing
        return 0.0, against
    return SILENCE, 0.0


def _prior(pooled: float, place: int) -> float:
    return max(0.05, pooled - _STEP * place)


def _over_models(told: Iterable[tuple[float, float]]) -> float:
    """Of each what speaks for and against it, with the weight of `_STRENGTH` verdicts at the most."""
    good, bad = _PRIOR * _STRENGTH, (1 - _PRIOR) * _STRENGTH
    for ayes, noes in told:
        part = min(1.0, _STRENGTH / (ayes + noes)) if ayes + noes else 0.0
        good, bad = good + part * ayes, bad + part * noes
    return good / (good + bad)


def _mean(prior: float, good: float, bad: float) -> float:
    return (prior * _STRENGTH + good) / (_STRENGTH + good + bad)


def _left(at: float, now: float, half_life: float) -> float:
    """Of a verdict's weight, after so much time."""
    return float(0.5 ** (max(0.0, now - at) / half_life))


class _Chain:
    """What was seen, going forward in time."""

    def __init__(self) -> None:
        self._good = self._bad = self._at = 0.0

    def seen(self, at: float, half_life: float) -> tuple[float, float]:
        """For and against, as it counts then."""
        left = _left(self._at, at, half_life)
        return left * self._good, left * self._bad

    def mean(self, prior: float, at: float, half_life: float) -> float:
        return _mean(prior, *self.seen(at, half_life))

    def add(self, one: Verdict, half_life: float) -> None:
        good, bad = self.seen(one.at, half_life)
        self._good, self._bad, self._at = good + one.good, bad + one.bad, one.at
