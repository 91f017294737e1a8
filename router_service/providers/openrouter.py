"""OpenRouter, a broker of many vendors' models: `openrouter/anthropic/claude-sonnet-4.5`.

It fits parameters to each model by itself (openrouter.ai/docs/api-reference), so few facts are needed.
"""

from router_service.providers.provider import ModelFacts, Provider

PROVIDER = Provider(
    name="openrouter",
    dialect="openai_chat",
    base_url="https://openrouter.ai/api/v1",
    key_variable="OPENROUTER_API_KEY",
    knows=frozenset({"annotations"}),
    models=(
        ModelFacts("anthropic/claude-", images=True, documents=True),
        ModelFacts("google/gemini-", images=True, documents=True),
        ModelFacts("openai/gpt-4o", images=True, documents=True),
        ModelFacts("openai/gpt-4.1", images=True, documents=True),
        ModelFacts("openai/gpt-5", images=True, documents=True),
    ),
)
