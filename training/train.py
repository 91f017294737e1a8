"""Train the router model: python -m training.train --base FOLDER --out FOLDER ... (training/README.md has the recipe)

Writes a checkpoint every so many steps; the same command goes on from the last one.
"""

import argparse
import json
import math
import os
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoTokenizer

from router_service.asks import context_text, fitted, preference_text
from training import corpus
from training.corpus import NONE, Corpus, Preference
from training.model import Encoded, Router
from training.sampling import Ask, Group, Judgement, Sampler
from training.splits import apart

ASK_TOKENS, PREFERENCE_TOKENS = 125, 64
GROUPS_PER_STEP = 3
DIFFICULTY_WEIGHT = 0.15
SMOOTHING = 0.03
TAUGHT = 0.5  # how much of the loss is what the teacher says, where there is one


@dataclass(frozen=True)
class Run:
    """What makes a run what it is; kept beside its weights."""

    seed: int = 0
    steps: int = 600
    rate: float = 6e-5
    share: float = 0.2  # of the groups that come from public sets
    readers: int = 0
    glance: bool = False
    council: bool = False
    layers: int = 0  # 0: all of the base's
    frozen: int = 0  # so many of the lowest layers stay as they are
    facets: bool = True  # preferences put together from facets, besides those of the written configs
    hold: str = ""  # authors who train nothing
    authors: str = ""  # only these teach; empty: all that are not held out
    rows: float = 1.0  # the share of their conversations that is learnt
    context: bool = True  # the turns before the last ask are read
    teacher: str = ""  # RUN,BASE: a finished run whose judgement is learnt beside the labels

    @classmethod
    def of(cls, folder: Path) -> "Run":
        return cls(**json.loads((folder / "run.json").read_text()))


Tokens = tuple[list[int], list[int]]  # ids and types


class Texts:
    """Tokenizes as the router service does, and pads."""

    def __init__(self, base: Path) -> None:
        self.core = AutoTokenizer.from_pretrained(base).backend_tokenizer
        self.core.no_padding()
        self.core.no_truncation()
        around = self.core.encode("", "").ids
        self.begin, self.middle, self.end = around[:1], around[1:-1], around[-1:]
        self.second = 1 in self.core.encode("a", "b").type_ids
        found = (self.core.token_to_id(name) for name in ("<pad>", "[PAD]"))
        self.pad = next(id_ for id_ in found if id_ is not None)
        self._known: dict[str, list[int]] = {}

    def preference(self, item: Preference) -> Tokens:
        return self._around(self._ids(preference_text(*item))[:PREFERENCE_TOKENS], [])

    def ask(self, item: Ask) -> Tokens:
        return self._around(*fitted(self._ids(item.text), self._ids(context_text(item.context)), ASK_TOKENS))

    def padded(self, items: Sequence[Tokens]) -> dict[str, Tensor]:
        width = max(len(ids) for ids, _ in items)
        return {
            "ids": torch.tensor([ids + [self.pad] * (width - len(ids)) for ids, _ in items]),
            "types": torch.tensor([types + [0] * (width - len(types)) for _, types in items]),
            "mask": torch.tensor([[True] * len(ids) + [False] * (width - len(ids)) for ids, _ in items]),
        }

    def _ids(self, text: str) -> list[int]:
        if text not in self._known:
            self._known[text] = list(self.core.encode(text, add_special_tokens=False).ids) if text else []
        return self._known[text]

    def _around(self, first: list[int], second: list[int]) -> Tokens:
        ids = [*self.begin, *first, *(self.middle if second else self.end), *second, *(self.end if second else [])]
        return ids, [0] * (len(first) + 2) + [int(self.second)] * (len(ids) - len(first) - 2)


# -- scores and losses -------------------------------------------------------------------------------------------------


@dataclass
class Scored:
    """`logits`: per judgement [asks, preferences + 1], the last is none. `difficulty`: [asks, 3]."""

    logits: list[Tensor]
    difficulty: Tensor


def encoded(model: Router, texts: Texts, items: Sequence[Tokens], *, at_once: int = 24) -> Encoded:
    """Texts of like length are encoded together."""
    order = sorted(range(len(items)), key=lambda i: len(items[i][0]))
    states: list[Tensor] = [torch.empty(0)] * len(items)
    means: list[Tensor] = [torch.empty(0)] * len(items)
    for begin in range(0, len(order), at_once):
        some = order[begin : begin + at_once]
        deep, middle = model.encode(**texts.padded([items[i] for i in some]))
        for i, state, of_text in zip(some, deep.unbind(), middle.unbind(), strict=True):
            states[i], means[i] = state[: len(items[i][0])], of_text
    return Encoded(states, torch.stack(means))


