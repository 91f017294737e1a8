"""What feedback is worth: OPENBLAS_NUM_THREADS=1 python bench/learning.py [--write] [--seeds 3] [--cache FOLDER]

Three parts, all with the code that the gateway runs (`learning.learn`, `learning.adjusted`, `beliefs`).

Preferences. A simulated user over public data whose configuration is wrong on purpose: CLINC150's test asks with its
ten domains as preferences, and the coding development set (training/data/held/dev and quarry, by two authors, under
their own lists). Two preferences of each list are swapped, or described so that they say nothing, or described as
something else. He asks what stands in one half of the data, in a random order, and says "should be X" of an ask of
those two that goes wrong, until he has done so 1, 3, 10, 30 times of each (or has nothing more to ask); of one right
answer in ten he says that it was good, and of all else nothing. Never does he correct another preference. Measured on
the other half.

Models. 2,000 turns of one preference in sixty days, four models whose quality drifts (a slow wave, a random walk, one
that breaks down half way); what is said is noisy. Regret: what the best model of each moment would have answered well,
and the chosen one did not. 20 seeds.

Time. What the lookup adds to a request, with 0, 100 and 1,000 examples, beside what the router model itself takes.
"""

import argparse
import json
import math
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from learning_domains import DOMAINS, WORDS
from learning_plots import Line, plot

from router_service import beliefs
from router_service.bank import Bank, Way
from router_service.config import parse
from router_service.evidence import NONE, Asked, Evidence, Said, Turn, packed
from router_service.learning import NOTHING, Learned, adjusted, learn
from router_service.plan import Plan, plan
from router_service.policies import best
from router_service.policies.policy import Scores
from router_service.shell import fingerprint
from router_service.shell.onnx_router import OnnxRouter
from training import corpus

DOCS = Path(__file__).resolve().parent.parent / "docs"
LEVELS = (0, 1, 3, 10, 30)  # corrections of each preference
DAY = 86_400.0
MODEL = "the one"
Preferences = tuple[tuple[str, str], ...]


# -- data ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Asks as the router model sees them under a wrong list: `truth` by position in the preferences, -1 for none."""

    data: str
    wrong: str
    preferences: Preferences
    touched: tuple[int, ...]
    scores: tuple[Scores, ...]
    truth: tuple[int, ...]

    def plan(self) -> Plan:
        listed = [{"name": name, "description": text, "models": ["openai/a"]} for name, text in self.preferences]
        text = {"llm_providers": [{"model": "openai/a", "access_key": "k"}], "routing_preferences": listed}
        return plan(parse(json.dumps(text), file="config.yaml", environment={}))


def wrongs(preferences: Preferences) -> Iterator[tuple[str, Preferences, tuple[int, ...]]]:
    first, second, *rest = preferences
    last = len(preferences) - 1
    yield "swapped", ((first[0], second[1]), (second[0], first[1]), *rest), (0, 1)
    vague = (("project a", "all kinds of tasks"), *preferences[1:-1], ("misc", "other things"))
    yield "says nothing", vague, (0, last)
    misleading = ((first[0], "cooking recipes and meal plans"), ("gardening", "plants and soil in the garden"), *rest)
    yield "misleading", misleading, (0, 1)


def lists() -> Iterator[tuple[str, Preferences, list[tuple[str, tuple[str, ...]]], list[int]]]:
    """The right lists, with their asks and where each belongs."""
    found = json.loads((corpus.DATA / "eval" / "clinc_n150.json").read_text("utf-8"))
    names = list(DOMAINS)
    domain = {intent: at for at, name in enumerate(names) for intent in DOMAINS[name]}
    asks = [(row["turns"][-1], ()) for row in found["rows"]]
    yield "CLINC150", tuple(WORDS.items()), asks, [domain[found["routes"][row["label"]][0]] for row in found["rows"]]
    held = dict(corpus.authored(corpus.DATA / "held"))
    for author in ("dev", "quarry"):
        for config, rows in held[author].by_config().items():
            wording = tuple((name, text) for name, text in held[author].configs[config][0])
            yield "coding", wording, [(row.ask, row.context) for row in rows], [row.labels[config] for row in rows]


