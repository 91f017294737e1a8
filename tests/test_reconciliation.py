"""What we say that a request cost is what genai-prices says of the vendor's own numbers, to the cent and closer.

Each vendor's usage is written here as its API reference and SDK have it; genai-prices reads it with its own extractor,
where it has one for that shape, and we read it as the gateway does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price, extract_usage

from router_service import pricing
from router_service.conversation import Usage
from router_service.dialects.anthropic.reply import parse_usage as messages
from router_service.dialects.openai.reply import parse_usage as chat
from router_service.dialects.responses.reply import parse_usage as responses

REQUESTS = 1000  # of each vendor
CENT = 0.01
HOURS = [datetime(2026, 11, 20, hour, 30, tzinfo=UTC) for hour in range(24)]
Json = dict[str, Any]


@dataclass(frozen=True)
class Used:
    """What really happened, from which a vendor's numbers are made. Reasoning is part of the output, all kinds of
    reading are apart."""

    fresh: int
    cached: int
    written: int
    written_hour: int
    output: int
    reasoning: int
    searches: int

    @property
    def read(self) -> int:
        return self.fresh + self.cached


def used(chance: Random) -> Used:
    """A request of a coding agent: some small, most with a long past, and every edge at 200,000 and 272,000 tokens."""
    past = chance.choice((0, 0, 900, 30_000, 150_000, 199_000, 201_000, 271_000, 500_000))
    output = chance.randrange(1, 9000)
    return Used(
        fresh=chance.randrange(0, 3000),
        cached=chance.choice((0, past)),
        written=chance.choice((0, chance.randrange(20_000))),
        written_hour=chance.choice((0, 0, chance.randrange(20_000))),
        output=output,
        reasoning=chance.choice((0, chance.randrange(output))),
        searches=chance.choice((0, 0, 0, 2)),
    )


# -- as vendors tell it --------------------------------------------------------------------------------------------


def anthropic(of: Used) -> Json:
    return {
        "input_tokens": of.fresh,
        "cache_creation_input_tokens": of.written + of.written_hour,
        "cache_read_input_tokens": of.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": of.written, "ephemeral_1h_input_tokens": of.written_hour},
        "output_tokens": of.output,
        "server_tool_use": {"web_search_requests": of.searches},
        "service_tier": "standard",
    }


def anthropic_in_a_cloud(of: Used) -> Json:
    told = anthropic(of)
    del told["server_tool_use"]
    return told


def openai_chat(of: Used) -> Json:
    return {
        "prompt_tokens": of.read,
        "completion_tokens": of.output,
        "total_tokens": of.read + of.output,
        "prompt_tokens_details": {"cached_tokens": of.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": of.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def openai_responses(of: Used) -> Json:
    return {
        "input_tokens": of.read,
        "input_tokens_details": {"cached_tokens": of.cached},
        "output_tokens": of.output,
        "output_tokens_details": {"reasoning_tokens": of.reasoning},
        "total_tokens": of.read + of.output,
    }


def deepseek(of: Used) -> Json:
    seen = {"prompt_cache_hit_tokens": of.cached, "prompt_cache_miss_tokens": of.fresh}
    return openai_chat(of) | seen


def reasoning_apart(of: Used) -> Json:
    """xAI, and Gemini behind its chat completions: the completion is without what was thought, the total is not."""
    return openai_chat(of) | {"completion_tokens": of.output - of.reasoning}


def gemini_native(of: Used) -> Json:
    return {
        "promptTokenCount": of.read,
        "cachedContentTokenCount": of.cached,
        "candidatesTokenCount": of.output - of.reasoning,
        "thoughtsTokenCount": of.reasoning,
        "totalTokenCount": of.read + of.output,
    }


def moonshot(of: Used) -> Json:
    bare = {"prompt_tokens": of.read, "completion_tokens": of.output, "total_tokens": of.read + of.output}
    return bare | {"cached_tokens": of.cached}


def plain(of: Used) -> Json:
    return {"prompt_tokens": of.read, "completion_tokens": of.output, "total_tokens": of.read + of.output}


def by_hand(of: Used) -> TheirUsage:
    """For a shape that genai-prices has no extractor for."""
    return TheirUsage(input_tokens=of.read, cache_read_tokens=of.cached, output_tokens=of.output)


@dataclass(frozen=True)
class Vendor:
    """`flavor`: which of genai-prices' extractors reads `theirs`, or what makes its usage where it has none."""

    name: str
    model: str
    tells: Callable[[Used], Json]
    read: Callable[[Any], Usage]
    id: str
    flavor: str | Callable[[Used], TheirUsage]
    theirs: Callable[[Used], Json] | None = None
    theirs_called: str = ""

    def of_theirs(self, of: Used, at: datetime) -> float:
        model = self.theirs_called or self.model
        if not isinstance(self.flavor, str):
            usage = self.flavor(of)
        else:
            block = (self.theirs or self.tells)(of)
            key, named = ("usageMetadata", "modelVersion") if self.theirs is gemini_native else ("usage", "model")
            usage = extract_usage({named: model, key: block}, provider_id=self.id, api_flavor=self.flavor).usage
        priced = calc_price(usage, model, provider_id=self.id, genai_request_timestamp=at)
        return float(priced.total_price)