def score(model: Router, texts: Texts, groups: Sequence[Group]) -> list[Scored]:
    """All asks of each group against all its preferences. Each text is encoded once, whoever shares it."""
    known: dict[Preference | Ask, int] = {}
    for group in groups:
        for ask in group.asks:
            known.setdefault(ask, len(known))
        for preference in (p for judgement in group.judgements for p in judgement.preferences):
            known.setdefault(preference, len(known))
    every = encoded(model, texts, [texts.ask(i) if isinstance(i, Ask) else texts.preference(i) for i in known])
    scored = []
    for group in groups:
        sizes = [len(judgement.preferences) for judgement in group.judgements]
        preferences = [known[p] for judgement in group.judgements for p in judgement.preferences]
        logits, difficulty = model.match(every.of([known[a] for a in group.asks]), every.of(preferences), sizes)
        scored.append(Scored([part.float() for part in logits], difficulty.float()))
    return scored


def loss_of(scored: Scored, group: Group, taught: Scored | None = None) -> tuple[Tensor, float]:
    """The loss, and the share of judgements that are right. `taught`: what a teacher makes of the same group."""
    losses, hits = [], []
    for logits, judgement in zip(scored.logits, group.judgements, strict=True):
        last = len(judgement.preferences)
        gold = torch.tensor([g if g >= 0 else last if g == NONE else -100 for g in judgement.gold])
        if (gold >= 0).any():
            losses.append(functional.cross_entropy(logits, gold, label_smoothing=SMOOTHING))
            hits.append((logits.argmax(1) == gold)[gold >= 0].float().mean())
    loss = torch.stack(losses).mean()
    if taught:
        apart_ = [
            functional.kl_div(own.log_softmax(1), theirs.log_softmax(1), log_target=True, reduction="batchmean")
            for own, theirs in zip(scored.logits, taught.logits, strict=True)
        ]
        loss = (1 - TAUGHT) * loss + TAUGHT * torch.stack(apart_).mean()
    known = [(i, a.difficulty) for i, a in enumerate(group.asks) if a.difficulty is not None]
    if known:
        rows, levels = zip(*known, strict=True)
        loss = loss + DIFFICULTY_WEIGHT * functional.cross_entropy(scored.difficulty[list(rows)], torch.tensor(levels))
    return loss, torch.stack(hits).mean().item()


# -- evaluation --------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def evaluate(model: Router, texts: Texts, held: Iterable[Corpus]) -> dict[str, float]:
    """Figures on conversations that trained nothing; each config in all its wordings, each row in one of them."""
    model.eval()
    right: list[bool] = []
    with_none: list[bool] = []
    levels: list[bool] = []
    inside: list[float] = []
    outside_: list[float] = []
    by_tag: dict[str, list[bool]] = {}
    for some, config, preferences in _held_groups(held):
        (out,) = score(model, texts, [Group([Ask(r.ask, r.context) for r in some], [Judgement(preferences, [])])])
        for row, shares, level in zip(some, out.logits[0].softmax(1), out.difficulty, strict=True):
            gold, last = row.labels[config], len(preferences)
            levels += [level.argmax().item() == row.difficulty] if row.difficulty is not None else []
            with_none.append(shares.argmax().item() == (gold if gold >= 0 else last))
            (inside if gold >= 0 else outside_).append(1 - shares[-1].item())
            if gold >= 0:
                right.append(shares[:-1].argmax().item() == gold)
                for tag in {"multi" if row.context else "single", *row.tags}:
                    by_tag.setdefault(tag, []).append(right[-1])
    model.train()
    figures = {"top1": _mean(right), "with_none": _mean(with_none), "auroc": _auroc(inside, outside_)}
    figures |= {"difficulty": _mean(levels), "rows": float(len(right))}
    return figures | {f"#{tag}": _mean(hits) for tag, hits in sorted(by_tag.items()) if len(hits) >= 25}


@torch.inference_mode()
def score_all(model: Router, texts: Texts, held: Iterable[Corpus]) -> tuple[list[Tensor], list[int]]:
    """The logits of every held row, none last, and the position that is right."""
    logits, gold = [], []
    for some, config, preferences in _held_groups(held):
        (out,) = score(model, texts, [Group([Ask(r.ask, r.context) for r in some], [Judgement(preferences, [])])])
        logits += list(out.logits[0])
        gold += [r.labels[config] if r.labels[config] >= 0 else len(preferences) for r in some]
    return logits, gold


