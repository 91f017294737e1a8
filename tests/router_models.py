"""Router models of nobody's making: small, quick, and wrong where a test wants them to be."""

import json
import shutil
from pathlib import Path
from typing import Any

import onnx

from router_service.shell.fingerprint import MODEL

TOKENIZER = MODEL / "english" / "tokenizer.json"
_WIDTH = 4
_HELPER, _KINDS = onnx.helper, onnx.TensorProto


def own_model(
    folder: Path,
    said: str | dict[str, Any] | None = None,
    *,
    vector: str = "vector",
    second: str = "",
    takes: list[str | int] | None = None,
    logits: int = 0,
    least_tokens: int = 0,
    by_length: bool = False,
) -> Path:
    """A vector [1, 4] that depends on how many tokens there are; where `second` names another output, that is its
    negative, and stands first.

    `said`: its router.json. `takes`: it compares, and this is the shape of its preferences; `logits`: it then gives so
    many, whatever it was given. Of fewer than `least_tokens` it makes NaN. `by_length`: its vector is as wide
    as the text is long.
    """
    numbers = _HELPER.make_tensor("numbers", _KINDS.FLOAT, [1, _WIDTH], [0.5, 1.0, -0.5, 0.25])
    least = _HELPER.make_tensor("least", _KINDS.FLOAT, [1], [float(least_tokens)])
    rows = _HELPER.make_tensor("rows", _KINDS.FLOAT, [1, max(logits, 1)], [0.0] * max(logits, 1))
    node = _HELPER.make_node
    nodes = [
        node("Cast", ["input_ids"], ["ids"], to=_KINDS.FLOAT),
        node("Shape", ["input_ids"], ["shape"], start=1),
        node("Cast", ["shape"], ["tokens"], to=_KINDS.FLOAT),
        node("Sub", ["tokens", "least"], ["more"]),
        node("Sqrt", ["more"], ["root"]),
        node("Mul", ["ids" if by_length else "numbers", "root"], [vector]),
    ]
    inputs = [_HELPER.make_tensor_value_info("input_ids", _KINDS.INT64, ["n", "t"])]
    width = "length" if by_length else _WIDTH
    outputs = [_HELPER.make_tensor_value_info(vector, _KINDS.FLOAT, [1, width])]
    if second:
        nodes.append(node("Neg", [vector], [second]))
        outputs.insert(0, _HELPER.make_tensor_value_info(second, _KINDS.FLOAT, [1, width]))
    if takes:
        inputs.append(_HELPER.make_tensor_value_info("preferences", _KINDS.FLOAT, takes))
        outputs.append(_HELPER.make_tensor_value_info("logits", _KINDS.FLOAT, [1, logits or "p"]))
        nodes += [node("Transpose", ["preferences"], ["turned"]), node("MatMul", [vector, "turned"], ["near"])]
        nodes.append(node("Identity", ["rows" if logits else "near"], ["logits"]))
    graph = _HELPER.make_graph(nodes, "own", inputs, outputs, [numbers, least, rows])
    folder.mkdir(exist_ok=True)
    onnx.save(
        _HELPER.make_model(graph, opset_imports=[_HELPER.make_opsetid("", 17)], ir_version=10), folder / "router.onnx"
    )
    shutil.copy(TOKENIZER, folder)
    written = {"scale": 20.0, "tau": 0.3} if said is None else said
    (folder / "router.json").write_text(written if isinstance(written, str) else json.dumps(written), "utf-8")
    return folder
