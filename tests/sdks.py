"""The vendors' own clients behind one face, so that a test says once what both have to live through.

A conversation is a list of turns: `User`, the `Heard` that a client answered before, `Results`. The SDKs raise what
they raise; nothing of theirs is repaired here.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import anthropic
import httpx2
import openai

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass(frozen=True)
class User:
    text: str
    image: bool = False


@dataclass(frozen=True)
class Call:
    id: str
    name: str
    input: dict[str, Any]


@dataclass(frozen=True)
class Result:
    id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True)
class Results:
    results: tuple[Result, ...]
    then: str = ""  # words of the user's behind them


@dataclass(frozen=True)
class Heard:
    """An answer. `raw` is what the client itself would send back with the next request."""

    text: str
    stop: str
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    input: int = 0
    cached: int = 0
    output: int = 0
    raw: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Turn = User | Heard | Results


class Client(Protocol):
    """`errors` are the classes that the SDK raises: for a status 400, and for an error inside a stream."""

    name: str
    path: str
    bad_request: type[Exception]
    broken_stream: type[Exception]

    async def ask(
        self,
        model: str,
        turns: Sequence[Turn],
        *,
        stream: bool = False,
        system: str = "",
        tool: str = "",
        think: bool = False,
        **more: Any,
    ) -> Heard: ...


class AnthropicClient:
    name = "anthropic"
    path = "/v1/messages"
    bad_request: type[Exception] = anthropic.BadRequestError
    broken_stream: type[Exception] = anthropic.APIStatusError

    def __init__(self, url: str) -> None:
        self._headers: dict[str, str] = {}
        http = httpx2.AsyncClient(event_hooks={"response": [_keeper(self._headers)]}, trust_env=False)
        self._sdk = anthropic.AsyncAnthropic(base_url=url, auth_token="mine", max_retries=0, http_client=http)

    async def close(self) -> None:
        await self._sdk.close()

    async def ask(
        self,
        model: str,
        turns: Sequence[Turn],
        *,
        stream: bool = False,
        system: str = "",
        tool: str = "",
        think: bool = False,
        **more: Any,
    ) -> Heard:
        asked: dict[str, Any] = {"model": model, "max_tokens": 4000, "messages": [_to_anthropic(t) for t in turns]}
        asked |= {"system": system} if system else {}
        asked |= {"tools": [{"name": tool, "description": "d", "input_schema": WEATHER}]} if tool else {}
        asked |= {"thinking": {"type": "enabled", "budget_tokens": 2000}} if think else {}
        if stream:
            async with self._sdk.messages.stream(**asked, **more) as events:
                message: Any = await events.get_final_message()
        else:
            message = await self._sdk.messages.create(**asked, **more)
        return _from_anthropic(message, dict(self._headers))


def _to_anthropic(turn: Turn) -> dict[str, Any]:
    match turn:
        case User(text, image):
            source = {"type": "base64", "media_type": "image/png", "data": PNG}
            seen = [{"type": "image", "source": source}] if image else []
            return {"role": "user", "content": [*seen, {"type": "text", "text": text}] if image else text}
        case Heard(raw=raw):
            return {"role": "assistant", "content": raw}
        case Results(results, then):
            blocks: list[Any] = [
                {"type": "tool_result", "tool_use_id": one.id, "content": one.text, "is_error": one.is_error}
                for one in results
            ]
            return {"role": "user", "content": blocks + ([{"type": "text", "text": then}] if then else [])}


def _from_anthropic(message: Any, headers: dict[str, str]) -> Heard:
    def all_of(kind: str) -> list[Any]:
        return [block for block in message.content if block.type == kind]

    usage = message.usage
    return Heard(
        text="".join(block.text for block in all_of("text")),
        stop=message.stop_reason,
        calls=tuple(Call(block.id, block.name, block.input) for block in all_of("tool_use")),
        thinking="".join(block.thinking for block in all_of("thinking")),
        input=usage.input_tokens,
        cached=usage.cache_read_input_tokens or 0,
        output=usage.output_tokens,
        raw=[block.model_dump(exclude_none=True) for block in message.content],
        headers=headers,
    )


class OpenAIClient:
    name = "openai"
    path = "/v1/chat/completions"
    bad_request: type[Exception] = openai.BadRequestError
    broken_stream: type[Exception] = openai.APIError

    def __init__(self, url: str) -> None:
        self._headers: dict[str, str] = {}
        http = httpx2.AsyncClient(event_hooks={"response": [_keeper(self._headers)]}, trust_env=False)
        self._sdk = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="mine", max_retries=0, http_client=http)

    async def close(self) -> None:
        await self._sdk.close()

    async def ask(
        self,
        model: str,
        turns: Sequence[Turn],
        *,
        stream: bool = False,
        system: str = "",
        tool: str = "",
        think: bool = False,
        **more: Any,
    ) -> Heard:
        messages = [{"role": "system", "content": system}] if system else []
        asked: dict[str, Any] = {"model": model, "messages": messages + [m for t in turns for m in _to_openai(t)]}
        function = {"name": tool, "description": "d", "parameters": WEATHER}
        asked |= {"tools": [{"type": "function", "function": function}]} if tool else {}
        asked |= {"reasoning_effort": "low"} if think else {}
        if not stream:
            completion = await self._sdk.chat.completions.create(**asked, **more)
            return _from_openai(completion, dict(self._headers))
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
        chunks = [chunk async for chunk in await self._sdk.chat.completions.create(**asked, **more)]
        return _from_chunks(chunks, dict(self._headers))


def _to_openai(turn: Turn) -> list[dict[str, Any]]:
    match turn:
        case User(text, image):
            seen = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}] if image else []
            return [{"role": "user", "content": [*seen, {"type": "text", "text": text}] if image else text}]
        case Heard(raw=raw):
            return [raw]
        case Results(results, then):
            told = [{"role": "tool", "tool_call_id": one.id, "content": one.text} for one in results]
            return told + ([{"role": "user", "content": then}] if then else [])


def _from_openai(completion: Any, headers: dict[str, str]) -> Heard:
    choice = completion.choices[0]
    raw = choice.message.model_dump(exclude_none=True)
    return _heard(raw, choice.finish_reason, completion.usage, headers)


def _from_chunks(chunks: Sequence[Any], headers: dict[str, str]) -> Heard:
    raw: dict[str, Any] = {"role": "assistant", "content": ""}
    calls: dict[int, dict[str, Any]] = {}
    stop, usage = "", None
    for chunk in chunks:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            stop = choice.finish_reason or stop
            raw["content"] += choice.delta.content or ""
            for name in ("reasoning_content", "reasoning"):
                if thought := getattr(choice.delta, name, None):
                    raw[name] = raw.get(name, "") + thought
            for piece in choice.delta.tool_calls or ():
                function = {"name": "", "arguments": ""}
                call = calls.setdefault(piece.index, {"id": piece.id, "type": "function", "function": function})
                call["function"]["name"] += piece.function.name or ""
                call["function"]["arguments"] += piece.function.arguments or ""
    return _heard(raw | ({"tool_calls": [*calls.values()]} if calls else {}), stop, usage, headers)


def _heard(raw: dict[str, Any], stop: str, usage: Any, headers: dict[str, str]) -> Heard:
    made = [(call["id"], call["function"]) for call in raw.get("tool_calls", ())]
    cached = (usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0
    return Heard(
        text=raw.get("content") or "",
        stop=stop,
        calls=tuple(Call(id, function["name"], json.loads(function["arguments"])) for id, function in made),
        thinking=raw.get("reasoning_content") or raw.get("reasoning") or "",
        input=usage.prompt_tokens - cached,
        cached=cached,
        output=usage.completion_tokens,
        raw=raw,
        headers=headers,
    )


class ResponsesClient(OpenAIClient):
    """OpenAI's newer API; what it wants of the reasoning is encrypted, for nothing is stored."""

    name = "responses"
    path = "/v1/responses"
    broken_stream: type[Exception] = openai.OpenAIError

    async def ask(
        self,
        model: str,
        turns: Sequence[Turn],
        *,
        stream: bool = False,
        system: str = "",
        tool: str = "",
        think: bool = False,
        **more: Any,
    ) -> Heard:
        items = [item for turn in turns for item in _to_responses(turn)]
        asked: dict[str, Any] = {"model": model, "input": items, "store": False}
        asked |= {"instructions": system} if system else {}
        function = {"type": "function", "name": tool, "description": "d", "parameters": WEATHER, "strict": False}
        asked |= {"tools": [function]} if tool else {}
        if think:
            include = ["reasoning.encrypted_content"]
            asked |= {"reasoning": {"effort": "low", "summary": "auto"}, "include": include}
        if not stream:
            return _from_response(await self._sdk.responses.create(**asked, **more), dict(self._headers))
        last: Any = None
        text = ""
        async for event in await self._sdk.responses.create(stream=True, **asked, **more):
            text += event.delta if event.type == "response.output_text.delta" else ""
            last = event
        if last.type == "response.failed":
            raise openai.OpenAIError(last.response.error.message)
        assert last.type in ("response.completed", "response.incomplete"), last
        assert text == last.response.output_text
        return _from_response(last.response, dict(self._headers))


