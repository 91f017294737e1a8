"""Keeps what measures a model apart from what trained it: no ask and no preference of one is found in the other.

An ask is an echo of another when both are the same but for case and punctuation, or when most of their runs of three
words are the same. A preference is an echo when its name and description are another's, but for case and punctuation.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from training.corpus import Corpus, Preference, Row

NEAR = 0.5  # of the runs of three words, Jaccard
LEAST = 4  # words; shorter asks ("thanks", "yes please") are everybody's, and told apart by what came before


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def runs(text: str) -> frozenset[str]:
    """Runs of three words."""
    words = plain(text).split()
    return frozenset(" ".join(words[i : i + 3]) for i in range(len(words) - 2))


class Echoes:
    """Finds what is nearly the same as one of `rows` or of their preferences."""

    def __init__(self, held: Iterable[Corpus]) -> None:
        corpora = list(held)
        self._asks = {self._key(row) for corpus in corpora for row in corpus.rows}
        self._runs = [runs(row.ask) for corpus in corpora for row in corpus.rows]
        self._where: dict[str, list[int]] = defaultdict(list)
        for number, of_row in enumerate(self._runs):
            for run in of_row:
                self._where[run].append(number)
        wordings = [p for corpus in corpora for lists in corpus.configs.values() for list_ in lists for p in list_]
        self._preferences = {self._wording(p) for p in wordings}

    def ask(self, row: Row) -> bool:
        if self._key(row) in self._asks:
            return True
        mine = runs(row.ask)
        shared: dict[int, int] = defaultdict(int)
        for run in mine:
            for number in self._where.get(run, ()):
                shared[number] += 1
        return any(
            len(plain(row.ask).split()) >= LEAST and count / len(mine | self._runs[number]) >= NEAR
            for number, count in shared.items()
        )

    def preference(self, preference: Preference) -> bool:
        return self._wording(preference) in self._preferences

    @staticmethod
    def _key(row: Row) -> tuple[str, ...]:
        ask = plain(row.ask)
        return (ask,) if len(ask.split()) >= LEAST else (ask, *map(plain, row.context[:1]))

    @staticmethod
    def _wording(preference: Preference) -> str:
        return plain(" ".join(preference))


def apart(learnt: Sequence[Corpus], held: Sequence[Corpus]) -> list[Corpus]:
    """`learnt` without what echoes `held`: rows go, and of a config every wording that shares a preference."""
    echoes = Echoes(held)
    result = []
    for corpus in learnt:
        configs = {
            id_: [wording for wording in wordings if not any(map(echoes.preference, wording))]
            for id_, wordings in corpus.configs.items()
        }
        kept = {id_: wordings for id_, wordings in configs.items() if wordings}
        rows = [row for row in corpus.rows if not echoes.ask(row)]
        result.append(Corpus(kept, [_within(row, kept) for row in rows]))
    return result


def _within(row: Row, configs: dict[str, list[list[Preference]]]) -> Row:
    labels = {id_: label for id_, label in row.labels.items() if id_ in configs}
    return row if labels == row.labels else replace(row, labels=labels)
