"""The official SDKs against a running gateway: whatever a client speaks and whoever answers, it reads the same."""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import anthropic
import httpx2
import openai
import pytest
import pytest_asyncio
from archgw.simulate import Fault, Simulator
from sdks import PNG, AnthropicClient, Call, Client, OpenAIClient, ResponsesClient, Result, Results, Turn, User
from stack import Gateway, gateway

SONNET, MINI, CHAT = "anthropic/claude-sonnet-4-5", "openai/gpt-4o-mini", "deepseek/deepseek-chat"
GEMINI, MISTRAL = "gemini/gemini-2.5-flash", "mistral/mistral-small-latest"
MODELS = (SONNET, MINI, CHAT, GEMINI, MISTRAL)
THINKERS = (SONNET, "deepseek/deepseek-reasoner")
BEDROCK, AZURE = "amazon_bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "azure_openai/gpt-4.1"
VERTEX = ("vertex/claude-sonnet-4-5@20250929", "vertex/google/gemini-3-pro")
TRAVELLERS = (
    BEDROCK,
    *VERTEX,
    AZURE,
    SONNET,
    "anthropic/claude-opus-5-5",
    "openai/gpt-5-mini",
    "openai/gpt-5-codex",
    "deepseek/deepseek-reasoner",
    "gemini/gemini-3-pro",
)
OTHERS = ("openai/gpt-5-mini", "anthropic/claude-opus-5-5", "groq/llama-3.3-70b-versatile")
KEYS = {
    name: f"key-of-{name}"
    for name in (
        "anthropic", "openai", "deepseek", "gemini", "mistral", "groq", "azure_openai", "amazon_bedrock",
        "vertex",
    )
}  # fmt: skip
CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
$MODELS
failover: {attempts: 1, first_content_timeout: 5s, put_aside_after: 100000, cool_at_most: 0}
"""
# What each calls the ends of a reply.
STOPS = {
    "end": {"anthropic": "end_turn", "openai": "stop", "responses": "completed"},
    "length": {"anthropic": "max_tokens", "openai": "length", "responses": "max_output_tokens"},
    "refusal": {"anthropic": "refusal", "openai": "content_filter", "responses": "content_filter"},
    "tools": {"anthropic": "tool_use", "openai": "tool_calls", "responses": "tool_calls"},
}
X_ARCH = {"x-arch-model", "x-arch-route", "x-arch-reason", "x-arch-attempts", "x-arch-request-id"}
TWO_CALLS = '@@[[{"text": "Let me look."}, {"tool": "weather", "input": {"city": "Paris"}},'
TWO_CALLS += ' {"tool": "weather", "input": {"city": "Århus \\"x\\""}}], [{"text": "Both are fine."}]]@@'

pytestmark = pytest.mark.asyncio(loop_scope="module")
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda model: model.partition("/")[0])
whole_and_streamed = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """A single attempt, so that nobody mends what another got wrong."""
    async with AsyncExitStack() as stack:
        providers = {
            name: await stack.enter_async_context(Simulator(name, accept_keys={key})) for name, key in KEYS.items()
        }
        models = "\n".join(
            _entry(model, providers[model.partition("/")[0]])
            for model in dict.fromkeys((*MODELS, *THINKERS, *OTHERS, *TRAVELLERS))
        )
        environment = {f"{name.upper()}_API_KEY": key for name, key in KEYS.items()}
        environment |= {"GOOGLE_CLOUD_PROJECT": "our-project", "GOOGLE_CLOUD_LOCATION": "global"}
        config = CONFIG.replace("$MODELS", models)
        folder = tmp_path_factory.mktemp("sdks")
        yield await stack.enter_async_context(gateway(folder, config, providers, environment))


def _entry(model: str, provider: Simulator) -> str:
    key = f"${provider.vendor.name.upper()}_API_KEY"
    default = ", default: true" if model == SONNET else ""
    path = "" if provider.vendor.also_base else provider.vendor.base_path  # who has one for each dialect
    return f'  - {{model: {model}, access_key: {key}, base_url: "{provider.url}{path}"{default}}}'


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[AnthropicClient, OpenAIClient, ResponsesClient],
    ids=["anthropic-sdk", "openai-sdk", "responses-sdk"],
)
async def client(request: pytest.FixtureRequest, running: Gateway) -> AsyncIterator[Client]:
    made = request.param(running.url)
    yield made
    await made.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(running: Gateway) -> AsyncIterator[None]:
    await running.calm()
    yield
    leaked = [leak for provider in running.providers.values() for leak in provider.leaks]
    assert not leaked, "a header reached a provider that it was not meant for"


def received(running: Gateway, model: str) -> dict[str, Any]:
    """What the model's provider was asked last."""
    body = running.providers[model.partition("/")[0]].requests[-1].json
    assert body is not None and body["model"] == model.partition("/")[2]
    return body


