"""OpenRouter, a broker of many vendors' models: `openrouter/anthropic/claude-sonnet-4.5`.

It fits parameters to each model by itself (openrouter.ai/docs/api-reference), so few facts are needed.
"""

from functools import partial

from router_service.providers.provider import ModelFacts, Provider

# docs/use-cases/reasoning-tokens: "the entire sequence of consecutive reasoning blocks must match"
Model = partial(ModelFacts, verbosity=True, thoughts="reasoning_details")
Seer = partial(Model, images=True, documents=True)

PROVIDER = Provider(
    name="openrouter",
    dialect="openai_chat",
    base_url="https://openrouter.ai/api/v1",
    key_variable="OPENROUTER_API_KEY",
    affinity="x-session-id",  # openrouter.ai/docs/guides/best-practices/prompt-caching#provider-sticky-routing
    vendor_tools=frozenset({"web_search"}),  # as web_search_options
    knows=frozenset({"annotations", "prompt_cache_key", "user"}),
    models=(
        Model(""),  # any other; nobody knows what it sees
        Seer("anthropic/claude-", tokenizer="claude-4.7"),
        Seer("google/gemini-", tokenizer="gemini"),
        Seer("openai/gpt-4o", tokenizer="o200k"),
        Seer("openai/gpt-4.1", tokenizer="o200k"),
        Seer("openai/gpt-5", tokenizer="o200k"),
    ),
)
