"""Hostile bytes on the real listener: what comes back, what a provider sees, and that the gateway still answers."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from archgw import client
from archgw.simulate import Simulator
from stack import Gateway, gateway

CONFIG = """
listeners: {egress_traffic: {port: $PORT}}
llm_providers:
  - {model: mine/m, base_url: "http://127.0.0.1:$RAW/v1", provider_interface: openai, access_key: gateways-own}
  - {model: anthropic/claude-sonnet-4-5, base_url: "$URL_ANTHROPIC", passthrough_auth: true}
limits: {pause_in_request: 1s, headers: 60, header_size: 32KiB}
"""
pytestmark = pytest.mark.asyncio(loop_scope="module")
PATIENCE = 30.0  # seconds for what takes milliseconds on a machine that is not busy
REPLY = json.dumps(
    {
        "id": "1",
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    }
).encode()


@dataclass
class Raw:
    """A provider that keeps every byte and answers each body once it is whole."""

    seen: list[bytes] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                )
                self.seen.append(head + await reader.readexactly(length))
                writer.write(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REPLY)
                    + REPLY
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@dataclass
class Place:
    gateway: Gateway
    raw: Raw
    anthropic: Simulator

    @property
    def asked(self) -> int:
        return len(self.raw.seen) + len(self.anthropic.requests)

    async def say(self, data: bytes, *, answers: int = 1) -> list["Answer"]:
        """Send these bytes: so many answers, and what else comes once we say no more. Raises TimeoutError."""
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.gateway.url.rpartition(":")[2]))
        try:
            writer.write(data)
            heard = [answer async for answer in _answers(reader, answers)]
            if writer.can_write_eof() and not reader.at_eof():
                with contextlib.suppress(OSError):
                    writer.write_eof()
            return heard + [answer async for answer in _answers(reader, 9)]
        finally:
            writer.close()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def words(self) -> str:
        """The message of an error, whichever of the two clients reads it."""
        return str(json.loads(self.body)["error"]["message"])


async def _answers(reader: asyncio.StreamReader, most: int) -> AsyncIterator[Answer]:
    for _ in range(most):
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)
                }
                body = await _body(reader, headers)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        yield Answer(int(lines[0][9:12]), headers, body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    raw = Raw()
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0)
    raw.port = server.sockets[0].getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("listener")
    config = CONFIG.replace("$RAW", str(raw.port))
    async with Simulator("anthropic") as anthropic, gateway(folder, config, {"anthropic": anthropic}) as running:
        yield Place(running, raw, anthropic)
    server.close()


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def calm(place: Place) -> AsyncIterator[None]:
    place.raw.seen.clear()
    place.anthropic.requests.clear()
    before = dict(place.gateway.supervisor.pids)
    yield
    (answer,) = await place.say(request())
    assert answer.status == 200, "the gateway still answers"
    assert place.gateway.supervisor.pids == before, "nothing was started again"
    assert not place.anthropic.leaks
    for _ in range(300):
        status = await asyncio.to_thread(client.status, place.gateway.home)
        if (status.requests_under_way, status.bytes_held) == (0, 0):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"kept: {status.requests_under_way} requests, {status.bytes_held} bytes")


def asking(model: str = "mine/m", **more: Any) -> bytes:
    return json.dumps(
        {"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]} | more
    ).encode()


HELLO = asking()
LENGTH = b"content-length: %d" % len(HELLO)
CHUNKED = b"transfer-encoding: chunked"


def request(
    *headers: bytes, body: bytes = HELLO, line: bytes = b"POST /v1/chat/completions HTTP/1.1", length: bool = True
) -> bytes:
    told = [b"content-length: %d" % len(body)] if length else []
    return b"\r\n".join([line, b"host: x", b"content-type: application/json", *told, *headers, b"", body])


SMUGGLED = request(body=asking(user="smuggled"))
CHUNK = b"%x\r\n%s\r\n" % (len(HELLO), HELLO)


# -- two lengths, or one that is none --------------------------------------------------------------------------

REFUSED = {
    "two equal lengths": request(LENGTH),
    "two lengths": request(b"content-length: %d" % (len(HELLO) + len(SMUGGLED)), body=HELLO + SMUGGLED),
    "a list of lengths": request(LENGTH + b", %d" % len(HELLO), length=False),
    "a signed length": request(b"content-length: +%d" % len(HELLO), length=False),
    "a negative length": request(b"content-length: -1", length=False),
    "a length in hex": request(b"content-length: 0x40", length=False),
    "a length beyond all numbers": request(b"content-length: " + b"9" * 40, length=False),
    "a length and chunks": request(CHUNKED, body=b"0\r\n\r\n" + SMUGGLED),
    "chunks before a length": request(CHUNKED, LENGTH, body=b"0\r\n\r\n" + SMUGGLED, length=False),
    "chunks with a space before the colon": request(b"transfer-encoding : chunked", body=b"0\r\n\r\n" + SMUGGLED),
    "chunks behind a vertical tab": request(
        b"transfer-encoding:\x0bchunked", body=b"0\r\n\r\n" + SMUGGLED, length=False
    ),
    "chunks by another name": request(b"transfer-encoding: xchunked", body=b"0\r\n\r\n" + SMUGGLED, length=False),
    "chunks in chunks": request(CHUNKED, CHUNKED, body=b"0\r\n\r\n" + SMUGGLED, length=False),
    "chunked, identity": request(CHUNKED + b", identity", body=b"0\r\n\r\n" + SMUGGLED, length=False),
    "identity": request(b"transfer-encoding: identity", body=b"0\r\n\r\n" + SMUGGLED, length=False),
    "gzip, chunked": request(b"transfer-encoding: gzip, chunked", body=CHUNK + b"0\r\n\r\n", length=False),
    "a chunk beyond all numbers": request(CHUNKED, body=b"f" * 100 + b"\r\n" + HELLO, length=False),
    "a negative chunk": request(CHUNKED, body=b"-1\r\n" + HELLO, length=False),
    "a chunk that ends in a bare newline": request(
        CHUNKED, body=CHUNK.replace(b"\r\n", b"\n") + b"0\n\n", length=False
    ),
    "an extension with a newline in it": request(CHUNKED, body=b"1;\n" + CHUNK + b"0\r\n\r\n", length=False),
    "a chunk longer than it says": request(CHUNKED, body=b"5\r\n" + HELLO + b"\r\n0\r\n\r\n", length=False),
    "NUL in a value": request(b"x-a: b\0c"),
    "NUL in a name": request(b"x\0a: b"),
    "DEL in a value": request(b"x-a: b\x7f"),
    "a space in a name": request(b"x a: b"),
    "no colon": request(b"xa"),
    "no name": request(b": b"),
    "a websocket": request(b"connection: upgrade", b"upgrade: websocket"),
    "HTTP/1.0": request(line=b"POST /v1/chat/completions HTTP/1.0"),
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2 in words": request(line=b"POST /v1/chat/completions HTTP/2.0"),
    "no host": request().replace(b"host: x\r\n", b""),
    "TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "bytes": b"\xff" * 500 + b"\r\n\r\n",
    "a proxy's CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nhost: x\r\nx-api-key: secret\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path of 100 kB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path of 20 kB": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    "a path in another spelling": request(line=b"POST /v1%2fchat%2fcompletions HTTP/1.1"),
    "an unfinished head": request().partition(b"content-type")[0],
    "half a body": request()[:-20],
    "a chunk that never comes": request(CHUNKED, body=b"ff\r\n" + HELLO, length=False),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_request_is_refused_in_words_and_nobody_is_asked(place: Place, data: bytes) -> None:
    """The 408s come after a pause of the client's; no second answer comes to what may stand behind the first."""
    (answer, *more) = await place.say(data)
    assert answer.status in (400, 403, 404, 405, 408, 413, 426, 431, 501), answer
    assert answer.words and b"secret" not in answer.body and len(answer.body) < 2000
    assert {"x-arch-model", "x-arch-route", "x-arch-reason", "x-arch-attempts"} <= set(answer.headers)
    assert all(one.status >= 400 for one in more)
    assert place.asked == 0


