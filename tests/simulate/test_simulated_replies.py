"""The vendors' own SDKs read what the simulated vendors answer."""

import json
from collections.abc import AsyncIterator

import anthropic
import openai
import pytest
import pytest_asyncio
from archgw.simulate import Simulator

WEATHER = (
    '@@[{"text": "Let me see."}, {"tool": "w", "input": {"city": "Paris"}}, {"tool": "w", "input": {"city": "Rome"}}]@@'
)
GPT_TOOL = {"type": "function", "function": {"name": "w", "parameters": {"type": "object", "properties": {}}}}
CLAUDE_TOOL = {"name": "w", "input_schema": {"type": "object", "properties": {}}}
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest_asyncio.fixture
async def gpt() -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        Simulator("openai") as sim,
        openai.AsyncOpenAI(base_url=sim.base_url, api_key="sk-test", max_retries=0) as client,
    ):
        yield client


@pytest_asyncio.fixture
async def claude() -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with (
        Simulator("anthropic") as sim,
        anthropic.AsyncAnthropic(base_url=sim.base_url, api_key="k", max_retries=0) as client,
    ):
        yield client


def user(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


# -- openai --------------------------------------------------------------------------------------------------


async def test_gpt_names_itself_and_echoes_the_question(gpt):
    reply = await gpt.chat.completions.create(model="gpt-4o", messages=user("where is my bug?"))
    assert reply.choices[0].message.content == "simulated openai/gpt-4o: you asked: where is my bug?"
    assert (reply.choices[0].finish_reason, reply.usage.completion_tokens) == ("stop", 13)


async def test_gpt_streams_in_openais_grammar(gpt):
    stream = await gpt.chat.completions.create(
        model="gpt-4o", messages=user("hi"), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len(chunks) > 5
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens > 0) == ([], True)


async def test_gpt_calls_two_tools_at_once_and_hears_their_results(gpt):
    messages = user(WEATHER)
    reply = await gpt.chat.completions.create(model="gpt-4o", messages=messages, tools=[GPT_TOOL])
    calls = reply.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Paris", "Rome"]
    messages.append(reply.choices[0].message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in calls]
    final = await gpt.chat.completions.create(model="gpt-4o", messages=messages, tools=[GPT_TOOL])
    assert final.choices[0].message.content.endswith("done after 1 tool turns, the last result was: sunny")


async def test_gpt_streams_parallel_calls_by_index(gpt):
    stream = await gpt.chat.completions.create(model="gpt-4o", messages=user(WEATHER), tools=[GPT_TOOL], stream=True)
    arguments = {0: "", 1: ""}
    async for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or []:
            arguments[call.index] += call.function.arguments or ""
    assert [json.loads(text)["city"] for text in arguments.values()] == ["Paris", "Rome"]


async def test_gpt_looks_at_an_image(gpt):
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
    content = [{"type": "text", "text": "what is this?"}, picture]
    reply = await gpt.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": content}])
    assert "what is this?" in reply.choices[0].message.content


async def test_gpt_answers_a_schema_and_a_forced_tool(gpt):
    schema = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    form = {"type": "json_schema", "json_schema": {"name": "t", "schema": schema}}
    told = await gpt.chat.completions.create(model="gpt-4o", messages=user("x"), response_format=form)
    assert json.loads(told.choices[0].message.content) == {"title": "simulated"}
    forced = await gpt.chat.completions.create(
        model="gpt-4o", messages=user("x"), tools=[GPT_TOOL], tool_choice="required"
    )
    assert forced.choices[0].message.tool_calls[0].function.name == "w"


@pytest.mark.parametrize(
    ("script", "finish"),
    [
        ('@@[{"text": "hm"}, {"stop": "length"}]@@', "length"),
        ('@@[{"refuse": true}]@@', "content_filter"),
        ('@@[{"text": "one STOP two"}]@@', "stop"),
    ],
)
async def test_gpt_ends_as_told(gpt, script, finish):
    reply = await gpt.chat.completions.create(model="gpt-4o", messages=user(script), stop=["STOP"])
    assert reply.choices[0].finish_reason == finish
    assert "two" not in reply.choices[0].message.content


async def test_a_default_answer_keeps_to_max_tokens_and_a_script_does_not(gpt):
    short = await gpt.chat.completions.create(model="gpt-4o", messages=user("hi"), max_tokens=1)
    assert (short.choices[0].message.content, short.choices[0].finish_reason) == ("simu", "length")
    long = await gpt.chat.completions.create(model="gpt-4o", messages=user('@@["0123456789"]@@'), max_tokens=1)
    assert long.choices[0].message.content == "0123456789"


async def test_repeated_prefixes_are_cached(gpt):
    messages = user("word " * 2000)
    first = await gpt.chat.completions.create(model="gpt-4o", messages=messages)
    second = await gpt.chat.completions.create(model="gpt-4o", messages=[*messages, *user("and?")])
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert second.usage.prompt_tokens_details.cached_tokens == 2432


async def test_usage_can_be_ordered(gpt):
    script = '@@[{"text": "hi"}, {"usage": {"input": 7, "output": 9, "cached": 5}}]@@'
    reply = await gpt.chat.completions.create(model="gpt-4o", messages=user(script))
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (12, 9)


async def test_events_can_be_made_big(gpt):
    script = '@@[{"text": "abc", "chunks": 3, "bytes": 60000}]@@'
    stream = await gpt.chat.completions.create(model="gpt-4o", messages=user(script), stream=True)
    sizes = [len(chunk.choices[0].delta.content or "") async for chunk in stream]
    assert [size for size in sizes if size] == [60000] * 3


async def test_models_are_listed(gpt, claude):
    assert "gpt-4o" in [model.id async for model in gpt.models.list()]
    assert "claude-haiku-4-5" in [model.id async for model in claude.models.list()]
    assert (await gpt.models.retrieve("gpt-4o")).id == "gpt-4o"
    assert (await claude.models.retrieve("claude-haiku-4-5")).id == "claude-haiku-4-5"


# -- the followers -------------------------------------------------------------------------------------------


async def ask(sim: Simulator, model: str, text: str, **more: object) -> openai.types.chat.ChatCompletion:
    async with openai.AsyncOpenAI(base_url=sim.base_url, api_key="k", max_retries=0) as client:
        return await client.chat.completions.create(model=model, messages=user(text), **more)


@pytest.mark.parametrize(
    ("vendor", "model", "base_path", "id_length"),
    [
        ("deepseek", "deepseek-chat", "/v1", 43),
        ("xai", "grok-2-mini", "/v1", 13),
        ("gemini", "gemini-2.5-pro", "/v1beta/openai", 34),
        ("mistral", "mistral-large-latest", "/v1", 9),
        ("groq", "llama-3.3-70b-versatile", "/openai/v1", 29),
        ("together", "meta-llama/Llama-3.3-70B", "/v1", 29),
        ("openrouter", "anthropic/claude-sonnet-4.5", "/api/v1", 29),
        ("zai", "glm-5", "/api/paas/v4", 29),
        ("ollama", "llama3.1:8b", "/v1", 13),
    ],
)
async def test_each_vendor_has_its_path_and_its_ids(vendor, model, base_path, id_length):
    async with Simulator(vendor) as sim:
        assert sim.base_url == sim.url + base_path
        reply = await ask(sim, model, '@@[{"tool": "w"}]@@', tools=[GPT_TOOL])
        assert len(reply.choices[0].message.tool_calls[0].id) == id_length


async def test_deepseek_also_answers_without_v1():
    async with Simulator("deepseek") as sim:
        client = openai.AsyncOpenAI(base_url=sim.url, api_key="k", max_retries=0)
        async with client:
            reply = await client.chat.completions.create(model="deepseek-chat", messages=user("hi"))
        assert reply.choices[0].message.content.startswith("simulated deepseek/deepseek-chat")


async def test_the_reasoner_reasons_aloud():
    async with Simulator("deepseek") as sim:
        reply = await ask(sim, "deepseek-reasoner", '@@[{"thinking": "hm"}, {"text": "42"}]@@')
        assert reply.choices[0].message.reasoning_content == "hm"
        unasked = await ask(sim, "deepseek-reasoner", "why?")
        assert unasked.choices[0].message.reasoning_content == "simulated thinking about: why?"


async def test_mistral_tells_usage_in_its_last_chunk_unasked():
    async with Simulator("mistral") as sim:
        stream = await ask(sim, "mistral-small-latest", "hi", stream=True)
        chunks = [chunk async for chunk in stream]
        assert (chunks[-1].choices[0].finish_reason, chunks[-1].usage is not None) == ("stop", True)


# -- anthropic -----------------------------------------------------------------------------------------------


async def test_claude_names_itself(claude):
    reply = await claude.messages.create(model="claude-3-5-sonnet-latest", max_tokens=99, messages=user("hi"))
    assert reply.content[0].text == "simulated anthropic/claude-3-5-sonnet-latest: you asked: hi"
    assert (reply.stop_reason, reply.usage.output_tokens) == ("end_turn", 15)


async def test_claude_streams_in_anthropics_grammar(claude):
    events = await claude.messages.create(
        model="claude-haiku-4-5", max_tokens=99, messages=user(WEATHER), tools=[CLAUDE_TOOL], stream=True
    )
    kinds = [event.type async for event in events]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 3


async def test_claude_calls_two_tools_at_once_and_hears_their_results(claude):
    messages = user(WEATHER)
    common = {"model": "claude-haiku-4-5", "max_tokens": 99, "tools": [CLAUDE_TOOL]}
    async with claude.messages.stream(messages=messages, **common) as stream:
        reply = await stream.get_final_message()
    calls = [block for block in reply.content if block.type == "tool_use"]
    assert ([call.input["city"] for call in calls], reply.stop_reason) == (["Paris", "Rome"], "tool_use")
    messages.append(reply.to_param())
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"} for call in calls]
    final = await claude.messages.create(messages=[*messages, {"role": "user", "content": results}], **common)
    assert final.content[0].text.endswith("the last result was: sunny sunny")


async def test_claude_thinks_and_takes_its_own_signature_back(claude):
    common = {
        "model": "claude-haiku-4-5",
        "max_tokens": 9999,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "tools": [CLAUDE_TOOL],
    }
    messages = user('@@[{"thinking": "hm"}, {"tool": "w"}]@@')
    async with claude.messages.stream(messages=messages, **common) as stream:
        reply = await stream.get_final_message()
    assert [block.type for block in reply.content] == ["thinking", "tool_use"]
    result = {"type": "tool_result", "tool_use_id": reply.content[1].id, "content": "ok"}
    messages += [reply.to_param(), {"role": "user", "content": [result]}]
    final = await claude.messages.create(messages=messages, **common)
    assert [block.type for block in final.content] == ["thinking", "text"]


async def test_omitted_thinking_is_signed_too(claude):
    common = {
        "model": "claude-opus-4-8",
        "max_tokens": 9999,
        "thinking": {"type": "adaptive", "display": "omitted"},
    }
    messages = user('@@[{"thinking": "hm"}, {"text": "ok"}]@@')
    reply = await claude.messages.create(messages=messages, **common)
    assert (reply.content[0].thinking, len(reply.content[0].signature) > 20) == ("", True)
    again = await claude.messages.create(messages=[*messages, reply.to_param(), *user("and?")], **common)
    assert again.content[0].text.endswith("you asked: and?")


async def test_claude_reads_an_image_and_counts(claude):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "what is this?"}]
    messages = [{"role": "user", "content": content}]
    reply = await claude.messages.create(model="claude-3-haiku-20240307", max_tokens=99, messages=messages)
    counted = await claude.messages.count_tokens(model="claude-3-haiku-20240307", messages=messages)
    assert counted.input_tokens == reply.usage.input_tokens


async def test_claude_caches_up_to_the_breakpoint(claude):
    system = [{"type": "text", "text": "word " * 4000, "cache_control": {"type": "ephemeral"}}]
    common = {"model": "claude-haiku-4-5", "max_tokens": 99, "system": system}
    first = (await claude.messages.create(messages=user("hi"), **common)).usage
    second = (await claude.messages.create(messages=user("ho"), **common)).usage
    written = first.cache_creation_input_tokens
    assert (written > 4000, first.cache_read_input_tokens) == (True, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, written)


async def test_errors_are_typed_by_the_sdks(gpt, claude):
    with pytest.raises(openai.NotFoundError, match="`gpt-9` does not exist"):
        await gpt.chat.completions.create(model="gpt-9", messages=user("hi"))
    with pytest.raises(anthropic.NotFoundError, match="model: claude-9"):
        await claude.messages.create(model="claude-9", max_tokens=9, messages=user("hi"))
