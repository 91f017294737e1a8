"""Prices by the token: what the table says, and that it says nothing where it knows nothing."""

import subprocess
import sys

import pytest

from router_service.pricing import Price, price
from router_service.providers import PROVIDERS


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("anthropic", "claude-sonnet-4-5", Price(3, 0.3, 3.75, 15)),
        ("anthropic", "claude-3-5-sonnet-20241022", Price(3, 0.3, 3.75, 15)),
        ("openai", "gpt-4o-mini", Price(0.15, 0.075, 0.15, 0.6)),
        ("xai", "grok-2", Price(2, 2, 2, 10)),
        ("gemini", "gemini-2.5-pro", Price(1.25, 0.125, 1.25, 10)),
        ("", "claude-opus-4-8[1m]", Price(5, 0.5, 6.25, 25)),
        ("", "gpt-4o-mini", Price(0.15, 0.075, 0.15, 0.6)),
        ("ollama", "llama3.1", Price(0, 0, 0, 0)),
        ("openai", "gpt-of-nobody", None),
        ("nobody", "gpt-4o-mini", None),
        ("", "nobody's", None),
        ("", "", None),
    ],
)
def test_a_price(provider: str, model: str, expected: Price | None) -> None:
    assert price(provider, model) == expected


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("amazon_bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("azure_openai", "gpt-4.1"),
        ("deepseek", "deepseek-chat"),
        ("groq", "llama-3.3-70b-versatile"),
        ("mistral", "mistral-large-latest"),
        ("moonshot", "kimi-k2-0905-preview"),
        ("openrouter", "anthropic/claude-sonnet-4.5"),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
        ("zai", "glm-4.6"),
    ],
)
def test_a_vendor_is_found_by_our_name(provider: str, model: str) -> None:
    assert provider in PROVIDERS and price(provider, model)


def test_tokens_times_price() -> None:
    assert Price(3, 0.3, 3.75, 15).of(input=1_000_000, cached=100_000, cache_write=10_000, output=2_000) == (
        pytest.approx(3 + 0.03 + 0.0375 + 0.03)
    )


def test_the_table_is_loaded_when_it_is_asked_for() -> None:
    """It takes a second, and most commands need no price."""
    code = "import sys, router_service.pricing, archgw.app; sys.exit('genai_prices' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
