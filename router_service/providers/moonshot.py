"""Moonshot, the maker of Kimi."""

from functools import partial

from router_service.providers.provider import ModelFacts, Provider

# "thinking is enabled but reasoning_content is missing in assistant tool call message at index 2"
# "invalid temperature: only 1 is allowed for this model": github.com/NousResearch/hermes-agent/pull/12668
# "tool_choice 'specified' is incompatible with thinking enabled": github.com/UKGovernmentBEIS/inspect_ai/pull/5152
Thinker = partial(ModelFacts, thoughts="reasoning_content", sampling=False, forcing="unthinking")

PROVIDER = Provider(
    name="moonshot",
    dialect="openai_chat",
    base_url="https://api.moonshot.ai/v1",
    key_variable="MOONSHOT_API_KEY",
    hottest=1.0,  # platform.moonshot.ai/docs/api/chat
    tokenizer="cl100k",
    affinity="prompt_cache_key",  # platform.moonshot.ai/docs/api/chat: for agents, the id of the session
    models=(
        ModelFacts("kimi-k2", 262_144),
        Thinker("kimi-k2.5", 262_144, images=True),
        Thinker("kimi-k2.6", 262_144, images=True),
        Thinker("kimi-k2.7", 262_144, images=True, forcing="never"),  # these two cannot but think
        Thinker("kimi-k3", 1_048_576, images=True, forcing="any", reasoning=True, efforts=("low", "high", "max")),
        ModelFacts("moonshot-v1-8k", 8_192),
        ModelFacts("moonshot-v1-32k", 32_768),
        ModelFacts("moonshot-v1-128k", 131_072),
    ),
)
