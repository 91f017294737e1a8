"""OpenAI."""

from functools import partial

from router_service.providers.provider import COMPLETION_TOKENS, THOUGHTS, ModelFacts, Provider

# Reasoning models refuse temperature, top_p and stop; the first two of them instructions and tools as well.
Reasoner = partial(ModelFacts, token_field=COMPLETION_TOKENS, reasoning=True, sampling=False, stop=False)
FirstReasoner = partial(Reasoner, reasoning=False, system=False, tools=False)

PROVIDER = Provider(
    name="openai",
    dialect="openai_chat",
    also=("openai_responses",),
    base_url="https://api.openai.com/v1",
    key_variable="OPENAI_API_KEY",
    tool_id_length=(1, 40),
    refuses_in_messages=THOUGHTS,
    models=(
        ModelFacts("gpt-3.5-turbo", 16_385, 4_096),
        ModelFacts("gpt-4", 8_192, 4_096),
        ModelFacts("gpt-4-1106-preview", 128_000, 4_096),
        ModelFacts("gpt-4-0125-preview", 128_000, 4_096),
        ModelFacts("gpt-4-turbo", 128_000, 4_096, images=True),
        ModelFacts("gpt-4o", 128_000, 16_384, images=True, documents=True),
        ModelFacts("gpt-4o-2024-05-13", 128_000, 4_096, images=True, documents=True),
        ModelFacts("gpt-4.1", 1_047_576, 32_768, images=True, documents=True),
        FirstReasoner("o1-preview", 128_000, 32_768),
        FirstReasoner("o1-mini", 128_000, 65_536),
        Reasoner("o1", 200_000, 100_000, images=True, documents=True),
        Reasoner("o3", 200_000, 100_000, images=True, documents=True),
        Reasoner("o3-mini", 200_000, 100_000),
        Reasoner("o4-mini", 200_000, 100_000, images=True, documents=True),
        Reasoner("gpt-5", 400_000, 128_000, images=True, documents=True),
        ModelFacts("gpt-5-chat", 128_000, 16_384, token_field=COMPLETION_TOKENS, images=True, documents=True),
        # With tools they refuse an effort in chat completions: "Please use /v1/responses instead."
        Reasoner("gpt-5.4", 1_050_000, 128_000, images=True, documents=True, dialect="openai_responses"),
        Reasoner("gpt-5.4-mini", 400_000, 128_000, images=True, documents=True, dialect="openai_responses"),
        Reasoner("gpt-5.4-nano", 400_000, 128_000, images=True, documents=True, dialect="openai_responses"),
        Reasoner("gpt-5.5", 1_050_000, 128_000, images=True, documents=True, dialect="openai_responses"),
        Reasoner("gpt-5.6", 1_050_000, 128_000, images=True, documents=True, dialect="openai_responses"),
        *(
            Reasoner(name, 400_000, 128_000, images=True, documents=True, dialect="openai_responses")
            for name in ("gpt-5-codex", "gpt-5-pro", "gpt-5.1-codex", "gpt-5.2-codex", "gpt-5.2-pro", "gpt-5.3-codex")
        ),
        Reasoner("codex-mini", 200_000, 100_000, images=True, documents=True, dialect="openai_responses"),
        Reasoner("o1-pro", 200_000, 100_000, images=True, documents=True, dialect="openai_responses"),
        Reasoner("o3-pro", 200_000, 100_000, images=True, documents=True, dialect="openai_responses"),
    ),
)
