"""How fast each candidate answers lately: seconds to its first content, tokens a second from there. Pure, in memory.

What is measured are answers that went through this gateway. Times are seconds on the clock that is passed in.

Two memories are kept of each candidate. *Lately* halves in `LATELY` seconds: vendors become slow, and recover, within
minutes. A shorter time would send a user to who is slow at every other turn, a longer one would miss that he is well
again. *Usually* halves in a day, and takes no more of `LATELY` seconds than one answer: a crowd that meets an outage
does not make it usual. What is known lately weighs as many answers as it has seen, what is usual weighs one. So who was
slow is taken to be as he usually is once that is some minutes past, and is asked again, without anybody being sent
there to look; should he be slow for long, that is usual in the end, and he is left alone for longer.

Averages are those of logarithms: one answer of a minute among many of a second says little about the next one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from math import exp, exp2, log

from router_service.plan import Candidate
from router_service.switching import WRITTEN

LATELY = 180.0  # seconds after which an answer counts half
USUALLY = 86_400.0
ANEW = 6 * 3600.0  # seconds after which what nobody has measured is looked at again
LOOKED = 60.0  # seconds in which one look is enough
FIRST, RATE = 1.0, 60.0  # seconds to first content, tokens a second: a guess, of whom nobody has measured
FAILED = 10.0  # seconds that a failed try counts besides its own: somebody else has to begin anew
_LATELY_MOST, _USUALLY_MOST = 3.0, 50.0  # answers: more weigh no more, or a crowd would be remembered for longer
_GUESS = 0.25  # of an answer: what others of the vendor's, or anybody, say of the usual
_LEAST = 0.1  # seconds; nobody notices less, and a logarithm makes much of it
_FEW = 20  # tokens, and
_SHORT = 0.02  # seconds: of less than that no speed can be told


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds to first content, tokens a second (`rate`), and how many tokens an answer usually has; None: unknown.

    `measured`: how many answers of the last minutes say so. `unseen`: nobody has measured it for hours, nor is about
    to.
    """

    first: float = FIRST
    rate: float = RATE
    written: float | None = None
    measured: float = 0.0
    unseen: bool = False

    def seconds(self, written: float) -> float:
        """For an answer of so many tokens, to its end."""
        return self.first + written / self.rate


@dataclass(slots=True)
class _Mean:
    """A mean that forgets: `half` is seconds, `most` how much all of it weighs at the most."""

    half: float
    most: float
    weight: float = 0.0
    value: float = 0.0
    at: float = 0.0

    def at_time(self, now: float) -> float:
        """What it weighs by now."""
        if not self.weight:
            return 0.0
        return self.weight * exp2(-max(0.0, now - self.at) / self.half)

    def add(self, value: float, now: float, share: float = 1.0) -> None:
        """`share` of an answer."""
        self.weight = min(self.at_time(now), self.most - share) + share
        self.value += (value - self.value) * share / self.weight
        self.at = max(self.at, now)

    def since(self, now: float) -> float:
        """Seconds since it learnt something."""
        return now - self.at if self.weight else float("inf")


def _lately() -> _Mean:
    return _Mean(LATELY, _LATELY_MOST)


def _usually() -> _Mean:
    return _Mean(USUALLY, _USUALLY_MOST)


@dataclass(slots=True)
class _Known:
    """Of one candidate: logarithms of seconds and of tokens a second, and tokens of an answer."""

    first: _Mean = field(default_factory=_lately)
    rate: _Mean = field(default_factory=_lately)
    usual_first: _Mean = field(default_factory=_usually)
    usual_rate: _Mean = field(default_factory=_usually)
    written: _Mean = field(default_factory=_usually)
    asked: float = float("-inf")  # when it last was
    waits: dict[str, float] = field(default_factory=dict)  # since when, by the try's name, the oldest first


