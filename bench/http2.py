"""What a stream of two messages costs the one who serves it, by who speaks HTTP/2: python bench/http2.py

Streams as Envoy's external processing has them: headers, two small messages, each answered, and the end. `ours` and
`h2` are fed frames in this process, without a socket; `our server` and `grpc.aio` are processes of their own, on a
socket, and asked by grpcio's client. CPU time, the least of several interleaved rounds.
"""

import argparse
import asyncio
import multiprocessing
import os
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import hpack

from router_service.http2 import frames, messages
from router_service.http2.connection import Connection, Headers
from router_service.http2.sending import Sending, Stream
from router_service.shell.grpc_http2 import Server
from router_service.shell.line import Line, Metadata

MESSAGE = bytes(700)
PATH = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
HEADERS = [
    *((":method", "POST"), (":path", PATH), (":scheme", "http"), (":authority", "router")),
    *(("te", "trailers"), ("content-type", "application/grpc"), ("x-archgw-role", "selection")),
]
LONGEST = 1024 * 1024


class Echo:
    """Of a stream, or of a line."""

    def __init__(self, stream: Stream, headers: Headers) -> None:
        self._stream, self._messages, self._begun = stream, messages.Messages(LONGEST), False

    def heard(self, data: bytes, *, end: bool) -> None:
        for message in self._messages.feed(data):
            if not self._begun:
                self._stream.begin(messages.BEGINNING)
                self._begun = True
            self._stream.send(messages.framed(message))
        if end:
            self._stream.finish(messages.ENDING)

    def gone(self) -> None:
        pass

    def drained(self) -> None:
        pass


class EchoOnALine:
    def __init__(self, line: Line, metadata: Metadata) -> None:
        self.message, self.ended = line.write, line.end

    def gone(self) -> None:
        pass


# -- without a socket ----------------------------------------------------------------------------------------------


def ours() -> Callable[[bytes], None]:
    sending = Sending()
    connection = Connection(Echo, sending)

    def heard(data: bytes) -> None:
        connection.receive(data)
        sending.taken_out()

    return heard


def by_h2() -> Callable[[bytes], None]:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    connection.initiate_connection()
    readers: dict[int, messages.Messages] = {}

    def heard(data: bytes) -> None:
        for event in connection.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                readers[event.stream_id] = messages.Messages(LONGEST)
                connection.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
            elif isinstance(event, h2.events.DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                for message in readers[event.stream_id].feed(event.data):
                    connection.send_data(event.stream_id, messages.framed(message))
            elif isinstance(event, h2.events.StreamEnded):
                connection.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
                del readers[event.stream_id]
        connection.data_to_send()

    return heard


def without_a_socket(make: Callable[[], Callable[[bytes], None]], streams: int) -> float:
    """Microseconds a stream."""
    heard, encoder = make(), hpack.Encoder()
    encoder.header_table_size = 0
    opened = frames.settings({frames.INITIAL_WINDOW_SIZE: 2**30}) + frames.frame(frames.SETTINGS, frames.ACK, 0, b"")
    heard(frames.PREFACE + opened + frames.window_update(0, 2**30))
    said = messages.framed(MESSAGE)
    asked = []
    for id in range(1, 2 * streams, 2):
        head = frames.frame(frames.HEADERS, frames.END_HEADERS, id, encoder.encode(HEADERS))
        data = frames.frame(frames.DATA, 0, id, said)
        asked.append((head + data, data, frames.frame(frames.DATA, frames.END_STREAM, id, b"")))
    begun = time.process_time()
    for pieces in asked:
        for piece in pieces:
            heard(piece)
    return (time.process_time() - begun) / streams * 1e6


# -- with one ------------------------------------------------------------------------------------------------------


async def _our_server(socket: Path) -> None:
    server = Server(LONGEST)
    server.add(PATH, EchoOnALine)
    await server.start(socket)
    await asyncio.Event().wait()


async def _grpc_server(socket: Path) -> None:
    async def echo(stream: AsyncIterator[bytes], context: Any) -> None:
        async for message in stream:
            await context.write(message)

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(echo)
    service, method = PATH[1:].split("/")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    await server.wait_for_termination()


SERVERS = {"our server": _our_server, "grpc.aio": _grpc_server}


def _serve(name: str, socket: Path) -> None:
    asyncio.run(SERVERS[name](socket))


async def _ask(socket: Path, streams: int) -> None:
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        method = channel.stream_stream(PATH)
        for _ in range(streams):
            call = method(wait_for_ready=True)
            for _ in range(2):
                await call.write(MESSAGE)
                await call.read()
            await call.done_writing()
            await call.code()


def on_a_socket(sockets: dict[str, Path], pids: dict[str, int], name: str, streams: int) -> float:
    """Microseconds a stream, of the server's process."""
    before = _cpu(pids[name])
    asyncio.run(_ask(sockets[name], streams))
    return (_cpu(pids[name]) - before) / streams * 1e6


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=2000, help="in each round")
    options = parser.parse_args()
    least: dict[str, float] = {}
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        sockets = {name: Path(folder, f"{number}.sock") for number, name in enumerate(SERVERS)}
        running = {name: context.Process(target=_serve, args=(name, at)) for name, at in sockets.items()}
        for process in running.values():
            process.start()
        pids = {name: process.pid or 0 for name, process in running.items()}
        for _ in range(options.rounds):
            for name, make in (("ours", ours), ("h2", by_h2)):
                least[name] = min(least.get(name, 1e9), without_a_socket(make, options.streams))
            for name in SERVERS:
                least[name] = min(least.get(name, 1e9), on_a_socket(sockets, pids, name, options.streams))
        for process in running.values():
            process.terminate()
    print("| who | us a stream | ratio |\n|---|---|---|")
    for name, beside in (("ours", "ours"), ("h2", "ours"), ("our server", "our server"), ("grpc.aio", "our server")):
        print(f"| {name} | {least[name]:.0f} | {least[name] / least[beside]:.1f}x |")


if __name__ == "__main__":
    main()
