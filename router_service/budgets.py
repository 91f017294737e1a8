"""What has been spent of a budget, whom it concerns, and what follows: warn, downgrade, block. No clock, no I/O.

Every service counts for itself and alone (`own`), and adds what the others have told (`others`): so nothing is lost
where two write at once, and nothing is counted twice where a write is repeated. Times are seconds since the epoch.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from heapq import nlargest
from itertools import takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from router_service import pricing
from router_service.config import Budget
from router_service.config.budgets import Per, Then, amount
from router_service.conversation import Usage

KEPT = 7 * 86_400.0  # seconds that a count outlives its day or month, or the last request of its session
_CLOSE = 0.8  # of a budget that blocks: from here on it is read before each decision and written after each answer
_REST = 60.0  # seconds after which a session may have gone on elsewhere
_QUARTER = 900  # seconds; every time zone begins its day on one
_LONGEST = 200  # characters of a name in a key
_RECENT = 500  # askers, and counts of sessions
_SHOWN_SESSIONS = 3
_BEYOND = 1e15  # tokens; a vendor may send any number


@dataclass(frozen=True, slots=True)
class Asker:
    """Whose request it is. `preference` is None while nobody knows, empty where none was chosen: the client's own word,
    or the fast lane."""

    client: str = ""
    session: str = ""
    preference: str | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """`label` tells it from all others; `until` is None for a session, which ends whenever."""

    label: str
    until: float | None = None


class Count(NamedTuple):
    """One thing that is counted; budgets that ask for the same share it. `key`: the same in every service. `of`: of
    whom, where each has its own. (A tuple, for one is made of every budget at every request.)
    """

    budget: Budget
    key: str
    of: str
    until: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a budget stands for somebody."""

    budget: Budget
    of: str
    spent: float
    until: float | None

    @property
    def state(self) -> str:
        """What its budget says is to be done, once it is; until then empty."""
        begins = self.budget.at_most * self.budget.begins
        return self.budget.then if self.spent >= begins else ""

    @property
    def words(self) -> str:
        """`$5.03 of $5 today`, `1.2M tokens of 2M tokens in this session`."""
        budget = self.budget
        when = {"day": "today", "month": "this month", "session": "in this session"}[budget.per]
        return f"{amount(self.spent, budget.unit)} of {budget.amount} {when}"


