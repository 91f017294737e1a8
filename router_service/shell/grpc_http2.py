"""A gRPC server on one unix socket; HTTP/2 is spoken by router_service/http2.

It takes methods as generated code adds them, and beside those `Speaker`s: see line.py.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

from router_service.http2 import messages
from router_service.http2.connection import Connection, Headers
from router_service.http2.sending import Listener, Sending, Stream
from router_service.shell.grpc_calls import Call
from router_service.shell.line import WINDOW, Code, Line, Speak

_TRANSPORT = 1024 * 1024  # bytes that wait for the socket, above which all streams wait
_LOOK_EVERY = 0.02  # seconds, while the server stops


class Server:
    """`longest`: bytes of a message, either way."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._speak: dict[str, Speak] = {}
        self._peers: set[_Peer] = set()
        self._listening: asyncio.Server | None = None

    def add(self, path: str, speak: Speak) -> None:
        self._speak[path] = speak

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, Any]) -> None:
        """As generated code calls it."""
        for method, handler in handlers.items():
            self.add(f"/{service}/{method}", partial(Call, handler))

    def add_generic_rpc_handlers(self, handlers: object) -> None:
        """Generated code adds its handlers this way, too."""

    async def start(self, socket: Path) -> None:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_unix_server(lambda: _Peer(self), socket, backlog=1024)

    async def stop(self, grace: float) -> None:
        """Take no more calls; those under way have so many seconds to end."""
        loop = asyncio.get_running_loop()
        until = loop.time() + grace
        if self._listening:
            self._listening.close()
        for peer in tuple(self._peers):
            peer.leave()
        while any(peer.busy for peer in self._peers) and loop.time() < until:  # noqa: ASYNC110 - no stream tells us
            await asyncio.sleep(_LOOK_EVERY)
        for peer in tuple(self._peers):
            peer.close()

    def peer_came(self, peer: "_Peer") -> None:
        self._peers.add(peer)

    def peer_went(self, peer: "_Peer") -> None:
        self._peers.discard(peer)

    def open(self, stream: Stream, headers: Headers) -> Listener:
        metadata = dict(headers)
        line = Line(stream, self._longest)
        speak = self._speak.get(metadata.get(":path", ""))
        if not metadata.get("content-type", "").startswith(messages.CONTENT_TYPE):
            stream.finish(messages.block({":status": "415"}))
        elif speak is None:
            line.end(Code.UNIMPLEMENTED, "there is no such method")
        else:
            line.lead_to(speak(line, metadata))
        return line


class _Peer(asyncio.Protocol):
    """One connection to a client."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._flushing = True  # at the end of what is being done now
        self._transport: asyncio.Transport | None = None
        self._sending = Sending(self._wrote)
        self._connection = Connection(server.open, self._sending, window=WINDOW, frame=WINDOW)

    @property
    def busy(self) -> bool:
        return len(self._connection) > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is one, and is none of its class
        transport.set_write_buffer_limits(high=_TRANSPORT)
        self._server.peer_came(self)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._flushing = True
        self._connection.receive(data)
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        self._server.peer_went(self)
        self._connection.lost()

    def pause_writing(self) -> None:
        self._sending.pause()

    def resume_writing(self) -> None:
        self._sending.resume()

    def leave(self) -> None:
        self._connection.leave()

    def close(self) -> None:
        self._flush()
        self._connection.lost()
        if self._transport:
            self._transport.close()

    def _wrote(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._transport and self._sending.out:
            self._transport.write(self._sending.taken_out())
        if self._transport and self._sending.over:
            self._transport.close()
