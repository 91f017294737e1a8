"""How long translation itself takes, without network: python bench/translation.py

A coding agent's request of 150 KB (40 tools, 60 messages) from each client dialect to each of the vendors', and the
events of a stream likewise. Best of several rounds on one core, beside what `json.loads` and `json.dumps` of the same
bytes take: that is the floor for whatever reads and writes JSON, and makes figures comparable between machines.
"""

import json
import time
from collections.abc import Callable

from router_service.conversation import ReplyEnded, ReplyEvent, ReplyStarted, TextDelta, Usage
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee, Target
from router_service.sse import EventDecoder

ROUNDS = 30
TARGET = Target("m", 32_000, reasoning=True, thinking="adaptive")
WORDS = 'def handler(self): return "quoted" text, naïve 你好 \\n and so on;\n    '


def request() -> bytes:
    """Anthropic Messages, as Claude Code writes them."""
    tools = [
        {
            "name": f"tool_{at}",
            "description": (WORDS * 12)[:800],
            "input_schema": {
                "type": "object",
                "properties": {f"field_{n}": {"type": "string", "description": WORDS} for n in range(6)},
                "required": ["field_0"],
            },
        }
        for at in range(40)
    ]
    messages: list[dict[str, object]] = []
    for at in range(20):
        call = {"type": "tool_use", "id": f"toolu_{at}", "name": f"tool_{at}", "input": {"field_0": WORDS}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{at}", "content": (WORDS * 60)[:2600]}
        messages += [
            {"role": "user", "content": [{"type": "text", "text": WORDS * 4}]},
            {"role": "assistant", "content": [{"type": "text", "text": WORDS}, call]},
            {"role": "user", "content": [result]},
        ]
    system = [{"type": "text", "text": WORDS * 30, "cache_control": {"type": "ephemeral"}}]
    body = {"model": "m", "max_tokens": 32_000, "system": system, "tools": tools, "messages": messages, "stream": True}
    return json.dumps(body, ensure_ascii=False).encode()


def in_dialect(body: bytes, dialect: str) -> bytes:
    if dialect == "anthropic_messages":
        return body
    conversation = DIALECTS["anthropic_messages"].parse_request(json.loads(body))
    return encoded(DIALECTS[dialect].render_request(conversation, TARGET).body)


def encoded(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def best(work: Callable[[], object], times: int = 1) -> float:
    """Seconds of one time, the best of all rounds."""
    found = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        for _ in range(times):
            work()
        found.append((time.perf_counter() - begun) / times)
    return min(found)


def requests() -> None:
    body = request()
    print(
        f"a request of {len(body) / 1024:.0f} KiB, 40 tools, 60 messages: milliseconds (times json.loads + json.dumps)"
    )
    for client in DIALECTS:
        asked = in_dialect(body, client)
        floor = best(lambda asked=asked: encoded(json.loads(asked)))  # type: ignore[misc]
        for vendor in DIALECTS:

            def translate(asked: bytes = asked, client: str = client, vendor: str = vendor) -> bytes:
                conversation = DIALECTS[client].parse_request(json.loads(asked))
                return encoded(DIALECTS[vendor].render_request(conversation, TARGET).body)

            took = best(translate)
            print(f"  {client:>18} -> {vendor:<18} {1000 * took:6.2f}  ({took / floor:.1f})")


def streams() -> None:
    events: list[ReplyEvent] = [
        ReplyStarted("1", "m"),
        *(TextDelta(WORDS[:20]) for _ in range(400)),
        ReplyEnded("end", Usage(10, output=400)),
    ]
    print("an event of a stream of 400: microseconds")
    for vendor in DIALECTS:
        writer = DIALECTS[vendor].writer(Addressee("m"))
        raw = b"".join(map(writer.feed, events))
        for client in DIALECTS:

            def translate(raw: bytes = raw, client: str = client, vendor: str = vendor) -> None:
                reader, writer = DIALECTS[vendor].reader(), DIALECTS[client].writer(Addressee("m"))
                for event in EventDecoder().feed(raw):
                    for said in reader.feed(event):
                        writer.feed(said)

            print(f"  {vendor:>18} -> {client:<18} {1e6 * best(translate) / 400:6.1f}")


if __name__ == "__main__":
    requests()
    streams()
