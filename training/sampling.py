"""Draws what one training step sees: lists of preferences, and asks with the position of the one each calls for."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from training.corpus import NONE, SKIP, Corpus, Facet, Pool, Preference, Row

NEAR = {  # what a reader might file under another when it has no preference of its own
    "e": "wfbu", "i": "bxd", "b": "iwe", "x": "ki", "k": "xl1dz", "f": "eo", "1": "kwg", "c": "mx", "l": "kx",
    "z": "kd", "d": "jkz", "j": "dm", "m": "cvyn", "v": "my", "y": "mqc", "q": "ya", "a": "qk", "n": "mh", "h": "n",
    "p": "gi", "g": "p", "u": "wf", "R": "geb", "!": "tp", "o": "fbi", "s": "rbp", "t": "b", "r": "s", "w": "eu",
    "F": "A", "A": "F", "B": "DEFI", "D": "BE", "I": "L", "E": "DMKP", "M": "E", "S": "BIY", "Y": "BGK", "G": "Y",
    "L": "IB", "P": "HW", "W": "P", "K": "E", "H": "P",
}  # fmt: skip
WHATEVER = (
    ", whatever the kind of work",
    "; goes here even if it is a bug or a question",
    " - any task on it",
    ", always",
)


@dataclass(frozen=True)
class Ask:
    text: str
    context: tuple[str, ...] = ()
    difficulty: int | None = None


@dataclass(frozen=True)
class Judgement:
    """What a list of asks calls for under one list of preferences: positions, NONE, or SKIP."""

    preferences: list[Preference]
    gold: list[int]


@dataclass(frozen=True)
class Group:
    """Asks, encoded once, and the lists of preferences that they are judged under."""

    asks: list[Ask]
    judgements: list[Judgement]


class Sampler:
    """`public` is the share of groups drawn from public sets."""

    def __init__(
        self,
        corpora: Sequence[Corpus],
        pools: Sequence[Pool],
        *,
        public: float,
        seed: int,
        asks: int = 12,
        facets: tuple[list[Facet], list[Facet]] = ([], []),
    ) -> None:
        self.random = random.Random(seed)
        self.configs = {id_: variants for corpus in corpora for id_, variants in corpus.configs.items()}
        self.rows: dict[str, list[Row]] = {}
        for corpus in corpora:
            for config, rows in corpus.by_config().items():
                self.rows.setdefault(config, []).extend(rows)
        self.worlds: dict[str, list[str]] = {}
        for id_ in self.configs:
            if len(self.rows.get(id_, [])) >= 6:
                self.worlds.setdefault(id_.rsplit(".", 1)[0], []).append(id_)
        self.names = list(self.worlds)
        self.weights = [len(self.rows[self.worlds[name][0]]) ** 0.6 for name in self.names]
        self.pools = list(pools)
        self.public, self.asks = public if pools else 0.0, asks
        self.acts, self.subjects = facets
        topics: dict[str, list[Row]] = {}
        for row in (row for corpus in corpora for row in corpus.rows if row.topic):
            topics.setdefault(row.topic, []).append(row)
        self.topics = list(topics.values())
        self.faceted = [row for corpus in corpora for row in corpus.rows if row.act != "?" or row.about != "?"]

    def group(self) -> Group:
        if self.random.random() < self.public:
            return self._public()
        return self._authored()

    def _authored(self) -> Group:
        rng = self.random
        ids = self.worlds[rng.choices(self.names, self.weights)[0]]
        everyone = self.rows[rng.choice(ids)]
        if self.acts and rng.random() < 0.25:
            rows = rng.sample(self.faceted, self.asks)
            if self.topics and rng.random() < 0.45:
                rows = list(rng.choice(self.topics))
                rng.shuffle(rows)
                rows = rows[: self.asks]
            return Group([self._ask(row) for row in rows], [self._composed(rows) for _ in range(3)])
        rows = rng.sample(everyone, min(self.asks, len(everyone)))
        composed = 1 if self.acts and len(ids) == 1 else 0
        return Group(
            [self._ask(row) for row in rows],
            [*(self._judgement(id_, rows) for id_ in ids), *(self._composed(rows) for _ in range(composed))],
        )

    def _composed(self, rows: list[Row]) -> Judgement:
        """A list of preferences put together from facets, and what these rows call for under it."""
        rng = self.random
        by_subject = rng.random() < 0.25
        wanted = [row.about if by_subject else row.act for row in rows]
        chosen: list[Facet] = []
        pool = list(self.subjects if by_subject else self.acts)
        rng.shuffle(pool)
        pool.sort(key=lambda facet: -any(code in facet.codes for code in wanted) * rng.random())
        size, taken = rng.randint(3, 9), set[str]()
        for facet in pool:
            if not facet.codes & taken and len(chosen) < size:
                chosen.append(facet)
                taken |= facet.codes
        exception = None
        if not by_subject and rng.random() < 0.25:
            found = sorted({row.about for row in rows} - {"?"})
            about = rng.choice(found) if found else ""
            singles = [f for f in self.subjects if f.codes == {about}]
            exception = singles[0] if singles else None
        preferences = [self._worn(rng.choice(facet.wordings)) for facet in chosen]
        if exception:
            name, description = rng.choice(exception.wordings)
            preferences.append((name, description.rstrip(".") + rng.choice(WHATEVER)))
        gold = [self._facet_gold(row, chosen, exception, by_subject=by_subject) for row in rows]
        order = list(range(len(preferences)))
        rng.shuffle(order)
        return Judgement([preferences[i] for i in order], [order.index(g) if g >= 0 else g for g in gold])

    @staticmethod
    def _facet_gold(row: Row, chosen: list[Facet], exception: Facet | None, *, by_subject: bool) -> int:
        if exception and row.about == "?":
            return SKIP
        if exception and row.about in exception.codes:
            return len(chosen)
        code = row.about if by_subject else row.act
        for i, facet in enumerate(chosen):
            if code in facet.codes:
                return i
        listed = {code for facet in chosen for code in facet.codes}
        return SKIP if code == "?" or any(near in listed for near in NEAR.get(code, "")) else NONE

    def _judgement(self, id_: str, rows: list[Row]) -> Judgement:
        rng = self.random
        variants = self.configs[id_]
        count = len(variants[0])
        keep = list(range(count))
        if count > 3 and rng.random() < 0.35:
            keep = rng.sample(keep, rng.randint(max(2, count // 2), count - 1))
        rng.shuffle(keep)
        wording = rng.randrange(len(variants))
        mixed = rng.random() < 0.25
        preferences = [self._worn(variants[rng.randrange(len(variants)) if mixed else wording][i]) for i in keep]
        gold = [
            SKIP if id_ not in r.labels else keep.index(r.labels[id_]) if r.labels[id_] in keep else NONE for r in rows
        ]
        return Judgement(preferences, gold)

    def _ask(self, row: Row) -> Ask:
        rng = self.random
        text, context = row.ask, row.context
        if rng.random() < 0.05:
            text = typo(text, rng)
        if (
            not context and rng.random() < 0.12 and len(text) > 25
        ):  # an old conversation before a new ask must not mislead
            other = rng.choice(self.rows[rng.choice(self.worlds[rng.choice(self.names)])])
            context = (f"user: {other.ask}"[:160], *other.context[:1])
        return Ask(text, context, row.difficulty)

    def _worn(self, preference: Preference) -> Preference:
        name, description = preference
        if self.random.random() < 0.06:
            return name, ""
        if self.random.random() < 0.04:
            return "", description
        return preference

    def _public(self) -> Group:
        rng = self.random
        pool = rng.choices(self.pools, [5.0 if p.name == "t" else 1.0 for p in self.pools])[0]
        intents = [i for i in pool.rows if pool.rows[i]]
        most = 12 if rng.random() < 0.8 else 80  # a long list must not make the council lose its head
        chosen = rng.sample(intents, min(len(intents), rng.randint(4, most)))
        outside = [i for i in intents if i not in chosen]
        preferences = [rng.choice(pool.intents[i]) for i in chosen]
        asks, gold = [], []
        for _ in range(self.asks):
            none = bool(outside) and rng.random() < 0.15 and pool.name != "t"
            intent = rng.choice(outside if none else chosen)
            text, context = rng.choice(pool.rows[intent])
            asks.append(Ask(text, context))
            gold.append(NONE if none else chosen.index(intent))
        return Group(asks, [Judgement(preferences, gold)])


def typo(text: str, rng: random.Random) -> str:
    """Two signs changed places, or one is missing."""
    if len(text) < 8:
        return text
    at = rng.randrange(1, len(text) - 2)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :] if rng.random() < 0.5 else text[:at] + text[at + 1 :]
