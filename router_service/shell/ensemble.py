"""Several models as one: each reads the ask by itself, and their logits are averaged.

Two small encoders that were trained apart are wrong about different asks. A folder whose `router.json` names `parts` is
such a group, each part a folder in it; `none` (added to the logit of none) and `temperature` are the group's.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from router_service.policies.policy import PreferenceReading, Reading
from router_service.router_json import Group
from router_service.shell.fingerprint import MODEL
from router_service.shell.onnx_model import BadModel, Judge, Judgement, OnnxModel, Vectors, read_json

# As long as what is read of a conversation comes to: see router_service.asks.
_LONG_ASK, _LONG_CONTEXT = "why? " * 160, ("user: " + "then " * 40,) * 4


class Ensemble:
    """`side_by_side`: the parts are asked at once, on a thread each, and an ask takes as long as the slowest of them.
    Nothing for who asks from many threads: all would wait for the same ones."""

    def __init__(
        self,
        folder: Path,
        parts: Sequence[Judge],
        *,
        temperature: float = 1.0,
        none: float = 0.0,
        side_by_side: bool = False,
    ) -> None:
        self.folder = folder
        self.parts = list(parts)
        self.temperature, self.none = temperature, none
        self._ends = [int(end) for end in np.cumsum([part.width for part in self.parts])]
        threads = len(self.parts) - 1 if side_by_side else 0
        self._others = ThreadPoolExecutor(threads, "router-model-part") if threads else None

    @property
    def width(self) -> int:
        return self._ends[-1]

    def reads(self, ask: str) -> bool:
        return any(part.reads(ask) for part in self.parts)

    def preference(self, name: str, description: str) -> Vectors:
        """The parts' vectors, one behind the other."""
        return np.concatenate([part.preference(name, description) for part in self.parts])

    def judge(self, ask: str, context: Sequence[str], preferences: Vectors) -> Judgement:
        """The parts that know the letters of the ask have a say. One alone is calibrated as it is."""
        vectors = np.split(preferences, self._ends[:-1], axis=1)
        reading = [at for at, part in enumerate(self.parts) if part.reads(ask)] or list(range(len(self.parts)))

        def judged(at: int) -> Judgement:
            return self.parts[at].judge(ask, context, np.ascontiguousarray(vectors[at]))

        first, *others = reading
        if self._others is None:
            asked = {at: judged(at) for at in reading}
        else:
            jobs = {at: self._others.submit(judged, at) for at in others}
            asked = {first: judged(first)} | {at: job.result() for at, job in jobs.items()}
        judgements, vector = list(asked.values()), self._vector(asked)
        if len(judgements) == 1:
            return replace(judgements[0], vector=vector)
        logits: Vectors = np.mean([judgement.logits for judgement in judgements], axis=0)
        logits[-1] += self.none
        difficulties = [j.difficulty for j in judgements if j.difficulty is not None]
        return Judgement(logits / self.temperature, np.mean(difficulties, axis=0) if difficulties else None, vector)

    def _vector(self, asked: Mapping[int, Judgement]) -> Vectors | None:
        """The parts' vectors, one behind the other; nothing where one was not asked."""
        told = [judgement.vector for judgement in asked.values()]
        if any(vector is None for vector in told):
            return None
        nothing = [np.zeros(part.width, np.float32) for part in self.parts]
        pieces = [asked[at].vector if at in asked else none for at, none in enumerate(nothing)]
        joined = np.concatenate([piece for piece in pieces if piece is not None])
        return (joined / max(float(np.linalg.norm(joined)), 1e-12)).astype(np.float32)

    def reading(self, ask: str, context: Sequence[str]) -> Reading:
        """What the first part reads; the others read the same in tokens of their own."""
        return replace(self.parts[0].reading(ask, context), model=str(self.folder))

    def preference_reading(self, name: str, description: str) -> PreferenceReading:
        """What all parts read of it; the tokens are those of the part that knows its words best."""
        readings = [part.preference_reading(name, description) for part in self.parts]
        least = min(readings, key=lambda reading: len(reading.kept))
        return replace(least, tokens=min(reading.tokens for reading in readings))


def opened(folder: Path = MODEL, *, side_by_side: bool = False) -> Judge:
    """The model in a folder; `side_by_side` as of a group. Raises BadModel when its files are of no use.

    One that does not come with archgw is tried, so that what cannot run is told now, and not by requests.
    """
    found = read_json(folder / "router.json")
    if isinstance(found, Group):
        parts, heat = [OnnxModel(folder / part) for part in found.parts], found.temperature
        model: Judge = Ensemble(folder, parts, temperature=heat, none=found.none, side_by_side=side_by_side)
    else:
        model = OnnxModel(folder)
    if not folder.is_relative_to(MODEL):
        _try(model)
    return model


def _try(model: Judge) -> None:
    """Ask it once about two preferences. Raises BadModel where that fails, whatever the reason."""
    try:
        preference = model.preference("anything", "whatever is asked")
        model.judge(_LONG_ASK, _LONG_CONTEXT, np.stack([preference, preference]))
    except BadModel:
        raise
    except Exception as error:
        raise BadModel(f"{model.folder}: cannot be run: {type(error).__name__}") from error