@pytest.mark.parametrize(
    "headers",
    [[b"x-%d: 1" % number for number in range(80)], [b"x-a: " + b"a" * 40_000]],
    ids=["eighty of them", "one of 40 kB"],
)
async def test_too_many_headers_are_refused_with_the_key_that_allows_them(place: Place, headers: list[bytes]) -> None:
    (answer,) = await place.say(request(*headers))
    assert answer.status == 431 and place.asked == 0
    assert "more than 60 headers, or more than 32 KiB" in answer.words and "limits.headers" in answer.words


# -- what is odd, and still one request ------------------------------------------------------------------------

TOLD = (b"host", b"user-agent", b"authorization", b"content-type", b"accept", b"accept-encoding", b"content-length")
SERVED = {
    "as it should be": request(),
    "in chunks": request(CHUNKED, body=CHUNK + b"0\r\n\r\n", length=False),
    "byte by byte in chunks": request(
        CHUNKED, body=b"".join(b"1\r\n%c\r\n" % byte for byte in HELLO) + b"0\r\n\r\n", length=False
    ),
    "chunks with extensions": request(
        CHUNKED, body=CHUNK.replace(b"\r\n", b";a=b\r\n", 1) + b"0\r\n\r\n", length=False
    ),
    "an extension of 200 kB": request(
        CHUNKED, body=CHUNK.replace(b"\r\n", b";" + b"a" * 200_000 + b"\r\n", 1) + b"0\r\n\r\n", length=False
    ),
    "a size with 100,000 zeros before it": request(CHUNKED, body=b"0" * 100_000 + CHUNK + b"0\r\n\r\n", length=False),
    "trailers": request(CHUNKED, body=CHUNK + b"0\r\nx-evil: 1\r\nauthorization: evil\r\n\r\n", length=False),
    "a folded header": request(b"x-a: b", b" content-length: 5"),
    "a bare carriage return": request(b"user-agent: a\rx-other: 1"),
    "bare newlines in the head": request().replace(b"\r\n", b"\n"),
    "an upgrade to h2c": request(
        b"connection: upgrade, http2-settings", b"upgrade: h2c", b"http2-settings: AAMAAABkAAQAAP__"
    ),
    "an address in the first line": request(line=b"POST http://localhost/v1/chat/completions HTTP/1.1"),
    "two hosts": request(b"host: localhost"),
    "dots in the path": request(line=b"POST /v1/evil/../chat/completions HTTP/1.1"),
    "names with underscores": request(b"x_archgw_chain: evil", b"transfer_encoding: chunked", b"content_length: 5"),
    "headers of ours": request(b"x-archgw-chain: evil", b"x-archgw-exchange: evil", b"x-archgw-provider: evil"),
    "headers of Envoy's": request(b"x-envoy-original-dst-host: 127.0.0.1:1", b"x-envoy-max-retries: 99"),
    "connection names what the gateway needs": request(
        b"connection: close, content-length, content-type, x-archgw-chain, x-archgw-exchange, authorization"
    ),
}


