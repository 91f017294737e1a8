"""One ONNX model: a conversation's last ask against preferences that it has read before.

A model is a folder (docs/router-model.md): `router.onnx`, `tokenizer.json`, `router.json`. The ask, with
what was said before as its second segment, and each preference become unit vectors; a preference's logit is `scale` x
cosine, or what the model itself says when it compares (input `preferences`, output `logits`); that of "none" is
`scale` x `tau` plus what the model adds for this ask; all are divided by `temperature`. Nothing leaves the machine and
nothing is downloaded. What the files of others may have wrong is told as a BadModel, when they are loaded or run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

from router_service.asks import context_text, fitted, preference_text
from router_service.policies.policy import PreferenceReading, Reading
from router_service.router_json import Calibration, Group, parse

PREFERENCE_TOKENS = 64
_VECTORS = ("vector", "sentence_embedding")  # what the output is called that is a text's vector; else it is the first

Vectors = NDArray[np.float32]


class BadModel(Exception):
    """A folder that holds no model we can run. Its text, a line, says which file, and what was expected."""


@dataclass(frozen=True, slots=True)
class Read:
    """What the model was shown of a conversation, as tokens: the ask, and what was said before."""

    ask: list[int]
    context: list[int]

    @property
    def tokens(self) -> int:
        return len(self.ask) + len(self.context)


@dataclass(frozen=True, slots=True)
class Judgement:
    """Logits of the preferences and, last, of none [p + 1]; of quick, standard, deep [3], where the model has them.

    `vector`: what was asked, as the model sees it, of unit length [width].
    """

    logits: Vectors
    difficulty: Vectors | None = None
    vector: Vectors | None = None


class Judge(Protocol):
    """What can be asked: one model, or several as one."""

    folder: Path

    @property
    def width(self) -> int:
        """The numbers in a preference."""

    def reads(self, ask: str) -> bool:
        """Whether the model knows the letters of the ask."""

    def preference(self, name: str, description: str) -> Vectors:
        """A preference as `judge` wants it back, as a row of `preferences`."""

    def judge(self, ask: str, context: Sequence[str], preferences: Vectors) -> Judgement: ...

    def reading(self, ask: str, context: Sequence[str]) -> Reading: ...

    def preference_reading(self, name: str, description: str) -> PreferenceReading: ...


class OnnxModel:
    """One session, one thread: a request is too short a job to share between cores. Knows no preferences.

    All that asks it raises BadModel where it cannot be run, or says what is no answer.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._file = folder, folder / "router.onnx"
        self.calibration = _calibration(folder / "router.json")
        self._tokenizer = _tokenizer(folder / "tokenizer.json")
        self._session = _session(self._file, optimized=self.calibration.optimized)
        self._inputs = {item.name for item in self._session.get_inputs()}
        self._outputs = [item.name for item in self._session.get_outputs()]
        self._vector = next((name for name in _VECTORS if name in self._outputs), self._outputs[0])
        self.compares = "preferences" in self._inputs and "logits" in self._outputs
        unknown = self._inputs - {"input_ids", "attention_mask", "token_type_ids", "preferences"}
        if unknown:
            raise BadModel(f"{self._file}: expects {', '.join(sorted(unknown))}, which we cannot give")

    def read(self, ask: str, context: Sequence[str]) -> Read:
        """The ask and its context in the tokens that there is room for."""
        specials = len(self._specials[0]) - (0 if context else 1)
        return Read(*fitted(self._ids(self.calibration.ask_prefix + ask), self._ids(context_text(context)),
                            self.calibration.tokens - specials))  # fmt: skip

    def reads(self, ask: str) -> bool:
        letters = [sign for sign in ask if sign.isalpha()]
        return not self.calibration.latin or 2 * sum(sign < "\u0250" for sign in letters) >= len(letters)

    def judge(self, ask: str, context: Sequence[str], preferences: Vectors) -> Judgement:
        read, how = self.read(ask, context), self.calibration
        outputs = self.encode(read.ask, read.context, preferences)
        vector = outputs["vector"]
        if vector.shape != preferences.shape[1:]:
            found = f"found {preferences.shape[1]} and {len(vector)}"
            raise BadModel(f"{self._file}: {self._vector}: expected as many numbers for every text, {found}")
        near = self._said("logits", outputs, len(preferences)) if self.compares else how.scale * (preferences @ vector)
        none = how.scale * how.tau
        if "none" in outputs:
            none += float(self._said("none", outputs, 1)[0])
        difficulty = self._said("difficulty", outputs, 3) if "difficulty" in outputs else None
        logits = (np.append(near, none) / how.temperature).astype(np.float32)
        return Judgement(logits, difficulty, _unit(vector))

    def reading(self, ask: str, context: Sequence[str]) -> Reading:
        read = self.read(ask, context)
        shown, before = (str(self._tokenizer.decode(ids)) for ids in (read.ask, read.context))
        return Reading(str(self.folder), shown, before, read.tokens)

    def encode(
        self, first: Sequence[int], second: Sequence[int] = (), preferences: Vectors | None = None
    ) -> dict[str, Vectors]:
        """The model's outputs for one text of two segments: `vector` [hidden], and what else it has.

        The vector is a unit one unless the model compares by itself; then it is as the model wants it back among
        `preferences` [p, hidden].
        """
        (begin, middle, end), twos = self._specials[1:], bool(second)
        ids = [*begin, *first, *(middle if twos else end), *second, *(end if twos else ())]
        types = [0] * (len(begin) + len(first) + 1)
        types += [1] * (len(ids) - len(types)) if self._second_type else [0] * (len(ids) - len(types))
        feed: dict[str, NDArray[Any]] = {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, len(ids)), np.int64),
            "token_type_ids": np.array([types], np.int64),
            "preferences": np.zeros((1, self._expected), np.float32) if preferences is None else preferences,
        }
        outputs = self._run({name: feed[name] for name in self._inputs})
        found = outputs[self._vector]
        if np.ndim(found) not in (2, 3) or len(found) != 1:
            raise BadModel(f"{self._file}: {self._vector}: expected [1, hidden], found {list(np.shape(found))}")
        self._check_numbers(self._vector, found)
        vector = found[0].mean(axis=0) if found.ndim == 3 else found[0]
        outputs["vector"] = vector if self.compares else _unit(vector)
        return outputs

    def _run(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, Vectors]:
        try:
            return dict(zip(self._outputs, self._session.run(None, feed), strict=True))
        except Exception as error:  # onnxruntime raises a dozen kinds of its own
            raise BadModel(f"{self._file}: cannot be run: {_briefly(error)}") from error

    def _said(self, name: str, outputs: Mapping[str, Vectors], count: int) -> Vectors:
        """So many numbers [count]."""
        found = outputs[name]
        if np.size(found) != count:
            raise BadModel(f"{self._file}: {name}: expected [1, {count}], found {list(np.shape(found))}")
        self._check_numbers(name, found)
        return found.reshape(count)

    def _check_numbers(self, name: str, found: Vectors) -> None:
        """What is no number is equal to nothing, and the first preference would win."""
        if not np.isfinite(found).all():
            raise BadModel(f"{self._file}: {name}: expected numbers, found {_none_of(found)}")

    def preference(self, name: str, description: str) -> Vectors:
        text = self.calibration.preference_prefix + preference_text(name, description)
        return self.encode(self._ids(text)[:PREFERENCE_TOKENS])["vector"]

    def preference_reading(self, name: str, description: str) -> PreferenceReading:
        """A word that is read in part counts as lost."""
        prefix, text = self.calibration.preference_prefix, preference_text(name, description)
        offsets = self._tokenizer.encode(prefix + text, add_special_tokens=False).offsets
        if len(offsets) <= PREFERENCE_TOKENS:
            return PreferenceReading(text, "", len(offsets), PREFERENCE_TOKENS)
        end = offsets[PREFERENCE_TOKENS - 1][1] - len(prefix)
        if not text[end : end + 1].isspace() and " " in text[:end]:
            end = text.rindex(" ", 0, end)
        return PreferenceReading(text[:end], text[end:].strip(), len(offsets), PREFERENCE_TOKENS)

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids) if text else []

    @cached_property
    def width(self) -> int:
        return len(self.preference("any", ""))

    @cached_property
    def _expected(self) -> int:
        """The numbers in a preference that a model which compares wants to be given: where its input leaves them open,
        as many as its vector has."""
        if not self.compares:
            return 1
        shapes = {item.name: item.shape for item in [*self._session.get_outputs(), *self._session.get_inputs()]}
        known = [shapes[name][-1] for name in ("preferences", self._vector) if shapes[name]]
        fixed = next((size for size in known if isinstance(size, int)), None)
        if fixed is None:
            words = f"the last dimension of preferences or of {self._vector}: expected a number"
            raise BadModel(f"{self._file}: {words}, found {' and '.join(map(str, known)) or 'none'}")
        return fixed

    @cached_property
    def _specials(self) -> tuple[list[int], list[int], list[int], list[int]]:
        """All signs around two segments, and those before, between and behind."""
        around = list(self._tokenizer.encode("", "").ids)
        return around, around[:1], around[1:-1], around[-1:]

    @cached_property
    def _second_type(self) -> bool:
        return 1 in self._tokenizer.encode("a", "b").type_ids


