"""Inputs that nobody would send on purpose, and the whole gateway without Envoy to throw them at.

All chance comes from the `Random` that is passed in, so hypothesis can shrink what fails and `bench/fuzz.py` can
repeat it by its number.
"""

import gzip
import json
import zlib
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import recorded
from dialogue import gateway_of

from router_service.attempt import Attempt
from router_service.count_attempt import CountAttempt
from router_service.effects import Ask, Choose, Effect, Proceed, Recall, Release, Respond, Score, Send, Wake
from router_service.events import (
    Event,
    Gone,
    Recalled,
    RequestBody,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
    Scored,
    Tick,
)
from router_service.gateway import Gateway
from router_service.pb import ext_proc_pb2 as pb
from router_service.plan import Candidate
from router_service.policies.policy import Scores
from router_service.selection import Selection
from router_service.shell import wire

CASES = Path(__file__).parent / "transcripts"
CONFIG = """
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: anthropic/claude-sonnet-4-5}
  - {model: anthropic/claude-haiku-4-5, passthrough_auth: true}
  - {model: deepseek/deepseek-chat}
  - {model: openai/gpt-5-codex}
  - {model: gemini/gemini-2.5-flash}
  - {model: ollama/llama3.1}
routing_preferences:
  - {name: coding, description: writing code, models: [claude-sonnet-4-5, gpt-4o-mini]}
  - {name: small talk, description: chatting, models: [deepseek-chat, gemini-2.5-flash]}
"""
MODELS = (
    "arch.main.v1", "arch.fast.v1", "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", "anthropic/claude-haiku-4-5",
    "deepseek/deepseek-chat", "openai/gpt-5-codex", "gemini/gemini-2.5-flash", "ollama/llama3.1", "nonsense",
)  # fmt: skip
PATHS = (
    "/v1/messages", "/v1/messages?beta=true", "/v1/chat/completions", "/v1/responses", "/v1/messages/count_tokens",
    "/v1/responses/input_tokens", "/v1/models", "/v1/models?limit=2&after_id=x", "/v1/models/gpt-4o-mini", "/",
    "/archgw/sessions/a", "/healthz", "//", "/v1/messages/", "/\u0100", "/v1/models/%ff%00",
)  # fmt: skip
HEADERS = (
    "user-agent", "anthropic-beta", "anthropic-version", "x-arch-model", "x-codex-turn-metadata", "x-app",
    "x-claude-code-request-class", "x-claude-code-session-id", "x-claude-code-agent-id", "x-claude-code-prompt-id",
    "content-length", "content-type", "authorization", "x-api-key", "session_id", "x-session-affinity",
    "x-stainless-lang", "accept", "x-openai-subagent", "x-session-id", "conversation_id",
)  # fmt: skip
WORDS = (
    "", "\0", "\ud83d", "\u2028", "é" * 9, "x" * 5000, "a b", "\r\nx: 1", '{"a":', '{"a":{"b":[]}}', "[" * 3000, "-1",
    "NaN", "1e400", "9" * 5000, "claude-cli/2.1.330 (external, cli)", "codex_cli_rs/1", "data:image/png;base64,AAAA",
    "data:,", "https://[::1", "archgw1.a/b.c", "archgw1.", "arch.main.v1", "text", "tool_use", "tool_result", "image",
    "thinking", "function_call", "reasoning", "user", "assistant", "system", "auto", "any", "base64", "url", "none",
    "<system-reminder>", "</system-reminder>", "<command-name>/x</command-name>", "data: {", "[DONE]",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2**31, 2**63, 10**400, -(10**400), 0.5, -0.0, 1e308, 5e-324)
TEXTS = ("type", "text", "role", "content", "id", "name", "input", "source", "data", "call_id", "arguments", "schema")


# -- material --------------------------------------------------------------------------------------------------


