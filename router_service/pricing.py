"""What models charge: dollars for a million tokens."""

from dataclasses import dataclass

from router_service.conversation import Usage


@dataclass(frozen=True, slots=True)
class Price:
    input: float
    cached: float
    cache_write: float
    output: float

    @classmethod
    def of(
        cls, *, input: float, output: float, cached: float | None = None, cache_write: float | None = None
    ) -> "Price":
        return cls(input, input if cached is None else cached, input if cache_write is None else cache_write, output)


def price(provider: str, model: str) -> Price | None:
    return None


def had_it_stayed(usage: Usage, known: int) -> Usage:
    """The same tokens as a model would have read them that had answered all along, and still knew `known` of them."""
    read = sum(count or 0 for count in (usage.input, usage.cached, usage.cache_write))
    cached = min(known, read)
    return Usage(input=read - cached, cached=cached, cache_write=0, output=usage.output)


def cost(price: Price | None, usage: Usage) -> float | None:
    """Dollars; None where the price, or what was used, is not known."""
    if price is None or usage.output is None:
        return None
    counted = (
        (usage.input, price.input),
        (usage.cached, price.cached),
        (usage.cache_write, price.cache_write),
        (usage.output, price.output),
    )
    return sum((tokens or 0) * each for tokens, each in counted) / 1_000_000
