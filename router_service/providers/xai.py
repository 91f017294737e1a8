"""xAI, the maker of Grok.

Grok 4 reasons by itself: it refuses an effort and stop sequences. Grok 3 mini takes an effort, but no stop.
"""

from functools import partial

from router_service.providers.provider import ModelFacts, Provider

Grok4 = partial(ModelFacts, stop=False, images=True)

PROVIDER = Provider(
    name="xai",
    dialect="openai_chat",
    base_url="https://api.x.ai/v1",
    key_variable="XAI_API_KEY",
    tokenizer="cl100k",
    models=(
        ModelFacts("grok-2", 131_072),
        ModelFacts("grok-2-vision", 32_768, images=True),
        ModelFacts("grok-3", 131_072),
        ModelFacts("grok-3-mini", 131_072, reasoning=True, stop=False),
        ModelFacts("grok-code-fast", 256_000, stop=False),
        Grok4("grok-4", 256_000),
        Grok4("grok-4.20", 1_000_000),
        Grok4("grok-4.3", 1_000_000),
        Grok4("grok-4.5", 500_000),
        Grok4("grok-4.6", 500_000),
        Grok4("grok-4.7", 500_000),
    ),
)