@cache
def requests() -> tuple[tuple[str, dict[str, str], Any], ...]:
    """(path, headers, body) of real clients and of the told stories."""
    real = [(one.path, one.headers, one.body) for one in recorded.requests()]
    paths = {"anthropic_messages": PATHS[0], "openai_chat": PATHS[2], "openai_responses": PATHS[3]}
    told = [
        (paths[file.name.split(".")[1]], {}, json.loads(file.read_text())) for file in sorted(CASES.glob("*/request.*"))
    ]
    return (*real, *told)


@cache
def replies() -> tuple[tuple[bool, bytes], ...]:
    """(streamed, bytes) of answers in every dialect."""
    streams = [(True, file.read_bytes()) for file in sorted(CASES.glob("*/stream.*"))]
    return (*streams, *((False, file.read_bytes()) for file in sorted(CASES.glob("*/reply.*"))))


def value(chance: Random) -> Any:
    match chance.randrange(9):
        case 0:
            return None
        case 1:
            return chance.choice((True, False))
        case 2 | 3:
            return chance.choice(NUMBERS)
        case 4 | 5 | 6:
            return chance.choice(WORDS)
        case 7:
            return [value(chance) for _ in range(chance.randrange(4))]
    return {chance.choice(TEXTS): value(chance) for _ in range(chance.randrange(4))}


def tree(whole: Any, chance: Random, other: Any = None) -> Any:
    """The JSON with something changed somewhere below; `other` lends pieces. Nothing is changed in place."""
    if not isinstance(whole, dict | list) or not whole or chance.random() < 0.12:
        return piece(other, chance) if other is not None and chance.random() < 0.3 else value(chance)
    copy: Any = dict(whole) if isinstance(whole, dict) else list(whole)
    step = chance.choice(list(copy)) if isinstance(copy, dict) else chance.randrange(len(copy))
    match chance.randrange(12):
        case 0:
            del copy[step]
        case 1 if isinstance(copy, list):
            copy.insert(chance.randrange(len(copy) + 1), copy[step])
        case 1:
            copy[chance.choice(TEXTS)] = copy[step]
        case 2 if isinstance(copy, list):
            chance.shuffle(copy)
        case _:
            copy[step] = tree(copy[step], chance, other)
    return copy


def piece(whole: Any, chance: Random) -> Any:
    while isinstance(whole, dict | list) and whole and chance.random() < 0.8:
        whole = chance.choice(list(whole.values()) if isinstance(whole, dict) else whole)
    return whole