def _said(asked: dict[str, Any]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = asked.get("messages") or asked["input"]
    return said


def script(*steps: dict[str, Any]) -> list[User]:
    return [User(f"@@{json.dumps(list(steps))}@@")]


LONG = script({"text": "one two three four", "chunks": 8})


# -- what is said ----------------------------------------------------------------------------------------------


@every_model
@whole_and_streamed
async def test_a_text_arrives_letter_by_letter(running: Gateway, client: Client, model: str, stream: bool) -> None:
    words = 'Grüß Gott, 世界 🎉 "quoted" \\ back\u2028slash\n' * 20
    heard = await client.ask(model, script({"text": words, "chunks": 40}), stream=stream)
    assert heard.text == words
    assert heard.stop == STOPS["end"][client.name]
    assert heard.headers.keys() >= X_ARCH
    assert heard.headers["x-arch-model"] == model
    assert heard.headers["x-arch-attempts"] == "1"


@every_model
@whole_and_streamed
async def test_the_system_prompt_reaches_the_model(running: Gateway, client: Client, model: str, stream: bool) -> None:
    await client.ask(model, [User("hi")], stream=stream, system="Speak as a pirate.")
    asked = received(running, model)
    told = asked.get("system") or asked.get("instructions") or asked["messages"][0]["content"]
    assert told == "Speak as a pirate."
    assert _said(asked)[-1] == {"role": "user", "content": "hi"}


@every_model
@whole_and_streamed
async def test_an_image_is_seen_or_its_absence_told(running: Gateway, client: Client, model: str, stream: bool) -> None:
    heard = await client.ask(model, [User("what is this?", image=True)], stream=stream)
    assert "what is this?" in heard.text
    blind = model == CHAT
    assert (PNG in json.dumps(received(running, model))) is not blind
    assert ("cannot see" in heard.headers.get("x-arch-warnings", "")) is blind


@every_model
@whole_and_streamed
@pytest.mark.parametrize("reason", ["end", "length", "refusal"])
async def test_a_reply_says_why_it_ended(
    running: Gateway, client: Client, model: str, stream: bool, reason: str
) -> None:
    order = {"refuse": True} if reason == "refusal" else {"text": "So", "stop": reason}
    heard = await client.ask(model, script(order), stream=stream)
    assert heard.stop == STOPS[reason][client.name]


@every_model
@whole_and_streamed
async def test_a_stop_sequence_ends_the_reply(running: Gateway, client: Client, model: str, stream: bool) -> None:
    if client.name == "responses":
        pytest.skip("OpenAI's Responses have no stop sequences")
    stop: dict[str, Any] = {"stop_sequences": ["END"]} if client.name == "anthropic" else {"stop": ["END"]}
    heard = await client.ask(model, script({"text": "one END two"}), stream=stream, **stop)
    assert heard.text == "one "
    assert heard.stop in ("stop_sequence", "end_turn", "stop")


@every_model
@whole_and_streamed
async def test_usage_is_what_the_vendor_counted(running: Gateway, client: Client, model: str, stream: bool) -> None:
    told = {"input": 70, "cached": 30, "output": 9}
    heard = await client.ask(model, script({"text": "hi", "usage": told}), stream=stream)
    assert {"input": heard.input, "cached": heard.cached, "output": heard.output} == told


# -- tools -----------------------------------------------------------------------------------------------------


@every_model
@whole_and_streamed
@pytest.mark.parametrize("how", ["in order", "in another order", "one failed", "with a word of the user's"])
async def test_two_calls_at_once_and_their_results(
    running: Gateway, client: Client, model: str, stream: bool, how: str
) -> None:
    ask = User(TWO_CALLS)
    called = await client.ask(model, [ask], stream=stream, tool="weather")
    assert called.text == "Let me look."
    assert [(call.name, call.input["city"]) for call in called.calls] == [
        ("weather", "Paris"),
        ("weather", 'Århus "x"'),
    ]
    assert called.stop == STOPS["tools"][client.name]
    results = tuple(_result(call, failed=how == "one failed" and at == 0) for at, call in enumerate(called.calls))
    back = Results(
        results[::-1] if how == "in another order" else results,
        then="and hurry" if how.startswith("with") else "",
    )
    answered = await client.ask(model, [ask, called, back], stream=stream, tool="weather")
    assert answered.text == _closing(model, back)
    assert answered.stop == STOPS["end"][client.name]
    failures = _results_in(received(running, model), "and hurry" if back.then else "")
    assert failures == int(how == "one failed" and client.name == "anthropic"), "OpenAI's dialect has no word for it"


def _result(call: Call, *, failed: bool) -> Result:
    return Result(call.id, f"no such city: {call.input['city']}" if failed else f"sun in {call.input['city']}", failed)


def _closing(model: str, back: Results) -> str:
    """Mistral lets no user speak after a tool; behind the word put in between, the simulated model starts afresh."""
    if model == MISTRAL and back.then:
        return f"simulated {model}: you asked: {back.then}"
    return "Both are fine."


def _results_in(asked: dict[str, Any], then: str) -> int:
    """How many results tell of a failure; each has to be under the id of its own call, in whichever dialect."""
    cities: dict[str, str] = {}
    told: list[tuple[str, str, bool]] = []
    for item in asked.get("input", ()):
        if item.get("type") == "function_call":
            cities[item["call_id"]] = json.loads(item["arguments"])["city"]
        if item.get("type") == "function_call_output":
            told.append((item["call_id"], item["output"], item["output"].startswith("Error: ")))
    for message in asked.get("messages", ()):
        blocks = message["content"] if isinstance(message["content"], list) else []
        for call in message.get("tool_calls", ()):
            cities[call["id"]] = json.loads(call["function"]["arguments"])["city"]
        if message["role"] == "tool":
            told.append((message["tool_call_id"], message["content"], message["content"].startswith("Error: ")))
        for block in blocks:
            if block["type"] == "tool_use":
                cities[block["id"]] = block["input"]["city"]
            if block["type"] == "tool_result":
                told.append((block["tool_use_id"], block["content"], block.get("is_error", False)))
    assert len(cities) == len(told) == 2
    assert all(content.endswith(cities[id]) for id, content, _ in told)
    assert then in json.dumps(_said(asked)[-1])
    return sum(failed for _, _, failed in told)


@pytest.mark.parametrize("first", MODELS, ids=lambda model: model.partition("/")[0])
@pytest.mark.parametrize("then", MODELS, ids=lambda model: model.partition("/")[0])
async def test_a_tool_loop_goes_on_with_another_model(running: Gateway, client: Client, first: str, then: str) -> None:
    ask = User(TWO_CALLS)
    called = await client.ask(first, [ask], tool="weather")
    back = Results(tuple(_result(call, failed=False) for call in called.calls), then="and?")
    answered = await client.ask(then, [ask, called, back], stream=True, tool="weather", think=then == SONNET)
    assert answered.text == _closing(then, back)


# -- thinking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", THINKERS, ids=lambda model: model.partition("/")[0])
@whole_and_streamed
async def test_thinking_is_shown_apart_from_the_answer(
    running: Gateway, client: Client, model: str, stream: bool
) -> None:
    steps = script({"thinking": "six times seven"}, {"text": "42"})
    heard = await client.ask(model, steps, stream=stream, think=True)
    assert (heard.thinking, heard.text) == ("six times seven", "42")


@pytest.mark.parametrize("first", THINKERS, ids=lambda model: model.partition("/")[0])
@pytest.mark.parametrize("then", [*MODELS, *THINKERS[1:], *OTHERS])
async def test_thinking_of_an_earlier_turn_is_refused_by_nobody(
    running: Gateway, client: Client, first: str, then: str
) -> None:
    steps = script({"thinking": "six times seven"}, {"text": "42"})
    heard = await client.ask(first, steps, think=True)
    assert heard.thinking
    again = await client.ask(then, [*steps, heard, User("sure?")], think=then != OTHERS[0])
    assert "sure?" in again.text


STEP = [[{"thinking": "a city"}, {"tool": "weather", "input": {"city": "Rome"}}], [{"text": "Fine."}]]


@pytest.mark.parametrize("seed", range(4))
async def test_a_session_survives_switches_in_the_middle_of_its_tool_loops(
    running: Gateway, client: Client, seed: int
) -> None:
    """Each call is made by one model and answered by another, which thinks too; strict vendors refuse what is not
    theirs, and Anthropic's and Google's what is theirs and changed."""
    rng = random.Random(seed)
    turns: list[Turn] = []
    for _ in range(6):
        first, then = rng.choice(TRAVELLERS), rng.choice(TRAVELLERS)
        turns.append(User(f"@@{json.dumps(STEP)}@@"))
        called = await client.ask(first, turns, stream=rng.random() < 0.5, tool="weather", think=True)
        assert [call.input for call in called.calls] == [{"city": "Rome"}], (first, called)
        turns += [called, Results((_result(called.calls[0], failed=False),))]
        answered = await client.ask(then, turns, stream=rng.random() < 0.5, tool="weather", think=True)
        assert answered.text == "Fine.", (first, then, answered)
        turns.append(answered)


# -- errors ----------------------------------------------------------------------------------------------------


@every_model
@whole_and_streamed
async def test_what_the_vendor_refuses_is_a_bad_request_with_its_words(
    running: Gateway, client: Client, model: str, stream: bool
) -> None:
    with pytest.raises(client.bad_request, match=r"name") as refused:
        await client.ask(model, [User("hi")], stream=stream, tool="not a name!")
    error: Any = refused.value  # both SDKs' have the response
    assert error.response.headers.keys() >= X_ARCH
    assert error.response.headers["x-arch-model"] == model


@pytest.mark.parametrize("model", [SONNET, MINI], ids=["anthropic", "openai"])
@whole_and_streamed
async def test_a_temperature_out_of_range_is_refused_by_the_clients_own_vendor(
    running: Gateway, client: Client, model: str, stream: bool
) -> None:
    hot = {"extra_body": {"temperature": 2.5}}  # Anthropic's SDK has no such argument any more
    if model.startswith(client.name) or (client.name == "responses" and model == MINI):
        with pytest.raises(client.bad_request, match="temperature"):
            await client.ask(model, [User("hi")], stream=stream, **hot)
    else:
        heard = await client.ask(model, [User("hi")], stream=stream, **hot)
        assert "temperature lowered" in heard.headers["x-arch-warnings"]


@pytest.mark.parametrize("model", [SONNET, MINI, CHAT], ids=["anthropic", "openai", "deepseek"])
async def test_too_long_a_prompt_is_said_in_the_words_that_clients_act_on(
    running: Gateway, client: Client, model: str
) -> None:
    with pytest.raises(client.bad_request, match=r"prompt is too long|context (length|window)") as refused:
        await client.ask(model, [User("word " * 200_000)])
    if client.name == "anthropic":
        assert re.search(r"prompt is too long: \d+ tokens > \d+ maximum", str(refused.value))


@every_model
@pytest.mark.parametrize("kind", ["error_after_content", "end_after_content", "malformed"])
async def test_a_stream_that_breaks_raises_and_never_ends_in_silence(
    running: Gateway, client: Client, model: str, kind: str
) -> None:
    running.providers[model.partition("/")[0]].fail_next(Fault(kind))
    with pytest.raises(client.broken_stream) as broken:
        await client.ask(model, LONG, stream=True)
    assert str(broken.value), "in words"


async def test_a_provider_that_is_cut_off_raises_too(running: Gateway) -> None:
    """All at once: Envoy takes its time to close a connection. Where it has not passed on the first words yet, it is
    an error in place of an answer."""
    known = openai.APIError | anthropic.APIError | httpx2.RemoteProtocolError
    clients: list[Any] = [AnthropicClient(running.url), OpenAIClient(running.url), ResponsesClient(running.url)]
    for provider in running.providers.values():
        provider.fail_next(Fault("reset_after_content"), times=len(clients))
    asked = [client.ask(model, LONG, stream=True) for client in clients for model in MODELS]
    ended = await asyncio.gather(*asked, return_exceptions=True)
    for client in clients:
        await client.close()
    assert all(isinstance(end, known) for end in ended), ended


# -- raw bytes -------------------------------------------------------------------------------------------------

RAW = [
    ("a text", [{"text": "hello", "chunks": 3}]),
    ("two calls", [{"text": "a"}, {"tool": "f", "input": {"x": [1]}}, {"tool": "g", "input": {}}]),
    ("thinking", [{"thinking": "hm"}, {"text": "42"}]),
]


@pytest.mark.parametrize("model", [*MODELS, *THINKERS[1:]], ids=lambda model: model.rpartition("/")[2])
@pytest.mark.parametrize("steps", [steps for _, steps in RAW], ids=[name for name, _ in RAW])
async def test_a_stream_keeps_anthropics_grammar(running: Gateway, model: str, steps: Any) -> None:
    body = {"model": model, "max_tokens": 3000, "stream": True}
    body |= {"thinking": {"type": "enabled", "budget_tokens": 2000}, "messages": _asked(steps)}
    answer = await running.ask(body)
    assert answer.status == 200 and answer.headers.keys() >= X_ARCH
    assert {name.lower(): value for name, value in answer.headers.items()}["content-type"].startswith(
        "text/event-stream"
    )
    events = [_event(part) for part in answer.body.decode().split("\n\n") if part and not part.startswith(":")]
    assert answer.body.endswith(b"\n\n")
    assert all(name == data["type"] for name, data in events)
    events = [(name, data) for name, data in events if name != "ping"]
    kinds = [name for name, _ in events]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    assert [kinds.count(kind) for kind in ("message_start", "message_delta", "message_stop")] == [1, 1, 1]
    blocks = "".join(f"{_LETTERS[kind]}{data['index']}" for kind, data in events[1:-2])
    count = sum(kind == "content_block_start" for kind in kinds)
    assert re.fullmatch("".join(rf"<{at}(?:\.{at})*>{at}" for at in range(count)), blocks), blocks
    assert events[-2][1]["delta"]["stop_reason"] in ("end_turn", "tool_use")
    assert events[-2][1]["usage"]["output_tokens"] > 0


_LETTERS = {"content_block_start": "<", "content_block_delta": ".", "content_block_stop": ">"}


@pytest.mark.parametrize("model", [*MODELS, *THINKERS[1:]], ids=lambda model: model.rpartition("/")[2])
@pytest.mark.parametrize("usage", [False, True], ids=["", "with usage"])
@pytest.mark.parametrize("steps", [steps for _, steps in RAW], ids=[name for name, _ in RAW])
async def test_a_stream_keeps_openais_grammar(running: Gateway, model: str, steps: Any, usage: bool) -> None:
    body: dict[str, Any] = {"model": model, "stream": True, "messages": _asked(steps)}
    answer = await running.ask(body | ({"stream_options": {"include_usage": True}} if usage else {}), OpenAIClient.path)
    assert answer.status == 200 and answer.headers.keys() >= X_ARCH
    lines = [part for part in answer.body.decode().split("\n\n") if part and not part.startswith(":")]
    assert lines[-1] == "data: [DONE]" and answer.body.endswith(b"\n\n")
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert choices[0]["delta"]["role"] == "assistant"
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] in (["stop"], ["tool_calls"])
    assert choices[-1]["finish_reason"]
    told = [chunk["usage"] for chunk in chunks if chunk.get("usage")]
    assert len(told) == 1 if usage or model == MISTRAL else not told


