"""What a model costs by the token: list prices from a table that comes along, never asked for and never guessed.

The table is that of the genai-prices package, loaded at the first question: it takes half a second and 30 MB.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

_MILLION = 1_000_000
# What the table calls those vendors that it knows by another name.
_CALLED = {
    "amazon_bedrock": "aws",
    "azure_openai": "azure",
    "gemini": "google",
    "moonshot": "moonshotai",
    "xai": "x-ai",
}
_AT_HOME = frozenset({"ollama"})


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens: read anew, read from the prompt cache, written to it, and answered.

    Where a vendor names no price of its own for what is read from the cache, or written to it, it is that of `input`.
    """

    input: float
    cached: float
    cache_write: float
    output: float

    def of(self, *, input: int = 0, cached: int = 0, cache_write: int = 0, output: int = 0) -> float:
        """Dollars for so many tokens, each counted once."""
        return (
            input * self.input + cached * self.cached + cache_write * self.cache_write + output * self.output
        ) / _MILLION


@cache
def price(provider: str, model: str) -> Price | None:
    """The price of a vendor's model today, as we call the vendor; None where it is unknown.

    Without a provider, the vendor is the one that the model's name tells. Prices that rise with the length of the
    prompt are the lowest. What runs on the user's own machine costs nothing.
    """
    if provider in _AT_HOME:
        return Price(0.0, 0.0, 0.0, 0.0)
    from genai_prices import Usage, calc_price

    try:
        table = calc_price(
            Usage(input_tokens=0, output_tokens=0), model, provider_id=_CALLED.get(provider, provider) or None
        ).model_price
    except LookupError:
        return None
    input, output = _base(table.input_mtok), _base(table.output_mtok)
    if input is None or output is None:
        return None
    cached, cache_write = _base(table.cache_read_mtok), _base(table.cache_write_mtok)
    return Price(input, input if cached is None else cached, input if cache_write is None else cache_write, output)


def _base(found: Any) -> float | None:
    """A Decimal, or one that rises in tiers with the length of the prompt."""
    found = getattr(found, "base", found)
    return None if found is None else float(found)
