"""All figures of the model card, through the path that the gateway takes: python -m training.measure FOLDER ...

Held conversations by two authors who trained nothing, the same typed in haste and with what clients put around them,
probes of negation and of ten languages, and the public sets. Nothing of it is ever trained on (training/splits.py).
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from archgw.evaluation import NONE, Case, Judgement, Report, tags_of

from router_service.asks import ask_and_context
from router_service.shell.ensemble import opened
from router_service.shell.onnx_model import Judge
from router_service.shell.onnx_router import OnnxRouter
from training import corpus
from training.corpus import Corpus, conversation_of
from training.sampling import typo

_TOLD_EVERY = 500  # cases
DEVELOPMENT = ("dev", "quarry")
PUBLIC = ("clinc_n8", "clinc_n16", "clinc_n150", "sgd_n8", "mtbench_n8")
ENVELOPES = (
    "<system-reminder>\nThis is a reminder that your todo list is currently empty. DO NOT mention this to the user "
    "explicitly because they are already aware.\n</system-reminder>\n{}",
    "<ide_opened_file>The user opened the file src/app/main.ts in the IDE. This may or may not be related to the "
    "current task.</ide_opened_file>\n{}",
    "{}\n<environment_details>\n# VSCode Visible Files\nREADME.md\n\n# Current Time\n11/2/2026, 9:41 AM\n"
    "</environment_details>",
    "<environment_context>\n  <cwd>/home/dev/shop</cwd>\n  <approval_policy>on-request</approval_policy>\n"
    "  <shell>zsh</shell>\n</environment_context>\n{}",
    "<user_query>\n{}\n</user_query>",
    "<task>\n{}\n</task>\n<environment_details>\n# Current Mode\nACT MODE\n</environment_details>",
)


def written(part: Corpus, worn: Callable[[str, random.Random], str] = lambda text, _: text) -> Iterator[Case]:
    """Each conversation under each wording of each of its configs; its ask as `worn` leaves it."""
    draw = random.Random(7)
    for config, rows in part.by_config().items():
        for number, row in enumerate(rows):
            *turns, last = row.conversation
            conversation = conversation_of([*turns, last | {"content": worn(last["content"], draw)}])
            for wording in part.configs[config]:
                label = wording[row.labels[config]][0] if row.labels[config] >= 0 else NONE
                yield Case(number, conversation, tuple(wording), label, config, tuple(sorted(row.tags)))


def enveloped(text: str, draw: random.Random) -> str:
    """What clients put around an ask."""
    return draw.choice(ENVELOPES).format(text)


def hasty(text: str, draw: random.Random) -> str:
    """Two slips of the fingers in every hundred signs, one at least, and no capitals."""
    for _ in range(max(1, len(text) // 50)):
        text = typo(text, draw)
    return text.lower()


def public(path: Path) -> Iterator[Case]:
    found = json.loads(path.read_text("utf-8"))
    preferences = [(name, description) for name, description in found["routes"]]
    for number, row in enumerate(found["rows"]):
        routes = preferences if row["routes"] == "all" else [preferences[i] for i in row["routes"]]
        label = routes[row["label"]][0] if row["label"] >= 0 else NONE
        turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": t} for i, t in enumerate(row["turns"])]
        yield Case(number, conversation_of(turns), tuple(routes), label)


class Remembering:
    """Reads each preference once, however many lists it stands in."""

    def __init__(self, model: Judge) -> None:
        self.folder, self.width = model.folder, model.width
        self.judge, self.reading, self.reads = model.judge, model.reading, model.reads
        self.preference, self.preference_reading = cache(model.preference), model.preference_reading


def counted(name: str, cases: Iterable[Case]) -> Iterator[Case]:
    """The same cases; standard error is told how many of this set are done, at its beginning, its end and between."""
    known = list(cases)
    for number, case in enumerate(known):
        if number % _TOLD_EVERY == 0:
            _tell(f"{name}: {number:,} of {len(known):,}")
        yield case
    _tell(f"{name}: all {len(known):,}")


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def judged(model: Judge, name: str, cases: Iterable[Case]) -> Report:
    """`name`: of the set, for who waits."""
    routers: dict[tuple[tuple[str, str], ...], OnnxRouter] = {}
    judgements = []
    for case in counted(name, cases):
        if case.routes not in routers:
            routers[case.routes] = OnnxRouter([(name, name, text) for name, text in case.routes], model)
        started = time.perf_counter()
        scores = routers[case.routes].score(*ask_and_context(case.conversation))
        judgements.append(Judgement(case, scores.routes, scores.none, time.perf_counter() - started))
    return Report(judgements)


def measured(folder: Path) -> dict[str, Any]:
    """Every figure by name: shares from 0 to 1, milliseconds."""
    _tell(f"measuring {folder}")
    model = Remembering(opened(folder))
    held = dict(corpus.authored(corpus.DATA / "held"))
    clean = {name: judged(model, name, written(held[name])) for name in DEVELOPMENT}
    dev = Report([j for report in clean.values() for j in report.judgements])
    figures: dict[str, Any] = {
        "development top-1": dev.top1,
        "with none": dev.accuracy_with_none,
        "none AUROC": dev.none_auroc,
        "calibration error": dev.calibration_error,
        "follow-ups": _top1(dev, "follow-up"),
        "hard": _top1(dev, "hard"),
        "pasted": _top1(dev, "paste"),
    }
    figures |= {f"{name} top-1": report.top1 for name, report in clean.items()}
    for name, worn in (("in client envelopes", enveloped), ("typed in haste", hasty)):
        figures[name] = _mean([judged(model, f"{part} {name}", written(held[part], worn)) for part in DEVELOPMENT])
    figures["negation"] = judged(model, "negation", written(held["negation"])).top1
    languages = judged(model, "languages", written(held["languages"]))
    spoken = languages.by(lambda case: [t for t in case.tags if t != "single"])
    figures |= {f"language {name}": part.top1 for name, part in sorted(spoken.items())}
    for name in PUBLIC:
        inside = judged(model, name, public(corpus.DATA / "eval" / f"{name}.json"))
        figures[name] = inside.top1
        outside = corpus.DATA / "eval" / f"{name}_none.json"
        if outside.exists():
            fitting_none = judged(model, f"{name} none", public(outside))
            both = Report([*inside.judgements, *fitting_none.judgements])
            figures[f"{name} none AUROC"] = both.none_auroc
    return figures | {"p50 ms": dev.latency(0.5), "p95 ms": dev.latency(0.95), "reliability": dev.reliability}


def _mean(reports: Sequence[Report]) -> float:
    return Report([j for report in reports for j in report.judgements]).top1


def _top1(report: Report, tag: str) -> float:
    return report.by(tags_of)[tag].top1


def drawn(reliability: Sequence[tuple[float, float, int]], file: Path) -> None:
    """What the reported score promises against what it keeps."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.6, 4.2), layout="constrained")
    axes.plot([0, 1], [0, 1], color="0.7", linewidth=1)
    sure, right, count = zip(*reliability, strict=True)
    axes.plot(sure, right, color="#2563eb", linewidth=1.5)
    axes.scatter(sure, right, s=[12 + 400 * n / sum(count) for n in count], color="#2563eb")
    axes.set(xlabel="reported score", ylabel="share that was right", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.set_title("Development set; a dot's size is its share of the asks", fontsize=9)
    figure.savefig(file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, nargs="+", help="folders as router_service/model is one")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--plot", type=Path, help="where to draw the reliability of the first model, as SVG or PNG")
    known = parser.parse_args()
    columns = {folder.name: measured(folder) for folder in known.model}
    if known.plot:
        drawn(columns[known.model[0].name]["reliability"], known.plot)
    if known.json:
        print(json.dumps(columns, indent=1))
        return
    print("|  |", " | ".join(columns), "|\n|---|" + "---|" * len(columns))
    for name in next(iter(columns.values())):
        if name != "reliability":
            cells = (column[name] for column in columns.values())
            print(f"| {name} |", " | ".join(f"{v:.1f}" if name.endswith("ms") else f"{v:.3f}" for v in cells), "|")


if __name__ == "__main__":
    main()
