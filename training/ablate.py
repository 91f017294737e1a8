"""What each part of the recipe is worth: python -m training.ablate --base FOLDER --out FOLDER [--only NAME,...]

Trains small runs that differ in one thing, all for the same number of steps and from the same base, asks each about the
conversations that are held out, and prints the table. A run that is finished is not trained again.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from training import corpus
from training.train import Run, Texts, evaluate, load, material, shown, train

FIRST = "backend,data,polyglot,product,sessions,systems"  # the first six authors
SECOND = (  # those up to the first model that shipped: 12,500 conversations
    f"{FIRST},anchor,contrast,desk,field,flint,forge,fork,harbor,knot,loft,loom,mint,moth,quay,sable,spire,talon,warp"
)
PLAIN = Run(steps=200, rate=1.2e-4, share=0.1, glance=True, council=True, frozen=2, authors=SECOND)
VARIANTS: dict[str, dict[str, Any]] = {
    "all of it": {},
    "zero-shot": {"steps": 0},
    "public sets alone": {"share": 1.0},
    "the first six authors alone": {"authors": FIRST},
    "an eighth of the written rows": {"rows": 0.125},
    "a quarter of the written rows": {"rows": 0.25},
    "half of the written rows": {"rows": 0.5},
    "with the eight later authors": {"authors": ""},
    "without the turns before": {"context": False},
    "plain bi-encoder": {"glance": False, "council": False},
    "glance without council": {"council": False},
    "readers besides": {"readers": 2},
    "without public sets": {"share": 0.0},
    "without lists put together from facets": {"facets": False},
    "second seed": {"seed": 1},
    "third seed": {"seed": 2},
    "taught by the larger one too": {},
}
COLUMNS = {"top-1": "top1", "with none": "with_none", "none AUROC": "auroc", "follow-ups": "#multi", "hard": "#hard"}


def variant(name: str, teacher: str) -> Run:
    changed = replace(PLAIN, **VARIANTS[name])
    return replace(changed, teacher=teacher) if name == "taught by the larger one too" else changed


def figures(run: Run, base: Path, out: Path) -> dict[str, float]:
    """What this run reaches on the conversations held out; trained here unless it already was."""
    known = out / "figures.json"
    if not known.exists():
        written = [corpus.DATA / "written"]
        train(run, base, out, written, corpus.DATA / "public" / "public.json", None, 0)
        _, held = material(run, written)
        known.write_text(json.dumps(evaluate(load(out, base), Texts(base), held.values()), indent=1) + "\n")
    found: dict[str, float] = json.loads(known.read_text())
    return found


def table(found: dict[str, dict[str, float]]) -> str:
    """In Markdown, the first row is what the others are compared with."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, of_run in found.items():
        lines.append(f"| {name} | {' | '.join(f'{100 * of_run[key]:.1f}' for key in COLUMNS.values())} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="a folder of training.bases")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help=f"some of: {', '.join(VARIANTS)}")
    parser.add_argument("--teacher", default="", help="RUN,BASE of the larger one")
    parser.add_argument("--threads", type=int, default=2)
    known = parser.parse_args()
    torch.set_num_threads(known.threads)
    wanted = [name for name in known.only.split(",") if name] or list(VARIANTS)
    found = {}
    for name in wanted:
        print(f"-- {name}", flush=True)
        found[name] = figures(variant(name, known.teacher), known.base, known.out / name.replace(" ", "-"))
        print(shown(found[name]), flush=True)
    print(table(found))


if __name__ == "__main__":
    main()