def _to_responses(turn: Turn) -> list[dict[str, Any]]:
    match turn:
        case User(text, image):
            seen = [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}] if image else []
            return [{"role": "user", "content": [*seen, {"type": "input_text", "text": text}] if image else text}]
        case Heard(raw=raw):
            return list(raw)
        case Results(results, then):
            told = [{"type": "function_call_output", "call_id": one.id, "output": one.text} for one in results]
            return told + ([{"role": "user", "content": then}] if then else [])


def _from_response(response: Any, headers: dict[str, str]) -> Heard:
    def all_of(kind: str) -> list[Any]:
        return [item for item in response.output if item.type == kind]

    usage, calls = response.usage, all_of("function_call")
    cached = usage.input_tokens_details.cached_tokens
    details = response.incomplete_details
    return Heard(
        text=response.output_text,
        stop=details.reason if details else "tool_calls" if calls else response.status,
        calls=tuple(Call(call.call_id, call.name, json.loads(call.arguments)) for call in calls),
        thinking="".join(part.text for item in all_of("reasoning") for part in item.summary),
        input=usage.input_tokens - cached,
        cached=cached,
        output=usage.output_tokens,
        raw=[item.model_dump(exclude_none=True) for item in response.output],
        headers=headers,
    )


def _keeper(into: dict[str, str]) -> Any:
    async def keep(response: httpx2.Response) -> None:
        into.clear()
        into.update(response.headers)

    return keep
