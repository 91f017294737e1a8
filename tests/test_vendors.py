"""Every vendor of the table, and servers of one's own, simulated as strictly as they are: what each of the three
dialects can ask for is taken, or what was left out is told in the reply, or it is refused in the vendor's words.

tests/test_sdk_matrix.py asks few vendors for everything; here all are asked for what they differ in.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from archgw.simulate import VENDORS, Simulator
from archgw.simulate.received import Received
from sdks import PNG, AnthropicClient, Client, Heard, OpenAIClient, ResponsesClient, Result, Results, Turn, User
from stack import Gateway, gateway

from router_service.providers import PROVIDERS, by_name

# Of each vendor what people use, and those of its models that others are unlike.
MODELS = {
    "openai": ("gpt-4.1", "gpt-5-mini", "gpt-5.5"),
    "anthropic": ("claude-opus-5-5", "claude-sonnet-4-5", "claude-3-5-haiku-latest"),
    "deepseek": ("deepseek-v4-pro", "deepseek-chat"),
    "xai": ("grok-4", "grok-4.6", "grok-3-mini"),
    "gemini": ("gemini-3-pro", "gemini-2.5-flash"),
    "mistral": ("mistral-small-latest",),
    "groq": ("llama-3.3-70b-versatile", "openai/gpt-oss-120b"),
    "together": ("Qwen/Qwen2.5-Coder-32B-Instruct",),
    "ollama": ("llama3.1", "gemma3"),
    "openrouter": ("anthropic/claude-sonnet-4.5",),
    "moonshot": ("kimi-k3", "kimi-k2.6", "kimi-k2.7-code"),
    "zai": ("glm-5.3",),
    "azure_openai": ("gpt-4.1",),
    "amazon_bedrock": ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "openai.gpt-oss-120b"),
    "vertex": ("claude-sonnet-4-5@20250929", "google/gemini-2.5-flash"),
    # Servers of one's own, behind an address and the name of what they speak.
    "vllm": ("qwen3-32b",),
    "lm_studio": ("qwen3-32b",),
    "llama_cpp": ("qwen3-32b",),
}
OWN = ("vllm", "lm_studio", "llama_cpp")
# Named as a model of OpenAI's at an address of one's own, which is the other way to say it.
WITHOUT_PARSER = {"my-vllm": "--enable-auto-tool-choice", "my-llama": "tools param requires --jinja flag"}
LABELS = [f"{vendor}/{model}" for vendor, models in MODELS.items() for model in models]
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
$MODELS
  - {model: openai/plain, name: my-vllm, base_url: "$URL_VLLM/v1"}
  - {model: openai/plain, name: my-llama, base_url: "$URL_LLAMA_CPP/v1"}
failover: {attempts: 1, put_aside_after: 100000, cool_at_most: 0}
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One stack for all of them."""
    async with AsyncExitStack() as stack:
        providers = {
            name: await stack.enter_async_context(
                Simulator(name, accept_keys=None if VENDORS[name].keyless else {f"key-of-{name}"})
            )
            for name in MODELS
        }
        entries = "\n".join(_entry(label, providers[label.partition("/")[0]]) for label in LABELS)
        keys = {f"{name.upper()}_API_KEY": f"key-of-{name}" for name in MODELS if not VENDORS[name].keyless}
        keys |= {"GOOGLE_CLOUD_PROJECT": "our-project", "GOOGLE_CLOUD_LOCATION": "eu"}
        folder, config = tmp_path_factory.mktemp("vendors"), CONFIG.replace("$MODELS", entries)
        yield await stack.enter_async_context(gateway(folder, config, providers, keys))


def _entry(label: str, provider: Simulator) -> str:
    vendor = provider.vendor
    path = "" if vendor.also_base or vendor.name == "vertex" else vendor.base_path  # they have one for each dialect
    key = "" if vendor.keyless else f", access_key: ${vendor.name.upper()}_API_KEY"
    key += ", provider_interface: openai" if vendor.name in OWN else ""
    return f'  - {{model: "{label}", base_url: "{provider.url}{path}"{key}}}'


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[AnthropicClient, OpenAIClient, ResponsesClient],
    ids=["messages", "chat", "responses"],
)
async def clients(request: pytest.FixtureRequest, running: Gateway) -> AsyncIterator[dict[str, Client]]:
    """One for each model: each keeps the headers of its last reply."""
    made = {label: request.param(running.url) for label in (*LABELS, *WITHOUT_PARSER)}
    yield made
    for client in made.values():
        await client.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> AsyncIterator[None]:
    await running.calm()
    yield
    assert not [leak for provider in running.providers.values() for leak in provider.leaks]


