"""The vendors, one file of facts each. To add one: its file, and its line here."""

from router_service.providers import (
    amazon_bedrock,
    anthropic,
    azure_openai,
    deepseek,
    gemini,
    groq,
    mistral,
    moonshot,
    ollama,
    openai,
    openrouter,
    together,
    vertex,
    xai,
    zai,
)
from router_service.providers.provider import Provider

PROVIDERS = {
    provider.name: provider
    for provider in (
        openai.PROVIDER,
        anthropic.PROVIDER,
        deepseek.PROVIDER,
        xai.PROVIDER,
        gemini.PROVIDER,
        mistral.PROVIDER,
        groq.PROVIDER,
        together.PROVIDER,
        ollama.PROVIDER,
        openrouter.PROVIDER,
        moonshot.PROVIDER,
        zai.PROVIDER,
        azure_openai.PROVIDER,
        amazon_bedrock.PROVIDER,
        vertex.PROVIDER,
    )
}
ALIASES = {
    "azure": "azure_openai",
    "bedrock": "amazon_bedrock",
    "google": "gemini",
    "google_vertex": "vertex",
    "grok": "xai",
    "together_ai": "together",
    "vertex_ai": "vertex",
}


def by_name(name: str) -> Provider:
    """The vendor of that name or alias; KeyError when there is none."""
    return PROVIDERS[ALIASES.get(name, name)]
