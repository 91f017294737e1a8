"""What models charge, and what a request cost: dollars, for a million tokens where it is a price.

The published prices are those of the package genai-prices, which carries them; nothing is fetched.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cache
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
_TODAY = datetime(2100, 1, 1, 12)  # the newest price there is, at no hour that is cheaper than others


@dataclass(frozen=True, slots=True)
class Price:
    """`above`: from so many tokens of input on, all tokens cost this; in rising order."""

    input: float
    cached: float
    cache_write: float
    output: float
    above: tuple[tuple[int, "Price"], ...] = ()

    @classmethod
    def of(
        cls, *, input: float, output: float, cached: float | None = None, cache_write: float | None = None
    ) -> "Price":
        """What is not said follows from `input`, as vendors usually have it."""
        return cls(input, input if cached is None else cached, input if cache_write is None else cache_write, output)

    def at(self, tokens: int) -> "Price":
        """The price of a request with so many tokens of input."""
        return next((price for start, price in reversed(self.above) if tokens > start), self)

    def bill(self, *, input: int = 0, cached: int = 0, cache_write: int = 0, output: int = 0) -> float:
        """Dollars for so many tokens, each counted once."""
        each = self.at(input + cached + cache_write)
        pairs = ((input, each.input), (cached, each.cached), (cache_write, each.cache_write), (output, each.output))
        return sum(min(tokens, _BEYOND) * price for tokens, price in pairs) / _MILLION


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
    published = found.get_prices(_TODAY).__dict__
    starts = {tier.start for each in published.values() for tier in getattr(each, "tiers", ())}
    base = _published(published, 0)
    above = [(start, tier) for start in sorted(starts) if (tier := _published(published, start + 1))]
    return Price(base.input, base.cached, base.cache_write, base.output, tuple(above)) if base else None


def _published(prices: dict[str, Any], tokens: int) -> Price | None:
    """The price at so many tokens of input; None for what is not sold by the token."""
    read = {
        name: _at(prices.get(f"{field}_mtok"), tokens)
        for name, field in (
            ("input", "input"),
            ("output", "output"),
            ("cached", "cache_read"),
            ("cache_write", "cache_write"),
        )
    }
    if read["input"] is None or read["output"] is None:
        return None
    return Price.of(input=read["input"], output=read["output"], cached=read["cached"], cache_write=read["cache_write"])


def _at(price: Any, tokens: int) -> float | None:
    """A plain price, or one that rises with the tokens of the request."""
    if price is None or not hasattr(price, "tiers"):
        return None if price is None else float(price)
    return float(next((tier.price for tier in reversed(price.tiers) if tokens > tier.start), price.base))


def total(usage: Usage) -> int:
    """All tokens that were read, from wherever."""
    return sum(count or 0 for count in (usage.input, usage.cached, usage.cache_write))


def had_it_stayed(usage: Usage, known: int) -> Usage:
    """The same tokens as a model would have read them that had answered all along, and still knew `known` of them."""
    cached = min(known, total(usage))
    return Usage(input=0, cached=cached, cache_write=total(usage) - cached, output=usage.output)


def cost(price: Price | None, usage: Usage) -> float | None:
    """Dollars; None where the price, or what was used, is not known."""
    if price is None or usage.output is None:
        return None
    read = {"input": usage.input, "cached": usage.cached, "cache_write": usage.cache_write}
    return price.bill(**{name: tokens or 0 for name, tokens in read.items()}, output=usage.output)