def _in_path(request: Received) -> str:
    """Where Vertex is told the name of Claude."""
    return request.path.rpartition("/")[2].partition(":")[0]


async def test_every_vendor_of_the_table_is_asked() -> None:
    assert set(MODELS) == {*PROVIDERS, *OWN} == set(VENDORS)


# -- what is asked for ---------------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
MUCH = 500_000  # tokens; more than anybody writes


@dataclass(frozen=True)
class Feature:
    """What a client asks for, by its dialect, and the words in the vendor's request by which one sees that it came."""

    anthropic: dict[str, Any] | None = None
    openai: dict[str, Any] | None = None
    responses: dict[str, Any] | None = None
    arrived: str = ""
    ask: dict[str, Any] = field(default_factory=dict)

    def more(self, client: Client) -> dict[str, Any] | None:
        wanted: dict[str, Any] | None = getattr(self, client.name)
        return wanted


def _messages(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}, *more]


REMINDER = ({"role": "system", "content": "MARK"}, {"role": "user", "content": "and?"})
NAMED = {"json_schema": {"name": "place", "schema": SCHEMA, "strict": True}, "type": "json_schema"}
FORM = {"format": {"type": "json_schema", "name": "place", "schema": SCHEMA, "strict": True}}
FEATURES = {
    "text": Feature({}, {}, {}, "hello"),
    "system": Feature({}, {}, {}, "MARK", {"system": "MARK"}),
    "system between messages": Feature(
        {"messages": _messages(*REMINDER)}, {"messages": _messages(*REMINDER)}, {"input": _messages(*REMINDER)}, "MARK"
    ),
    "stop": Feature({"stop_sequences": ["MARK", "b"]}, {"stop": ["MARK", "b"]}, None, "MARK"),
    "temperature": Feature({"temperature": 0.25}, {"temperature": 0.25}, {"temperature": 0.25}, '"temperature": 0.25'),
    "heat": Feature(None, {"temperature": 1.5}, {"temperature": 1.5}, '"temperature": 1.5'),
    "more than it writes": Feature(
        {"max_tokens": MUCH}, {"max_tokens": MUCH}, {"max_output_tokens": MUCH}, str(MUCH), {"stream": True}
    ),
    "a schema": Feature({"output_config": FORM}, {"response_format": NAMED}, {"text": FORM}, "additionalProperties"),
    "a schema beside tools": Feature(
        {"output_config": FORM}, {"response_format": NAMED}, {"text": FORM}, "additionalProperties", {"tool": "weather"}
    ),
    "JSON": Feature(
        None, {"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}, "json_object"
    ),
    "a certain tool": Feature(
        {"tool_choice": {"type": "tool", "name": "weather"}},
        {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
        {"tool_choice": {"type": "function", "name": "weather"}},
        '"tool_choice": {',
        {"tool": "weather"},
    ),
    "some tool": Feature(
        {"tool_choice": {"type": "any"}},
        {"tool_choice": "required"},
        {"tool_choice": "required"},
        '"tool_choice": "required"|"tool_choice": {"type": "any"}',
        {"tool": "weather"},
    ),
    "no tool": Feature(
        {"tool_choice": {"type": "none"}},
        {"tool_choice": "none"},
        {"tool_choice": "none"},
        '"none"|"messages"',
        {"tool": "weather"},
    ),
    "effort": Feature(
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}, "max_tokens": 30_000},
        {"reasoning_effort": "high"},
        {"reasoning": {"effort": "high"}},
        '"high"|budget',
        {"stream": True},
    ),
    "extreme effort": Feature(
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}, "max_tokens": 30_000},
        {"reasoning_effort": "minimal"},
        {"reasoning": {"effort": "minimal"}},
        'effort|budget',
        {"stream": True},
    ),
    "what OpenAI has besides": Feature(
        None,
        {
            "frequency_penalty": 0.5, "logit_bias": {"1": 1}, "logprobs": True, "metadata": {"a": "b"}, "n": 1,
            "parallel_tool_calls": True, "presence_penalty": 0.5, "prompt_cache_key": "k", "safety_identifier": "s",
            "seed": 1, "service_tier": "auto", "store": False, "top_logprobs": 1, "user": "u", "verbosity": "low",
        },
        None,
        "frequency_penalty",
        {"tool": "weather"},
    ),
    "a name": Feature(None, {"messages": [{"role": "user", "name": "MARK", "content": "hi"}]}, None, "MARK|hi"),
    "a developer": Feature(
        None,
        {"messages": [{"role": "developer", "content": "MARK"}, {"role": "user", "content": "hi"}]},
        {"input": [{"role": "developer", "content": "MARK"}, {"role": "user", "content": "hi"}]},
        "MARK",
    ),
    "an image": Feature({}, {}, {}, PNG),
}  # fmt: skip
# What only its server's owner can mend: it is told in the server's words.
REFUSED = {
    ("lm_studio", "a certain tool"): "Invalid tool_choice type: 'object'",
    ("vllm", "more than it writes"): "input length and `max_tokens` exceed context limit",
    ("lm_studio", "JSON"): "'response_format.type' must be 'json_schema' or 'text'",
}


