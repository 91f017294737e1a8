"""What models charge, and what a request cost: dollars, for a million tokens where it is a price.

The published prices are those of the package genai-prices, which carries them; nothing is fetched.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from functools import cache
from itertools import pairwise
from typing import Any

from router_service.conversation import Usage

_MILLION = 1_000_000
# What genai-prices calls a vendor, where it is not our name.
_KNOWN_AS = {
    "amazon_bedrock": "aws",
    "azure_openai": "azure",
    "gemini": "google",
    "moonshot": "moonshotai",
    "vertex": "google",
    "xai": "x-ai",
}
_OWN = ("ollama",)  # runs on the user's machine
_WITH_PUBLISHER = ("vertex",)  # before the model's name, as in google/gemini-2.5-pro
_TODAY = datetime(2100, 1, 1, 12, tzinfo=UTC)  # the newest price there is
_DAY = 1440  # minutes
_EDGES = ("start_time", "end_time")  # of the hours at which a price holds
_FIELDS = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "hour_write": "cache_write_1h_mtok",
}


@dataclass(frozen=True, slots=True)
class Price:
    """`hour_write`: of what is written to a cache that keeps it for an hour. `search`: of a million searches.

    `above`: from so many tokens of input on, all tokens cost this; in rising order. `hours`: what it costs instead from
    one minute of the day to another, in UTC.
    """

    input: float
    cached: float
    cache_write: float
    output: float
    above: tuple[tuple[int, "Price"], ...] = ()
    hour_write: float | None = None  # as `cache_write`
    search: float = 0.0
    hours: tuple[tuple[int, int, "Price"], ...] = ()

    @classmethod
    def of(
        cls,
        *,
        input: float,
        output: float,
        cached: float | None = None,
        cache_write: float | None = None,
        hour_write: float | None = None,
        search: float = 0.0,
    ) -> "Price":
        """What is not said follows from `input`, as vendors usually have it."""
        read, write = (input if each is None else each for each in (cached, cache_write))
        return cls(input, read, write, output, hour_write=hour_write, search=search)

    def at(self, tokens: int) -> "Price":
        """The price of a request with so many tokens of input."""
        return next((price for start, price in reversed(self.above) if tokens > start), self) if self.above else self

    def when(self, at: float) -> "Price":
        """The price at this time, in seconds since the epoch."""
        if not self.hours:  # most cost the same around the clock
            return self
        minute = at // 60 % _DAY
        return next((price for start, end, price in self.hours if start <= minute < end), self)

    def bill(
        self,
        *,
        input: int = 0,
        cached: int = 0,
        cache_write: int = 0,
        output: int = 0,
        hour_write: int = 0,
        searches: int = 0,
    ) -> float:
        """Dollars for so many tokens, each counted once, and so many searches of the web."""
        each = self.at(input + cached + cache_write + hour_write)
        hourly = each.cache_write if each.hour_write is None else each.hour_write
        return (
            min(input, _BEYOND) * each.input
            + min(cached, _BEYOND) * each.cached
            + min(cache_write, _BEYOND) * each.cache_write
            + min(hour_write, _BEYOND) * hourly
            + min(output, _BEYOND) * each.output
            + min(searches, _BEYOND) * each.search
        ) / _MILLION


_BEYOND = 10**15  # tokens; a vendor may send any number, and not every number is one that can be counted with
FREE = Price(0.0, 0.0, 0.0, 0.0)


@cache
def price(provider: str, model: str) -> Price | None:
    """The published price of a model by our name of its vendor; None where none is known.

    Without a vendor it is the one that the model's name tells.
    """
    if provider in _OWN:
        return FREE
    from genai_prices.data_snapshot import get_snapshot  # a sixth of a second

    name = model.rpartition("/")[2] if provider in _WITH_PUBLISHER else model
    try:
        _, found = get_snapshot().find_provider_model(name, None, _KNOWN_AS.get(provider, provider) or None, None)
    except LookupError:
        return None
    usual = _on(found, _TODAY)
    return replace(usual, hours=tuple(_other_hours(found, usual))) if usual else None


def _on(model: Any, when: datetime) -> Price | None:
    """What it costs then, more for many tokens included."""
    published = model.get_prices(when).__dict__
    starts = {tier.start for each in published.values() for tier in getattr(each, "tiers", ())}
    base = _published(published, 0)
    above = [(start, tier) for start in sorted(starts) if (tier := _published(published, start + 1))]
    return replace(base, above=tuple(above)) if base else None


def _other_hours(model: Any, usual: Price) -> Iterator[tuple[int, int, Price]]:
    """DeepSeek costs more, or less, at some hours of the day."""
    constraints = [one.constraint for one in model.prices] if isinstance(model.prices, list) else []
    turns = [getattr(one, name) for one in constraints for name in _EDGES if isinstance(getattr(one, name, None), time)]
    edges = sorted({0, _DAY, *(edge.hour * 60 + edge.minute for edge in turns)})
    for start, end in pairwise(edges):
        there = _on(model, _TODAY.replace(hour=start // 60, minute=start % 60))
        if there and there != usual:
            yield start, end, there


def _published(prices: dict[str, Any], tokens: int) -> Price | None:
    """The price at so many tokens of input; None for what is not sold by the token."""
    read = {name: _at(prices.get(field), tokens) for name, field in _FIELDS.items()}
    if read["input"] is None or read["output"] is None:
        return None
    searches = _at(prices.get("web_searches_kcount"), tokens) or 0.0
    return Price.of(
        input=read["input"],
        output=read["output"],
        cached=read["cached"],
        cache_write=read["cache_write"],
        hour_write=read["hour_write"],
        search=searches * 1000,
    )


def _at(price: Any, tokens: int) -> float | None:
    """A plain price, or one that rises with the tokens of the request."""
    if price is None or not hasattr(price, "tiers"):
        return None if price is None else float(price)
    return float(next((tier.price for tier in reversed(price.tiers) if tokens > tier.start), price.base))


def total(usage: Usage) -> int:
    """All tokens that were read, from wherever."""
    return (usage.input or 0) + (usage.cached or 0) + (usage.cache_write or 0)


def had_it_stayed(usage: Usage, known: int) -> Usage:
    """The same tokens as a model would have read them that had answered all along, and still knew `known` of them."""
    cached = min(known, total(usage))
    written = total(usage) - cached
    kept = None if usage.hour_write is None else min(usage.hour_write, written)
    return replace(usage, input=0, cached=cached, cache_write=written, hour_write=kept)


def cost(price: Price | None, usage: Usage, *, at: float | None = None) -> float | None:
    """Dollars, at this time in seconds since the epoch; None where the price, or what was used, is not known."""
    if price is None or usage.output is None:
        return None
    written = usage.cache_write or 0
    for_an_hour = min(usage.hour_write or 0, written)
    return (price if at is None else price.when(at)).bill(
        input=usage.input or 0,
        cached=usage.cached or 0,
        cache_write=written - for_an_hour,
        hour_write=for_an_hour,
        output=usage.output,
        searches=usage.searches or 0,
    )
