"""Together, a host of open models. Their output is bounded by their context alone."""

from router_service.providers.provider import ModelFacts, Provider

PROVIDER = Provider(
    name="together",
    dialect="openai_chat",
    base_url="https://api.together.xyz/v1",
    key_variable="TOGETHER_API_KEY",
    models=(
        ModelFacts("meta-llama/Llama-3.3-70B-Instruct-Turbo", 131_072, tokenizer="cl100k"),
        ModelFacts("meta-llama/Meta-Llama-3.1-", 131_072, tokenizer="cl100k"),
        ModelFacts("meta-llama/Llama-4-", 1_048_576, images=True, tokenizer="cl100k"),
        ModelFacts("Qwen/Qwen3-Coder-", 262_144, tokenizer="cl100k"),
        ModelFacts("Qwen/Qwen2.5-Coder-32B-Instruct", 32_768, tokenizer="cl100k"),
    ),
)
