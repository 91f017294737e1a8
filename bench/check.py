"""Whether answers are what the mock said, in the dialect that was asked: a fast wrong answer is no result."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from typing import Any

import bodies
from targets import Target

_TEXT = "Hello from the mock."
_CITY = {"city": "Paris"}
_WRONG = (ValueError, LookupError, TypeError, AttributeError)


class Minor(ValueError):
    """The answer is wrong, but not so wrong that its speed means nothing."""


def check(targets: Iterable[Target], modes: Iterable[str]) -> None:
    """Print the table, and note on each target what it cannot do."""
    print("## Correctness (small requests)\n\n| target | mode | JSON | JSON tool call | SSE | SSE tool call |")
    print("|---|---|---|---|---|---|")
    notes = []
    for target in targets:
        for mode in modes:
            if not target.offers(mode):
                target.broken |= {mode: "not offered", f"{mode} stream": "not offered"}
                print(f"| {target.name} | {mode} | - | - | - | - |", flush=True)
                continue
            cells = []
            for kind, verify in (("JSON", check_json), ("SSE", check_stream)):
                for tool in (False, True):
                    try:
                        verify(target, mode, tool=tool)
                        cells.append("ok")
                    except _WRONG as error:
                        cells.append("wrong usage" if isinstance(error, Minor) else "FAIL")
                        what = f"{target.name} {mode} {kind}{' tool' * tool}: {type(error).__name__}: {error}"
                        notes.append(f"- {' '.join(what.split())}")
            try:
                target.begin(mode)
            except ValueError as error:
                cells[0] = cells[2] = "FAIL"
                notes.append(f"- {error}")
            if cells[0] == "FAIL":
                target.broken[mode] = "fails the check"
            if cells[2] == "FAIL":
                target.broken[f"{mode} stream"] = "fails the check"
            print(f"| {target.name} | {mode} | {' | '.join(cells)} |", flush=True)
    print("\n" + "\n".join(notes) + "\n", flush=True)


def check_json(target: Target, mode: str, *, tool: bool) -> None:
    answer = json.loads(_ask(target, mode, directive=f"tool={tool:d}"))
    if bodies.PATHS[mode] == bodies.OPENAI_PATH:
        _check_completion(answer, tool=tool)
    else:
        _check_message(answer, tool=tool)


def check_stream(target: Target, mode: str, *, tool: bool) -> None:
    events = _events(_ask(target, mode, directive=f"tool={tool:d} chunks=4", stream=True))
    if bodies.PATHS[mode] == bodies.OPENAI_PATH:
        _check_chunks([data for _, data in events], tool=tool)
    else:
        _check_message_events(events, tool=tool)


def _check_completion(answer: Any, *, tool: bool) -> None:
    choice = answer["choices"][0]
    _expect("finish_reason", choice["finish_reason"], "tool_calls" if tool else "stop")
    if tool:
        function = choice["message"]["tool_calls"][0]["function"]
        _expect("tool", function["name"], "get_weather")
        _expect("arguments", json.loads(function["arguments"]), _CITY)
    else:
        _expect("content", choice["message"]["content"], _TEXT)
    _expect("usage", (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]), (10, 8))


def _check_message(answer: Any, *, tool: bool) -> None:
    _expect("type", answer.get("type"), "message")
    _expect("stop_reason", answer["stop_reason"], "tool_use" if tool else "end_turn")
    blocks = [block for block in answer["content"] if block["type"] != "text" or block["text"]]
    _expect("blocks", [block["type"] for block in blocks], ["tool_use" if tool else "text"])
    if tool:
        _expect("tool", (blocks[0]["name"], blocks[0]["input"]), ("get_weather", _CITY))
    else:
        _expect("content", blocks[0]["text"], _TEXT)
    _expect("usage", (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"]), (10, 8))


def _check_chunks(events: list[str], *, tool: bool) -> None:
    _expect("last event", events[-1], "[DONE]")
    chunks = [json.loads(data) for data in events[:-1]]
    choices = [chunk["choices"][0] for chunk in chunks if chunk.get("choices")]
    if tool:
        calls = [call["function"] for choice in choices for call in choice["delta"].get("tool_calls") or []]
        _expect("tool", [call["name"] for call in calls if call.get("name")], ["get_weather"])
        _expect("arguments", json.loads("".join(call.get("arguments") or "" for call in calls)), _CITY)
    else:
        _expect("content", "".join(choice["delta"].get("content") or "" for choice in choices), "tok " * 4)
    reasons = [choice["finish_reason"] for choice in choices if choice.get("finish_reason")]
    _expect("finish_reason", reasons, ["tool_calls" if tool else "stop"])
    usage = next((chunk["usage"]["completion_tokens"] for chunk in chunks if chunk.get("usage")), None)
    _expect("usage", usage, 4)


def _check_message_events(events: list[tuple[str | None, str]], *, tool: bool) -> None:
    if any(data == "[DONE]" for _, data in events):
        raise ValueError("an OpenAI [DONE] in an Anthropic stream")
    if any(name != json.loads(data)["type"] for name, data in events):
        raise ValueError("an event whose name is not its data's type")
    parsed = [json.loads(data) for _, data in events]
    kinds = [event["type"] for event in parsed if event["type"] != "ping"]
    _expect("first and last", (kinds[0], kinds[-1]), ("message_start", "message_stop"))
    _expect("starts and stops", (kinds.count("message_start"), kinds.count("message_stop")), (1, 1))
    text, tools = _blocks(parsed)
    if tool:
        _expect("tools", [(name, json.loads(arguments)) for name, arguments in tools], [("get_weather", _CITY)])
    else:
        _expect("content", text, "tok " * 4)
    ends = [event for event in parsed if event["type"] == "message_delta"]
    reasons = [end["delta"]["stop_reason"] for end in ends if end["delta"].get("stop_reason")]
    _expect("stop_reason", reasons, ["tool_use" if tool else "end_turn"])
    usage = next((end["usage"]["output_tokens"] for end in reversed(ends) if end.get("usage")), None)
    _expect("usage", usage, 4)


def _blocks(events: list[Any]) -> tuple[str, list[tuple[str, str]]]:
    """The text of a message's stream, and (name, arguments) of its tool calls; ValueError when blocks overlap."""
    open_at: int | None = None
    text, tools = "", []
    for event in events:
        match event["type"]:
            case "content_block_start":
                if open_at is not None:
                    raise ValueError("a content block was opened inside another")
                open_at, block = event["index"], event["content_block"]
                if block["type"] == "tool_use":
                    tools.append((block["name"], ""))
            case "content_block_delta":
                if event["index"] != open_at:
                    raise ValueError("a delta outside its content block")
                text += event["delta"].get("text", "")
                if "partial_json" in event["delta"]:
                    tools[-1] = (tools[-1][0], tools[-1][1] + event["delta"]["partial_json"])
            case "content_block_stop":
                open_at = None
    if open_at is not None:
        raise ValueError("a content block was never closed")
    return text, tools


def _expect(what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise (Minor if what == "usage" else ValueError)(f"{what}: {got!r:.120}, expected {wanted!r}")


def _ask(target: Target, mode: str, **options: Any) -> str:
    body = target.body(mode, 1024, **options)
    request = urllib.request.Request(target.full_url(mode), body, target.sent_headers(mode))
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return str(reply.read(), "utf-8")
    except urllib.error.HTTPError as error:
        raise ValueError(f"HTTP {error.code}: {error.read()[:200].decode(errors='replace')}") from None
    except OSError as error:
        raise ValueError(str(error)) from None


def _events(raw: str) -> list[tuple[str | None, str]]:
    """(name, data) of each server-sent event that has data."""
    found = []
    for block in raw.replace("\r\n", "\n").split("\n\n"):
        lines = block.split("\n")
        data = "\n".join(line[5:].strip() for line in lines if line.startswith("data:"))
        name = next((line[6:].strip() for line in lines if line.startswith("event:")), None)
        if data:
            found.append((name, data))
    return found
