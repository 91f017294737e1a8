"""Ollama on the user's own machine. It needs no key; how much context a model has is for its user to set."""

from router_service.providers.provider import ModelFacts, Provider

PROVIDER = Provider(
    name="ollama",
    dialect="openai_chat",
    base_url="http://localhost:11434/v1",
    key_variable="",
    models=(
        ModelFacts("gemma3", images=True, tokenizer="gemini"),
        ModelFacts("llama3.2-vision", images=True, tokenizer="cl100k"),
        ModelFacts("llava", images=True),
    ),
)