def _held_groups(held: Iterable[Corpus]) -> Iterable[tuple[list[corpus.Row], str, list[Preference]]]:
    for part in held:
        for config, rows in part.by_config().items():
            wordings = part.configs[config]
            for number, preferences in enumerate(wordings):
                some = rows[number :: len(wordings)]
                if some:
                    yield some, config, preferences


def _mean(values: Sequence[bool]) -> float:
    return sum(values) / len(values) if values else math.nan


def _auroc(inside: Sequence[float], outside_: Sequence[float]) -> float:
    ranked = sorted([(v, 1) for v in inside] + [(v, 0) for v in outside_])
    rank = sum(at for at, (_, kind) in enumerate(ranked, 1) if kind)
    n, m = len(inside), len(outside_)
    return (rank - n * (n + 1) / 2) / (n * m) if n and m else math.nan


# -- the run -----------------------------------------------------------------------------------------------------------


def by_author(folders: Iterable[Path], names: Iterable[str]) -> dict[str, Corpus]:
    """The conversations of these authors."""
    wanted = set(names)
    return {name: part for folder in folders for name, part in corpus.authored(folder) if name in wanted}


def material(run: Run, folders: Sequence[Path]) -> tuple[list[Corpus], dict[str, Corpus]]:
    """What this run learns from, and what it holds out, by author."""
    held = by_author([*folders, corpus.DATA / "held"], {"dev", "quarry", *_names(run.hold)})
    teachers = set(_names(run.authors))
    learnt = [
        part
        for folder in folders
        for name, part in corpus.authored(folder)
        if name not in held and (not teachers or name in teachers)
    ]
    tests = [part for _, part in corpus.authored(corpus.DATA / "held")]
    learnt = apart(learnt, [*held.values(), *tests])
    rng = random.Random(run.seed)
    if run.rows < 1:
        learnt = [Corpus(p.configs, rng.sample(p.rows, round(run.rows * len(p.rows)))) for p in learnt]
    if not run.context:
        learnt = [_without_context(part) for part in learnt]
        held = {name: _without_context(part) for name, part in held.items()}
    return learnt, held


def _names(listed: str) -> list[str]:
    return [name for name in listed.split(",") if name]


def _without_context(part: Corpus) -> Corpus:
    return Corpus(part.configs, [replace(row, context=()) for row in part.rows])


def train(
    run: Run, base: Path, out: Path, folders: list[Path], public: Path | None, start: Path | None, every: int
) -> None:
    torch.manual_seed(run.seed)
    learnt, held = material(run, folders)
    print(f"learns from {sum(len(p.rows) for p in learnt)} conversations; holds out {', '.join(held)}")
    sampler = Sampler(
        learnt,
        corpus.pools(public) if public else [],
        public=run.share,
        seed=run.seed,
        facets=corpus.facets(corpus.DATA / "written" / "facets.txt") if run.facets else ([], []),
    )
    texts = Texts(base)
    model = _model(run, base)
    if start:
        begin_with(model, start)
    teacher = Teacher.of(run.teacher) if run.teacher else None
    optimizer = _optimizer(model, run.rate)
    bases = [group["lr"] for group in optimizer.param_groups]
    done = _resumed(out, model, optimizer, sampler)
    if not done and not start:
        _centre(model, texts, sampler)
    if not run.steps:
        _checkpoint(out, run, 0, model, optimizer, sampler)
    model.train()
    began, average = time.time(), math.nan
    for step in range(done + 1, run.steps + 1):
        share = step / run.steps
        for group, rate in zip(optimizer.param_groups, bases, strict=True):
            group["lr"] = rate * min(1.0, share / 0.06) * max(1e-3, 1 - share)
        hit = _backward(model, texts, [sampler.group() for _ in range(GROUPS_PER_STEP)], teacher)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        average = hit if math.isnan(average) else 0.98 * average + 0.02 * hit
        if step % 25 == 0:
            print(f"{step}/{run.steps} {time.time() - began:.0f} s, right {average:.3f}", flush=True)
        if (every and step % every == 0) or step == run.steps:
            _checkpoint(out, run, step, model, optimizer, sampler)
            for name, part in held.items() if every else ():
                print(f"  {name}:", shown(evaluate(model, texts, [part])), flush=True)


def begin_with(model: Router, start: Path) -> None:
    """The weights of a finished run, and a word on what either of the two lacks."""
    before = torch.load(start / "router.pt")
    del before["embeddings.word_embeddings.weight"]  # it stays as it is in the base
    unlike = model.load_state_dict(before, strict=False)
    new = [name for name in unlike.missing_keys if name != "embeddings.word_embeddings.weight"]
    for names, what in ((new, "begin as new, since it lacks them"), (unlike.unexpected_keys, "are left out")):
        if names:
            print(f"{start}: {len(names)} weights {what}: {', '.join(sorted({n.split('.')[0] for n in names}))}")


