"""The graph of a model with less to do, and to the bit the same results: python -m training.lean FOLDER ...

Rewrites router.onnx as onnxruntime's optimiser leaves it, without the arithmetic on shapes that comes out the same for
every ask (half of the nodes of what PyTorch writes) and without zero points that are all zero, and says so in
router.json: `optimized` keeps onnxruntime from optimising once more when it is loaded, which takes time and
rounds otherwise, since it now finds more to fuse.
"""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

# Lengths that agree in nothing: tokens, preferences.
PROBES = ((7, 3), (7, 5), (12, 3), (31, 11))
# Where the zero points of the weights stand among the inputs: onnxruntime's contributed operators, version 1.
ZERO_POINTS = {"DynamicQuantizeMatMul": 3, "MatMulIntegerToFloat": 5}

Values = Mapping[str, np.ndarray[Any, Any]]


def lean(file: Path) -> None:
    """Rewrites a model that has not been through here before."""
    _optimise(file)
    model = onnx.load(file)
    graph = model.graph
    constants = _same_for_all(model)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    zeros = {item.name for item in graph.initializer if not numpy_helper.to_array(item).any()}
    for node in graph.node:
        at = ZERO_POINTS.get(node.op_type)
        if at is not None and len(node.input) > at and node.input[at] in zeros:
            node.input[at] = ""  # of an input that is optional: none
    _drop_unused(graph, constants)
    onnx.save(model, file)


def _optimise(file: Path) -> None:
    """What is fused on any processor; not what only suits this one."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(file.with_suffix(".optimized"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    file.with_suffix(".optimized").replace(file)


def _same_for_all(model: Any) -> dict[str, np.ndarray[Any, Any]]:
    """What depends on nothing but the sizes of the inputs and is the same for all of them; by name.

    A `Reshape` whose result has one size that varies is given -1 in its place, under a new name.
    """
    graph, known = model.graph, {item.name for item in model.graph.initializer}
    sized = _of_sizes_alone(graph)
    runs = _probed(model)
    same = {name: runs[0][name] for name in sized if all(_equal(run[name], runs[0][name]) for run in runs)}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] not in known | same.keys():
            sizes = np.array([run[node.output[0]].shape for run in runs], np.int64)
            varies = (sizes != sizes[0]).any(axis=0)
            if varies.sum() == 1:
                node.input[1] = f"{node.output[0]}_sizes"
                same[node.input[1]] = np.where(varies, -1, sizes[0])
    return same


def _of_sizes_alone(graph: Any) -> set[str]:
    asked = {item.name for item in graph.input}
    every: set[str] = set()
    for node in graph.node:
        every.update(filter(None, node.output))
        if node.op_type != "Shape" and asked.intersection(node.input):
            asked.update(node.output)
    return every - asked


def _probed(model: Any) -> list[Values]:
    """Every value of the graph for a few asks of different lengths."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    told = {item.name for item in probe.graph.output}
    names = [name for node in probe.graph.node for name in node.output if name and name not in told]
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probe.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = [item.name for item in session.get_outputs()]
    return [
        dict(zip(outputs, session.run(None, _feed(session, *sizes)), strict=True))
        for sizes in PROBES
    ]  # fmt: skip


def _feed(session: Any, tokens: int, preferences: int) -> dict[str, np.ndarray[Any, Any]]:
    draw = np.random.default_rng(tokens)
    widths = {item.name: item.shape[1] for item in session.get_inputs()}
    feed: dict[str, np.ndarray[Any, Any]] = {
        "input_ids": draw.integers(0, 1000, (1, tokens)),
        "attention_mask": np.ones((1, tokens), np.int64),
        "token_type_ids": np.zeros((1, tokens), np.int64),
    }
    if "preferences" in widths:
        feed["preferences"] = draw.normal(size=(preferences, widths["preferences"])).astype(np.float32)
    return {name: feed[name] for name in widths}


def _equal(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())


def _drop_unused(graph: Any, constants: Iterable[str]) -> None:
    known, kept = set(constants), list[Any]()
    wanted = {item.name for item in graph.output}
    for node in reversed(graph.node):  # each stands behind what it needs
        if wanted.intersection(node.output) - known:
            kept.insert(0, node)
            wanted.update(node.input)
    weights = [item for item in graph.initializer if item.name in wanted]
    for field, values in ((graph.node, kept), (graph.initializer, weights), (graph.value_info, [])):
        del field[:]
        field.extend(values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="each with a router.onnx and its router.json")
    for folder in parser.parse_args().folders:
        about = json.loads((folder / "router.json").read_text("utf-8"))
        if about.get("optimized"):
            parser.error(f"{folder}: is lean already")
        lean(folder / "router.onnx")
        (folder / "router.json").write_text(json.dumps(about | {"optimized": True}, indent=1) + "\n")
        print(folder, len(onnx.load(folder / "router.onnx").graph.node), "nodes")


if __name__ == "__main__":
    main()
