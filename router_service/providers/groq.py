"""Groq, a fast host of open models (not xAI's Grok)."""

from router_service.providers.provider import OPENAIS_OWN, THOUGHTS, ModelFacts, Provider

PROVIDER = Provider(
    name="groq",
    dialect="openai_chat",
    base_url="https://api.groq.com/openai/v1",
    key_variable="GROQ_API_KEY",
    # "property 'verbosity' is unsupported"; the others: console.groq.com/docs/openai
    refuses=(OPENAIS_OWN - {"metadata", "service_tier", "store"}) | {"logit_bias", "logprobs", "top_logprobs"},
    refuses_in_messages=(THOUGHTS - {"reasoning"}) | {"annotations", "audio", "name"},
    schema_beside_tools=False,  # "json mode cannot be combined with tool/function calling"
    models=(
        # "This model does not support response format `json_schema`"
        ModelFacts("llama-3.1-8b-instant", 131_072, 131_072, structured=False, tokenizer="cl100k"),
        ModelFacts("llama-3.3-70b-versatile", 131_072, 32_768, structured=False, tokenizer="cl100k"),
        ModelFacts("meta-llama/llama-4-", 131_072, 8_192, images=True, tokenizer="cl100k"),
        ModelFacts("openai/gpt-oss-", 131_072, 65_536, reasoning=True, tokenizer="o200k"),
    ),
)
