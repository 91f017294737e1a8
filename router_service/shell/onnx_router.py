"""Runs the preference-router model: a conversation's last ask against the user's own written preferences.

A bi-encoder: the ask (with a little context as its second segment) and each preference ("name: description")
become unit vectors; a preference's score is `scale` x cosine and competes with "none" at `scale` x `tau`. The
preferences' vectors are computed once. Nothing leaves the machine and nothing is downloaded.
"""

import json
import os
import time
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it would miss PyTorch aloud, which we do not need
from transformers import PreTrainedTokenizerFast

from router_service.intent import shortened
from router_service.plan import Route
from router_service.policies.policy import Scores

MODEL = Path(str(files("router_service") / "model"))
MAX_TOKENS = 128
_CONTEXT_CHARACTERS = 160

Vectors = NDArray[np.float32]


class OnnxRouter:
    """One session, one thread: a request is too short a job to share between cores."""

    def __init__(self, routes: Sequence[Route], *, folder: Path = MODEL) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / "router.int8.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer: Any = PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json"),
            pad_token="[PAD]",  # noqa: S106 - a token of the vocabulary, not a password
            cls_token="[CLS]",  # noqa: S106
            sep_token="[SEP]",  # noqa: S106
            unk_token="[UNK]",  # noqa: S106
        )
        calibration = json.loads((folder / "router.json").read_text())
        self._scale, self._tau = float(calibration["scale"]), float(calibration["tau"])
        self._ids = [route.id for route in routes]
        self._routes = self._embed([(f"{route.name}: {route.description}", "") for route in routes])

    def score(self, ask: str, context: Sequence[str] = ()) -> Scores:
        """Probabilities of the routes and of none; takes milliseconds of CPU, so call it off the event loop."""
        started = time.perf_counter()
        before = " | ".join(shortened(turn, most=_CONTEXT_CHARACTERS, head=110) for turn in context)
        query = self._embed([(ask, before)])[0]
        logits = np.append(self._scale * (self._routes @ query), self._scale * self._tau)
        weights = np.exp(logits - logits.max())
        *routes, none = (weights / weights.sum()).tolist()
        return Scores(dict(zip(self._ids, routes, strict=True)), none, time.perf_counter() - started)

    def _embed(self, texts: Sequence[tuple[str, str]]) -> Vectors:
        if not texts:
            return np.zeros((0, 384), np.float32)
        pairs = any(second for _, second in texts)
        encoded = self._tokenizer(
            [first for first, _ in texts],
            [second for _, second in texts] if pairs else None,
            truncation="longest_first",
            max_length=MAX_TOKENS,
            padding=True,
            return_token_type_ids=True,
            return_tensors="np",
        )
        inputs = {name: encoded[name].astype(np.int64) for name in ("input_ids", "token_type_ids")}
        vectors: Vectors = self._session.run(None, inputs)[0]
        return vectors
