"""What learning is made of: asks that were routed, what was said of their answers, and what is to be left out of it.

Values alone, as the ledger keeps them, without a word of anybody's. What is learned is a function of these.
"""

import hashlib
import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

NONE = "default"  # where what no preference is about goes
EVERYTHING = "*"
THUMBS = ("good", "bad")
SHOULD_BE = "should be"  # it tells a Target


@dataclass(frozen=True, slots=True)
class Target:
    """Who should have answered: a preference by its name (NONE for none of them), or a model by its label."""

    kind: Literal["preference", "model"]
    name: str

    @property
    def told(self) -> str:
        """As the ledger has it."""
        return f"{self.kind}:{self.name}"


def target(told: str | None) -> Target | None:
    """What `Target.told` wrote; None for anything else."""
    kind, _, name = (told or "").partition(":")
    if kind == "preference" and name:
        return Target("preference", name)
    return Target("model", name) if kind == "model" and name else None


@dataclass(frozen=True, slots=True)
class Asked:
    """One ask that the router model read. `at`: seconds since the epoch. `session`: the thread, empty where not known.

    `route`: by name, where it went. `fits`: (preference, probability) of each and of NONE, before anything learned.
    `vector`: the ask as `model` (a fingerprint) sees it, see `packed`; empty where it does not say.
    """

    request: str
    at: float
    caller: str = ""
    session: str = ""
    route: str = NONE
    served: str = ""
    difficulty: str = ""
    model: str = ""
    vector: bytes = b""
    fits: tuple[tuple[str, float], ...] = ()

    @property
    def base(self) -> str:
        """Where it would have gone without anything learned."""
        return max(self.fits, key=lambda fit: fit[1])[0] if self.fits else NONE


@dataclass(frozen=True, slots=True)
class Said:
    """A signal about a request; `at`, when it was said. `turn`: the ask that the request went on with, where it was
    none itself.
    """

    request: str
    signal: str
    at: float
    told: str = ""
    turn: str = ""

    @property
    def about(self) -> str:
        return self.turn or self.request


@dataclass(frozen=True, slots=True)
class LeftOut:
    """`what` of a caller's evidence does not count if it was said until `at`: a lesson, a request, or EVERYTHING."""

    caller: str
    what: str
    at: float


@dataclass(frozen=True, slots=True)
class Evidence:
    asked: tuple[Asked, ...] = ()
    said: tuple[Said, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn:
    """An ask with all that was said of its answer, and of what followed in the same turn."""

    asked: Asked
    said: tuple[Said, ...] = ()

    def latest(self, *signals: str) -> Said | None:
        found = [one for one in self.said if one.signal in signals]
        return max(found, key=lambda one: (one.at, one.signal), default=None)

    @property
    def should_be(self) -> str | None:
        """The preference that the user names as the right one; NONE where none is."""
        return self._named("preference")

    @property
    def better(self) -> str | None:
        """The model that the user names as the right one."""
        return self._named("model")

    def _named(self, kind: str) -> str | None:
        said = sorted((one for one in self.said if one.signal == SHOULD_BE), key=lambda one: one.at)
        meant = [found.name for one in said if (found := target(one.told)) and found.kind == kind]
        return meant[-1] if meant else None


def packed(vector: bytes) -> bytes:
    """Of float32 [width] a byte a number: the direction is all that counts, and it is kept to a degree."""
    numbers = array("f", vector)
    most = max(map(abs, numbers), default=0.0)
    if not math.isfinite(most) or most == 0.0:
        return b""
    return array("b", [round(number * 127 / most) for number in numbers]).tobytes()


def by_caller(evidence: Evidence) -> Mapping[str, list[Turn]]:
    """The turns of each caller, the oldest first, whatever the order of the evidence; nothing that is left out."""
    said: dict[str, set[Said]] = defaultdict(set)
    for word in evidence.said:
        said[word.about].add(word)
    silenced = {(one.caller, one.what): one.at for one in sorted(evidence.left_out, key=lambda one: one.at)}
    by_request = {one.request: one for one in evidence.asked}
    turns: dict[str, list[Turn]] = defaultdict(list)
    for one in sorted(by_request.values(), key=_when):
        turn = Turn(one, tuple(sorted(said[one.request], key=lambda word: (word.at, word.signal))))
        until = max(silenced.get((one.caller, what), 0.0) for what in (one.request, EVERYTHING))
        if left := since(turn, until):
            turns[one.caller].append(left)
    return turns


def since(turn: Turn, until: float) -> Turn | None:
    """What of it counts where all until then is left out. Of an ask of before, of which nothing was said since, nothing
    does: its silence would speak for the answer. `until` is 0 where nothing is left out.
    """
    if not until:
        return turn
    said = tuple(word for word in turn.said if word.at > until)
    return replace(turn, said=said) if said or turn.asked.at > until else None


def lesson_id(caller: str, kind: str, *names: str) -> str:
    """The same for the same lesson, whatever it is learned from."""
    return hashlib.blake2b("\0".join((caller, kind, *names)).encode(), digest_size=3).hexdigest()


def left_out_of(caller: str, lesson: str, left_out: Iterable[LeftOut]) -> float:
    """Until when what speaks for a lesson does not count; 0 where all of it does."""
    return max((one.at for one in left_out if (one.caller, one.what) == (caller, lesson)), default=0.0)


def _when(asked: Asked) -> tuple[float, str]:
    return asked.at, asked.request
