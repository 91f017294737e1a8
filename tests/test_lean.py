"""A model's graph with less to do says the same."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from training import lean

HEADS, WIDTH = 2, 4


def written(file: Path) -> None:
    """Attends to its own tokens as PyTorch would write it: each size is asked for, and put together again."""
    helper, kinds = onnx.helper, onnx.TensorProto
    draw = np.random.default_rng(1)

    def ints(name: str, *values: int) -> onnx.TensorProto:
        return helper.make_tensor(name, kinds.INT64, [len(values)], values)

    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Gather", ["words", "input_ids"], ["x"]),
            node("Shape", ["x"], ["sizes"]),
            node("Gather", ["sizes", "second"], ["tokens"]),
            node("Gather", ["sizes", "third"], ["width"]),
            node("Div", ["width", "heads"], ["of_head"]),
            node("Cast", ["of_head"], ["squared"], to=kinds.FLOAT),
            node("Sqrt", ["squared"], ["root"]),
            node("Concat", ["one", "tokens", "heads", "of_head"], ["apart"], axis=0),
            node("Concat", ["one", "tokens", "width"], ["together"], axis=0),
            node("Reshape", ["x", "apart"], ["by_token"]),
            node("Transpose", ["by_token"], ["by_head"], perm=[0, 2, 1, 3]),
            node("Transpose", ["by_token"], ["keys"], perm=[0, 2, 3, 1]),
            node("MatMul", ["by_head", "keys"], ["near"]),
            node("Div", ["near", "root"], ["weighed"]),
            node("Softmax", ["weighed"], ["shares"], axis=-1),
            node("MatMul", ["shares", "by_head"], ["seen"]),
            node("Transpose", ["seen"], ["seen_by_token"], perm=[0, 2, 1, 3]),
            node("Reshape", ["seen_by_token", "together"], ["joined"]),
            node("ReduceMean", ["joined"], ["vector"], axes=[1], keepdims=0),
        ],
        "written",
        [helper.make_tensor_value_info("input_ids", kinds.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("vector", kinds.FLOAT, [1, WIDTH])],
        [
            onnx.numpy_helper.from_array(draw.normal(size=(1000, WIDTH)).astype(np.float32), "words"),
            *(ints(name, value) for name, value in (("one", 1), ("second", 1), ("third", 2), ("heads", HEADS))),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), file)


def answers(file: Path, level: onnxruntime.GraphOptimizationLevel) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return [session.run(None, {"input_ids": np.arange(1, long + 1)[None]})[0] for long in (1, 2, 7, 100)]


def test_a_lean_model_says_the_same_to_the_bit_of_asks_of_any_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "router.onnx"
    written(file)
    (tmp_path / "router.json").write_text('{"scale": 1, "tau": 0}')
    before = answers(file, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL)
    monkeypatch.setattr(sys, "argv", ["lean", str(tmp_path)])
    lean.main()
    after = answers(file, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    kinds = {node.op_type for node in onnx.load(file).graph.node}
    assert "Reshape" in kinds and not kinds & {"Shape", "Concat", "Cast", "Sqrt"}
    assert json.loads((tmp_path / "router.json").read_text()) == {"scale": 1, "tau": 0, "optimized": True}
    with pytest.raises(SystemExit):
        lean.main()  # a second time, other things would be fused, and rounded otherwise
