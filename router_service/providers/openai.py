"""OpenAI."""

from functools import partial

from router_service.providers.provider import COMPLETION_TOKENS, THOUGHTS, ModelFacts, Provider

# Reasoning models refuse temperature, top_p and stop; the first two of them instructions and tools as well.
Reasoner = partial(ModelFacts, token_field=COMPLETION_TOKENS, reasoning=True, sampling=False, stop=False)
SeeingReasoner = partial(Reasoner, images=True, documents=True)
Gpt5 = partial(SeeingReasoner, verbosity=True)
# These are not asked in chat completions: the first at all, the others with tools, "please use /v1/responses instead".
Elsewhere = partial(SeeingReasoner, dialect="openai_responses")
Newest = partial(Gpt5, dialect="openai_responses", efforts=("low", "medium", "high", "xhigh"))
Seer = partial(ModelFacts, images=True, documents=True)
# They refuse a longer one: "string too long. Expected a string with maximum length 1024, but got ..."
Older = partial(ModelFacts, description_length=1024, tokenizer="cl100k")
FirstReasoner = partial(Reasoner, reasoning=False, system=False, tools=False)

CACHE_AND_USER = ("prompt_cache_key", "prompt_cache_retention", "safety_identifier", "user")

PROVIDER = Provider(
    name="openai",
    dialect="openai_chat",
    also=("openai_responses",),
    base_url="https://api.openai.com/v1",
    key_variable="OPENAI_API_KEY",
    counts="openai_responses",
    tool_id_length=(1, 40),
    refuses_in_messages=THOUGHTS,
    tokenizer="o200k",
    affinity="prompt_cache_key",  # developers.openai.com/api/docs/guides/prompt-caching
    vendor_tools=frozenset({"code_interpreter", "file_search", "image_generation", "mcp", "web_search"}),
    knows=frozenset({"annotations", "refusal", "metadata", *CACHE_AND_USER, "service_tier"}),
    models=(
        Older("gpt-3.5-turbo", 16_385, 4_096),
        Older("gpt-4", 8_192, 4_096),
        Older("gpt-4-1106-preview", 128_000, 4_096),
        Older("gpt-4-0125-preview", 128_000, 4_096),
        Older("gpt-4-turbo", 128_000, 4_096, images=True),
        Seer("gpt-4o", 128_000, 16_384),
        Seer("gpt-4o-2024-05-13", 128_000, 4_096),
        Seer("gpt-4.1", 1_047_576, 32_768),
        Seer("chatgpt-4o", 128_000, 16_384),
        FirstReasoner("o1-preview", 128_000, 32_768),
        FirstReasoner("o1-mini", 128_000, 65_536),
        SeeingReasoner("o1", 200_000, 100_000),
        SeeingReasoner("o3", 200_000, 100_000),
        Reasoner("o3-mini", 200_000, 100_000),
        SeeingReasoner("o4-mini", 200_000, 100_000),
        Gpt5("gpt-5", 400_000, 128_000),
        Seer("gpt-5-chat", 128_000, 16_384, token_field=COMPLETION_TOKENS),
        Newest("gpt-5.4", 1_050_000, 128_000),
        Newest("gpt-5.4-mini", 400_000, 128_000),
        Newest("gpt-5.4-nano", 400_000, 128_000),
        Newest("gpt-5.5", 1_050_000, 128_000),
        Newest("gpt-5.6", 1_050_000, 128_000),
        Newest("gpt-6", 1_050_000, 128_000),
        *(
            Elsewhere(name, 400_000, 128_000)
            for name in ("gpt-5-codex", "gpt-5.1-codex", "gpt-5.2-codex", "gpt-5.2-pro", "gpt-5.3-codex")
        ),
        Elsewhere("gpt-5-pro", 400_000, 272_000, efforts=("high",)),
        *(Elsewhere(name, 200_000, 100_000) for name in ("codex-mini", "o1-pro", "o3-pro")),
    ),
)
