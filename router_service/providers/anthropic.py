"""Anthropic. How a model thinks: platform.claude.com/docs/en/build-with-claude/adaptive-thinking; from how many tokens
on a prompt is kept: .../build-with-claude/prompt-caching#cache-limitations.

Claude Opus 4.8 is the first to take system words between the messages, the way Claude Code sends them to it:
platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-8.
"""

from functools import partial

from router_service.providers.provider import ModelFacts, Provider

Claude = partial(ModelFacts, images=True, documents=True, inline_system=False, tokenizer="claude", cache_from=1_024)
Budgeted = partial(Claude, reasoning=True, thinking="budget")
Adaptive = partial(Claude, reasoning=True, thinking="adaptive", prefill=False)
# From 4.7 on a budget and any temperature but 1 are answered with 400, and words are cut into more tokens.
Unheated = partial(Adaptive, sampling=False, tokenizer="claude-4.7")
Newest = partial(Unheated, inline_system=True)

PROVIDER = Provider(
    name="anthropic",
    dialect="anthropic_messages",
    base_url="https://api.anthropic.com/v1",
    key_variable="ANTHROPIC_API_KEY",
    auth_header="x-api-key",
    auth_scheme="",
    counts="anthropic_messages",
    tokenizer="claude-4.7",
    accounts=True,
    vendor_tools=frozenset(
        {
            "code_execution",
            "mcp_toolset",
            "tool_search_tool_bm25",
            "tool_search_tool_regex",
            "web_fetch",
            "web_search",
        }
    ),
    models=(
        Newest("claude-", cache_from=512),  # what is newer than this list behaves as the newest on it
        Claude("claude-3-", 200_000, 4_096, structured=False),
        Claude("claude-3-5-", 200_000, 8_192, structured=False),
        Budgeted("claude-3-7-", 200_000, 64_000, structured=False),
        Budgeted("claude-opus-4", 200_000, 32_000, structured=False),
        Budgeted("claude-sonnet-4", 200_000, 64_000, structured=False),
        Budgeted("claude-opus-4-1", 200_000, 32_000),
        Budgeted("claude-opus-4-5", 200_000, 64_000, cache_from=4_096),
        Budgeted("claude-sonnet-4-5", 200_000, 64_000),
        Budgeted("claude-haiku-4-5", 200_000, 64_000, cache_from=4_096),
        Adaptive("claude-opus-4-6", 1_000_000, 128_000, cache_from=4_096),
        Adaptive("claude-sonnet-4-6", 1_000_000, 128_000),
        Unheated("claude-opus-4-7", 1_000_000, 128_000, cache_from=2_048),
        Newest("claude-opus-4-8", 1_000_000, 128_000),
        Newest("claude-opus-5", 1_000_000, 128_000, cache_from=512),
        Newest("claude-sonnet-5", 1_000_000, 128_000),
        Newest("claude-haiku-5", 1_000_000, 128_000, cache_from=512),
        Newest("claude-fable-5", 1_000_000, 128_000, cache_from=512),
    ),
)
