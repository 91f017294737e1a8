"""Corrections: examples of which preference an ask belongs to, and how far each way that they go may reach.

A way takes effect if it does not lose on the caller's own past: each ask of it is judged as if nothing had been said of
that one. It reaches as far as does best there.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from router_service.bank import Bank, Numbers, Vectors, Way, cosines, fits_of, unpacked
from router_service.beliefs import AGAINST
from router_service.evidence import NONE, SHOULD_BE, THUMBS, LeftOut, Said, Turn, left_out_of, lesson_id
from router_service.lessons import LOOKED_BACK, Lesson, Piece
from router_service.plan import Route

MOST_TAUGHT, MOST_SILENT = 1000, 500  # examples of each caller, the newest
_CUTS = (
    0.25,
    0.35,
    0.45,
    0.6,
    0.8,
    0.95,
)  # how near an ask must lie to be like a correction: as far as the past bears it
_USUAL = 3  # of them, where the past says nothing
_SAME = 0.97  # cosine of two asks that are one: what was said later of it holds
_SILENT = 1.0  # weight of an ask against which nothing was said, once the user has begun to correct
_LOST = 2.0  # how much an answer that a way would spoil weighs against one that it mends


@dataclass(frozen=True, slots=True)
class _Example:
    """An ask that was taken for `source` and belongs to `target`, positions in the names."""

    turn: Turn
    source: int
    target: int
    word: Said | None
    weight: float = 1.0

    @property
    def at(self) -> float:
        return self.word.at if self.word else self.turn.asked.at


def learnt(
    caller: str, turns: Sequence[Turn], left_out: Sequence[LeftOut], routes: Sequence[Route], model: str
) -> tuple[Bank | None, list[Lesson]]:
    """What this caller's turns, all seen by one `model`, teach of the preferences; None where nothing does."""
    names = (*(route.name for route in routes), NONE)
    turns = _of_one_width(turns)
    examples = _examples(turns, names)
    until = {
        (source, target): left_out_of(caller, _way_id(caller, names, source, target), left_out)
        for source, target in {(one.source, one.target) for one in examples}
    }
    counting = [one for one in examples if one.word is None or one.at > until[one.source, one.target]]
    undone = [_undone(caller, names, way, examples, counting) for way in _corrected(examples)]
    corrected = _corrected(counting)
    if not corrected:
        return None, [lesson for lesson in undone if lesson]
    bank = _bank(counting, (*(route.id for route in routes), ""), model)
    bank, waiting = _fitted(bank, counting, corrected, names)
    lessons = [_routed(caller, names, way, counting, waiting.get(way, "")) for way in corrected]
    return bank, [*_with_effects(lessons, bank, turns, names), *(lesson for lesson in undone if lesson)]


def _of_one_width(turns: Sequence[Turn]) -> Sequence[Turn]:
    """Without those that this model cannot have seen so: whoever wrote them, they spoil no other."""
    widths = Counter(len(turn.asked.vector) for turn in turns)
    if len(widths) < 2:
        return turns
    usual, _ = widths.most_common(1)[0]
    return [turn for turn in turns if len(turn.asked.vector) == usual]


def _examples(turns: Sequence[Turn], names: tuple[str, ...]) -> list[_Example]:
    """The oldest first. Of one ask that was corrected twice, the later word holds.

    That the user went on without a word counts between the first correction and the last word: before, nobody may have
    known that there are words; afterwards, nobody has looked yet.
    """
    place = {name.casefold(): at for at, name in enumerate(names)}
    taught = [one for turn in turns for one in _taught(turn, place)]
    taught = sorted(taught, key=lambda one: (one.at, one.turn.asked.request))[-MOST_TAUGHT:]
    begun = min((one.at for one in taught if one.word and one.word.signal == SHOULD_BE), default=None)
    if begun is None:
        return taught
    silent = [turn for turn in turns if begun <= turn.asked.at <= taught[-1].at and _is_silent(turn)]
    sources = [(turn, place.get(turn.asked.base.casefold())) for turn in silent[-MOST_SILENT:]]
    accepted = [_Example(turn, at, at, None, _SILENT) for turn, at in sources if at is not None]
    return [*_latest(taught), *_unsaid(_latest(accepted, twice=True), taught)]


def _unsaid(accepted: list[_Example], taught: list[_Example]) -> list[_Example]:
    """Without those of which something was said when they were asked another time: a word goes before silence."""
    if not (accepted and taught):
        return accepted
    nearest = cosines(_stacked(accepted), _stacked(taught)).max(1).tolist()
    return [one for one, cosine in zip(accepted, nearest, strict=True) if cosine < _SAME]


def _taught(turn: Turn, place: Mapping[str, int]) -> list[_Example]:
    asked, named, word = turn.asked, turn.should_be, turn.latest("good", "bad")
    source = place.get(asked.base.casefold())
    if source is None:
        return []
    if named is not None:
        target = place.get(named.casefold())
        said = max((one for one in turn.said if one.signal == SHOULD_BE), key=lambda one: one.at)
        return [] if target is None else [_Example(turn, source, target, said)]
    target = place.get(asked.route.casefold())
    if word is None or word.signal != "good" or target is None:
        return []
    return [_Example(turn, source, target, word)]


def _is_silent(turn: Turn) -> bool:
    """The user went on, and nothing spoke against where the ask had gone by itself."""
    return turn.asked.route == turn.asked.base and not any(
        one.signal in AGAINST or one.signal in (*THUMBS, SHOULD_BE) for one in turn.said
    )


