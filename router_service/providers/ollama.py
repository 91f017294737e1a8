"""Ollama on the user's own machine. It needs no key; how much context a model has is for its user to set."""

from router_service.providers.provider import ModelFacts, Provider

PROVIDER = Provider(
    name="ollama",
    dialect="openai_chat",
    base_url="http://localhost:11434/v1",
    key_variable="",
    models=(  # "registry.ollama.ai/library/gemma3:4b does not support tools"
        ModelFacts("gemma3", images=True, tools=False, tokenizer="gemini"),
        ModelFacts("llama3.2-vision", images=True, tools=False, tokenizer="cl100k"),
        ModelFacts("llava", images=True, tools=False),
    ),
)