class Spending:
    """What has been spent, by key; `writer` is this service's name in the store.

    `changed`: keys of what the store has not been told. `stored`: it may know of more than is known here. `shared`:
    others write there, too. `urgent`: they had better know at once. `recent`: who asked lately, for those who look at
    sessions.
    """

    def __init__(self, writer: str = "", *, limit: int = 50_000) -> None:
        self.own: dict[str, float] = {}
        self.others: dict[str, float] = {}
        self.kept_until: dict[str, float] = {}
        self.changed: set[str] = set()
        self.recent: OrderedDict[Asker, None] = OrderedDict()
        self._answered: OrderedDict[str, float] = OrderedDict()
        self.stored = self.shared = self.urgent = False
        self._name, self._page, self._limit = writer, 0, limit

    @property
    def writer(self) -> str:
        return f"{self._name}.{self._page}"

    def spent(self, key: str) -> float:
        return self.own.get(key, 0.0) + self.others.get(key, 0.0)

    def add(self, key: str, spent: float, kept_until: float) -> None:
        self.own[key] = self.own.get(key, 0.0) + spent
        self.kept_until[key] = max(kept_until, self.kept_until.get(key, 0.0))
        self.changed.add(key)

    def seen(self, asker: Asker) -> None:
        self.recent[asker] = None
        self.recent.move_to_end(asker)
        if len(self.recent) > _RECENT:
            self.recent.popitem(last=False)

    def answered(self, key: str, at: float) -> None:
        """In the session whose count it is."""
        self._answered[key] = at
        self._answered.move_to_end(key)
        if len(self._answered) > _RECENT:
            self._answered.popitem(last=False)

    def going_on(self, now: float) -> list[str]:
        """Counts of sessions in which somebody was answered here lately, where others may answer, too."""
        lately = takewhile(lambda one: now - one[1] < _REST, reversed(self._answered.items()))
        return [key for key, _ in lately] if self.shared else []

    def rests(self, key: str, now: float) -> bool:
        return now - self._answered.get(key, -math.inf) >= _REST

    def learnt(self, others: Mapping[str, float], writer: str) -> None:
        """What all but `writer` have spent, as the store tells; too late where a page has been turned since."""
        if writer == self.writer:
            self.others.update(others)

    def tidy(self, now: float) -> None:
        """Let go what nobody asks for any more; and where that is not enough, what was counted longest ago.

        It may come back, and what stands in the store under this writer's name must never shrink: so a new page is
        begun, and what stands on the old one is as if another had written it. Nothing may be unwritten then.
        """
        if len(self.own) + len(self.others) <= self._limit or (self.stored and self.changed):
            return
        known = {*self.own, *self.others}
        totals = {key: self.spent(key) for key in known if self.kept_until.get(key, now) >= now}
        newest = sorted(totals, key=lambda key: self.kept_until.get(key, now))[-(self._limit // 2) :]
        self.others = {key: totals[key] for key in newest}
        self.own = {}
        self.kept_until = {key: self.kept_until[key] for key in newest if key in self.kept_until}
        self._page += 1


def standings(budgets: Iterable[Budget], spending: Spending, asker: Asker, now: float) -> list[Standing]:
    """How the budgets stand that concern this request; those of preferences only where it is known."""
    return [_standing(count, spending) for count in _counts(budgets, asker, now)]


def reached(budgets: Iterable[Budget], spending: Spending, asker: Asker, now: float) -> list[Standing]:
    """Of `standings`, those that have come to what they say; asked twice for each request, so nothing else is made."""
    return [
        _standing(count, spending)
        for count in _counts(budgets, asker, now)
        if spending.spent(count.key) >= count.budget.at_most * count.budget.begins
    ]


def all_standings(
    budgets: Sequence[Budget], spending: Spending, clients: Iterable[str], preferences: Iterable[str], now: float
) -> list[Standing]:
    """How all of them stand, for people; of sessions those that have spent the most of what they may."""
    lasting = _lasting(tuple(budgets), tuple(clients), tuple(preferences), int(now // _QUARTER))
    counts = (lasting[one.name] if one.name in lasting else _dearest(one, spending, now) for one in budgets)
    return [_standing(count, spending) for of_budget in counts for count in of_budget]


def lasting_standings(
    budgets: Sequence[Budget], spending: Spending, clients: Iterable[str], preferences: Iterable[str], now: float
) -> list[Standing]:
    """The same without sessions, which are without end."""
    lasting = _lasting(tuple(budgets), tuple(clients), tuple(preferences), int(now // _QUARTER))
    return [_standing(count, spending) for counts in lasting.values() for count in counts]


def applying(standings: Iterable[Standing], then: Then) -> list[Standing]:
    return [one for one in standings if one.state == then]


def unread(
    budgets: Sequence[Budget], spending: Spending, asker: Asker, preferences: Iterable[str], now: float
) -> tuple[str, ...]:
    """Keys of what had better be read from the store before this request is decided on.

    That is what it has never told; and where others write, too, what is about to block, and what a session spends that
    may have gone on elsewhere; one that goes on here is read each second.
    """
    if not spending.stored or not budgets:
        return ()
    preferences = tuple(preferences)
    askers = ((budget, one) for budget in budgets for one in _whatever_is_chosen(budget, asker, preferences))
    counts = [count for budget, one in askers if (count := _count(budget, one, now))]
    asked = (one.key for one in counts if one.key not in spending.others or _moves(one, spending, now))
    return tuple(dict.fromkeys(asked))


def standing_keys(
    budgets: Iterable[Budget], clients: Iterable[str], preferences: Iterable[str], now: float
) -> tuple[str, ...]:
    """Keys that are known without a request: all but those of sessions."""
    return _lasting_keys(tuple(budgets), tuple(clients), tuple(preferences), int(now // _QUARTER))


def account(
    spending: Spending, budgets: Sequence[Budget], asker: Asker, *, cost: float | None, usage: Usage, at: float
) -> None:
    """Add what a request has cost (dollars, None where nobody knows), and its tokens, to all that it concerns."""
    if not budgets:
        return
    tokens = pricing.total(usage) + (usage.output or 0)
    counts = _counts(budgets, asker, at)
    for key, count in {count.key: count for count in counts}.items():
        if _is_of_sessions(count.budget):
            spending.answered(key, at)
        spent = tokens if count.budget.unit == "tokens" else cost
        if spent and spent > 0:
            spending.add(key, min(spent, _BEYOND), (at if count.until is None else count.until) + KEPT)
    spending.urgent |= spending.shared and any(_is_close(one.budget, spending.spent(one.key)) for one in counts)
    spending.seen(asker)


def refusal(blocking: Sequence[Standing], now: float) -> str:
    """What the client is told: which budgets, how much of how much, when anew, and what to do until then."""
    told = "; ".join(f"the budget “{one.budget.name}”{_whose(one)} is spent: {one.words}" for one in blocking)
    ends = [one for one in blocking if one.until is not None]
    anew = [_when(max(ends, key=lambda one: one.until or 0.0), now)] if ends else []
    anew += ["in a new session"] if len(ends) < len(blocking) else []
    begins = "it begins" if len(blocking) == 1 else "they begin"
    return f"archgw: {told}; {begins} anew {' and '.join(anew)}. To go on before, raise it in config.yaml (budgets)"


def seconds_left(blocking: Iterable[Standing], now: float) -> int | None:
    """Until all of them have begun anew; None where one never does by itself."""
    ends = [one.until for one in blocking]
    return None if None in ends else max((math.ceil(end - now) for end in ends if end is not None), default=None)


def warning(standing: Standing) -> str:
    """As a header carries it: in letters that need no encoding there."""
    return f"budget '{standing.budget.name}'{_whose(standing)}: {standing.words}"


def _counts(budgets: Iterable[Budget], asker: Asker, now: float) -> list[Count]:
    return [count for budget in budgets if (count := _count(budget, asker, now))]


def _count(budget: Budget, asker: Asker, now: float) -> Count | None:
    """None where the request does not concern the budget, or nobody knows yet."""
    if budget.client and budget.client != asker.client:
        return None
    if budget.preference and budget.preference != asker.preference:
        return None
    each, preference = budget.each, asker.preference or ""
    of = asker.client if each == "client" else preference if each == "preference" else ""
    if each in ("client", "preference") and not of:
        return None
    period = _period(budget.per, budget.time_zone, int(now // _QUARTER))
    key = f"{budget.unit} {period.label}"
    if budget.client or each == "client":
        key += f" client={_plain(asker.client)}"
    if budget.preference or each == "preference":
        key += f" preference={_plain(preference)}"
    if _is_of_sessions(budget):
        key += f" session={_plain(asker.session)}"
        session = asker.session.removesuffix("/")
        of = f"{of}, {session}" if of else session
    return Count(budget, key, of, period.until)


@lru_cache(maxsize=64)
def _period(per: Per, zone: str, quarter: int) -> Period:
    """The one that this quarter of an hour since the epoch is in."""
    if per == "session":
        return Period("session")
    here = datetime.fromtimestamp(quarter * _QUARTER, UTC if zone == "UTC" else ZoneInfo(zone))
    begin = here.replace(hour=0, minute=0) if per == "day" else here.replace(day=1, hour=0, minute=0)
    label = f"{begin:%Y-%m-%d}" if per == "day" else f"{begin:%Y-%m}"
    # Wall-clock arithmetic: a day of 23 hours ends at midnight, too.
    after = begin + timedelta(days=1) if per == "day" else (begin + timedelta(days=32)).replace(day=1)
    return Period(label if zone == "UTC" else f"{label} {zone}", after.timestamp())


@lru_cache(maxsize=2)  # of what is served now, and of what was before
def _lasting(
    budgets: tuple[Budget, ...], clients: tuple[str, ...], preferences: tuple[str, ...], quarter: int
) -> Mapping[str, tuple[Count, ...]]:
    """By the name of its budget: all that is counted, whoever asks; of sessions none."""
    return {
        budget.name: _unlike(budget, _whoever_asks(budget, clients, preferences), quarter * _QUARTER)
        for budget in budgets
        if not _is_of_sessions(budget)
    }


@lru_cache(maxsize=2)
def _lasting_keys(
    budgets: tuple[Budget, ...], clients: tuple[str, ...], preferences: tuple[str, ...], quarter: int
) -> tuple[str, ...]:
    lasting = _lasting(budgets, clients, preferences, quarter)
    return tuple(dict.fromkeys(count.key for counts in lasting.values() for count in counts))


def _dearest(budget: Budget, spending: Spending, now: float) -> list[Count]:
    counts = [one for one in _unlike(budget, spending.recent, now) if spending.spent(one.key)]
    return nlargest(_SHOWN_SESSIONS, counts, key=lambda one: spending.spent(one.key))


def _unlike(budget: Budget, askers: Iterable[Asker], now: float) -> tuple[Count, ...]:
    counts = (_count(budget, asker, now) for asker in askers)
    return tuple({count.key: count for count in counts if count}.values())


def _whoever_asks(budget: Budget, clients: Iterable[str], preferences: Sequence[str]) -> list[Asker]:
    """One for each count: a budget tells clients apart, or preferences, never both."""
    asking = [Asker(client) for client in (clients if budget.each == "client" else (budget.client,))]
    return [one for asker in asking for one in _whatever_is_chosen(budget, asker, preferences)]


def _whatever_is_chosen(budget: Budget, asker: Asker, preferences: Sequence[str]) -> list[Asker]:
    """Whose request it will be; one where the preference changes nothing."""
    names = preferences if budget.each == "preference" else (budget.preference,)
    return [Asker(asker.client, asker.session, name) for name in names]


def _standing(count: Count, spending: Spending) -> Standing:
    return Standing(count.budget, count.of, spending.spent(count.key), count.until)


def _moves(count: Count, spending: Spending, now: float) -> bool:
    """Whether others may have spent of it since it was read last, and whether that matters."""
    spent, budget = spending.spent(count.key), count.budget
    if not spending.shared or spent >= budget.at_most:
        return False
    return _is_close(budget, spent) or (_is_of_sessions(budget) and spending.rests(count.key, now))


def _is_close(budget: Budget, spent: float) -> bool:
    """It is about to block, or does."""
    return budget.then == "block" and spent >= _CLOSE * budget.at_most


def _is_of_sessions(budget: Budget) -> bool:
    return budget.per == "session" or budget.each == "session"


def _plain(name: str) -> str:
    """A name as every store takes it: a client may send any bytes as the id of its session."""
    if len(name) <= _LONGEST and name.isascii() and name.isprintable():
        return name
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _whose(standing: Standing) -> str:
    return f" ({standing.of})" if standing.of and standing.budget.each in ("client", "preference") else ""


def _when(standing: Standing, now: float) -> str:
    """`on 2026-12-01 at 00:00 UTC, in 3 days`."""
    zone, until = standing.budget.time_zone, standing.until or now
    at = datetime.fromtimestamp(until, UTC if zone == "UTC" else ZoneInfo(zone))
    return f"on {at:%Y-%m-%d at %H:%M} {zone}, in {_span(until - now)}"


def _span(seconds: float) -> str:
    for length, unit in ((86_400, "day"), (3600, "hour")):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}s"
    minutes = max(1, round(seconds / 60))
    return f"{minutes} minute{'s' * (minutes > 1)}"