@pytest.mark.parametrize("data", SERVED.values(), ids=SERVED.keys())
async def test_what_is_odd_is_one_request_and_the_provider_sees_nothing_of_it(place: Place, data: bytes) -> None:
    (answer,) = await place.say(data)
    assert answer.status == 200 and json.loads(answer.body)["choices"]
    (seen,) = place.raw.seen
    head, _, body = seen.partition(b"\r\n\r\n")
    assert json.loads(body) == json.loads(HELLO) | {"model": "m"}
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert sorted(names) == sorted(TOLD), "nothing of the client's, and nothing twice"
    assert b"evil" not in head and not re.search(rb"[\r\n\0]", head.replace(b"\r\n", b""))
    assert b"\r\nauthorization: Bearer gateways-own\r\n" in head + b"\r\n"


@pytest.mark.parametrize(
    "data",
    [
        request(line=b"POST http://evil.example/v1/chat/completions HTTP/1.1"),
        request(b"host: evil.example"),
        request(b"origin: http://evil.example"),
    ],
    ids=["in the first line", "as a second host", "as the origin"],
)
async def test_a_strangers_name_is_refused_wherever_it_stands(place: Place, data: bytes) -> None:
    (answer,) = await place.say(data)
    assert answer.status == 403 and place.asked == 0


async def test_continue_is_said_before_the_body_is_sent(place: Place) -> None:
    head, _, body = request(b"expect: 100-continue").partition(b"\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(place.gateway.url.rpartition(":")[2]))
    writer.write(head + b"\r\n\r\n")
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)).startswith(b"HTTP/1.1 100 Continue")
    assert place.asked == 0
    writer.write(body)
    (answer,) = [one async for one in _answers(reader, 1)]
    writer.close()
    assert answer.status == 200 and place.asked == 1
    assert b"expect" not in place.raw.seen[0].lower()


async def test_requests_behind_one_another_are_answered_in_order(place: Place) -> None:
    """Behind one that is refused the connection ends: what follows is asked of nobody."""
    data = b"".join(request(body=body) for body in (asking(user="1"), asking(user="2"), b"{", asking(user="4")))
    assert [answer.status for answer in await place.say(data, answers=3)] == [200, 200, 400]
    assert [json.loads(seen.partition(b"\r\n\r\n")[2])["user"] for seen in place.raw.seen] == ["1", "2"]


async def test_what_stands_behind_a_request_is_no_part_of_it(place: Place) -> None:
    first, second = await place.say(request() + b"GARBAGE\r\n\r\n", answers=2)
    assert (first.status, second.status, place.asked) == (200, 400, 1)


async def test_http2_without_an_upgrade_is_http2(place: Place) -> None:
    """A preface and empty settings are answered with settings, the first frame of any server (RFC 9113, 3.4)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(place.gateway.url.rpartition(":")[2]))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    frame = await asyncio.wait_for(reader.readexactly(9), PATIENCE)
    writer.close()
    assert frame[3] == 4 and place.asked == 0


# -- headers that are for this hop alone -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "connection", [b"close, x-api-key", b"keep-alive, x-api-key, anthropic-version", b"x-api-key"], ids=str
)
async def test_a_login_that_connection_names_is_for_this_hop_alone(place: Place, connection: bytes) -> None:
    """RFC 9110, 7.6.1. It is gone then, and no other takes its place; whoever needs none steps in."""
    (answer,) = await place.say(
        request(
            b"connection: " + connection,
            b"x-api-key: the-clients-own",
            b"anthropic-version: 2023-06-01",
            body=asking("anthropic/claude-sonnet-4-5"),
            line=b"POST /v1/messages HTTP/1.1",
        )
    )
    assert answer.status == 200 and answer.headers["x-arch-model"] == "mine/m"
    (refused,) = place.anthropic.requests
    assert not {"x-api-key", "authorization", "connection"} & dict(refused.headers).keys()
    assert b"the-clients-own" not in place.raw.seen[0]
