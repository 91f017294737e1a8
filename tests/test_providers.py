"""The table of vendors: whole, and true in what the rest of the house builds on."""

from pathlib import Path

import pytest

from router_service import providers
from router_service.dialects import DIALECTS
from router_service.providers import ALIASES, PROVIDERS, by_name
from router_service.providers.provider import ModelFacts

FOLDER = Path(providers.__file__).parent
VENDORS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "provider"))


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_file_is_in_the_table(vendor: str) -> None:
    assert PROVIDERS[vendor] is getattr(providers, vendor).PROVIDER
    assert PROVIDERS[vendor].name == vendor


def test_the_table_holds_nothing_else() -> None:
    assert sorted(PROVIDERS) == VENDORS


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_means_its_vendor(alias: str, name: str) -> None:
    assert alias not in PROVIDERS
    assert by_name(alias) is PROVIDERS[name]


def test_an_unknown_vendor_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        by_name("opnai")


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_base_url_leaves_the_last_segments_to_the_dialect(vendor: str) -> None:
    url = PROVIDERS[vendor].base_url
    assert not url.endswith(("/", "/messages", "/chat/completions"))
    assert url.startswith("https://") or vendor == "ollama"


@pytest.mark.parametrize("vendor", VENDORS)
def test_only_a_local_vendor_needs_no_key(vendor: str) -> None:
    assert bool(PROVIDERS[vendor].key_variable) == (vendor != "ollama")


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_prefix_stands_once(vendor: str) -> None:
    prefixes = [facts.prefix for facts in PROVIDERS[vendor].models]
    assert len(prefixes) == len(set(prefixes))


def test_anthropic_wants_its_own_headers() -> None:
    anthropic = by_name("anthropic")
    assert (anthropic.dialect, anthropic.auth_header, anthropic.auth_scheme) == (
        "anthropic_messages",
        "x-api-key",
        "",
    )
    assert DIALECTS["anthropic_messages"].headers == (("anthropic-version", "2023-06-01"),)


def test_azure_has_a_header_of_its_own() -> None:
    azure = by_name("azure")
    assert (azure.dialect, azure.auth_header, azure.auth_scheme) == ("openai_chat", "api-key", "")
    assert azure.facts("gpt-4o-mini") == by_name("openai").facts("gpt-4o-mini")


def test_bedrock_asks_claude_in_anthropics_dialect_and_the_others_in_openais() -> None:
    bedrock = by_name("bedrock")
    claude = bedrock.facts("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    assert (claude.dialect, claude.max_output, claude.thinking) == ("anthropic_messages", 64_000, "budget")
    assert bedrock.root(claude.dialect) == "/anthropic/v1"
    assert bedrock.root(bedrock.facts("openai.gpt-oss-120b").dialect or bedrock.dialect) == "/openai/v1"


def test_vertex_has_claude_in_the_path_and_the_others_in_the_body() -> None:
    vertex = by_name("vertex")
    assert vertex.facts("claude-sonnet-4-5@20250929").dialect == "anthropic_messages"
    assert vertex.facts("google/gemini-3-pro").signs_calls
    assert vertex.facts("meta/llama-3.3-70b-instruct-maas") == ModelFacts("")
    call = vertex.call("anthropic_messages")
    assert call and vertex.call("openai_chat") is None
    assert call.path("claude-sonnet-4-5@20250929", streamed=False) == "/claude-sonnet-4-5@20250929:rawPredict"
    assert call.path("a/../b:c?d", streamed=True) == "/a%2F..%2Fb%3Ac%3Fd:streamRawPredict"


@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if vendor not in ("anthropic", "azure_openai")])
def test_everyone_else_speaks_openai(vendor: str) -> None:
    provider = PROVIDERS[vendor]
    assert (provider.dialect, provider.auth_header, provider.auth_scheme) == (
        "openai_chat",
        "authorization",
        "Bearer ",
    )