def octets(data: bytes, chance: Random) -> bytes:
    """The bytes with a few changes."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6):
            case 0:
                data = data[:at] + chance.randbytes(chance.randint(1, 4)) + data[at + chance.randrange(4) :]
            case 1:
                data = (
                    data[:at]
                    + chance.choice((b'"', b"\\", b"{", b"[", b"}", b",", b"\n\n", b"\r", b"\0", b"\xff"))
                    + data[at:]
                )
            case 2:
                data = data[:at] + data[at + chance.randint(1, 40) :]
            case 3:
                data = data[:at] + data[max(0, at - chance.randint(1, 200)) :]
            case 4:
                data = data[: at if chance.random() < 0.2 else len(data)]
            case 5:
                data = data[:at] + b"[" * chance.choice((3, 300, 3000)) + data[at:]
    return data


def chunks(data: bytes, chance: Random) -> list[bytes]:
    pieces = []
    while data:
        size = chance.choice((1, 7, 100, 5000, len(data)))
        pieces.append(data[:size])
        data = data[size:]
    return pieces


# -- the gateway -----------------------------------------------------------------------------------------------


def sent(chance: Random) -> tuple[RequestHeaders, bytes]:
    """What a client sends."""
    path, headers, body = chance.choice(requests())
    other = chance.choice(requests())
    if chance.random() < 0.15:
        path = chance.choice(PATHS)
    named = {":method": "POST" if chance.random() < 0.97 else chance.choice(("GET", "", "PUT", "HEAD")), ":path": path}
    named[":authority"] = "127.0.0.1:12000" if chance.random() < 0.97 else carried(chance.choice(WORDS))
    more = headers if chance.random() < 0.7 else {}
    more = dict(more) | {
        chance.choice(HEADERS): carried(chance.choice(WORDS)) for _ in range(chance.choice((0, 0, 0, 1, 3)))
    }
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2))):
        body = tree(body, chance, other[2])
    if isinstance(body, dict) and chance.random() < 0.8:
        body = body | {"model": chance.choice(MODELS)}
    data = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    return RequestHeaders(named | more), octets(data, chance) if chance.random() < 0.2 else data


def carried(word: str) -> str:
    """What of a word a header can hold: Envoy lets neither lines nor NUL through, nor what is no UTF-8."""
    return " ".join(word.replace("\0", "").split()).encode("utf-8", "replace").decode()


def answered(chance: Random) -> list[Event]:
    """What a provider sends, and what Envoy and the clock say meanwhile."""
    streamed, data = chance.choice(replies())
    match chance.randrange(5):
        case 0 if not streamed:
            data = json.dumps(tree(json.loads(data), chance)).encode()
        case 1 if streamed:
            data = _events(data, chance)
        case 2:
            data = octets(data, chance)
        case 3 if chance.random() < 0.2:
            data = chance.randbytes(chance.randrange(300))
    headers = {":status": "200", "content-type": "text/event-stream" if streamed else "application/json"}
    status = 200 if chance.random() < 0.8 else chance.choice((0, 204, 301, 400, 401, 404, 413, 429, 500, 529, 599))
    if chance.random() < 0.15:
        headers |= {"content-encoding": chance.choice(("gzip", "deflate", "br", "identity", ""))}
        data = chance.choice((gzip.compress, zlib.compress, bytes))(data)
        data = octets(data, chance) if chance.random() < 0.3 else data
    if chance.random() < 0.1:
        headers[chance.choice(("content-type", "retry-after", "retry-after-ms"))] = carried(chance.choice(WORDS))
    details = chance.choice(("", "via_upstream", "upstream_reset{TLS_error:|x}", "\0"))
    pieces = chunks(data, chance)
    events: list[Event] = [ResponseHeaders(status, headers, not pieces, details)]
    for at, one in enumerate(pieces):
        events.append(ResponseBody(one, end=at == len(pieces) - 1 and chance.random() < 0.9))
        if chance.random() < 0.03:
            events.append(chance.choice((Tick(), ResponseTrailers(), Gone())))
    return [*events, ResponseTrailers()] if chance.random() < 0.1 else events


def _events(data: bytes, chance: Random) -> bytes:
    """A stream with one of its events changed as JSON, or events lost, doubled and shuffled."""
    events = data.split(b"\n\n")
    at = chance.randrange(len(events))
    before, mark, told = events[at].partition(b"data: ")
    match chance.randrange(4):
        case 0:
            events.insert(chance.randrange(len(events)), events[at])
        case 1:
            del events[at]
        case 2:
            events[at], events[-1 - at] = events[-1 - at], events[at]
        case _ if mark and told.startswith(b"{"):
            events[at] = before + mark + json.dumps(tree(json.loads(told), chance)).encode()
    return b"\n\n".join(events)


class Broken(AssertionError):
    """What came out is none of what may come out."""


def one_request(chance: Random) -> str:
    """One request through a gateway of its own, with whatever its providers answer. How it ended, in a word.

    Raises whatever the gateway raises, and Broken.
    """
    gateway = gateway_of(CONFIG, keys={"OLLAMA_API_KEY": "k"})
    head, body = sent(chance)
    selection = Selection(gateway, wall=1_700_000_000.0)
    effects = written(selection.feed(head, 0.0))
    if only(effects) is Proceed:
        if chance.random() < 0.02:
            selection.feed(Gone(), 0.5)
            return let_go(gateway, "left")
        effects = written(selection.feed(RequestBody(body), 1.0))
    if any(isinstance(effect, Recall) for effect in effects):
        effects = written(selection.feed(Recalled(), 1.0))
    if any(isinstance(effect, Score) for effect in effects):
        scores = Scores({"coding": chance.random(), "small-talk": chance.random()}, chance.random())
        effects = written(selection.feed(Scored(scores), 1.0))
    kind = only(effects)
    selection.feed(Gone(), 1.0)
    if kind is Respond:
        return let_go(gateway, "refused" if refused(effects) else "answered")
    if kind is not Choose:
        raise Broken(f"neither refused nor chosen: {effects}")
    return let_go(gateway, tries(gateway, effects, chance))


def tries(gateway: Gateway, effects: list[Effect], chance: Random) -> str:
    chosen = next(effect for effect in effects if isinstance(effect, Choose))
    exchange = gateway.exchanges.get(chosen.exchange)
    if exchange is None:
        raise Broken("chosen, and not kept")
    end = "nobody"
    for candidate in exchange.decision.chain.candidates[: exchange.tries]:
        end = one_try(gateway, chosen.exchange, candidate, chance)
        if end != "next":
            break
    return end


def one_try(gateway: Gateway, id: str, candidate: Candidate, chance: Random) -> str:
    exchange = gateway.exchanges.get(id)
    if exchange is None:
        raise Broken("let go before its last attempt")
    machine: Attempt | CountAttempt = (
        CountAttempt(gateway, exchange, candidate) if exchange.counts else Attempt(gateway, exchange, candidate, 2.0)
    )
    now = 2.0
    effects = written(machine.feed(RequestHeaders({}), now))
    for effect in effects:
        if isinstance(effect, Ask):
            told = json.loads(effect.body, parse_constant=no_constant)
            if not isinstance(told, dict):
                raise Broken("asked with something that is no object")
    if (end := ended(effects)) or not any(isinstance(effect, Ask) for effect in effects):
        return end or "nobody"
    for event in [*answered(chance), Tick(), Gone()]:
        now += chance.choice((0.0, 0.1, 20.0))
        if isinstance(event, Tick):
            now += chance.choice((0.0, 400.0))
        if end := ended(written(machine.feed(event, now))):
            machine.feed(Gone(), now)
            return end
        if isinstance(event, Gone):
            return "left"
    raise Broken("never ended")


def ended(effects: list[Effect]) -> str:
    for effect in effects:
        match effect:
            case Respond(retry=retry, next=next):
                refused(effects)
                return "next" if retry or next else "replied"
            case Send(end=True):
                return "answered"
    return ""


def refused(effects: list[Effect]) -> bool:
    """Whether it is a refusal; one that clients cannot read is Broken."""
    (reply,) = (effect for effect in effects if isinstance(effect, Respond))
    if reply.status < 400:
        return False
    told = json.loads(reply.body)["error"]
    if isinstance(told, str):  # a vendor's own words, untouched
        return True
    if not isinstance(told["message"], str) or not told["message"] or reply.status == 500:
        raise Broken(f"{reply.status}: {reply.body[:300]!r}")
    return True


def only(effects: list[Effect]) -> type[Effect] | None:
    kinds = [type(e) for e in effects if isinstance(e, Proceed | Respond | Choose | Release)]
    if len(kinds) > 1:
        raise Broken(f"more than one answer to one message: {effects}")
    return kinds[0] if kinds else None


def written(effects: list[Effect]) -> list[Effect]:
    """All of it can be told to Envoy."""
    for effect in effects:
        message = wire.response(effect, None, {})
        if message is not None:
            pb.ProcessingResponse.FromString(message)
        if isinstance(effect, Respond | Release | Ask):
            for name, text in effect.headers.items():
                if any(char in text for char in "\r\n\0"):
                    raise Broken(f"a header in two lines: {name}: {text!r}")
        if isinstance(effect, Wake) and effect.after < 0:
            raise Broken("a timer in the past")
    return effects


def let_go(gateway: Gateway, end: str) -> str:
    gateway.exchanges.expire(1e9)
    if len(gateway.exchanges) or gateway.exchanges.bytes:
        raise Broken(f"{len(gateway.exchanges)} exchanges are kept, {gateway.exchanges.bytes} bytes")
    return end


def no_constant(word: str) -> None:
    raise Broken(f"asked with {word}, which is no JSON")
