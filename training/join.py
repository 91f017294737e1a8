"""Makes one router model of several that lie beside each other: python -m training.join FOLDER PART ...

Writes FOLDER/router.json: the names of the parts, and the temperature and shift of none, fitted on conversations that
trained nothing, with the logits that the gateway will see.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from router_service.shell.ensemble import Ensemble
from router_service.shell.onnx_model import OnnxModel
from training import corpus
from training.export import calibrated
from training.train import by_author


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="+", help="folders in it")
    parser.add_argument("--calibrate", default="gauge", help="authors whose conversations fit the calibration")
    known = parser.parse_args()
    group = Ensemble(known.folder, [OnnxModel(known.folder / part) for part in known.parts])
    logits: list[Tensor] = []
    gold: list[int] = []
    for part in by_author([corpus.DATA / "held"], known.calibrate.split(",")).values():
        for config, rows in part.by_config().items():
            for wording in part.configs[config]:
                vectors = torch.stack([torch.from_numpy(group.preference(*p)) for p in wording]).numpy()
                for row in rows:
                    label = row.labels[config]
                    logits.append(torch.from_numpy(group.judge(row.ask, row.context, vectors).logits).float())
                    gold.append(label if label >= 0 else len(wording))
    temperature, none = calibrated(logits, gold)
    found = {"parts": known.parts, "temperature": round(temperature, 4), "none": round(none, 4)}
    (known.folder / "router.json").write_text(json.dumps(found) + "\n")
    print(json.dumps(found), f"fitted on {len(gold)} judgements")


if __name__ == "__main__":
    main()