def _latest(examples: list[_Example], *, twice: bool = False) -> list[_Example]:
    """Without those of which the opposite was said later; or, `twice`, without those that are there again."""
    if len(examples) < 2:
        return examples
    vectors = _stacked(examples)
    later = np.triu(cosines(vectors, vectors) >= _SAME, 1)
    targets = np.array([one.target for one in examples])
    agree = targets[:, None] == targets[None, :]
    gone = (later & (agree if twice else ~agree)).any(1)
    return [one for one, is_gone in zip(examples, gone, strict=True) if not is_gone]


def _corrected(examples: Sequence[_Example]) -> list[tuple[int, int]]:
    """The ways that corrections go, in the order in which they were first made."""
    said = (one for one in examples if one.word and one.word.signal == SHOULD_BE and one.source != one.target)
    return list(dict.fromkeys((one.source, one.target) for one in said))


def _bank(examples: Sequence[_Example], ids: tuple[str, ...], model: str) -> Bank:
    return Bank(
        model,
        ids,
        _stacked(examples),
        np.array([one.source for one in examples], np.intp),
        np.array([one.target for one in examples], np.intp),
        np.array([one.weight for one in examples]),
        np.array([one.word is not None for one in examples]),
    )


def _fitted(
    bank: Bank, examples: Sequence[_Example], corrected: Sequence[tuple[int, int]], names: tuple[str, ...]
) -> tuple[Bank, dict[tuple[int, int], str]]:
    """The bank with the ways that do not lose on the past, each as wide as does best there; and why the others wait."""
    before = np.array([fits_of(dict(one.turn.asked.fits), names) for one in examples])
    near = cosines(bank.vectors, bank.vectors)
    np.fill_diagonal(near, -1.0)  # as if nothing had been said of the ask that is judged
    settled: list[Way] = []
    waiting: dict[tuple[int, int], str] = {}
    for source, target in corrected:
        same = [way for way in settled if way.source == source]
        other = replace(bank, ways=tuple(way for way in settled if way.source != source)).moved(before, near)

        def right(
            ways: Sequence[Way], other: Numbers = other
        ) -> NDArray[np.bool_]:  # what leaves one route leaves the other routes' moves as they are
            moved = other + replace(bank, ways=tuple(ways)).moved(before, near) - before
            return moved.argmax(1) == bank.targets  # type: ignore[no-any-return]

        kept = right(same)
        tried = [right([*same, Way(source, target, cut)]) for cut in _CUTS]
        worth = [float(bank.weights @ (1.0 * one - (_LOST - 1) * (kept & ~one))) for one in tried]
        if max(worth) < float(bank.weights @ kept):
            liked = int((kept & ~tried[-1] & (bank.sources == bank.targets)).sum())
            answers = "1 answer" if liked == 1 else f"{liked} answers"
            waiting[source, target] = f"it would have changed {answers} that you were content with"
            continue
        fitting = [at for at, one in enumerate(worth) if one == max(worth)]
        settled.append(Way(source, target, _CUTS[min(fitting, key=lambda at: (abs(at - _USUAL), -at))]))
    return replace(bank, ways=tuple(settled)), waiting


def _with_effects(lessons: Sequence[Lesson], bank: Bank, turns: Sequence[Turn], names: tuple[str, ...]) -> list[Lesson]:
    """How many of the last asks go elsewhere for each lesson that is applied, with all others as they are."""
    last = [turn for turn in turns if turn.asked.fits][-LOOKED_BACK:]
    if not last:
        return list(lessons)
    before = np.array([fits_of(dict(turn.asked.fits), names) for turn in last])
    near = cosines(np.stack([unpacked(turn.asked.vector) for turn in last]), bank.vectors)
    now = bank.moved(before, near).argmax(1)
    told = []
    for lesson in lessons:
        way = names.index(lesson.source), names.index(lesson.target)
        without = replace(bank, ways=tuple(one for one in bank.ways if (one.source, one.target) != way))
        moves = int((without.moved(before, near).argmax(1) != now).sum())
        told.append(replace(lesson, moves=moves, of=len(last)))
    return told


def _routed(
    caller: str, names: tuple[str, ...], way: tuple[int, int], examples: Sequence[_Example], why: str
) -> Lesson:
    return Lesson(
        _way_id(caller, names, *way),
        caller,
        "preference",
        names[way[0]],
        names[way[1]],
        _pieces(way, examples),
        "waiting" if why else "applied",
        why,
    )


def _undone(
    caller: str, names: tuple[str, ...], way: tuple[int, int], examples: Sequence[_Example], left: Sequence[_Example]
) -> Lesson | None:
    if _pieces(way, left):
        return None
    return replace(_routed(caller, names, way, examples, ""), state="undone")


def _pieces(way: tuple[int, int], examples: Sequence[_Example]) -> tuple[Piece, ...]:
    along = [one for one in examples if one.word and (one.source, one.target) == way]
    return tuple(Piece(one.turn.asked.request, one.word.signal, one.word.at) for one in along if one.word)


def _way_id(caller: str, names: tuple[str, ...], source: int, target: int) -> str:
    return lesson_id(caller, "preference", names[source], names[target])


def _stacked(examples: Sequence[_Example]) -> Vectors:
    return np.stack([unpacked(one.turn.asked.vector) for one in examples])
