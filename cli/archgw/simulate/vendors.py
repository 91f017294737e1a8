"""Who is simulated: one value per vendor, holding what its wire, its models and its errors are like."""

from dataclasses import dataclass
from typing import Literal

from archgw.simulate.models import (
    BEDROCK,
    CLAUDE,
    DEEPSEEK,
    GEMINI,
    GLM,
    GPT,
    GROK,
    GROQ,
    KIMI,
    MISTRAL,
    OLLAMA,
    OPENROUTER,
    OWN,
    TOGETHER,
    VERTEX,
    Model,
    find,
)

Dialect = Literal["openai_chat", "openai_responses", "anthropic_messages"]
ErrorShape = Literal[
    "anthropic", "openai", "mistral", "xai", "gemini", "google", "aws", "zai", "openrouter", "lm_studio", "llama_cpp"
]  # fmt: skip


ANY = Model("", 131_072, 131_072)


@dataclass(frozen=True, slots=True)
class Vendor:
    """`base_path` precedes /chat/completions, /messages and /models. Of an `open` vendor any name will do, though it be
    none of its `models`.

    A tool id is `tool_id_prefix` and then `tool_id_letters` letters and digits. `usage` says when a stream tells
    what it cost: in a chunk of its own if the client asked, or always in the last chunk. Without a
    `reasoning_field` the vendor keeps its models' reasoning to itself.

    `affinity` is the field or the header that tells which requests belong together, `machines` who has read a prompt:
    one for all; some for each beginning and what `affinity` says, each for fifteen requests a minute, as OpenAI has it;
    or any, where `affinity` says nothing.
    """

    name: str
    dialect: Dialect = "openai_chat"
    also: tuple[Dialect, ...] = ()  # dialects that it answers besides, below `also_base`
    also_base: str = ""
    base_path: str = "/v1"
    models: tuple[Model, ...] = ()
    open: bool = False
    keyless: bool = False
    keys: Literal["", "api-key"] = ""  # the header, where it is not the dialect's
    key_prefixes: tuple[str, ...] = ()
    signed_for: str = ""  # the AWS service that signatures are for, which it takes as well
    errors: ErrorShape = "openai"
    also_errors: ErrorShape = "openai"  # in the dialects besides, where Anthropic's are in the first
    betas: tuple[str, ...] | None = None  # the beginnings of Anthropic's beta flags that it takes; None for all
    tool_id_prefix: str = "call_"
    tool_id_letters: int = 24
    reasoning_field: str = ""
    whole_tool_calls: bool = False
    usage: Literal["asked", "always"] = "asked"
    affinity: str = ""
    machines: Literal["one", "some", "any"] = "one"

    def model(self, name: str) -> Model | None:
        return find(self.models, name) or (ANY if self.open else None)


ALL: tuple[Vendor, ...] = (
    Vendor(
        "anthropic",
        dialect="anthropic_messages",
        models=CLAUDE,
        key_prefixes=("sk-ant-",),
        errors="anthropic",
        tool_id_prefix="toolu_01",
        tool_id_letters=22,
    ),
    Vendor(
        "openai",
        also=("openai_responses",),
        models=GPT,
        key_prefixes=("sk-proj-", "sk-svcacct-"),
        affinity="prompt_cache_key",
        machines="some",
    ),
    Vendor(
        "azure_openai",
        base_path="/openai/v1",
        also=("openai_responses",),
        models=GPT,
        keys="api-key",
        affinity="prompt_cache_key",
        machines="some",
    ),
    Vendor(
        "amazon_bedrock",
        dialect="anthropic_messages",
        base_path="/anthropic/v1",
        also=("openai_chat", "openai_responses"),
        also_base="/openai/v1",
        models=BEDROCK,
        key_prefixes=("ABSK",),
        signed_for="bedrock",
        errors="anthropic",
        tool_id_prefix="toolu_bdrk_01",
        tool_id_letters=22,
    ),
    Vendor(
        "vertex",
        dialect="anthropic_messages",
        base_path="/publishers/anthropic",
        also=("openai_chat",),
        also_base="/endpoints/openapi",
        models=VERTEX,
        key_prefixes=("ya29.",),
        errors="anthropic",
        also_errors="gemini",
        betas=("context-", "computer-use-", "interleaved-thinking-", "tool-search-tool-", "web-search-"),
        tool_id_prefix="toolu_vrtx_01",
        tool_id_letters=22,
        whole_tool_calls=True,
    ),
    # Its ids have 43 characters, three more than OpenAI takes back (seen in the wild; a gateway must mind).
    # Its API answers below /v1 and without it; Simulator takes both.
    Vendor(
        "deepseek",
        models=DEEPSEEK,
        tool_id_prefix="call_0_",
        tool_id_letters=36,
        reasoning_field="reasoning_content",
    ),
    Vendor(
        "xai",
        models=GROK,
        key_prefixes=("xai-",),
        errors="xai",
        tool_id_letters=8,
        reasoning_field="reasoning_content",
        whole_tool_calls=True,
        affinity="x-grok-conv-id",
        machines="any",
    ),
    Vendor(
        "gemini",
        base_path="/v1beta/openai",
        models=GEMINI,
        key_prefixes=("AIza",),
        errors="gemini",
        tool_id_prefix="function-call-",
        tool_id_letters=20,
        whole_tool_calls=True,
    ),
    Vendor(
        "mistral",
        models=MISTRAL,
        errors="mistral",
        tool_id_prefix="",
        tool_id_letters=9,
        whole_tool_calls=True,
        usage="always",
        affinity="prompt_cache_key",
    ),
    Vendor(
        "groq",
        base_path="/openai/v1",
        models=GROQ,
        key_prefixes=("gsk_",),
        reasoning_field="reasoning",
        whole_tool_calls=True,
    ),
    Vendor("together", models=TOGETHER, open=True, key_prefixes=("tgp_",), reasoning_field="reasoning"),
    Vendor(
        "openrouter",
        base_path="/api/v1",
        models=OPENROUTER,
        open=True,
        key_prefixes=("sk-or-",),
        errors="openrouter",
        reasoning_field="reasoning",
        affinity="x-session-id",
    ),
    Vendor("moonshot", models=KIMI, reasoning_field="reasoning_content", affinity="prompt_cache_key"),
    Vendor("zai", base_path="/api/paas/v4", models=GLM, errors="zai", reasoning_field="reasoning_content"),
    Vendor(
        "ollama",
        models=OLLAMA,
        open=True,
        keyless=True,
        tool_id_letters=8,
        reasoning_field="reasoning",
        whole_tool_calls=True,
    ),
    Vendor("vllm", models=OWN, open=True, keyless=True, errors="mistral", reasoning_field="reasoning_content"),
    Vendor("lm_studio", models=OWN, open=True, keyless=True, tool_id_letters=9, errors="lm_studio"),
    Vendor("llama_cpp", models=OWN, open=True, keyless=True, errors="llama_cpp", reasoning_field="reasoning_content"),
)
