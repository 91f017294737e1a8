"""Which preference: corrections are examples, and what is asked like them goes where they say.

A correction is about one way: an ask that the router model took for this preference belongs to that one. So it moves
probability along that way alone, from the preference that was wrong to the one that is right, and only for asks that
look like it: those that lie nearer than `cut` to no correction keep what the model gave them, bit for bit. What lies
near one is shared between all that is near: corrections, and asks that were rightly taken for the first, which hold
their place. Nothing is ever moved out of a third preference.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from router_service.policies.policy import Scores

Vectors = NDArray[np.float32]
Numbers = NDArray[np.float64]

# Chosen on training/data/held/gauge and on the public sets of training/data/public, neither of which is measured on.
_GAIN = 4.0  # how much one correction moves of an ask just like it: all but e^-4
_SHARPNESS = 0.05  # of a cosine: what is nearer by so much counts e times as much
_BLOCK = 512  # asks that are looked at at once


@dataclass(frozen=True, slots=True)
class Way:
    """From one route to another, by their positions in a bank's names, and how near an ask must lie: a cosine."""

    source: int
    target: int
    cut: float


@dataclass(frozen=True)
class Bank:
    """Examples by row: `vectors` [n, width] of unit length, where each was taken for (`sources`) and belongs
    (`targets`), as positions in `names`, which are route ids, and "" for none; `weights`; and whether the user has said
    so (`taught`) or merely went on. `model` is the fingerprint of the router model that sees them so.
    """

    model: str
    names: tuple[str, ...]
    vectors: Vectors
    sources: NDArray[np.intp]
    targets: NDArray[np.intp]
    weights: Numbers
    taught: NDArray[np.bool_]
    ways: tuple[Way, ...] = ()

    @cached_property
    def cuts(self) -> Vectors:
        """Of each example, how near an ask must lie for it to move anything; more than 1 where it never does."""
        found = np.full(len(self.sources), 2.0, np.float32)
        for way in self.ways:
            found[self._along(way)] = way.cut
        return found

    def moved(self, before: Numbers, near: Numbers) -> Numbers:
        """Probabilities [asks, names] after what was learned; `near` [asks, n] are the cosines."""
        after = before.copy()
        for way in self.ways:
            along = self._along(way)
            reach = np.clip((near[:, along].max(1) - way.cut) / (1 - way.cut), 0.0, 1.0)
            hit = reach > 0
            if not hit.any():
                continue
            holds = ~self.taught | (self.sources == self.targets)
            here = (self.sources == way.source) & (holds | self._learned)
            close = near[np.ix_(hit, here)]
            pull = self.weights[here] * np.exp((close - close.max(1, keepdims=True)) / _SHARPNESS)
            share = pull[:, along[here]].sum(1) / pull.sum(1)
            move = before[hit, way.source] * share * (1 - np.exp(-_GAIN * reach[hit]))
            after[hit, way.target] += move
            after[hit, way.source] -= move
        return after

    @cached_property
    def _learned(self) -> NDArray[np.bool_]:
        """Which examples lie on a way that is there."""
        found = np.zeros(len(self.sources), np.bool_)
        for way in self.ways:
            found |= self._along(way)
        return found

    def _along(self, way: Way) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.taught & (self.sources == way.source) & (self.targets == way.target)
        return found


def adjusted(scores: Scores, bank: Bank | None) -> Scores:
    """The scores after what was learned; the very same where nothing like the ask was ever corrected."""
    if bank is None or not bank.ways or scores.trouble or scores.model != bank.model or not scores.vector:
        return scores
    asked = np.frombuffer(scores.vector, np.float32)
    if len(asked) != bank.vectors.shape[1]:
        return scores
    near = bank.vectors @ asked
    if not (near > bank.cuts).any():
        return scores
    before = np.array([[scores.routes.get(name, 0.0) if name else scores.none for name in bank.names]])
    after = bank.moved(before, near[None].astype(np.float64))[0]
    moved = {name: float(p) for name, was, p in zip(bank.names, before[0], after, strict=True) if p != was}
    if not moved:
        return scores
    routes = {id: moved.get(id, p) for id, p in scores.routes.items()}
    was = {name: float(p) for name, p in zip(bank.names, before[0], strict=True) if name in moved}
    return replace(scores, routes=routes, none=moved.get("", scores.none), before=was)


def cosines(some: Vectors, others: Vectors) -> Numbers:
    """[some, others], a block at a time: a thousand of each at once would hold up who waits for the cores."""
    parts = [some[at : at + _BLOCK] @ others.T for at in range(0, len(some), _BLOCK)]
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, len(others)))


def fits_of(fits: Mapping[str, float], names: tuple[str, ...]) -> list[float]:
    """What a model once gave each; nothing for those that have come since."""
    return [fits.get(name, 0.0) for name in names]


def unpacked(packed: bytes) -> Vectors:
    """Float32 [width] of unit length."""
    numbers = np.frombuffer(packed, np.int8).astype(np.float32)
    return numbers / max(float(np.linalg.norm(numbers)), 1e-12)
