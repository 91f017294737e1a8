"""Mistral. The output of its models is bounded by their context alone.

It checks its input with pydantic and mistral-common: unknown fields are 422 `extra_forbidden`, "Tool call id was ...
but must be a-z, A-Z, 0-9, with a length of 9", "Unexpected role 'user' after role 'tool'", and
"Expected last role User or Tool (or Assistant with prefix True)".
"""

from router_service.providers.provider import OPENAIS_OWN, THOUGHTS, ModelFacts, Provider

PROVIDER = Provider(
    name="mistral",
    dialect="openai_chat",
    base_url="https://api.mistral.ai/v1",
    key_variable="MISTRAL_API_KEY",
    refuses=(OPENAIS_OWN - {"metadata", "prediction", "prompt_cache_key"})
    | {"logit_bias", "logprobs", "seed", "top_logprobs", "user"},
    tool_id_length=(9, 9),
    strict_order=True,
    refuses_in_messages=THOUGHTS | {"developer", "annotations", "audio", "name", "refusal"},
    tokenizer="mistral",
    affinity="prompt_cache_key",  # docs.mistral.ai/inference/conversations/advanced/prompt-caching
    models=(
        ModelFacts("codestral-", 128_000, tokenizer="any"),  # it and the large one of 2024 have an older vocabulary
        ModelFacts("devstral-", 256_000),
        ModelFacts("magistral-", 262_144, images=True),
        ModelFacts("ministral-", 262_144, images=True),
        ModelFacts("ministral-3b-24", 131_072),  # of 2024
        ModelFacts("ministral-8b-24", 131_072),
        ModelFacts("mistral-large-", 262_144, images=True),
        ModelFacts("mistral-large-24", 128_000, tokenizer="any"),  # of 2024
        ModelFacts("mistral-large-4", 1_048_576, images=True),
        ModelFacts("mistral-medium-", 262_144, images=True),
        ModelFacts("mistral-small-", 262_144, images=True),
        ModelFacts("open-mistral-nemo", 128_000),
        ModelFacts("pixtral-", 128_000, images=True),
    ),
)
