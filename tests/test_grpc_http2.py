"""Our gRPC server, its clients those of grpcio: each on a real socket."""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from stack import until

from router_service.http2 import frames, messages
from router_service.shell.grpc_http2 import Server
from router_service.shell.line import Code, Line, Metadata

LONGEST = 30 * 1024 * 1024
IN_PEACE = 20.0  # seconds, on a busy machine


class Echo:
    """Says each message back at once."""

    def __init__(self, line: Line, metadata: Metadata) -> None:
        self.line, self.said = line, dict(metadata)
        self.heard = 0
        self.left = asyncio.Event()

    def message(self, data: bytes) -> None:
        self.heard += 1
        if data == b"break":
            raise ValueError("a prompt, or a key")
        self.line.write(data)

    def ended(self) -> None:
        self.line.end()

    def gone(self) -> None:
        self.left.set()
        if self.said.get("x-leaves") == "badly":
            raise ValueError("a prompt, or a key")


class Methods:
    """One of each kind, as generated code would call them."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def one(self, request: bytes, context: Any) -> bytes:
        if request == b"refuse":
            await context.abort(Code.NOT_FOUND, "100 % größer\n als 'alles'")
        if request == b"break":
            raise ValueError("a prompt, or a key")
        return request + dict(context.invocation_metadata()).get("x-said", "").encode()

    async def many(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number

    async def endless(self, request: bytes, context: Any) -> None:
        try:
            await context.write(b"first")
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def count(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"%d" % sum([len(request) async for request in requests])


class Running:
    def __init__(self, server: Server, methods: Methods, echoes: list[Echo], address: Path) -> None:
        self.server, self.methods, self.echoes, self.address = server, methods, echoes, address


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    server, methods, echoes = Server(LONGEST), Methods(), list[Echo]()

    def echo(line: Line, metadata: Metadata) -> Echo:
        echoes.append(Echo(line, metadata))
        return echoes[-1]

    server.add("/test/Echo", echo)
    server.add_registered_method_handlers(
        "test",
        {
            "One": grpc.unary_unary_rpc_method_handler(methods.one, bytes, bytes),
            "Many": grpc.unary_stream_rpc_method_handler(methods.many, bytes, bytes),
            "Endless": grpc.unary_stream_rpc_method_handler(methods.endless, bytes, bytes),
            "Count": grpc.stream_unary_rpc_method_handler(methods.count, bytes, bytes),
        },
    )
    await server.start(tmp_path / "s.sock")
    yield Running(server, methods, echoes, tmp_path / "s.sock")
    await server.stop(grace=0)


@pytest.fixture
async def channel(running: Running) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_receive_message_length", LONGEST), ("grpc.max_send_message_length", 2 * LONGEST)]
    async with grpc.aio.insecure_channel(f"unix:{running.address}", options=options) as channel:
        yield channel


def echoing(channel: grpc.aio.Channel) -> Any:
    return channel.stream_stream("/test/Echo")(timeout=IN_PEACE, metadata=(("x-archgw-role", "attempt"),))


async def failed(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await call
    return raised.value.code(), raised.value.details() or ""


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_384, 300_000, 25 * 1024 * 1024])
async def test_messages_of_all_sizes_come_back(channel: grpc.aio.Channel, size: int) -> None:
    call, said = echoing(channel), bytes(range(256)) * (size // 256 + 1)
    for _ in range(2):
        await call.write(said[:size])
        assert await call.read() == said[:size]
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_many_at_once_hear_each_their_own(channel: grpc.aio.Channel) -> None:
    async def asked(number: int) -> None:
        call = echoing(channel)
        for turn in range(5):
            said = b"%d/%d" % (number, turn) * (1 + number * 30)
            await call.write(said)
            assert await call.read() == said
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK

    await asyncio.gather(*(asked(number) for number in range(200)))


async def test_who_speaks_is_told_what_was_said_of_him(channel: grpc.aio.Channel, running: Running) -> None:
    await echoing(channel).write(b"1")
    await until(lambda: bool(running.echoes))
    assert running.echoes[0].said["x-archgw-role"] == "attempt"


async def test_who_leaves_is_known_to_have_left(channel: grpc.aio.Channel, running: Running) -> None:
    call = echoing(channel)
    await call.write(b"1")
    await call.read()
    call.cancel()
    await asyncio.wait_for(running.echoes[0].left.wait(), IN_PEACE)


async def test_a_lost_connection_is_known_to_all_its_streams(running: Running) -> None:
    async with grpc.aio.insecure_channel(f"unix:{running.address}") as channel:
        for _ in range(3):
            call = echoing(channel)
            await call.write(b"1")
            await call.read()
    for echo in running.echoes:
        await asyncio.wait_for(echo.left.wait(), IN_PEACE)


async def test_an_error_of_our_own_tells_its_kind_and_place_alone(
    channel: grpc.aio.Channel, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    call, other = echoing(channel), echoing(channel)
    await other.write(b"1")
    await call.write(b"break")
    code, words = await failed(call.read())
    assert code is grpc.StatusCode.INTERNAL and "ValueError at test_grpc_http2.py:" in words
    assert "a prompt" not in words + caplog.text and "ValueError at" in caplog.text
    assert await other.read() == b"1"  # and harms nobody else
    assert running.echoes[-1].left.is_set() or running.echoes[0].left.is_set()


async def test_an_error_of_our_own_about_who_has_left_harms_nobody_else(
    channel: grpc.aio.Channel, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    other, call = echoing(channel), channel.stream_stream("/test/Echo")(metadata=(("x-leaves", "badly"),))
    for each in (other, call):
        await each.write(b"1")
        assert await each.read() == b"1"
    (leaving,) = (echo for echo in running.echoes if "x-leaves" in echo.said)
    call.cancel()
    await asyncio.wait_for(leaving.left.wait(), IN_PEACE)
    await other.write(b"2")
    assert await other.read() == b"2"
    assert "ValueError at test_grpc_http2.py:" in caplog.text and "a prompt" not in caplog.text


async def test_what_a_slow_reader_does_not_take_is_not_asked_for(channel: grpc.aio.Channel, running: Running) -> None:
    """So what waits for him is bounded, however much he says."""
    call, said = echoing(channel), bytes(64 * 1024)
    writing = asyncio.create_task(write_all(call, said, 2000))
    before = -1
    while not running.echoes or running.echoes[0].heard != before:
        before = running.echoes[0].heard if running.echoes else -1
        await asyncio.sleep(0.3)
    assert 0 < running.echoes[0].heard < 1900
    heard = 0
    while (message := await call.read()) is not grpc.aio.EOF:
        heard += len(message)
    await writing
    assert heard == 2000 * len(said)


async def write_all(call: Any, message: bytes, times: int) -> None:
    for _ in range(times):
        await call.write(message)
    await call.done_writing()


async def test_who_is_held_hears_no_more_than_the_window(channel: grpc.aio.Channel, running: Running) -> None:
    call = echoing(channel)
    await call.write(b"1")
    await call.read()
    (echo,) = running.echoes
    echo.line.hold()
    writing = asyncio.create_task(write_all(call, bytes(64 * 1024), 40))
    await asyncio.sleep(0.3)
    assert echo.heard < 10
    echo.line.release()
    for _ in range(40):
        assert len(await call.read()) == 64 * 1024
    await writing


# -- methods of generated code -------------------------------------------------------------------------------------


async def test_one_message_for_another(channel: grpc.aio.Channel) -> None:
    call = channel.unary_unary("/test/One")
    assert await call(b"hello ", timeout=IN_PEACE, metadata=(("x-said", "you"),)) == b"hello you"


@pytest.mark.parametrize(
    ("path", "said", "code", "words"),
    [
        ("/test/One", b"refuse", grpc.StatusCode.NOT_FOUND, "100 % größer\n als 'alles'"),
        ("/test/One", b"break", grpc.StatusCode.INTERNAL, "ValueError at test_grpc_http2.py:"),
        ("/test/Two", b"", grpc.StatusCode.UNIMPLEMENTED, "no such method"),
        ("/test/One", bytes(LONGEST + 1), grpc.StatusCode.RESOURCE_EXHAUSTED, "longer than may be"),
    ],
    ids=["refused", "an error of our own", "unknown", "too long"],
)
async def test_a_call_that_fails_says_why(
    channel: grpc.aio.Channel, path: str, said: bytes, code: grpc.StatusCode, words: str
) -> None:
    told = await failed(channel.unary_unary(path)(said, timeout=IN_PEACE))
    assert told[0] is code and words in told[1] and "a prompt" not in told[1]


async def test_what_is_compressed_is_refused(channel: grpc.aio.Channel) -> None:
    call = channel.unary_unary("/test/One")(bytes(5000), timeout=IN_PEACE, compression=grpc.Compression.Gzip)
    assert (await failed(call))[0] is grpc.StatusCode.UNIMPLEMENTED


async def test_one_message_for_many_and_many_for_one(channel: grpc.aio.Channel) -> None:
    many = channel.unary_stream("/test/Many")(b"500", timeout=IN_PEACE)
    assert [int(message) async for message in many] == list(range(500))
    count = channel.stream_unary("/test/Count")(iter([bytes(1000)] * 300), timeout=IN_PEACE)
    assert await count == b"300000"


async def test_a_method_whose_caller_leaves_is_cancelled(channel: grpc.aio.Channel, running: Running) -> None:
    call = channel.unary_stream("/test/Endless")(b"", timeout=IN_PEACE)
    assert await call.read() == b"first"
    call.cancel()
    await asyncio.wait_for(running.methods.cancelled.wait(), IN_PEACE)


async def test_a_server_that_stops_lets_end_what_it_has_begun(running: Running) -> None:
    async with grpc.aio.insecure_channel(f"unix:{running.address}") as channel:
        call = echoing(channel)
        await call.write(b"1")
        assert await call.read() == b"1"
        stopping = asyncio.create_task(running.server.stop(grace=IN_PEACE))
        await asyncio.sleep(0.1)
        await call.write(b"2")
        assert await call.read() == b"2"
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK
        await stopping


async def test_a_server_that_stops_waits_no_longer_than_it_was_told(running: Running) -> None:
    async with grpc.aio.insecure_channel(f"unix:{running.address}") as channel:
        call = channel.unary_stream("/test/Endless")(b"", timeout=IN_PEACE)
        assert await call.read() == b"first"
        await running.server.stop(grace=0.1)
        assert (await failed(call.read()))[0] is grpc.StatusCode.UNAVAILABLE
        await asyncio.wait_for(running.methods.cancelled.wait(), IN_PEACE)


# -- whoever else knocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", bytes(100), b"\x16\x03\x01" + bytes(60)])
async def test_who_speaks_something_else_is_sent_away(running: Running, said: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(running.address)
    writer.write(said)
    answer = await asyncio.wait_for(reader.read(), IN_PEACE)
    assert answer.endswith(b"this is not HTTP/2")
    writer.close()


async def test_who_asks_for_a_page_is_told_that_this_is_no_place_for_it(running: Running) -> None:
    reader, writer = await asyncio.open_unix_connection(running.address)
    block = messages.block({":method": "GET", ":path": "/", ":scheme": "http", ":authority": "a"})
    writer.write(frames.PREFACE + frames.settings({}) + frames.frame(frames.HEADERS, 5, 1, block))
    told = b""
    while messages.block({":status": "415"}) not in told:
        told += await asyncio.wait_for(reader.read(1000), IN_PEACE)
    writer.close()


async def test_a_client_that_vanishes_is_forgotten(running: Running) -> None:
    client = sockets.socket(sockets.AF_UNIX)
    client.connect(str(running.address))
    client.sendall(frames.PREFACE[:10])
    client.close()
    await until(lambda: not running.server._peers)