@pytest.mark.parametrize("name", FEATURES)
async def test_what_is_asked_for_is_taken_or_its_absence_told(
    running: Gateway, clients: dict[str, Client], name: str
) -> None:
    more = FEATURES[name].more(clients[LABELS[0]])
    if more is None:
        pytest.skip("this dialect has no word for it")
    await by_all(lambda label: check(running, clients[label], label, name, more))


async def by_all(ask: Callable[[str], Awaitable[None]]) -> None:
    """All at once, for they have nothing to do with each other; every one that fails is named."""
    ended = await asyncio.gather(*map(ask, LABELS), return_exceptions=True)
    failed = {label: end for label, end in zip(LABELS, ended, strict=True) if end is not None}
    assert not failed


async def check(running: Gateway, client: Client, label: str, name: str, more: dict[str, Any]) -> None:
    feature, vendor = FEATURES[name], label.partition("/")[0]
    asking = client.ask(label, [User("hello", image=name == "an image")], extra_body=more, **feature.ask)
    if words := REFUSED.get((vendor, name)):
        with pytest.raises(client.bad_request, match=words):
            await asking
        return
    heard = await asking
    model = label.partition("/")[2]
    (asked,) = [
        request
        for request in running.providers[vendor].requests
        if model in (request.model, request.path.rpartition("/")[2].partition(":")[0])
    ]
    assert (asked.status, heard.headers["x-arch-attempts"]) == (200, "1")
    told, warnings = json.dumps(asked.json, ensure_ascii=False), heard.headers.get("x-arch-warnings", "")
    arrived = any(words in told for words in feature.arrived.split("|"))
    assert arrived or warnings, told
    if name == "a schema" and "structured output" not in warnings:
        assert set(json.loads(heard.text)) == {"city"}
    if name in ("a certain tool", "some tool") and "tool_choice" not in warnings and "tools" not in warnings:
        assert [call.name for call in heard.calls] == ["weather"]


# -- a loop of tools -----------------------------------------------------------------------------------------------

TWO = '@@[[{"text": "Let me look."}, {"tool": "weather", "input": {"city": "Paris"}},'
TWO += ' {"tool": "weather", "input": {"city": "Rome"}}], [{"text": "Both are fine."}]]@@'


def _results(called: Heard) -> Results:
    return Results(tuple(Result(call.id, f"sun in {call.input['city']}") for call in called.calls))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_two_calls_at_once_are_made_and_answered(clients: dict[str, Client], stream: bool) -> None:
    await by_all(lambda label: work_on(clients[label], label, stream=stream))


async def work_on(client: Client, label: str, *, stream: bool) -> None:
    vendor, _, model = label.partition("/")
    turns: Sequence[Turn] = [User(TWO)]
    called = await client.ask(label, turns, stream=stream, tool="weather", think=True)
    if vendor in PROVIDERS and not by_name(vendor).facts(model).tools:
        assert "tools left out" in called.headers["x-arch-warnings"]
        return
    assert (called.text, [call.input["city"] for call in called.calls]) == ("Let me look.", ["Paris", "Rome"])
    answered = await client.ask(label, [*turns, called, _results(called)], stream=stream, tool="weather", think=True)
    assert answered.text == "Both are fine."
    again = [*turns, called, _results(called), answered, User("thanks")]
    assert "thanks" in (await client.ask(label, again, stream=stream, tool="weather")).text


# -- what the owner of a server has to hear ------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITHOUT_PARSER)
async def test_a_server_without_a_parser_for_tools_says_so(clients: dict[str, Client], name: str) -> None:
    heard = await clients[name].ask(name, [User("hello")])
    assert "you asked: hello" in heard.text
    with pytest.raises((openai.APIError, anthropic.APIError), match=WITHOUT_PARSER[name]):
        await clients[name].ask(name, [User("hello")], tool="weather")
