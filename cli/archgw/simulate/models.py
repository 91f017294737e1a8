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
    "no_effort",  # refuses reasoning_effort
    "wants_thoughts",  # thinks unless told not to, and then wants its reasoning back and no tool forced
    "always_thinks",  # cannot be told not to
    "forces_any",  # takes a forced tool while it thinks, if not a certain one
    "fixed_sampling",  # takes one temperature only
    "three_efforts",  # low, high and max
    "no_parser",  # its server was started without what reads calls of tools
]


SNAPSHOT = r"-(\d{8}-v\d:\d|\d{8}|\d{4}-\d{2}-\d{2}|\d{4}|latest|0)|:[\w.-]+"


@dataclass(frozen=True, slots=True)
class Model:
    """`max_output` and `context` are in tokens."""

    name: str
    max_output: int
    context: int
    flags: frozenset[Flag] = frozenset()
    snapshots: str = SNAPSHOT

    def answers_to(self, name: str) -> bool:
        """Also its dated snapshots and `-latest`; `gpt-4o-mini` is another model than `gpt-4o`."""
        return name == self.name or bool(
            name.startswith(self.name) and re.fullmatch(self.snapshots, name[len(self.name) :])
        )


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

# Tokens below which Anthropic keeps nothing, where they are not 1,024.
CACHE_FROM = (
    (("opus-4-5", "opus-4-6", "haiku-4-5"), 4_096),
    (("3-haiku", "3-5-haiku", "opus-4-7"), 2_048),
    (("opus-5", "fable-5", "mythos-5"), 512),
)

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
    model("deepseek-reasoner", 65_536, 128_000, "no_images", "reasons_aloud", "wants_thoughts"),
    *family("deepseek-v4-flash deepseek-v4-pro", 393_216, 1_000_000, "no_images", "wants_thoughts"),
    *family("deepseek-flash deepseek-v4-flash-vision-exp", 393_216, 1_000_000, "wants_thoughts"),
)

BEDROCK: tuple[Model, ...] = (
    *(replace(claude, name=f"{profile}anthropic.{claude.name}") for profile in ("", "us.", "eu.") for claude in CLAUDE),
    *family("openai.gpt-oss-20b openai.gpt-oss-120b", 65_536, 128_000, "no_images"),
)

GROK: tuple[Model, ...] = (
    *family("grok-2 grok-2-mini grok-3", 65_536, 131_072, "no_images", "no_effort"),
    model("grok-3-mini", 65_536, 131_072, "no_images", "no_stop"),
    model("grok-code-fast-1", 65_536, 131_072, "no_images", "no_stop", "no_effort"),
    *family("grok-4 grok-4-fast grok-4.20 grok-4.7", 131_072, 256_000, "no_stop", "no_effort"),
    *family("grok-4.3 grok-4.5 grok-4.6", 131_072, 256_000, "no_stop"),
)

GEMINI: tuple[Model, ...] = (
    *family("gemini-1.5-pro gemini-1.5-flash gemini-2.0-flash", 8_192, 1_048_576),
    *family("gemini-2.5-pro gemini-2.5-flash gemini-2.5-flash-lite", 65_536, 1_048_576),
    *family("gemini-3-pro gemini-3-flash", 65_536, 1_048_576, "signs_calls"),
)

VERTEX: tuple[Model, ...] = (
    *(replace(claude, snapshots=r"@(\d{8}|default)") for claude in CLAUDE),
    *(replace(gemini, name=f"google/{gemini.name}") for gemini in GEMINI),
    *family("meta/llama-3.3-70b-instruct-maas", 8_192, 128_000, "no_images"),
)

MISTRAL: tuple[Model, ...] = (
    *family("mistral-large mistral-medium mistral-small devstral-medium devstral-small", 131_072, 131_072),
    *family("codestral ministral-8b open-mistral-nemo", 131_072, 131_072, "no_images"),
)

GROQ: tuple[Model, ...] = (
    model("llama-3.1-8b-instant", 131_072, 131_072, "no_images", "no_effort"),
    model("llama-3.3-70b-versatile", 32_768, 131_072, "no_images", "no_effort"),
    *family("meta-llama/llama-4-scout-17b-16e-instruct", 8_192, 131_072, "no_effort"),
    *family("openai/gpt-oss-20b openai/gpt-oss-120b", 65_536, 131_072, "no_images"),
)

KIMI: tuple[Model, ...] = (
    *family("kimi-k2 kimi-k2-turbo-preview", 262_144, 262_144, "no_images"),
    *family("kimi-k2.5 kimi-k2.6", 262_144, 262_144, "wants_thoughts", "fixed_sampling"),
    model("kimi-k2.7-code", 262_144, 262_144, "wants_thoughts", "fixed_sampling", "always_thinks"),
    model("kimi-k3", 1_048_576, 1_048_576, "wants_thoughts", "fixed_sampling", "always_thinks", "forces_any"),
    model("moonshot-v1-8k", 8_192, 8_192, "no_images"),
    model("moonshot-v1-32k", 32_768, 32_768, "no_images"),
    model("moonshot-v1-128k", 131_072, 131_072, "no_images"),
)

GLM: tuple[Model, ...] = (
    *family("glm-4.5 glm-4.5-air", 96_000, 128_000, "no_images"),
    *family("glm-4.6 glm-4.7 glm-5", 131_072, 200_000, "no_images"),
    model("glm-5.2", 131_072, 1_000_000, "no_images"),
    model("glm-5.3", 131_072, 1_000_000, "no_images", "three_efforts"),
    model("glm-5.3-flash", 131_072, 1_000_000, "three_efforts"),
    *family("glm-4.5v glm-4.6v", 32_768, 128_000),
)

TOGETHER: tuple[Model, ...] = (
    model("meta-llama/Llama-3.3-70B-Instruct-Turbo", 131_072, 131_072, "no_images"),
    model("Qwen/Qwen2.5-Coder-32B-Instruct", 32_768, 32_768, "no_images"),
)

OLLAMA: tuple[Model, ...] = family("gemma3 llava llama3.2-vision", 131_072, 131_072, "no_tools")
OPENROUTER: tuple[Model, ...] = (
    model("deepseek/deepseek-r1", 65_536, 131_072, "no_tools", "no_images"),
    model("z-ai/glm-4.5-air", 65_536, 131_072, "no_images"),
)
# Servers of one's own serve what they were started with; `plain` without anything that reads calls of tools.
OWN: tuple[Model, ...] = (model("plain", 32_768, 32_768, "no_parser"), model("small", 8_192, 8_192))