VENDORS = [
    Vendor("anthropic", "claude-opus-4-5", anthropic, messages, "anthropic", "default"),
    Vendor("anthropic", "claude-sonnet-4-5-20250929", anthropic, messages, "anthropic", "default"),
    Vendor("anthropic", "claude-haiku-4-5", anthropic, messages, "anthropic", "default"),
    Vendor("openai", "gpt-4o-mini", openai_chat, chat, "openai", "chat"),
    Vendor("openai", "gpt-5", openai_chat, chat, "openai", "chat"),
    Vendor("openai", "gpt-5.4", openai_chat, chat, "openai", "chat"),
    Vendor("openai", "gpt-5-codex", openai_responses, responses, "openai", "responses"),
    Vendor("azure_openai", "gpt-4.1", openai_chat, chat, "azure", "chat"),
    Vendor("deepseek", "deepseek-chat", deepseek, chat, "deepseek", "chat"),
    Vendor("deepseek", "deepseek-v4-pro", deepseek, chat, "deepseek", "chat"),
    Vendor("xai", "grok-4", reasoning_apart, chat, "x-ai", "chat"),
    Vendor("gemini", "gemini-2.5-pro", reasoning_apart, chat, "google", "default", gemini_native),
    Vendor("gemini", "gemini-2.5-flash", reasoning_apart, chat, "google", "default", gemini_native),
    Vendor("mistral", "mistral-small-latest", openai_chat, chat, "mistral", "default"),
    Vendor("groq", "llama-3.3-70b-versatile", openai_chat, chat, "groq", "default"),
    Vendor("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", plain, chat, "together", by_hand),
    Vendor("moonshot", "kimi-k2-0905-preview", moonshot, chat, "moonshotai", by_hand),
    Vendor("zai", "glm-4.6", openai_chat, chat, "zai", "chat"),
    Vendor("openrouter", "anthropic/claude-sonnet-4.5", openai_chat, chat, "openrouter", "chat"),
    Vendor(
        "amazon_bedrock",
        "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        anthropic_in_a_cloud,
        messages,
        "aws",
        "anthropic",
    ),
    Vendor("vertex", "claude-sonnet-4-5@20250929", anthropic_in_a_cloud, messages, "google", "anthropic"),
    Vendor(
        "vertex",
        "google/gemini-2.5-pro",
        reasoning_apart,
        chat,
        "google",
        "default",
        gemini_native,
        theirs_called="gemini-2.5-pro",
    ),
]


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: f"{vendor.name}/{vendor.model}")
def test_a_thousand_requests_cost_what_the_vendors_own_numbers_say(vendor: Vendor) -> None:
    chance, ours, theirs = Random(vendor.model), 0.0, 0.0
    price = pricing.price(vendor.name, vendor.model)
    for number in range(REQUESTS):
        of, at = used(chance), HOURS[number % 24]
        if vendor.tells is plain:  # which says nothing of a cache
            of = Used(of.read, 0, 0, 0, of.output, of.reasoning, 0)
        mine = pricing.cost(price, vendor.read(vendor.tells(of)), at=at.timestamp())
        right = vendor.of_theirs(of, at)
        assert mine == pytest.approx(right, rel=1e-9, abs=1e-12), of
        ours, theirs = ours + mine, theirs + right
    assert theirs > 1 and abs(ours - theirs) < CENT


def test_every_vendor_is_among_them() -> None:
    from router_service.providers import PROVIDERS

    assert {vendor.name for vendor in VENDORS} == set(PROVIDERS) - {"ollama"}, "which is free"
