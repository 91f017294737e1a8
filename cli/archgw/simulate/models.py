"""What the vendors allow each of their models: facts, one line a model, nothing else.

Sources: the vendors' model pages, and what their SDKs and clients were seen to send in November 2026. A flag is a
way in which a model differs from the plain chat model of its vendor.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Flag = Literal[
    # Anthropic
    "thinking_budget",  # takes thinking.type enabled with budget_tokens
    "thinking_adaptive",  # takes thinking.type adaptive
    "effort",  # takes output_config.effort
    "effort_beta",  # ... only with the effort beta header
    "system_messages",  # takes role system inside messages
    "one_sampling",  # refuses temperature together with top_p
    "no_sampling",  # refuses temperature, top_p and top_k altogether
    "no_prefill",  # refuses an assistant message at the end
    # OpenAI and those who speak its dialect
    "reasoning",  # max_completion_tokens instead of max_tokens, temperature 1 only
    "reasons_aloud",  # sends its reasoning in the reply
    "signs_calls",  # refuses a call of its own or anybody's that comes back without a signature
    "verbosity",  # can be told how much to write
    "responses_only",  # does not answer chat completions
    "no_stop",
    "no_system",
    "no_tools",
    "no_images",
    "short_descriptions",  # refuses tool descriptions above 1024 characters
]


@dataclass(frozen=True, slots=True)
class Model:
    """`max_output` and `context` are in tokens."""

    name: str
    max_output: int
    context: int
    flags: frozenset[Flag] = frozenset()

    def answers_to(self, name: str) -> bool:
        """Also its dated snapshots and `-latest`; `gpt-4o-mini` is another model than `gpt-4o`."""
        return name == self.name or bool(name.startswith(self.name) and re.fullmatch(SNAPSHOT, name[len(self.name) :]))


SNAPSHOT = r"-(\d{8}-v\d:\d|\d{8}|\d{4}-\d{2}-\d{2}|\d{4}|latest|0)|:[\w.-]+"


def find(models: Iterable[Model], name: str) -> Model | None:
    return next((model for model in models if model.answers_to(name)), None)


def model(name: str, max_output: int, context: int, *flags: Flag) -> Model:
    return Model(name, max_output, context, frozenset(flags))


def family(names: str, max_output: int, context: int, *flags: Flag) -> tuple[Model, ...]:
    return tuple(model(name, max_output, context, *flags) for name in names.split())


CLAUDE: tuple[Model, ...] = (
    *family("claude-3-haiku claude-3-opus", 4_096, 200_000),
    *family("claude-3-5-sonnet claude-3-5-haiku", 8_192, 200_000),
    model("claude-3-7-sonnet", 64_000, 200_000, "thinking_budget"),
    model("claude-sonnet-4", 64_000, 200_000, "thinking_budget"),
    model("claude-opus-4", 32_000, 200_000, "thinking_budget"),
    model("claude-opus-4-1", 32_000, 200_000, "thinking_budget", "one_sampling"),
    *family("claude-sonnet-4-5 claude-haiku-4-5", 64_000, 200_000, "thinking_budget", "one_sampling"),
    model("claude-opus-4-5", 64_000, 200_000, "thinking_budget", "one_sampling", "effort_beta"),
    *family(
        "claude-opus-4-6 claude-sonnet-4-6", 128_000, 1_000_000,
        "thinking_budget", "thinking_adaptive", "one_sampling", "effort", "no_prefill",
    ),
    model(
        "claude-opus-4-7", 128_000, 1_000_000,
        "thinking_adaptive", "effort", "no_sampling", "no_prefill",
    ),
    *family(
        "claude-opus-4-8 claude-opus-5 claude-opus-5-5 claude-sonnet-5 claude-sonnet-5-5 claude-haiku-5-5 "
        "claude-fable-5 claude-fable-5-1 claude-fable-5-2 claude-mythos-5 claude-mythos-5-1 claude-mythos-5-2",
        128_000, 1_000_000,
        "thinking_adaptive", "effort", "no_sampling", "no_prefill", "system_messages",
    ),
)  # fmt: skip

GPT: tuple[Model, ...] = (
    *family("gpt-3.5-turbo gpt-4", 4_096, 16_385, "no_images", "short_descriptions"),
    model("gpt-4-turbo", 4_096, 128_000, "short_descriptions"),
    *family("gpt-4o gpt-4o-mini chatgpt-4o", 16_384, 128_000),
    *family("gpt-4.1 gpt-4.1-mini gpt-4.1-nano", 32_768, 1_047_576),
    model("o1-preview", 32_768, 128_000, "reasoning", "no_system", "no_tools", "no_images", "no_stop"),
    model("o1-mini", 65_536, 128_000, "reasoning", "no_system", "no_tools", "no_images", "no_stop"),
    model("o3-mini", 100_000, 200_000, "reasoning", "no_images"),
    *family("o1 o3 o4-mini", 100_000, 200_000, "reasoning", "no_stop"),
    *family("gpt-5-codex gpt-5-pro o3-pro", 128_000, 400_000, "reasoning", "no_stop", "responses_only"),
    *family(
        "gpt-5 gpt-5-mini gpt-5-nano gpt-5.1 gpt-5.2 gpt-5.4 gpt-5.4-mini gpt-5.4-nano "
        "gpt-5.5 gpt-5.6-sol gpt-5.6-terra gpt-5.6-luna gpt-6-sol gpt-6-luna gpt-6-astra",
        128_000, 400_000, "reasoning", "no_stop", "verbosity",
    ),
)  # fmt: skip

DEEPSEEK: tuple[Model, ...] = (
    *family("deepseek-chat deepseek-coder deepseek-coder-v2 deepseek-v3", 8_192, 128_000, "no_images"),
    model("deepseek-reasoner", 65_536, 128_000, "no_images", "reasons_aloud"),
    *family("deepseek-v4-flash deepseek-v4-pro", 393_216, 1_000_000, "no_images"),
)

BEDROCK: tuple[Model, ...] = (
    *(replace(claude, name=f"{profile}anthropic.{claude.name}") for profile in ("", "us.", "eu.") for claude in CLAUDE),
    *family("openai.gpt-oss-20b openai.gpt-oss-120b", 65_536, 128_000, "no_images"),
)

GROK: tuple[Model, ...] = (
    *family("grok-2 grok-2-mini grok-3", 65_536, 131_072, "no_images"),
    *family("grok-3-mini grok-code-fast-1", 65_536, 131_072, "no_images", "no_stop"),
    *family("grok-4 grok-4-fast grok-4.20 grok-4.3 grok-4.5 grok-4.6 grok-4.7", 131_072, 256_000, "no_stop"),
)

GEMINI: tuple[Model, ...] = (
    *family("gemini-1.5-pro gemini-1.5-flash gemini-2.0-flash", 8_192, 1_048_576),
    *family("gemini-2.5-pro gemini-2.5-flash gemini-2.5-flash-lite", 65_536, 1_048_576),
    *family("gemini-3-pro gemini-3-flash", 65_536, 1_048_576, "signs_calls"),
)

MISTRAL: tuple[Model, ...] = (
    *family("mistral-large mistral-medium mistral-small devstral-medium devstral-small", 131_072, 131_072),
    *family("codestral ministral-8b open-mistral-nemo", 131_072, 131_072, "no_images"),
)

GROQ: tuple[Model, ...] = (
    *family("llama-3.1-8b-instant llama-3.3-70b-versatile", 32_768, 131_072, "no_images"),
    *family("openai/gpt-oss-20b openai/gpt-oss-120b", 65_536, 131_072, "no_images"),
)
