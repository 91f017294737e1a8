"""xAI, the maker of Grok.

Models that reason refuse stop sequences and penalties, and most of them an effort: "Model grok-4 does not support
parameter reasoningEffort". Who takes one: docs.x.ai/developers/model-capabilities/text/reasoning.
"""

from functools import partial

from router_service.providers.provider import ModelFacts, Provider

PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})
Thinker = partial(ModelFacts, stop=False, refuses=PENALTIES)
Grok4 = partial(Thinker, images=True)

PROVIDER = Provider(
    name="xai",
    dialect="openai_chat",
    base_url="https://api.x.ai/v1",
    key_variable="XAI_API_KEY",
    tokenizer="cl100k",
    affinity="x-grok-conv-id",  # docs.x.ai/developers/advanced-api-usage/prompt-caching/maximizing-cache-hits
    models=(
        ModelFacts("grok-2", 131_072),
        ModelFacts("grok-2-vision", 32_768, images=True),
        ModelFacts("grok-3", 131_072),
        Thinker("grok-3-mini", 131_072, reasoning=True, efforts=("low", "high")),
        Thinker("grok-code-fast", 256_000),
        Grok4("grok-4", 256_000),
        Grok4("grok-4.20", 1_000_000),
        Grok4("grok-4.3", 1_000_000, reasoning=True),
        Grok4("grok-4.5", 500_000, reasoning=True),
        Grok4("grok-4.6", 500_000, reasoning=True, efforts=("low", "medium", "high", "xhigh")),
        Grok4("grok-4.7", 500_000),
    ),
)