def _asked(steps: Any) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"@@{json.dumps(steps)}@@"}]


def _event(part: str) -> tuple[str, dict[str, Any]]:
    name, _, data = part.partition("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


ODD = (
    rb'{ "max_tokens" :  100,"messages":[ {"role":"user", "content" : "caf\u00e9 \ud83d\ude00 \/ '
    + "é 世".encode()
    + rb'"}'
    b'\t]\r\n,   "model":\t"%s" , "temperature":0.50, "x_unknown" : {"model": "keep", "n": 1.10e-3, "a":[ ]},'
    rb' "user" : null }  '
)


@pytest.mark.parametrize(
    ("model", "path"),
    [(model, AnthropicClient.path if model == SONNET else OpenAIClient.path) for model in MODELS],
    ids=lambda value: value.rpartition("/")[2],
)
async def test_the_clients_bytes_reach_a_vendor_of_its_dialect_with_only_the_model_replaced(
    running: Gateway, model: str, path: str
) -> None:
    provider, _, name = model.partition("/")
    await running.ask(ODD % model.encode(), path)
    assert running.providers[provider].requests[-1].body == ODD % name.encode()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/messages", b"{", 400),
        ("/v1/chat/completions", b"[]", 400),
        ("/v1/messages", b'{"model": "nobody/nothing", "messages": [{"role": "user", "content": "x"}]}', 404),
        ("/v1/messages/count_tokens", b'{"model": "m", "messages": []}', 400),
        ("/v1/nowhere", b"{}", 404),
    ],
)
async def test_what_the_gateway_answers_itself_carries_its_headers_too(
    running: Gateway, path: str, body: bytes, status: int
) -> None:
    answer = await running.ask(body, path)
    assert answer.status == status and answer.headers.keys() >= X_ARCH