@pytest.mark.parametrize(
    ("vendor", "model", "known"),
    [
        ("openai", "gpt-4o-mini-2024-07-18", {"max_output": 16_384, "images": True, "sampling": True}),
        ("openai", "gpt-4o-2024-05-13", {"max_output": 4_096}),
        ("openai", "gpt-4.1-2025-04-14", {"context": 1_047_576, "token_field": "max_tokens"}),
        (
            "openai",
            "o1-preview",
            {"system": False, "tools": False, "sampling": False, "token_field": "max_completion_tokens"},
        ),
        ("openai", "o1-2024-12-17", {"system": True, "tools": True, "reasoning": True, "stop": False}),
        ("openai", "o3-mini", {"images": False, "reasoning": True}),
        ("openai", "gpt-5-mini", {"token_field": "max_completion_tokens", "sampling": False}),
        ("openai", "gpt-5.4-mini-2026-03-17", {"context": 400_000}),
        ("openai", "gpt-6-sol", {"token_field": "max_completion_tokens", "context": 1_050_000}),
        ("openai", "chatgpt-4o-latest", {"max_output": 16_384, "images": True}),
        ("openai", "gpt-4-turbo", {"description_length": 1024}),
        ("openai", "gpt-4.1", {"description_length": None}),
        ("openai", "gpt-5-chat-latest", {"reasoning": False, "sampling": True}),
        ("anthropic", "claude-3-haiku-20240307", {"max_output": 4_096, "thinking": ""}),
        ("anthropic", "claude-3-5-sonnet-20241022", {"max_output": 8_192, "thinking": ""}),
        ("anthropic", "claude-3-7-sonnet-20250219", {"thinking": "budget"}),
        ("anthropic", "claude-opus-4-20250514", {"max_output": 32_000, "thinking": "budget"}),
        ("anthropic", "claude-sonnet-4-5-20250929", {"max_output": 64_000, "thinking": "budget"}),
        ("anthropic", "claude-haiku-4-5", {"thinking": "budget"}),
        ("anthropic", "claude-opus-4-5", {"max_output": 64_000, "thinking": "budget"}),
        ("anthropic", "claude-sonnet-4-6", {"thinking": "adaptive", "sampling": True}),
        ("anthropic", "claude-opus-4-8", {"thinking": "adaptive", "sampling": False, "stop": True}),
        ("anthropic", "claude-sonnet-4-5", {"inline_system": False}),
        ("anthropic", "claude-opus-4-7", {"inline_system": False, "sampling": False}),
        ("anthropic", "claude-opus-4-8", {"inline_system": True}),
        ("anthropic", "claude-opus-5-5", {"context": 1_000_000, "max_output": 128_000, "inline_system": True}),
        ("anthropic", "claude-saga-9", {"thinking": "adaptive", "context": None, "inline_system": True}),
        ("deepseek", "deepseek-coder-v2", {"max_output": 8_192}),
        ("xai", "grok-2-mini", {"context": 131_072, "reasoning": False}),
        ("xai", "grok-3-mini", {"reasoning": True, "stop": False}),
        ("gemini", "gemini-2.5-pro", {"context": 1_048_576, "max_output": 65_536, "images": True}),
        ("mistral", "mistral-large-2411", {"context": 128_000}),
        ("groq", "llama-3.3-70b-versatile", {"max_output": 32_768}),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", {"context": 131_072}),
        ("ollama", "llama3.1", {"context": None, "max_output": None}),
        ("vertex", "claude-sonnet-4-5@20250929", {"structured": False, "thinking": "budget"}),
        ("vertex", "claude-opus-4-6", {"structured": True, "thinking": "adaptive"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_facts_of_a_model(vendor: str, model: str, known: dict[str, object]) -> None:
    facts = by_name(vendor).facts(model)
    assert {name: getattr(facts, name) for name in known} == known


def test_of_an_unknown_model_nothing_is_claimed() -> None:
    assert by_name("openai").facts("brand-new") == ModelFacts("")
