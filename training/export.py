"""A trained router model as the gateway runs it: one ONNX file, int8 where that costs nothing, and its calibration.

python -m training.export RUN OUT: reads `router.pt` and `run.json` of a training run, and writes router.onnx,
tokenizer.json and router.json. The temperature is fitted on conversations that trained nothing.
"""

import argparse
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn
from torch.nn import functional

from training.lean import lean
from training.model import Router, unit
from training.train import ASK_TOKENS, Texts, by_author, load, score_all

OPSET = 17


class Exported(nn.Module):
    """One text without padding, and the preferences it is compared with: the contract of docs/router-model.md."""

    def __init__(self, model: Router) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, preferences: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        states, mean = self.model.encode(input_ids, token_type_ids)
        none, difficulty = self.model.none(mean), self.model.difficulty(mean)
        if preferences is None or self.model.glance is None:
            return unit(mean), none, difficulty
        logits, findings = self.model.glance(states[:, :, -1], None, preferences, self.model.scale)
        if self.model.council:
            weighed = self.model.council(findings, mean)
            logits, none = logits + weighed[:, :-1], none + weighed[:, -1:]
        return mean, none, difficulty, logits


def export(model: Router, folder: Path) -> None:
    """Writes router.float.onnx and its int8 twin, router.onnx."""
    model.eval()
    inputs, names = ["input_ids", "token_type_ids"], ["vector", "none", "difficulty"]
    sample: tuple[Tensor, ...] = torch.tensor([[101, 2023, 2003, 102]]), torch.tensor([[0, 0, 0, 0]])
    axes = {name: {1: "tokens"} for name in inputs}
    if model.glance:
        sample = *sample, torch.zeros(2, model.shape.hidden)
        inputs, names = [*inputs, "preferences"], [*names, "logits"]
        axes |= {"preferences": {0: "preferences"}, "logits": {1: "preferences"}}
    torch.onnx.export(
        Exported(model), sample, str(folder / "router.float.onnx"), input_names=inputs, output_names=names,
        dynamic_axes=axes, opset_version=OPSET, dynamo=False,
    )  # fmt: skip
    quantize_dynamic(
        folder / "router.float.onnx", folder / "router.onnx", weight_type=QuantType.QInt8, per_channel=True,
        reduce_range=True,  # processors without VNNI add pairs of products in 16 bits, which eight bits overflow
        extra_options={"MatMulConstBOnly": True}, nodes_to_exclude=_heads(folder / "router.float.onnx"),
    )  # fmt: skip
    lean(folder / "router.onnx")


def _heads(file: Path) -> list[str]:
    """All products but the encoder's: 3 MB more, and near half of the error that rounding makes in `multilingual`."""
    nodes = onnx.load(file).graph.node
    return [node.name for node in nodes if node.op_type in ("MatMul", "Gemm") and "/layers." not in node.name]


def calibrated(logits: Sequence[Tensor], gold: Sequence[int]) -> tuple[float, float]:
    """(temperature, shift of none) by which the reported score means what it says: those of the least log loss.

    The shift is added to the logit of none, which is the last; then all are divided by the temperature.
    """
    wide = max(map(len, logits))  # of the preferences, so that none stands last in each row
    rows = torch.full((len(logits), wide), -torch.inf)
    for row, of_case in zip(rows, logits, strict=True):
        row[: len(of_case) - 1], row[-1] = of_case[:-1], of_case[-1]
    right = torch.tensor([wide - 1 if g == len(r) - 1 else g for g, r in zip(gold, logits, strict=True)])
    best = (float("inf"), 1.0, 0.0)
    for shift in np.linspace(-3, 3, 49):
        moved = rows.clone()
        moved[:, -1] += float(shift)
        for t in np.geomspace(0.3, 5.0, 60):
            loss = functional.cross_entropy(moved / float(t), right).item()
            best = min(best, (loss, float(t), float(shift)))
    return best[1], best[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", type=Path, required=True, help="the folder that the run started from")
    parser.add_argument("--calibrate", default="", help="authors whose conversations fit the calibration")
    parser.add_argument("--data", type=Path, action="append", default=[])
    parser.add_argument("--latin", action="store_true", help="the base knows only languages in Latin letters")
    arguments = parser.parse_args()
    model = load(arguments.run, arguments.base)
    arguments.out.mkdir(parents=True, exist_ok=True)
    export(model, arguments.out)
    texts = Texts(arguments.base)
    held = list(by_author(arguments.data, arguments.calibrate.split(",")).values())
    t, shift = calibrated(*score_all(model, texts, held)) if held else (1.0, 0.0)
    scale = model.scale.item()
    calibration: dict[str, float | int | bool] = {
        "scale": round(scale, 4),
        "tau": round(model.tau.item() + shift / scale, 5),
        "temperature": round(t, 4),
        "tokens": ASK_TOKENS + 3,
        "optimized": True,
    }
    if arguments.latin:
        calibration["latin"] = True
    (arguments.out / "router.json").write_text(json.dumps(calibration, indent=1) + "\n")
    shutil.copy(arguments.base / "tokenizer.json", arguments.out / "tokenizer.json")
    print(json.dumps(calibration), *(f"{f.name} {f.stat().st_size / 1e6:.1f} MB" for f in arguments.out.iterdir()))
    print("int8 against float, least cosine:", _parity(arguments.out, texts, model.shape.hidden))


def _parity(folder: Path, texts: Texts, hidden: int) -> float:
    """The least cosine between the two files' vectors over a few texts."""
    as_it_is = onnxruntime.SessionOptions()
    as_it_is.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    sessions = [
        onnxruntime.InferenceSession(str(folder / "router.float.onnx")),
        onnxruntime.InferenceSession(str(folder / "router.onnx"), as_it_is),
    ]
    least = 1.0
    for text in ("why is this slow?", "write a parser for TOML dates", "und jetzt bitte noch die Tests dazu"):
        x = texts.padded([texts.preference(("", text))])
        feed = {"input_ids": x["ids"].numpy(), "token_type_ids": x["types"].numpy()}
        known = {item.name for item in sessions[0].get_inputs()}
        feed["preferences"] = np.zeros((1, hidden), np.float32)
        a, b = (s.run(["vector"], {k: v for k, v in feed.items() if k in known})[0][0] for s in sessions)
        least = min(least, float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)))
    return least


if __name__ == "__main__":
    main()
