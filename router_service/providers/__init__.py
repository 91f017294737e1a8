"""The vendors, one file of facts each. To add one: its file, and its line here."""

from router_service.providers import (
    anthropic,
    deepseek,
    gemini,
    groq,
    mistral,
    moonshot,
    ollama,
    openai,
    openrouter,
    together,
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
    )
}
ALIASES = {"google": "gemini", "grok": "xai", "together_ai": "together"}


def by_name(name: str) -> Provider:
    """The vendor of that name or alias; KeyError when there is none."""
    return PROVIDERS[ALIASES.get(name, name)]
