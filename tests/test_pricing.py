"""What models charge: the published prices by our own names, and what a request comes to."""

import pytest

from router_service.conversation import Usage
from router_service.pricing import FREE, Price, cost, had_it_stayed, price
from router_service.providers import PROVIDERS

DEAR = Price(3, 0.3, 3.75, 15)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929"),
        ("openai", "gpt-4o-mini"),
        ("deepseek", "deepseek-chat"),
        ("gemini", "gemini-2.5-flash"),
        ("mistral", "mistral-small-latest"),
        ("xai", "grok-4"),
        ("groq", "llama-3.3-70b-versatile"),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("moonshot", "kimi-k2-0905-preview"),
        ("zai", "glm-4.6"),
        ("amazon_bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("azure_openai", "gpt-4.1"),
        ("openrouter", "anthropic/claude-sonnet-4.5"),
        ("vertex", "claude-sonnet-4-5@20250929"),
        ("vertex", "google/gemini-2.5-pro"),
    ],
)
def test_every_vendor_has_published_prices(provider: str, model: str) -> None:
    found = price(provider, model)
    assert found and 0 < found.cached <= found.input <= found.output
    assert found.cache_write >= found.input


def test_no_vendor_is_forgotten() -> None:
    tried = {row[0] for row in test_every_vendor_has_published_prices.pytestmark[0].args[1]}
    assert set(PROVIDERS) - tried <= {"ollama"}


def test_ones_own_machine_costs_no_dollars() -> None:
    assert price("ollama", "llama3.1") == FREE


@pytest.mark.parametrize("provider", ["openai", "nobody"])
def test_a_price_that_is_not_known_is_not_made_up(provider: str) -> None:
    assert price(provider, "model-of-next-year") is None


def test_a_price_that_rises_with_the_request() -> None:
    found = price("anthropic", "claude-sonnet-4-5")
    assert found and found.above
    start, more = found.above[0]
    assert found.at(start) is found and found.at(start + 1) == more and more.input > found.input
    assert cost(found, Usage(input=start + 1, output=0)) == pytest.approx((start + 1) * more.input / 1e6)


def test_a_bill() -> None:
    used = Usage(input=1000, cached=10_000, cache_write=2000, output=100)
    assert cost(DEAR, used) == pytest.approx((1000 * 3 + 10_000 * 0.3 + 2000 * 3.75 + 100 * 15) / 1e6)
    assert cost(None, Usage(output=1)) is None and cost(DEAR, Usage(input=1)) is None


def test_the_baseline_is_billed_as_if_it_had_answered_all_along() -> None:
    elsewhere = Usage(input=50_000, cached=0, output=100)
    assert had_it_stayed(elsewhere, 45_000) == Usage(input=0, cached=45_000, cache_write=5000, output=100)


def test_what_is_not_said_follows_from_the_input() -> None:
    assert Price.of(input=2, output=8) == Price(2, 2, 2, 8)
