"""How well a router model does on conversations whose preference is known: cases, judgements, figures."""

import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from router_service.asks import turns
from router_service.conversation import Conversation
from router_service.dialects import DIALECTS

NONE = "none"
UNANSWERED = "no answer"
_BINS = 10


class BadCase(ValueError):
    """A line that is no case. Its text says the line, what was expected and what stands there."""


@dataclass(frozen=True, slots=True)
class Case:
    """One conversation, the (name, description) pairs it is judged by, and the name of the right one, or NONE."""

    line: int
    conversation: Conversation
    routes: tuple[tuple[str, str], ...]
    label: str
    config: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """`scores` are probabilities by name; with `none` they add up to 1. `seconds`: the whole path.

    `trouble`: why there are none. `threshold`: below it, the answer is none.
    """

    case: Case
    scores: Mapping[str, float]
    none: float
    seconds: float
    trouble: str = ""
    threshold: float = 0.0

    @property
    def best(self) -> str:
        """The preference that fits best, whatever "none" says."""
        return max(self.scores, key=lambda name: self.scores[name], default=NONE)

    @property
    def answer(self) -> str:
        if self.trouble:
            return UNANSWERED
        return NONE if max(self.none, self.threshold) > self.scores.get(self.best, 0.0) else self.best

    @property
    def confidence(self) -> float:
        return max(self.none, self.scores.get(self.best, 0.0))

    @property
    def in_scope(self) -> bool:
        return self.case.label != NONE


# -- reading -----------------------------------------------------------------------------------------------------------


def cases(lines: Iterable[str], file: str) -> Iterator[Case]:
    """The cases of a JSONL file. Raises BadCase at the first line that is none."""
    for number, text in enumerate(lines, 1):
        if text.strip():
            try:
                yield _case(number, _parsed(text))
            except RecursionError as error:
                raise BadCase(f"{file}:{number}: lists and objects too deep within each other") from error
            except BadCase as error:
                raise BadCase(f"{file}:{number}: {error}") from error


def _parsed(text: str) -> Any:
    try:
        found = json.loads(text)
        json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise BadCase(f"not JSON: {error.msg} at column {error.colno}") from error
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])[1:-1]
        raise BadCase(f"half of a character ({half}): expected both halves of it, or none") from error
    except ValueError as error:  # a number that is too long
        raise BadCase(f"not JSON: {error}") from error
    return found


def _case(number: int, found: Any) -> Case:
    if not isinstance(found, dict):
        raise BadCase('expected {"conversation": [...], "routes": [...], "label": "..."}')
    routes = tuple(_route(item) for item in _list(found, "routes"))
    names = [name for name, _ in routes]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadCase(f"routes: '{twice[0]}' stands there twice")
    label = found.get("label")
    if label not in (*names, NONE):
        raise BadCase(f"label: expected the name of a route or '{NONE}', found {label!r}")
    return Case(number, _conversation(found), routes, label, str(found.get("config") or ""), _tags(found))


def _conversation(found: dict[str, Any]) -> Conversation:
    messages = _list(found, "conversation")
    try:
        return DIALECTS["openai_chat"].parse_request({"model": "arch.main.v1", "messages": messages})
    except ValueError as error:
        raise BadCase(f"conversation: {error}") from error


def _route(item: Any) -> tuple[str, str]:
    if isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("description", ""), str):
        if item["name"].strip().casefold() == NONE:
            raise BadCase(f"routes: '{item['name']}' is what a label says where none fits; choose another name")
        return item["name"], item.get("description", "")
    raise BadCase('routes: expected {"name": "...", "description": "..."}')


def _tags(found: dict[str, Any]) -> tuple[str, ...]:
    tags = found.get("tags") or []
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        return tuple(tags)
    raise BadCase('tags: expected a list of texts, such as ["hard"]')


def _list(found: dict[str, Any], key: str) -> list[Any]:
    value = found.get(key)
    if not isinstance(value, list) or not value:
        raise BadCase(f"{key}: expected a list with at least one item")
    return value


