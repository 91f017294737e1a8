"""What may be spent: how much in which time, of whom, and what is done when it is."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

from router_service.config.preferences import Preference
from router_service.config.providers import ProviderEntry, price_of
from router_service.config.reading import Value, guess, one_of

Unit = Literal["dollars", "tokens"]
Per = Literal["day", "month", "session"]
Then = Literal["warn", "downgrade", "block"]
Each = Literal["client", "preference", "session"]
UTC = "UTC"
REST = "default"  # what no preference is about, by the name of its route
_PER: tuple[Per, ...] = get_args(Per)
_THEN: tuple[Then, ...] = get_args(Then)
_EACH: tuple[Each, ...] = get_args(Each)
_MOST = 1e12
_AMOUNT = re.compile(r"(\$\s*)?(\d{1,3}(?:,\d{3})+|\d{1,12})(\.\d{1,6})?\s*([kM])?(\s+tokens?)?")
_TIMES = {None: 1, "k": 1000, "M": 1_000_000}
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Budget:
    """`at_most` dollars or tokens in each day, month or session; `then` happens from the share `begins` of it on.

    Of the requests of one `client` or `preference`, where one is named. `each`: every client, preference or session
    has as much for itself. Days and months are those of the time zone.
    """

    name: str
    at_most: float
    unit: Unit
    per: Per
    then: Then
    begins: float = 1.0
    client: str = ""
    preference: str = ""
    each: Each | None = None
    time_zone: str = UTC

    @property
    def amount(self) -> str:
        return amount(self.at_most, self.unit)


def budgets(
    value: Value | None,
    *,
    clients: Iterable[str],
    preferences: Sequence[Preference],
    entries: Sequence[ProviderEntry],
) -> tuple[Budget, ...]:
    if value is None or value.empty:
        return ()
    known = {"client": tuple(dict.fromkeys(clients)), "preference": (*(one.name for one in preferences), REST)}
    items = value.items()
    read = [_budget(item, known) for item in items]
    taken: dict[str, int] = {}
    for item, budget in zip(items, read, strict=True):
        if budget and budget.name in taken:
            hint = f"the other is on line {taken[budget.name]}; give one a name of its own"
            item.wrong(f"a second budget '{budget.name}'", hint)
        elif budget:
            taken[budget.name] = item.place.line
            _tell_unpriced(item, budget, entries)
    return tuple(budget for budget in read if budget)


def amount(value: float, unit: Unit) -> str:
    """$5, $0.42, 2M tokens, 1,234 tokens; dollars of less than a cent by the first two digits that count."""
    if unit == "tokens":
        for sign, times in (("M", 1_000_000), ("k", 1000)):
            if value >= times and value % times == 0:
                return f"{value / times:,.0f}{sign} tokens"
        return f"{value:,.0f} tokens"
    if 0 < value < 0.01:
        return f"${value:.{1 - math.floor(math.log10(value))}f}".rstrip("0")
    return f"${value:,.2f}".removesuffix(".00")


def _budget(item: Value, known: Mapping[str, tuple[str, ...]]) -> Budget | None:
    fields = item.fields(_FIELDS)
    for lacking, example in _REQUIRED.items():
        if item.is_mapping and lacking not in fields:
            item.wrong(f"no {lacking}", example)
    read = {name: reader(fields[name]) for name, reader in _READERS.items() if name in fields}
    named = {what: _named(what, fields[what], names) for what, names in known.items() if what in fields}
    _check_together(fields, known)
    if not all(read.get(name) for name in _REQUIRED) or None in named.values():
        return None
    most: tuple[float, Unit] = read.pop("at_most")
    begins, name = read.pop("from", None), read.pop("name", None)
    more = {key: set_to for key, set_to in (read | named).items() if set_to is not None}
    budget = Budget(name="", at_most=most[0], unit=most[1], begins=begins or 1.0, **more)
    return replace(budget, name=name or _in_words(budget))


def _in_words(budget: Budget) -> str:
    """What it says is its name, as long as it has no other."""
    of = f" of {budget.client}" if budget.client else ""
    of += f" for {budget.preference}" if budget.preference else ""
    of += f" for each {budget.each}" if budget.each else ""
    return f"{budget.amount} a {budget.per}{of}"


def _check_together(fields: Mapping[str, Value], known: Mapping[str, tuple[str, ...]]) -> None:
    said = {name: field.written for name, field in fields.items()}
    each = said.get("each")
    if each in fields:
        fields["each"].wrong(f"one {each} is named already", f"leave out {each}, or each")
    elif each == said.get("per") == "session":
        fields["each"].wrong("each session has its own already", "leave each out, or write per: day")
    elif each == "client" and not known["client"]:
        fields["each"].wrong("there are no clients", "give them keys (clients), or leave each out")
    if "from" in fields and said.get("then") == "block":
        fields["from"].wrong(
            "it blocks when all is spent", "lower at_most; to be warned before, add another that warns"
        )
    if "time_zone" in fields and said.get("per") == "session":
        fields["time_zone"].wrong("a session ends at no time of day", "leave time_zone out")


def _named(what: str, value: Value, known: tuple[str, ...]) -> str | None:
    wanted = value.text()
    if wanted is None:
        return None
    found = next((name for name in known if name.casefold() == wanted.casefold()), None)
    if found is None:
        hint = guess(wanted, known) or f"there are {', '.join(known) or 'none'}"
        value.wrong(f"no {what} '{wanted}'", hint)
    return found


def _at_most(value: Value) -> tuple[float, Unit] | None:
    found = _AMOUNT.fullmatch(value.written)
    dollars, tokens = bool(found and found[1]), bool(found and found[5])
    if found is None or dollars == tokens or (dollars and found[4]):
        hint = "prices are in dollars" if re.search(r"[€£¥]|EUR|GBP|USD", value.written) else ""
        value.wrong(f"expected an amount such as $5 or 2M tokens, found '{value.written[:60]}'", hint)
        return None
    number = float(found[2].replace(",", "") + (found[3] or "")) * _TIMES[found[4]]
    if not 0 < number <= _MOST:
        value.wrong("expected more than nothing", "who may spend nothing needs no budget, but no client key either")
        return None
    return number, "dollars" if dollars else "tokens"


def _begins(value: Value) -> float | None:
    share = value.share()
    if share == 0:
        value.wrong("0% is before anything is spent", "such as 80%")
        return None
    return share


def _name(value: Value) -> str | None:
    name = value.text()
    if name and (len(name) > _LONGEST_NAME or not name.isprintable()):
        value.wrong("expected a short name", f"up to {_LONGEST_NAME} letters")
        return None
    return name


def _time_zone(value: Value) -> str | None:
    name = value.text()
    try:
        return ZoneInfo(name).key if name else None
    except (ValueError, OSError, LookupError):  # ZoneInfoNotFoundError is a KeyError; a path is a ValueError
        value.wrong(f"no time zone '{name}' is known here", "such as UTC, Europe/Berlin or America/New_York")
        return None


def _tell_unpriced(item: Value, budget: Budget, entries: Sequence[ProviderEntry]) -> None:
    """Dollars that nobody knows are not counted, which had better be known before."""
    if budget.unit != "dollars":
        return
    usable = [entry for entry in entries if entry.known_as and not entry.missing_key]
    unknown = [entry.known_as for entry in usable if price_of(entry) is None]
    if unknown:
        item.odd(
            f"the price of {one_of(unknown).replace(' or ', ' and ')} is not known: what they answer counts nothing "
            "in a budget of dollars; say it (price), or count tokens"
        )


_READERS: Mapping[str, Callable[[Value], Any]] = {
    "name": _name,
    "at_most": _at_most,
    "per": partial(Value.choice, known=_PER),
    "then": partial(Value.choice, known=_THEN),
    "from": _begins,
    "each": partial(Value.choice, known=_EACH),
    "time_zone": _time_zone,
}
_REQUIRED = {
    "at_most": "such as $5 or 2M tokens",
    "per": f"{one_of(_PER)}",
    "then": f"{one_of(_THEN)}",
}
_FIELDS = (*_READERS, "client", "preference")