# -- how many tokens -------------------------------------------------------------------------------------------

counting = pytest.mark.parametrize("model", [*MODELS, BEDROCK, AZURE], ids=lambda model: model.partition("/")[0])


@counting
async def test_tokens_are_counted_by_the_vendor_or_estimated_and_marked(running: Gateway, model: str) -> None:
    told = {"model": model, "messages": [{"role": "user", "content": "How many, in all?"}]}
    async with anthropic.AsyncAnthropic(base_url=running.url, api_key="the client's own") as client:
        answer = await client.messages.with_raw_response.count_tokens(**told)  # type: ignore[arg-type]
    tokens = (await answer.parse()).input_tokens
    asked = running.providers[model.partition("/")[0]].requests
    if model in (SONNET, MINI):
        assert asked[-1].path == ("/v1/messages/count_tokens" if model == SONNET else "/v1/responses/input_tokens")
        assert tokens > 0 and "x-arch-warnings" not in answer.headers
        assert answer.headers["x-arch-reason"] == f"counted by {model}"
    else:
        assert not asked and tokens >= 6
        assert answer.headers["x-arch-warnings"] == "input_tokens is an estimate"


@counting
async def test_openais_sdk_counts_too(running: Gateway, model: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{running.url}/v1", api_key="the client's own") as client:
        answer = await client.responses.input_tokens.count(model=model, input="How many, in all?")
    assert answer.object == "response.input_tokens" and answer.input_tokens >= 5


@pytest.mark.parametrize("model", [SONNET, MINI])
async def test_a_vendor_who_cannot_count_just_now_costs_nobody_the_number(running: Gateway, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "How many, in all?"}]}
    await running.providers[model.partition("/")[0]].refuse()
    answer = await running.ask(body, "/v1/messages/count_tokens")
    assert answer.status == 200 and answer.json["input_tokens"] >= 6
    assert answer.headers["x-arch-warnings"] == "input_tokens is an estimate"
    assert "could not be connected to" in answer.headers["x-arch-reason"]


# -- long names ------------------------------------------------------------------------------------------------


@every_model
@whole_and_streamed
async def test_a_tool_with_a_name_that_only_anthropic_takes_is_called_by_it(
    running: Gateway, model: str, stream: bool
) -> None:
    name = "mcp__a-company-wide-knowledge-base__search_documents_by_author_and_" + "x" * 40
    async with anthropic.AsyncAnthropic(base_url=running.url, api_key="the client's own") as client:
        tool = {"name": name, "description": "d", "input_schema": {"type": "object", "properties": {}}}
        asked: dict[str, Any] = {
            "model": model,
            "max_tokens": 99,
            "tools": [tool],
            "tool_choice": {"type": "any"},
            "messages": [{"role": "user", "content": "go"}],
        }
        if stream:
            async with client.messages.stream(**asked) as streaming:
                reply = await streaming.get_final_message()
        else:
            reply = await client.messages.create(**asked)
    (call,) = [block for block in reply.content if block.type == "tool_use"]
    assert call.name == name
