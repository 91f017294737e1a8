"""Scores a conversation's last ask against the user's own written preferences, which are read once."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_service.policies.policy import Reading, Scores
from router_service.shell.ensemble import opened
from router_service.shell.fingerprint import fingerprint
from router_service.shell.onnx_model import Judge, Vectors

DIFFICULTIES = ("quick", "standard", "deep")


class OnnxRouter:
    """A model that has read the user's preferences, each an (id, name, description).

    `seen_as`: the fingerprint of the files that `model` was loaded from, where that was a while ago.
    """

    def __init__(
        self, preferences: Sequence[tuple[str, str, str]], model: Judge | None = None, seen_as: str = ""
    ) -> None:
        self.model = model or opened()
        self.seen_as = seen_as or fingerprint(self.model.folder)
        self._ids = [id_ for id_, _, _ in preferences]
        vectors = [self.model.preference(name, description) for _, name, description in preferences]
        self.vectors: Vectors = np.stack(vectors) if vectors else np.zeros((0, 1), np.float32)

    def score(self, ask: str, context: Sequence[str] = ()) -> Scores:
        """Probabilities of the preferences and of none; takes milliseconds of CPU, so call it off the event loop."""
        started = time.perf_counter()
        if not self._ids:
            return Scores()
        judgement = self.model.judge(ask, context, self.vectors)
        *routes, none = softmax(judgement.logits)
        difficulty = [] if judgement.difficulty is None else softmax(judgement.difficulty)
        return Scores(
            dict(zip(self._ids, routes, strict=True)),
            none,
            time.perf_counter() - started,
            difficulty=dict(zip(DIFFICULTIES, difficulty, strict=False)),
            vector=b"" if judgement.vector is None else judgement.vector.tobytes(),
            model=self.seen_as,
        )

    def reading(self, ask: str, context: Sequence[str] = ()) -> Reading:
        return self.model.reading(ask, context)


def softmax(logits: NDArray[Any]) -> list[float]:
    weights = np.exp(logits - logits.max())
    shares: list[float] = (weights / weights.sum()).tolist()
    return shares