class Paces:
    """By candidate id. A try that is under way has a name, until `over`."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._waiting: dict[str, str] = {}  # the candidate, by the try's name

    # -- what attempts tell ---------------------------------------------------------------------------------------

    def asked(self, attempt: str, candidate: str, now: float, *, streamed: bool) -> None:
        """A try begins. `streamed`: its first content will be seen when it comes."""
        known = self._of(candidate)
        known.asked = now
        if streamed:
            self._waiting[attempt] = candidate
            known.waits[attempt] = now

    def over(self, attempt: str) -> None:
        """Nobody waits for its first content any more, whatever became of it."""
        if candidate := self._waiting.pop(attempt, None):
            self._of(candidate).waits.pop(attempt, None)

    def began(self, candidate: str, seconds: float, now: float) -> None:
        """First content came after so many seconds."""
        self._learn_first(candidate, log(max(seconds, _LEAST)), now)

    def failed(self, candidate: str, seconds: float, now: float) -> None:
        self.began(candidate, seconds + FAILED, now)

    def left(self, candidate: str, seconds: float, now: float) -> None:
        """Somebody waited for so long, in vain, and left: it would have taken that long at least."""
        known = self._of(candidate)
        if known.first.weight and log(max(seconds, _LEAST)) > known.first.value:
            self.began(candidate, seconds, now)

    def streamed(self, candidate: str, tokens: int | None, seconds: float, now: float) -> None:
        """A streamed answer has come to its end, so many seconds after its first content."""
        if tokens is None:
            return
        self._of(candidate).written.add(tokens, now)
        if tokens >= _FEW and seconds >= _SHORT:
            self._learn_rate(candidate, log(tokens / seconds), now)

    def whole(self, candidate: Candidate, tokens: int | None, seconds: float, now: float) -> None:
        """An answer has come as one piece: both its parts took longer, or shorter, than expected by the same factor."""
        expected = self.speeds([candidate], now)[candidate.id]
        factor = log(max(seconds, _LEAST) / expected.seconds(WRITTEN if tokens is None else tokens))
        self._learn_first(candidate.id, log(expected.first) + factor, now)
        if tokens is not None:
            self._of(candidate.id).written.add(tokens, now)
        if tokens is not None and tokens >= _FEW:
            self._learn_rate(candidate.id, log(expected.rate) - factor, now)

    # -- what policies are told -----------------------------------------------------------------------------------

    def speeds(self, candidates: Iterable[Candidate], now: float) -> Mapping[str, Speed]:
        """By id. Who is unknown is taken to be as his vendor's other models, else as anybody."""
        candidates = tuple(candidates)
        return {one.id: self._speed(one, candidates, now) for one in candidates}

    def _speed(self, candidate: Candidate, among: tuple[Candidate, ...], now: float) -> Speed:
        known = self._known.get(candidate.id) or _Known()
        others = [one for one in among if one.provider.name == candidate.provider.name and one is not candidate]
        kin = [self._known[one.id] for one in others if one.id in self._known]
        first = _mean([known.usual_first], _mean([one.usual_first for one in kin], log(FIRST), now), now)
        rate = _mean([known.usual_rate], _mean([one.usual_rate for one in kin], log(RATE), now), now)
        measured = known.first.at_time(now)
        lately = (first + measured * known.first.value) / (1 + measured)
        return Speed(
            first=exp(_with_waiting(known.waits.values(), lately, 1 + measured, now)),
            rate=exp((rate + known.rate.at_time(now) * known.rate.value) / (1 + known.rate.at_time(now))),
            written=known.written.value if known.written.weight else None,
            measured=measured,
            unseen=known.first.since(now) > ANEW and now - known.asked > LOOKED,
        )

    # -- keeping --------------------------------------------------------------------------------------------------

    def _of(self, candidate: str) -> _Known:
        known = self._known.get(candidate)
        if known is None:
            known = self._known[candidate] = _Known()
        return known

    def _learn_first(self, candidate: str, value: float, now: float) -> None:
        known = self._of(candidate)
        known.first.add(value, now)
        known.usual_first.add(value, now, min(1.0, known.usual_first.since(now) / LATELY))

    def _learn_rate(self, candidate: str, value: float, now: float) -> None:
        known = self._of(candidate)
        known.rate.add(value, now)
        known.usual_rate.add(value, now, min(1.0, known.usual_rate.since(now) / LATELY))


def _with_waiting(since: Iterable[float], expected: float, weight: float, now: float) -> float:
    """Who is waited for longer than expected counts as having answered now: nobody need wait to the end to learn that a
    vendor hangs. Those who have waited longest are looked at first, and no more than are late."""
    late = list(takewhile(lambda wait: wait > expected, (log(max(now - one, _LEAST)) for one in since)))
    return (expected * weight + sum(late)) / (weight + len(late))


def _mean(means: Iterable[_Mean], before: float, now: float) -> float:
    """Of what is usual, and of what was thought before."""
    told, all_of_it = _GUESS * before, _GUESS
    for mean in means:
        weight = mean.at_time(now)
        told += weight * mean.value
        all_of_it += weight
    return told / all_of_it