def _unit(vector: Vectors) -> Vectors:
    return (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)


def _none_of(found: Vectors) -> str:
    return "NaN" if np.isnan(found).any() else "infinity"


def _briefly(error: Exception) -> str:
    """The first line, without onnxruntime's number and name of the error."""
    first = str(error).partition("\n")[0]
    return first.partition("Status Message: ")[2] or first.rpartition(" : ")[2] or type(error).__name__


# -- files -----------------------------------------------------------------------------------------------------------


def _session(path: Path, *, optimized: bool) -> Any:
    options = onnxruntime.SessionOptions()
    if optimized:  # once more would take time, and fuse what was not fused before: other roundings
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, too
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen kinds of its own
        raise BadModel(f"{path}: {_why(path, 'no ONNX model that this machine can run')}") from error


def _tokenizer(path: Path) -> Any:
    try:
        found = Tokenizer.from_file(str(path))
        found.no_truncation()  # we cut in the middle, not at the end
        found.no_padding()
        return found
    except Exception as error:
        raise BadModel(f"{path}: {_why(path, 'not a tokenizer.json of the tokenizers library')}") from error


def read_json(path: Path) -> Calibration | Group:
    """What a router.json says. Raises BadModel."""
    try:
        return parse(path.read_text("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadModel(f"{path}: not text in UTF-8") from error
    except OSError as error:
        raise BadModel(f"{path}: {_why(path, f'cannot be read: {error.strerror}')}") from error
    except ValueError as error:
        raise BadModel(f"{path}: {error}") from error


def _calibration(path: Path) -> Calibration:
    found = read_json(path)
    if isinstance(found, Group):
        raise BadModel(f"{path}: parts: a group is no part of another")
    return found


def _why(path: Path, otherwise: str) -> str:
    return otherwise if path.is_file() else "there is no such file"