def load(folder: Path, base: Path) -> Router:
    """The model of a finished run, ready to be asked."""
    model = _model(replace(Run.of(folder), frozen=0), base)
    model.load_state_dict(torch.load(folder / "router.pt"))
    return model.eval()


def _model(run: Run, base: Path) -> Router:
    return Router(
        base, readers=run.readers, layers=run.layers or None, glance=run.glance, council=run.council, frozen=run.frozen
    )


def shown(figures: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in figures.items())


@dataclass(frozen=True)
class Teacher:
    """A finished run that says what it makes of the groups another learns from."""

    model: Router
    texts: Texts

    @classmethod
    def of(cls, where: str) -> "Teacher":
        """`where`: its RUN folder and its BASE folder, with a comma between."""
        run, _, base = where.partition(",")
        return cls(load(Path(run), Path(base)), Texts(Path(base)))

    @torch.no_grad()
    def says(self, groups: Sequence[Group]) -> list[Scored]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return score(self.model, self.texts, groups)


def _backward(model: Router, texts: Texts, groups: Sequence[Group], teacher: Teacher | None) -> float:
    taught = teacher.says(groups) if teacher else [None] * len(groups)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scored = score(model, texts, groups)
    losses, hits = zip(*map(loss_of, scored, groups, taught), strict=True)
    torch.stack(losses).mean().backward()
    return sum(hits) / len(hits)


def _optimizer(model: Router, rate: float) -> torch.optim.Optimizer:
    """New heads learn faster than what is pretrained."""
    fast = model.new_parameters()
    known = {id(p) for p in fast}
    slow = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    return torch.optim.AdamW(
        [
            {"params": [p for p in slow if p.ndim > 1], "weight_decay": 0.01},
            {"params": [p for p in slow if p.ndim <= 1], "weight_decay": 0.0},
            {"params": fast, "weight_decay": 0.0, "lr": rate * 15},
        ],
        lr=rate,
        fused=True,
    )


@torch.inference_mode()
def _centre(model: Router, texts: Texts, sampler: Sampler) -> None:
    """Puts the origin in the middle of what the untrained encoder makes of some groups."""
    groups = [sampler.group() for _ in range(20)]
    asks = [texts.ask(ask) for group in groups for ask in group.asks]
    preferences = [texts.preference(p) for group in groups for j in group.judgements for p in j.preferences]
    means = [encoded(model.eval(), texts, part).means.mean(0) for part in (asks, preferences)]
    model.centre_on(torch.stack(means))


def _checkpoint(
    out: Path, run: Run, step: int, model: Router, optimizer: torch.optim.Optimizer, sampler: Sampler
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "run.json").write_text(json.dumps(asdict(run), indent=1) + "\n")
    torch.save(model.state_dict(), out / "router.pt")
    torch.save(
        {
            "step": step,
            "optimizer": optimizer.state_dict(),
            "sampler": sampler.random.getstate(),
            "torch": torch.get_rng_state(),
        },
        out / "state.pt",
    )


def _resumed(out: Path, model: Router, optimizer: torch.optim.Optimizer, sampler: Sampler) -> int:
    """The step to go on after; 0 for a new run."""
    if not (out / "state.pt").exists():
        return 0
    state = torch.load(out / "state.pt", weights_only=False)
    model.load_state_dict(torch.load(out / "router.pt"))
    optimizer.load_state_dict(state["optimizer"])
    sampler.random.setstate(state["sampler"])
    torch.set_rng_state(state["torch"])
    print(f"goes on after step {state['step']}")
    return int(state["step"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", type=Path, required=True, help="a folder of training.bases")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, action="append", help="folders of written conversations")
    parser.add_argument("--public", type=Path, help="the public sets")
    parser.add_argument("--start", type=Path, help="a finished run to start from")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=200, help="steps between checkpoints; 0: only at the end")
    for item in fields(Run):
        of_text = (lambda text: text == "1") if isinstance(item.default, bool) else type(item.default)
        parser.add_argument(f"--{item.name}", type=of_text, default=item.default)
    known = parser.parse_args()
    torch.set_num_threads(known.threads)
    run = Run(**{item.name: getattr(known, item.name) for item in fields(Run)})
    train(run, known.base, known.out, known.data or [corpus.DATA / "written"], known.public, known.start, known.every)


if __name__ == "__main__":
    main()
