"""How well the router model tells quick, standard and deep asks apart: python -m training.difficulty [FOLDER]

On held conversations that trained nothing: `gauge`, by which `policies/difficulty.py` chose its thresholds, and the
development authors, on whom they are told.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from router_service.policies.difficulty import DEEP, QUICK
from router_service.shell.ensemble import opened
from router_service.shell.fingerprint import MODEL
from router_service.shell.onnx_router import DIFFICULTIES, OnnxRouter
from training import corpus
from training.measure import DEVELOPMENT

THRESHOLDS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9)
_ANY = [("a", "writing code", "writing new code")]  # preferences have no say in it, but there must be one

Judged = tuple[int, list[float]]
"""What it is, and the probabilities of each, in the order of DIFFICULTIES."""


def judged(router: OnnxRouter, names: Sequence[str]) -> Iterator[Judged]:
    held = dict(corpus.authored(corpus.DATA / "held"))
    for name in names:
        for row in held[name].rows:
            if row.difficulty is not None:
                found = router.score(row.ask, row.context).difficulty
                yield row.difficulty, [found[word] for word in DIFFICULTIES]


def told(title: str, rows: Sequence[Judged]) -> None:
    right = sum(max(range(3), key=lambda at: shares[at]) == is_ for is_, shares in rows) / len(rows)
    counts = ", ".join(f"{sum(is_ == at for is_, _ in rows)} {word}" for at, word in enumerate(DIFFICULTIES))
    print(f"\n{title}: {len(rows)} asks ({counts}), {right:.3f} of them told right\n")
    print("| taken for | from | how many | of them right | found of all | opposites |\n|---|---|---|---|---|---|")
    for level, chosen in ((0, QUICK), (2, DEEP)):
        for least in sorted({*THRESHOLDS, chosen}):
            taken = [is_ for is_, shares in rows if shares[level] >= least]
            hits, all_of_it = taken.count(level), sum(is_ == level for is_, _ in rows)
            mark = " (chosen)" if least == chosen else ""
            shares = f"{hits / max(1, len(taken)):.3f} | {hits / all_of_it:.3f}"
            print(f"| {DIFFICULTIES[level]} | {least}{mark} | {len(taken)} | {shares} | {taken.count(2 - level)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=MODEL)
    router = OnnxRouter(_ANY, opened(parser.parse_args().folder))
    told("gauge", list(judged(router, ["gauge"])))
    told("development", list(judged(router, DEVELOPMENT)))


if __name__ == "__main__":
    main()