def cases(cache: Path) -> list[Case]:
    """Scored once, for it takes minutes: ten thousand asks."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    known = fingerprint.fingerprint(fingerprint.MODEL)
    made = []
    for number, (data, preferences, asks, truth) in enumerate(lists()):
        for wrong, listed, touched in wrongs(preferences):
            file = cache / f"{known}-{number}-{wrong.replace(' ', '-')}.npz"
            if not file.exists():
                _score(file, listed, asks)
            kept = np.load(file)
            case = Case(data, wrong, listed, touched, (), tuple(truth))
            ids = [route.id for route in case.plan().routes]
            scores = tuple(
                Scores(dict(zip(ids, fits[:-1], strict=True)), fits[-1], vector=seen.tobytes(), model=MODEL)
                for fits, seen in zip(kept["fits"].tolist(), kept["vectors"], strict=True)
            )
            made.append(replace(case, scores=scores))
    return made


def _score(file: Path, preferences: Preferences, asks: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    router = OnnxRouter([(name, name, text) for name, text in preferences])
    found = [router.score(ask, context) for ask, context in asks]
    vectors = np.stack([np.frombuffer(one.vector, np.float32) for one in found])
    np.savez(file, fits=np.array([[*one.routes.values(), one.none] for one in found]), vectors=vectors)
    print(f"  scored {len(asks)} asks under {preferences[0][0]}, {preferences[1][0]} ...", flush=True)


# -- preferences ---------------------------------------------------------------------------------------------------


@dataclass
class User:
    """Asks, and says something now and then."""

    case: Case
    chance: random.Random

    def __post_init__(self) -> None:
        self.plan = self.case.plan()
        self.names = [*(route.name for route in self.plan.routes), NONE]
        order = list(range(len(self.case.truth)))
        self.chance.shuffle(order)
        self.to_ask, self.held = order[: len(order) // 2], order[len(order) // 2 :]
        self.asked: list[Asked] = []
        self.said: list[Said] = []
        self.corrected: dict[int, int] = defaultdict(int)
        self.learned: Learned = NOTHING

    def right(self, at: int) -> bool:
        return self._goes(at) == self._name(self.case.truth[at])

    def ask_until(self, level: int) -> None:
        """Each touched preference corrected so often, or nothing left to ask."""
        while self.to_ask and any(self.corrected[one] < level for one in self.case.touched):
            at = self.to_ask.pop(0)
            truth, goes = self.case.truth[at], self._goes(at)
            request, when = f"{len(self.asked):04d}", float(len(self.asked))
            scores = self.case.scores[at]
            fits = (*zip(self.names, [*scores.routes.values(), scores.none], strict=True),)
            self.asked.append(Asked(request, when, route=goes, model=MODEL, vector=packed(scores.vector), fits=fits))
            if goes != self._name(truth) and truth in self.case.touched and self.corrected[truth] < level:
                self.corrected[truth] += 1
                self.said.append(Said(request, "should be", when, f"preference:{self._name(truth)}", when))
            elif goes == self._name(truth) and self.chance.random() < 0.1:
                self.said.append(Said(request, "good", when, "", when))
            else:
                continue
            found = learn(Evidence(tuple(self.asked), tuple(self.said)), self.plan, MODEL, now=when)
            self.learned = found.get("", NOTHING)

    def _goes(self, at: int) -> str:
        scores = adjusted(self.case.scores[at], self.learned)
        best = max(self.plan.routes, key=lambda route: scores.routes[route.id])
        return best.name if scores.routes[best.id] >= scores.none else NONE

    def _name(self, position: int) -> str:
        return self.names[position]


def curves(cache: Path, seeds: int) -> dict[tuple[str, str], dict[int, dict[str, float]]]:
    """By (data, what is wrong) and level: shares that are right, of what was touched and of the rest."""
    runs: dict[tuple[str, str], dict[int, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for case in cases(cache):
        for seed in range(seeds):
            user = User(case, random.Random(seed))
            base = {at: user.right(at) for at in user.held}
            for level in LEVELS:
                user.ask_until(level)
                runs[case.data, case.wrong][level].append(_measured(user, base))
        print(f"  {case.data}, {case.wrong}: {case.preferences[0][0]} ...", flush=True)
    return {key: {level: _joined(some) for level, some in levels.items()} for key, levels in runs.items()}


def _measured(user: User, base: dict[int, bool]) -> dict[str, Any]:
    now = {at: user.right(at) for at in user.held}
    touched = [at for at in user.held if user.case.truth[at] in user.case.touched]
    rest = [at for at in user.held if user.case.truth[at] not in user.case.touched]
    by_preference: dict[int, list[int]] = defaultdict(list)
    for at in rest:
        by_preference[user.case.truth[at]].append(at)
    return {
        "touched": [now[at] for at in touched],
        "rest": [now[at] for at in rest],
        "rest before": [base[at] for at in rest],
        "each": {
            (id(user.case), one): (sum(now[at] - base[at] for at in some), len(some))
            for one, some in by_preference.items()
        },
        "said": sum(user.corrected.values()) / len(user.case.touched),
    }


def _joined(runs: list[dict[str, Any]]) -> dict[str, float]:
    """`worst`: the preference that lost most, over all seeds; of those with ten asks at least."""
    each: dict[Any, list[int]] = defaultdict(lambda: [0, 0])
    for run in runs:
        for key, (change, number) in run["each"].items():
            each[key][0] += change
            each[key][1] += number
    changes = [change / number for change, number in each.values() if number >= 10]
    return {
        "touched": statistics.mean(one for run in runs for one in run["touched"]),
        "rest": statistics.mean(one for run in runs for one in run["rest"]),
        "rest before": statistics.mean(one for run in runs for one in run["rest before"]),
        "worst": min(changes, default=0.0),
        "lost": sum(change < -0.05 for change in changes) / len(changes),
        "said": statistics.mean(run["said"] for run in runs),
    }


# -- models --------------------------------------------------------------------------------------------------------

MODELS = ("first", "second", "third", "fourth")  # in the written order
TURNS, DAYS, EVERY = 2_000, 60.0, 20  # how often it is learned anew
WORDS_OF_A_BAD = (("re-ask", 0.2), ("correction", 0.15), ("retried", 0.1), ("override", 0.05), ("bad", 0.04))
WORDS_OF_A_GOOD = (
    ("re-ask", 0.03),
    ("interrupted", 0.03),
    ("retried", 0.02),
    ("good", 0.04),
)  # the first three are false


def qualities(chance: random.Random) -> list[list[float]]:
    """[turn][model]: the share of good answers at that moment."""
    base = [chance.uniform(0.6, 0.9) for _ in MODELS]
    phase, walk = [chance.uniform(0, 2 * math.pi) for _ in MODELS], [0.0 for _ in MODELS]
    broken = chance.randrange(len(MODELS))
    made = []
    for turn in range(TURNS):
        walk = [one + chance.gauss(0, 0.002) for one in walk]
        wave = [0.08 * math.sin(phase[at] + 2 * math.pi * turn / TURNS) for at in range(len(MODELS))]
        drop = [0.25 if at == broken and turn >= TURNS // 2 else 0.0 for at in range(len(MODELS))]
        made.append([min(0.98, max(0.2, base[at] + wave[at] + walk[at] - drop[at])) for at in range(len(MODELS))])
    return made


def regret(seed: int, *, explore: float, half_life: float, learns: bool) -> list[float]:
    """After each turn, how many answers would have been good that were not, had the best model always answered."""
    truth, chance = qualities(random.Random(seed)), random.Random(1000 + seed)
    verdicts: list[beliefs.Verdict] = []
    worth, total, made = beliefs.Worth(), 0.0, []
    for turn, quality in enumerate(truth):
        now = turn * DAYS * DAY / TURNS
        if learns and turn % EVERY == 0:
            pooled = beliefs.pooled(verdicts, now=now, half_life=half_life)
            worth = beliefs.worth(verdicts, "it", MODELS, now=now, half_life=half_life, pooled=pooled)
        believed = worth.drawn("", chance) if chance.random() < explore else worth.opinions("")
        at = best.nearest([believed[model] for model in MODELS])[0] if believed else 0
        good = chance.random() < quality[at]
        words = WORDS_OF_A_GOOD if good else WORDS_OF_A_BAD
        said = tuple(Said(str(turn), word, now) for word, share in words if chance.random() < share)
        verdicts += beliefs.verdicts([Turn(Asked(str(turn), now, route="it", served=MODELS[at]), said)])
        total += max(quality) - quality[at]
        made.append(total)
    return made


def choices(seeds: int) -> dict[str, list[list[float]]]:
    wanted = {
        "the written order": {"learns": False, "explore": 0.0, "half_life": 30 * DAY},
        "best": {"learns": True, "explore": 0.0, "half_life": 30 * DAY},
        "best, explore 5%": {"learns": True, "explore": 0.05, "half_life": 30 * DAY},
        "best, explore 10%": {"learns": True, "explore": 0.1, "half_life": 30 * DAY},
        "best, half-life 7 days": {"learns": True, "explore": 0.0, "half_life": 7 * DAY},
        "best, half-life 90 days": {"learns": True, "explore": 0.0, "half_life": 90 * DAY},
    }
    found = {}
    for name, how in wanted.items():
        found[name] = [regret(seed, **how) for seed in range(seeds)]
        print(f"  {name}: {statistics.mean(run[-1] for run in found[name]):.0f}", flush=True)
    return found


# -- time ----------------------------------------------------------------------------------------------------------


def times(rounds: int = 1_000) -> dict[int, tuple[float, float]]:
    """By number of examples: milliseconds of CPU that an ask takes that is like one, and one that is unlike all; those
    of the router model under -1. The middle of many, taken in turns."""
    chance = np.random.default_rng(7)
    router = OnnxRouter([(name, name, text) for name, text in WORDS.items()])
    scores = router.score("the user asks how a retry loop is written, in a sentence of usual length")
    ids = list(scores.routes)
    width = len(scores.vector) // 4
    banks: dict[int, Bank | None] = {0: None}
    for number in (100, 1_000):
        vectors = chance.normal(size=(number, width)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors[0] = np.frombuffer(scores.vector, np.float32)
        taught = np.arange(number) % 3 == 0
        sources, targets = np.zeros(number, np.intp), np.where(taught, 1, 0)
        ways = (Way(0, 1, 0.45),)
        banks[number] = Bank(
            scores.model, (*ids, ""), vectors, sources, targets, np.ones(number), taught, ways
        )  # fmt: skip
    other = chance.normal(size=width).astype(np.float32)
    unlike = replace(scores, vector=(other / np.linalg.norm(other)).tobytes())
    taken: dict[tuple[int, bool], list[float]] = defaultdict(list)
    for turn in range(rounds):
        for number, bank in banks.items():
            for like, asked in ((True, scores), (False, unlike)):
                begun = time.thread_time()
                adjusted(asked, Learned(bank))
                taken[number, like].append((time.thread_time() - begun) * 1000)
        if turn % 20 == 0:
            begun = time.thread_time()
            router.score("the user asks how a retry loop is written, in a sentence of usual length")
            taken[-1, True].append((time.thread_time() - begun) * 1000)
    return {
        number: (statistics.median(taken[number, True]), statistics.median(taken.get((number, False), [0.0])))
        for number in (-1, *banks)
    }


# -- told ----------------------------------------------------------------------------------------------------------


def main() -> None:
    options = _options()
    print("preferences", flush=True)
    learned = curves(options.cache, options.seeds)
    print("models", flush=True)
    chosen = choices(options.model_seeds)
    print("time", flush=True)
    taken = times()
    told = {"curves": _curves_table(learned), "regret": _regret_table(chosen), "time": _time_table(taken)}
    for text in told.values():
        print(f"\n{text}")
    if options.write:
        _write(told)
        (DOCS / "learning-preferences.svg").write_text(_curves_plot(learned))
        (DOCS / "learning-models.svg").write_text(_regret_plot(chosen))


def _curves_table(found: dict[tuple[str, str], dict[int, dict[str, float]]]) -> str:
    head = "| asks | what is wrong | before | " + " | ".join(f"after {level}" for level in LEVELS[1:])
    lines = [f"{head} | said | others, before and after 30 | the worst of them |", "|---" * 10 + "|"]
    for (data, wrong), levels in found.items():
        right = " | ".join(f"{levels[level]['touched']:.2f}" for level in LEVELS)
        last = levels[LEVELS[-1]]
        others = f"{last['rest before']:.3f}, {last['rest']:.3f}"
        worst = min(level["worst"] for level in levels.values())
        lines.append(f"| {data} | {wrong} | {right} | {last['said']:.0f} | {others} | {worst:+.2f} |")
    return "\n".join(lines)


def _regret_table(found: dict[str, list[list[float]]]) -> str:
    lines = ["| who is chosen | answers lost of 2,000 | from, to over the seeds |", "|---|---|---|"]
    for name, runs in found.items():
        ends = sorted(run[-1] for run in runs)
        lines.append(f"| {name} | {statistics.mean(ends):.0f} | {ends[0]:.0f}, {ends[-1]:.0f} |")
    return "\n".join(lines)


def _time_table(found: dict[int, tuple[float, float]]) -> str:
    model = found[-1][0]
    lines = [f"Milliseconds of CPU; the router model itself takes {model:.1f} in the same run.", ""]
    lines += ["| examples | an ask that is like one | unlike all | of the router model's time |", "|---|---|---|---|"]
    for number, (like, unlike) in found.items():
        if number >= 0:
            lines.append(f"| {number:,} | {like:.3f} | {unlike:.3f} | {like / model:.1%} |")
    return "\n".join(lines)


def _curves_plot(found: dict[tuple[str, str], dict[int, dict[str, float]]]) -> str:
    lines = []
    for data, color in (("CLINC150", "#1f6feb"), ("coding", "#bf5700")):
        some = [levels for (name, _), levels in found.items() if name == data]
        for key, dashed in (("touched", False), ("rest", True)):
            means = [statistics.mean(levels[level][key] for levels in some) for level in LEVELS]
            what = "wrongly described" if key == "touched" else "the others"
            lines.append(Line(f"{data}, {what}", color, tuple(enumerate(means)), dashed=dashed))
    ticks = tuple((at, str(level)) for at, level in enumerate(LEVELS))
    return plot(lines, ticks, "corrections of each wrongly described preference", "share that is right", most=1.0)


def _regret_plot(found: dict[str, list[list[float]]]) -> str:
    colors = {"the written order": "#8c959f", "best": "#1f6feb", "best, explore 5%": "#bf5700"}
    lines = []
    for name, color in colors.items():
        runs = found[name]
        at = range(0, TURNS, 25)
        means = tuple((float(turn), statistics.mean(run[turn] for run in runs)) for turn in at)
        quartiles = [statistics.quantiles([run[turn] for run in runs], n=4) for turn in at]
        band = tuple((low, high) for low, _, high in quartiles)
        lines.append(Line(name, color, means, band=band))
    most = 50 * math.ceil(max(high for line in lines for _, high in line.band) / 50)
    ticks = tuple((float(turn), f"{turn:,}") for turn in range(0, TURNS + 1, 500))
    return plot(lines, ticks, "turns", "good answers lost to the best model", most=most)


def _write(told: dict[str, str]) -> None:
    page = DOCS / "learning.md"
    text = page.read_text("utf-8")
    for name, table in told.items():
        begin, end = f"<!-- bench: {name} -->", f"<!-- end: {name} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    page.write_text(text, "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="of the simulated user")
    parser.add_argument("--model-seeds", type=int, default=20, help="of the drifting models")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "archgw-bench-learning")
    parser.add_argument("--write", action="store_true", help="into docs/learning.md, and the plots beside it")
    return parser.parse_args()


if __name__ == "__main__":
    main()
