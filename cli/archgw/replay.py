"""What past turns would have come to: who would have answered by today's preferences, and for how much. No I/O."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from archgw import lint
from archgw.transcripts import Answer, Turn
from router_service.conversation import BadRequest
from router_service.plan import Candidate, Plan, Route
from router_service.policies import explicit, preference
from router_service.policies.policy import Decision, Scores, Setting
from router_service.pricing import Price, cost, total
from router_service.session import NEW, Pin, Read, Session
from router_service.switching import WRITTEN

PriceOf = Callable[[str, str], Price | None]

NONE, FAST = "none", "fast"  # what fits no preference; what the client asks a small model for
_EXAMPLES = 3
_LINE = 100


@dataclass(frozen=True, slots=True)
class Replayed:
    """A turn, the preference that it fits (or NONE, or FAST) and who would answer it.

    `really` and `would` are dollars, None where a price is unknown. `again` is the part of `would` that is paid for
    reading anew what was cached: the model is another one than that of the turn before, and no longer knows it.
    """

    turn: Turn
    fits: str
    candidate: Candidate
    scores: Mapping[str, float]
    really: float | None
    would: float | None
    again: float = 0.0
    switched: bool = False

    @property
    def priced(self) -> bool:
        return self.really is not None and self.would is not None


def is_fast(plan: Plan, turn: Turn) -> bool:
    """Whether the client itself asked for a small model, so that no preference has a say and no score is needed."""
    with suppress(BadRequest):
        return explicit.resolve(plan, turn.requested, claude_code=True).lane == "fast"
    return False


def replay(plan: Plan, scored: Iterable[tuple[Turn, Scores]], price: PriceOf) -> Iterator[Replayed]:
    """The turns, oldest first, as the gateway would have decided them, what a switch costs included.

    Each thread is a session as the gateway keeps one, which goes on to its next turn.
    """
    sessions: dict[str, Session] = {}
    names = {route.id: route.name for route in plan.routes}
    for turn, scores in scored:
        session, now = sessions.get(turn.thread, NEW), turn.at.timestamp()
        fits, decision = _decided(plan, turn, scores, session, now)
        candidate = decision.first
        switched = fits != FAST and session.pin is not None and session.pin.candidate != candidate.id
        theirs = price(candidate.provider.name, candidate.model)
        again = _again(turn.answers, session.reads.get(candidate.id), now, theirs) if switched else 0.0
        would = _sum(cost(theirs, answer.usage, at=answer.at.timestamp()) for answer in turn.answers)
        sessions[turn.thread] = _after(session, turn, decision, theirs, moves=fits != FAST)
        yield Replayed(
            turn,
            fits,
            candidate,
            {names[id]: share for id, share in scores.routes.items()},
            _sum(_paid(plan, answer, price) for answer in turn.answers),
            None if would is None else would + again,
            again,
            switched,
        )


def _decided(plan: Plan, turn: Turn, scores: Scores, session: Session, now: float) -> tuple[str, Decision]:
    if is_fast(plan, turn):
        return FAST, explicit.choose(plan, explicit.Named("fast", plan.fast), turn.requested)
    alone = preference.choose(plan, scores)
    fits = NONE if alone.route is plan.default else alone.route.name
    return fits, preference.choose(plan, scores, _setting(turn, scores, session, now))


def _setting(turn: Turn, scores: Scores, session: Session, now: float) -> Setting:
    """How fast models were then, and who was judged how, nobody knows any more."""
    read = total(turn.answers[0].usage) if turn.answers else 0
    written = session.written / session.requests if session.requests else WRITTEN
    return Setting(session, tokens=read, written=written, now=now, difficulty=scores.difficulty)


def _after(session: Session, turn: Turn, decision: Decision, theirs: Price | None, *, moves: bool) -> Session:
    """The session once the candidate has answered the turn."""
    if moves:
        paid = max(0.0, decision.switch.price) if decision.switch and decision.switch.done else 0.0
        session = session.turned(Pin(decision.route.id, decision.first.id, decision.score), paid)
    for number, answer in enumerate(turn.answers):
        session = session.answered(decision.first.id, answer.usage, answer.at.timestamp(), opens_turn=number == 0)
        bill = cost(theirs, answer.usage, at=answer.at.timestamp())
        session = session.paid(bill, bill)
    return session


def _paid(plan: Plan, answer: Answer, price: PriceOf) -> float | None:
    """What was really paid for it."""
    return cost(price(*_maker(plan, answer.model)), answer.usage, at=answer.at.timestamp())


def _maker(plan: Plan, model: str) -> tuple[str, str]:
    """Of a model that a transcript names: whose it is in the config, else whose its name tells."""
    known = plan.names.get(model)
    return (known.provider.name, known.model) if known else ("", model)


def _again(answers: Sequence[Answer], read: Read | None, now: float, price: Price | None) -> float:
    """What the first answer read from a cache is written to another one, but for what that one still knows."""
    cached = (answers[0].usage.cached or 0) if answers else 0
    anew = max(0, cached - (read.tokens if read and read.warm(now) else 0))
    return price.bill(cache_write=anew) - price.bill(cached=anew) if price else 0.0


def _sum(costs: Iterable[float | None]) -> float | None:
    known = list(costs)
    return None if None in known else sum(cost for cost in known if cost is not None)


# -- what it came to ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """Turns that went one way; `route` is the preference, where it is one."""

    name: str
    route: Route | None
    turns: Sequence[Replayed] = field(repr=False)
    of: int

    @property
    def share(self) -> float:
        return len(self.turns) / self.of if self.of else 0.0

    @cached_property
    def models(self) -> Counter[str]:
        return Counter(one.candidate.label for one in self.turns)

    @property
    def cost(self) -> "Cost":
        return Cost(self.turns)

    @property
    def asks(self) -> list[str]:
        """The newest, each once, cut to a line."""
        found = dict.fromkeys(line(one.turn.ask) for one in reversed(self.turns))
        return [ask for ask in found if ask][:_EXAMPLES]


@dataclass(frozen=True)
class Cost:
    """Dollars of the turns whose prices are known on both sides; the others are counted."""

    turns: Sequence[Replayed] = field(repr=False)

    @cached_property
    def priced(self) -> list[Replayed]:
        return [one for one in self.turns if one.priced]

    @property
    def really(self) -> float:
        return sum(one.really or 0.0 for one in self.priced)

    @property
    def would(self) -> float:
        return sum(one.would or 0.0 for one in self.priced)

    @property
    def again(self) -> float:
        return sum(one.again for one in self.priced)

    def as_json(self) -> dict[str, Any]:
        some = bool(self.priced)
        return {
            "turns": len(self.priced),
            "unknown": len(self.turns) - len(self.priced),
            "really": round(self.really, 6) if some else None,
            "would": round(self.would, 6) if some else None,
            "difference": round(self.would - self.really, 6) if some else None,
        }


@dataclass(frozen=True, slots=True)
class Confused:
    """Two preferences that claim the same asks, and what to do about it."""

    names: tuple[str, str]
    both: int
    won: int
    ask: str
    suggestion: str


@dataclass(frozen=True)
class Report:
    plan: Plan = field(repr=False)
    turns: Sequence[Replayed] = field(repr=False)
    price: PriceOf = field(repr=False)

    @cached_property
    def preferences(self) -> list[Part]:
        """The most asked for first, those that never match last."""
        by_name = self._by_fit
        parts = [Part(route.name, route, by_name[route.name], len(self.turns)) for route in self.plan.routes]
        return sorted(parts, key=lambda part: -len(part.turns))

    @property
    def none(self) -> Part:
        return Part(NONE, None, self._by_fit[NONE], len(self.turns))

    @property
    def fast(self) -> Part:
        return Part(FAST, None, self._by_fit[FAST], len(self.turns))

    @property
    def never(self) -> list[tuple[str, str]]:
        """Preferences that no turn fits, with who took the turns that came nearest, if somebody did."""
        return [(part.name, self._rival(part.name)) for part in self.preferences if not part.turns]

    @cached_property
    def confused(self) -> list[Confused]:
        """By the measure of `archgw check`, on what was really asked."""
        scored = [(one.turn.ask, one.scores) for one in self.turns if one.fits not in (NONE, FAST)]
        found = lint.contests([route.name for route in self.plan.routes], scored)
        told = [
            Confused((one.one, one.other), len(one.both), one.won, line(min(one.both, key=len)), self._suggestion(one))
            for one in found
        ]
        return sorted(told, key=lambda one: -one.both)

    @property
    def cost(self) -> Cost:
        return Cost(self.turns)

    @property
    def switches(self) -> int:
        return sum(one.switched for one in self.turns)

    @property
    def unknown(self) -> list[str]:
        """Models whose price is unknown, of those that answered and of those that would."""
        maker = [(answer.model, _maker(self.plan, answer.model)) for one in self.turns for answer in one.turn.answers]
        asked = [(one.candidate.label, (one.candidate.provider.name, one.candidate.model)) for one in self.turns]
        names = dict.fromkeys([*maker, *asked])
        return sorted({name for name, priced in names if self.price(*priced) is None})

    @cached_property
    def _by_fit(self) -> dict[str, list[Replayed]]:
        found: dict[str, list[Replayed]] = defaultdict(list)
        for one in self.turns:
            found[one.fits].append(one)
        return found

    def _rival(self, name: str) -> str:
        nearest = sorted((one for one in self.turns if one.scores), key=lambda one: -one.scores[name])[:5]
        took = Counter(one.fits for one in nearest if one.fits != NONE)
        return took.most_common(1)[0][0] if took else ""

    def _suggestion(self, contest: lint.Contest) -> str:
        first = {route.name: route.candidates[0].label for route in self.plan.routes}
        one, other = contest.one, contest.other
        if first[one] == first[other]:
            return f"{first[one]} answers both: leave it, or merge them"
        count = {part.name: len(part.turns) for part in self.preferences}
        narrow, wide = sorted((one, other), key=lambda name: count[name])
        return f"say in '{wide}' that it is not for what '{narrow}' is for, or merge them"

    def as_json(self, *, asks: bool) -> dict[str, Any]:
        """See docs/configuration.md; without `asks` nothing that anybody said."""
        return {
            "turns": len(self.turns),
            "subagent_turns": sum(one.turn.subagent for one in self.turns),
            "sessions": self.sessions,
            "first": self.turns[0].turn.at.isoformat() if self.turns else None,
            "last": self.turns[-1].turn.at.isoformat() if self.turns else None,
            "preferences": [_part_as_json(part, asks=asks) for part in self.preferences],
            "none": _part_as_json(self.none, asks=asks),
            "fast": _part_as_json(self.fast, asks=asks),
            "never": [{"name": name, "instead": rival or None} for name, rival in self.never],
            "confused": [
                {"names": list(one.names), "both": one.both, "turns": one.won, "suggestion": one.suggestion}
                | ({"ask": one.ask} if asks else {})
                for one in self.confused
            ],
            "cost": self.cost.as_json()
            | {"switches": self.switches, "reading_anew": round(self.cost.again, 6), "unknown_models": self.unknown},
        }

    @property
    def sessions(self) -> int:
        return len({one.turn.thread.partition("/")[0] for one in self.turns})


def _part_as_json(part: Part, *, asks: bool) -> dict[str, Any]:
    return {
        "name": part.name,
        "turns": len(part.turns),
        "share": round(part.share, 4),
        "models": dict(part.models.most_common()),
        "cost": part.cost.as_json(),
    } | ({"asks": part.asks} if asks else {})


def line(ask: str) -> str:
    """One line that a terminal can show: no control characters, cut where it is long."""
    words = " ".join(re.sub(r"[^\S ]", " ", ask).split())
    shown = "".join(char if char.isprintable() else "?" for char in words)
    return shown if len(shown) <= _LINE else shown[: _LINE - 1] + "…"