# -- figures -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    judgements: Sequence[Judgement] = field(repr=False)

    @cached_property
    def _inside(self) -> list[Judgement]:
        return [j for j in self.judgements if j.in_scope]

    @cached_property
    def _answered(self) -> list[Judgement]:
        return [j for j in self.judgements if not j.trouble]

    @property
    def troubles(self) -> Mapping[str, int]:
        """Why the model did not answer, and how often; the most frequent first."""
        return dict(Counter(j.trouble for j in self.judgements if j.trouble).most_common())

    @property
    def top1(self) -> float:
        """Share of the cases with a right preference in which it scores best."""
        return _mean(j.best == j.case.label for j in self._inside)

    @property
    def accuracy_with_none(self) -> float:
        """Share of all cases in which what is answered, "none" included, is right."""
        return _mean(j.answer == j.case.label for j in self.judgements)

    @property
    def none_auroc(self) -> float:
        """How well the score of "none" tells the cases that none fits from the others: .5 is chance, 1 is always."""
        return auroc([j.none for j in self._answered if not j.in_scope], [j.none for j in self._answered if j.in_scope])

    @property
    def calibration_error(self) -> float:
        """Expected difference between the confidence that is reported and the share that is right."""
        total = len(self._answered)
        return sum(count / total * abs(sure - right) for sure, right, count in self.reliability) if total else math.nan

    @cached_property
    def reliability(self) -> list[tuple[float, float, int]]:
        """(mean confidence, share right, cases) of each tenth of the scale that has any."""
        bins: dict[int, list[Judgement]] = defaultdict(list)
        for j in self._answered:
            bins[min(_BINS - 1, int(j.confidence * _BINS))].append(j)
        return [
            (_mean(j.confidence for j in some), _mean(j.answer == j.case.label for j in some), len(some))
            for _, some in sorted(bins.items())
        ]

    def latency(self, share: float) -> float:
        """Milliseconds that this share of the answers did not exceed."""
        taken = sorted(j.seconds for j in self._answered)
        return taken[min(len(taken) - 1, int(share * len(taken)))] * 1000 if taken else math.nan

    def by(self, key: Callable[[Case], Iterable[str]]) -> dict[str, "Report"]:
        """A report for each config or tag, the largest first."""
        parts: dict[str, list[Judgement]] = defaultdict(list)
        for j in self.judgements:
            for name in key(j.case):
                parts[name].append(j)
        return {name: Report(some) for name, some in sorted(parts.items(), key=lambda item: -len(item[1]))}

    @property
    def confusions(self) -> list[tuple[str, str, int]]:
        """(right, answered instead, how often), the most frequent first."""
        pairs = Counter((j.case.label, j.answer) for j in self.judgements if j.answer != j.case.label)
        return [(right, answered, count) for (right, answered), count in pairs.most_common()]

    def as_json(self) -> dict[str, Any]:
        return {
            **self._figures(),
            "none_auroc": _round(self.none_auroc),
            "calibration_error": _round(self.calibration_error),
            "latency_ms": {"p50": round(self.latency(0.5), 2), "p95": round(self.latency(0.95), 2)},
            "unanswered": self.troubles,
            "configs": {name: part._figures() for name, part in self.by(configs_of).items()},
            "tags": {name: part._figures() for name, part in self.by(tags_of).items()},
            "confusions": [{"label": a, "answered": b, "count": n} for a, b, n in self.confusions[:30]],
            "reliability": [{"confidence": _round(a), "right": _round(b), "cases": n} for a, b, n in self.reliability],
        }

    def _figures(self) -> dict[str, Any]:
        return {
            "cases": len(self.judgements),
            "top1": _round(self.top1),
            "accuracy_with_none": _round(self.accuracy_with_none),
        }


def configs_of(case: Case) -> list[str]:
    return [case.config] if case.config else []


def tags_of(case: Case) -> Sequence[str]:
    several = sum(turn.role == "user" for turn in turns(case.conversation)) > 1
    return list(dict.fromkeys(["follow-up" if several else "first ask", *case.tags]))


def auroc(higher: Sequence[float], lower: Sequence[float]) -> float:
    """Chance that one of `higher` exceeds one of `lower`, ties counting half; nan when either is empty or has one."""
    if not higher or not lower or any(map(math.isnan, (*higher, *lower))):
        return math.nan
    ranked = sorted([(value, True) for value in higher] + [(value, False) for value in lower])
    total, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        total += (at + 1 + end) / 2 * sum(is_higher for _, is_higher in ranked[at:end])
        at = end
    n, m = len(higher), len(lower)
    return (total - n * (n + 1) / 2) / (n * m)


def _mean(values: Iterable[float]) -> float:
    listed = list(values)
    return sum(listed) / len(listed) if listed else math.nan


def _round(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
