"""What the router model learns from, as one kind of value: an ask, and the lists of preferences it was judged under."""

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from router_service.asks import ask_and_context
from router_service.conversation import Conversation, Message, Text

DATA = Path(__file__).parent / "data"
DIFFICULTIES = {"quick": 0, "standard": 1, "deep": 2}
NONE, SKIP = -1, -2
Preference = tuple[str, str]


@dataclass(frozen=True)
class Row:
    """One conversation; `labels`: config -> position of the preference asked for, or NONE."""

    ask: str
    context: tuple[str, ...]
    labels: dict[str, int]
    author: str
    difficulty: int | None = None
    tags: frozenset[str] = frozenset()
    conversation: tuple[dict[str, str], ...] = ()
    act: str = "?"  # what is asked for, and what it is about: codes of data/written/facets.txt
    about: str = "?"
    topic: str = ""  # rows of one topic ask for different things about the same


@dataclass
class Corpus:
    configs: dict[str, list[list[Preference]]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def by_config(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.rows:
            for config in row.labels:
                found[config].append(row)
        return found


def conversation_of(turns: Sequence[dict[str, str]]) -> Conversation:
    return Conversation(model="", messages=tuple(Message(turn["role"], (Text(turn["content"]),)) for turn in turns))  # type: ignore[arg-type]


def read(turns: Sequence[dict[str, str]]) -> tuple[str, tuple[str, ...]]:
    return ask_and_context(conversation_of(turns))


def authored(folder: Path) -> Iterator[tuple[str, Corpus]]:
    """One corpus per author: NAME.rows.jsonl, and NAME.configs.json where their asks were judged under configs."""
    for path in sorted(folder.glob("*.rows.jsonl")):
        name = path.name.split(".")[0]
        configs = folder / f"{name}.configs.json"
        found = json.loads(configs.read_text("utf-8")) if configs.exists() else []
        rows = [_row(json.loads(line), name) for line in path.read_text("utf-8").splitlines()]
        yield (
            name,
            Corpus(
                {
                    c["id"]: [[(p["name"], p["description"]) for p in wording] for wording in c["variants"]]
                    for c in found
                },
                [row for row in rows if row.ask],
            ),
        )


def _row(found: dict[str, Any], author: str) -> Row:
    ask, context = read(found["conversation"])
    act, about = found.get("facet", "??")
    return Row(
        ask, context, found["labels"], author, DIFFICULTIES[found["difficulty"]], frozenset(found["tags"]),
        tuple(found["conversation"]), act, about, found.get("topic", ""),
    )  # fmt: skip


@dataclass(frozen=True)
class Facet:
    """A preference by what is asked for (or by what it is about), in several wordings."""

    codes: frozenset[str]
    wordings: tuple[Preference, ...]


def facets(path: Path) -> tuple[list[Facet], list[Facet]]:
    """Those by act and those by subject."""
    acts: list[Facet] = []
    subjects: list[Facet] = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            codes, _, rest = line.partition(" | ")
            wordings = [tuple(part.strip() for part in text.partition(": ")[::2]) for text in rest.split(" || ")]
            found = Facet(frozenset(codes.strip("= ").split("+")), tuple((n, d) for n, d in wordings))
            (subjects if codes.startswith("=") else acts).append(found)
    return acts, subjects


@dataclass
class Pool:
    """A public set: intents with several wordings each, of which a list of preferences is drawn at random."""

    name: str
    intents: dict[str, list[Preference]]
    rows: dict[str, list[tuple[str, tuple[str, ...]]]]


def pools(path: Path, leave_out: frozenset[str] = frozenset({"sgd"})) -> list[Pool]:
    data = json.loads(path.read_text())
    found: dict[str, Pool] = {}
    for row in data["rows"]:
        if row["src"] in leave_out:
            continue
        gold = row["gold"][0]
        space = data["groups"][gold]["ns"]
        pool = found.setdefault(space, Pool(space, {}, defaultdict(list)))
        pool.intents[gold] = [(n, d) for n, d in data["groups"][gold]["variants"]]
        turns = [{"role": r, "content": c} for r, c in row["hist"]] + [{"role": "user", "content": row["text"]}]
        ask, context = read(turns)
        if ask:
            pool.rows[gold].append((ask, context))
    return list(found.values())
