"""One HTTP/2 connection as its server sees it (RFC 9113): bytes in; calls to listeners, and bytes to be sent, out.

What a listener has not taken is not asked for: a stream's window is opened again by what its listener takes, and what
the peer does not take waits in the stream's queue. Requests are compressed without a table (we ask for that), so the
same headers are the same bytes, and are read once.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import hpack

from router_service.http2 import frames
from router_service.http2.frames import Code

Headers = Sequence[tuple[str, str]]

_CONNECTION_WINDOW = 64 * 1024 * 1024  # bytes; the streams' own windows are what bounds
_MAX_HEADERS = 64 * 1024  # bytes of a header block
_KNOWN_BLOCKS = 256  # header blocks whose meaning is kept
_QUANTUM = 64 * 1024  # bytes that a stream may send before others have their turn
_MAX_OWED = 10_000  # answers to pings and settings that the peer does not take


class Listener(Protocol):
    """Whom a stream tells of what it hears. `heard`: with `end` nothing more follows. `gone`: the peer has given it
    up, or the connection is lost. `drained`: what was queued has gone out.
    """

    def heard(self, data: bytes, *, end: bool) -> None: ...

    def gone(self) -> None: ...

    def drained(self) -> None: ...


Open = Callable[["Stream", Headers], Listener]


class Broken(Exception):
    """The peer has broken the protocol; the connection ends."""

    def __init__(self, code: Code, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


class Stream:
    """One request and its answer."""

    __slots__ = ("_connection", "_end", "id", "listener", "open", "queue", "queued", "remote_ended", "room", "window")

    def __init__(self, connection: "Connection", id: int, *, room: int, window: int) -> None:
        self._connection, self.id = connection, id
        self.room, self.window = room, window  # bytes that we may send; that the peer may
        self.queue: deque[memoryview] = deque()
        self.queued = 0
        self.remote_ended = False
        self.open = True  # for us to send
        self.listener: Listener | None = None
        self._end: bytes | None = None  # the trailers that follow the queue

    def begin(self, block: bytes) -> None:
        """The answer's headers, compressed."""
        if self.open:
            self._connection.write(frames.frame(frames.HEADERS, frames.END_HEADERS, self.id, block))

    def send(self, data: bytes) -> None:
        if data and self.open and self._end is None:
            self._connection.send(self, data)

    def finish(self, block: bytes) -> None:
        """The trailers, compressed, behind all that is queued; the answer is complete."""
        if self.open and self._end is None:
            self._end = block
            if not self.queue:
                self.close()

    def close(self) -> None:
        """The end has come to the front of the queue."""
        assert self._end is not None
        flags = frames.END_HEADERS | frames.END_STREAM
        self._connection.write(frames.frame(frames.HEADERS, flags, self.id, self._end))
        self.open = False
        if not self.remote_ended:  # nobody listens any more (RFC 9113, 8.1)
            self._connection.write(frames.reset(self.id, Code.NO_ERROR))
        self._connection.forget(self)

    @property
    def ending(self) -> bool:
        return self._end is not None

    def reset(self, code: Code) -> None:
        if self.open:
            self._connection.write(frames.reset(self.id, code))
            self._connection.forget(self)

    def take(self, count: int) -> None:
        """So many bytes of what was heard are done with."""
        if not self.remote_ended and self.open:
            self.window += count
            self._connection.write(frames.window_update(self.id, count))


class Connection:
    """`open` makes a listener of each request that comes; `wrote` is called whenever there is something in `out`."""

    def __init__(
        self,
        open: Open,
        wrote: Callable[[], None] = lambda: None,
        *,
        window: int = 256 * 1024,
        frame: int = frames.DEFAULT_FRAME,
    ) -> None:
        self._open, self._wrote, self._window, self._largest = open, wrote, window, frame
        self._rest = b""
        self._greeted = False
        self._settled = False  # the peer's settings have come
        self._streams: dict[int, Stream] = {}
        self._last = 0  # the newest request's stream
        self._leaving = False
        self._room = frames.DEFAULT_WINDOW  # bytes that we may send, in all streams together
        self._taken = 0  # bytes heard in all streams together since the window was opened again
        self._peer_window, self._peer_frame = frames.DEFAULT_WINDOW, frames.DEFAULT_FRAME
        self._decoder = hpack.Decoder(_MAX_HEADERS)
        self._known: dict[bytes, Headers] = {}
        self._block: tuple[int, int, bytearray] | None = None  # stream and flags of headers that go on
        self._waiting: dict[int, Stream] = {}  # those with a queue, whose turn is next first
        self._blocked = False
        self._owed = 0
        self.out: list[bytes | memoryview] = []
        self.over = False
        self.write(
            frames.settings(
                {
                    frames.HEADER_TABLE_SIZE: 0,
                    frames.INITIAL_WINDOW_SIZE: window,
                    frames.MAX_FRAME_SIZE: frame,
                    frames.MAX_HEADER_LIST: _MAX_HEADERS,
                }
            )
        )
        self.write(frames.window_update(0, _CONNECTION_WINDOW - frames.DEFAULT_WINDOW))

    def __len__(self) -> int:
        """Requests under way."""
        return len(self._streams)

    def write(self, data: bytes | memoryview) -> None:
        if not self.over:
            self.out.append(data)
            self._wrote()

    def taken_out(self) -> bytes:
        """What is to be sent; then it is with whoever has asked."""
        data = b"".join(self.out)
        self.out.clear()
        return data

    # -- hearing ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Bytes of the peer's, cut anywhere. After an error the connection is `over`, and says why in `out`."""
        if self.over:
            return
        try:
            self._receive(self._rest + data if self._rest else data)
        except Broken as error:
            self._break(error)

    def _receive(self, data: bytes) -> None:
        at, size = 0, len(data)
        if not self._greeted:
            if not data.startswith(frames.PREFACE[:size]):
                raise Broken(Code.PROTOCOL_ERROR, "this is not HTTP/2")
            if size < len(frames.PREFACE):
                self._rest = data
                return
            self._greeted, at = True, len(frames.PREFACE)
        unpack = frames.HEAD.unpack_from
        while size - at >= 9:
            upper, lower, kind, flags, id = unpack(data, at)
            length = upper << 8 | lower
            if length > self._largest:
                raise Broken(Code.FRAME_SIZE_ERROR, "a frame is longer than our settings allow")
            if at + 9 + length > size:
                break
            at += 9
            self._on_frame(kind, flags, id & 0x7FFFFFFF, data[at : at + length])
            if self.over:
                return
            at += length
        self._rest = data[at:]

    def _on_frame(self, kind: int, flags: int, id: int, payload: bytes) -> None:
        if self._block is not None and kind != frames.CONTINUATION:
            raise Broken(Code.PROTOCOL_ERROR, "headers are not complete")
        if not self._settled and kind != frames.SETTINGS:
            raise Broken(Code.PROTOCOL_ERROR, "the settings come first")
        if kind == frames.DATA:
            self._on_data(id, flags, payload)
        elif kind == frames.HEADERS:
            self._on_headers(id, flags, payload)
        elif kind == frames.WINDOW_UPDATE:
            self._on_window_update(id, payload)
        elif kind == frames.RST_STREAM:
            self._on_reset(id, payload)
        elif kind == frames.SETTINGS:
            self._on_settings(id, flags, payload)
        elif kind == frames.PING:
            self._on_ping(id, flags, payload)
        elif kind == frames.CONTINUATION:
            self._on_continuation(id, flags, payload)
        elif kind == frames.PRIORITY:
            _of_stream(id)
            if len(payload) != 5:
                raise Broken(Code.FRAME_SIZE_ERROR, "a priority has five bytes")
        elif kind == frames.PUSH_PROMISE:
            raise Broken(Code.PROTOCOL_ERROR, "clients promise nothing")
        elif kind == frames.GOAWAY:
            _of_connection(id)
        # Whatever else comes is an extension, which we do not know (RFC 9113, 4.1).

    def _on_data(self, id: int, flags: int, payload: bytes) -> None:
        size = len(payload)
        self._taken += size
        if self._taken >= _CONNECTION_WINDOW // 2:
            self.write(frames.window_update(0, self._taken))
            self._taken = 0
        stream = self._streams.get(id)
        if stream is None:
            if id > self._last or not id & 1:
                raise Broken(Code.PROTOCOL_ERROR, "data of a stream that was never opened")
            return  # one that has ended here, while this was on its way
        if stream.remote_ended:
            raise Broken(Code.STREAM_CLOSED, "data behind the end of a stream")
        if size > stream.window:
            raise Broken(Code.FLOW_CONTROL_ERROR, "more data than the window allows")
        stream.window -= size
        data = _without_padding(payload) if flags & frames.PADDED else payload
        if len(data) < size:
            stream.take(size - len(data))
        end = bool(flags & frames.END_STREAM)
        stream.remote_ended = end
        if stream.listener:
            stream.listener.heard(data, end=end)

    def _on_headers(self, id: int, flags: int, payload: bytes) -> None:
        _of_stream(id)
        block = _without_padding(payload) if flags & frames.PADDED else payload
        if flags & frames.WITH_PRIORITY:
            if len(block) < 5:
                raise Broken(Code.FRAME_SIZE_ERROR, "headers without the priority that they announce")
            block = block[5:]
        if flags & frames.END_HEADERS:
            self._on_block(id, flags, block)
        else:
            self._block = id, flags, bytearray(block)

    def _on_continuation(self, id: int, flags: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != id:
            raise Broken(Code.PROTOCOL_ERROR, "headers go on that have not begun")
        block = self._block[2]
        block += payload
        if len(block) > _MAX_HEADERS:
            raise Broken(Code.ENHANCE_YOUR_CALM, "headers without end")
        if flags & frames.END_HEADERS:
            begun, self._block = self._block[1], None
            self._on_block(id, begun, bytes(block))

    def _on_block(self, id: int, flags: int, block: bytes) -> None:
        headers = self._decoded(block)
        end = bool(flags & frames.END_STREAM)
        stream = self._streams.get(id)
        if stream is not None:
            self._on_trailers(stream, end=end)
            return
        if id <= self._last:
            return  # trailers of one that has ended here
        if not id & 1:
            raise Broken(Code.PROTOCOL_ERROR, "a client's streams are odd")
        self._last = id
        if self._leaving:
            self.write(frames.reset(id, Code.REFUSED_STREAM))
            return
        stream = Stream(self, id, room=self._peer_window, window=self._window)
        self._streams[id] = stream
        stream.remote_ended = end
        stream.listener = self._open(stream, headers)
        if end and stream.open:
            stream.listener.heard(b"", end=True)

    def _on_trailers(self, stream: Stream, *, end: bool) -> None:
        if stream.remote_ended:
            raise Broken(Code.STREAM_CLOSED, "headers behind the end of a stream")
        if not end:
            raise Broken(Code.PROTOCOL_ERROR, "headers in the middle of a stream")
        stream.remote_ended = True
        if stream.listener:
            stream.listener.heard(b"", end=True)

    def _decoded(self, block: bytes) -> Headers:
        known = self._known.get(block)
        if known is not None and self._decoder.header_table_size == 0:
            return known
        try:
            headers = [(str(name), str(value)) for name, value in self._decoder.decode(block)]
        except (hpack.HPACKError, UnicodeDecodeError) as error:
            raise Broken(Code.COMPRESSION_ERROR, "headers that cannot be read") from error
        if self._decoder.header_table_size == 0:  # else what the bytes mean depends on those before them
            if len(self._known) >= _KNOWN_BLOCKS:
                self._known.clear()
            self._known[block] = headers
        return headers

    def _on_reset(self, id: int, payload: bytes) -> None:
        _of_stream(id)
        if len(payload) != 4:
            raise Broken(Code.FRAME_SIZE_ERROR, "a reset has four bytes")
        if id > self._last:
            raise Broken(Code.PROTOCOL_ERROR, "a reset of a stream that was never opened")
        stream = self._streams.get(id)
        if stream:
            self.forget(stream)
            if stream.listener:
                stream.listener.gone()

    def _on_ping(self, id: int, flags: int, payload: bytes) -> None:
        _of_connection(id)
        if len(payload) != 8:
            raise Broken(Code.FRAME_SIZE_ERROR, "a ping has eight bytes")
        if not flags & frames.ACK:
            self._owe(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _on_settings(self, id: int, flags: int, payload: bytes) -> None:
        _of_connection(id)
        if flags & frames.ACK:
            if payload:
                raise Broken(Code.FRAME_SIZE_ERROR, "who takes our settings says nothing else")
            self._decoder.max_allowed_table_size = 0
            return
        if len(payload) % 6:
            raise Broken(Code.FRAME_SIZE_ERROR, "a setting has six bytes")
        for name, value in frames.SETTING.iter_unpack(payload):
            self._set(name, value)
        self._settled = True
        self._owe(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))

    def _set(self, name: int, value: int) -> None:
        if name == frames.INITIAL_WINDOW_SIZE:
            if value > frames.MAX_WINDOW:
                raise Broken(Code.FLOW_CONTROL_ERROR, "a window is too large")
            more, self._peer_window = value - self._peer_window, value
            for stream in list(self._streams.values()):
                self._widen(stream, more)
        elif name == frames.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME <= value <= frames.LARGEST_FRAME:
                raise Broken(Code.PROTOCOL_ERROR, "a frame's largest size is out of range")
            self._peer_frame = value
        elif name == frames.ENABLE_PUSH and value > 1:
            raise Broken(Code.PROTOCOL_ERROR, "push is on or off")

    def _on_window_update(self, id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Broken(Code.FRAME_SIZE_ERROR, "a window's increment has four bytes")
        more = int.from_bytes(payload) & 0x7FFFFFFF
        if id == 0:
            if not more:
                raise Broken(Code.PROTOCOL_ERROR, "a window grows by nothing")
            self._room += more
            if self._room > frames.MAX_WINDOW:
                raise Broken(Code.FLOW_CONTROL_ERROR, "the connection's window is too large")
            self._pump()
            return
        if id > self._last:
            raise Broken(Code.PROTOCOL_ERROR, "a window of a stream that was never opened")
        stream = self._streams.get(id)
        if stream is None:
            return
        if not more or stream.room + more > frames.MAX_WINDOW:
            stream.reset(Code.PROTOCOL_ERROR if not more else Code.FLOW_CONTROL_ERROR)
            if stream.listener:
                stream.listener.gone()
            return
        self._widen(stream, more)

    def _widen(self, stream: Stream, more: int) -> None:
        stream.room += more
        if stream.room > frames.MAX_WINDOW:
            raise Broken(Code.FLOW_CONTROL_ERROR, "a stream's window is too large")
        self._send_what_may(stream)

    def _owe(self, answer: bytes) -> None:
        """The peer's own doing: who asks without end and takes no answer is told so."""
        self._owed = self._owed + 1 if self._blocked else 0
        if self._owed > _MAX_OWED:
            raise Broken(Code.ENHANCE_YOUR_CALM, "too much is asked of the connection itself")
        self.write(answer)

    # -- sending ----------------------------------------------------------------------------------------------

    def send(self, stream: Stream, data: bytes) -> None:
        size = len(data)
        if (
            size <= self._peer_frame
            and size <= stream.room
            and size <= self._room
            and not (stream.queue or self._blocked)
        ):
            stream.room -= size
            self._room -= size
            self.write(frames.HEAD.pack(size >> 8, size & 0xFF, frames.DATA, 0, stream.id) + data)
            return
        stream.queue.append(memoryview(data))
        stream.queued += size
        self._waiting[stream.id] = stream
        self._send_what_may(stream)  # of the others that wait, none may send now what it might not before

    def pause(self) -> None:
        """The peer takes nothing at the moment."""
        self._blocked = True

    def resume(self) -> None:
        self._blocked = False
        self._pump()

    def _send_what_may(self, stream: Stream) -> None:
        while stream.queue and not self._blocked and self._send_some(stream):
            pass
        if not stream.queue:
            self._waiting.pop(stream.id, None)

    def _pump(self) -> None:
        """Send what is queued, as far as the windows allow, each stream in its turn."""
        idle = 0
        while self._waiting and not self._blocked and self._room and idle < len(self._waiting):
            id, stream = next(iter(self._waiting.items()))
            del self._waiting[id]
            idle = 0 if self._send_some(stream) else idle + 1
            if stream.queue:
                self._waiting[id] = stream

    def _send_some(self, stream: Stream) -> bool:
        """Whether anything could be sent."""
        before = stream.queued
        left = max(0, min(_QUANTUM, stream.room, self._room))
        while stream.queue and left:
            data = stream.queue.popleft()
            size = min(left, len(data), self._peer_frame)
            if size < len(data):
                stream.queue.appendleft(data[size:])
            self.write(frames.head(size, frames.DATA, 0, stream.id))
            self.write(data[:size])
            left -= size
            stream.queued -= size
            stream.room -= size
            self._room -= size
        sent = stream.queued < before
        if sent and not stream.queue:
            if stream.ending:
                stream.close()
            elif stream.listener:
                stream.listener.drained()
        return sent

    def forget(self, stream: Stream) -> None:
        """It has ended, for both sides or for us."""
        stream.open = False
        stream.queue.clear()
        stream.queued = 0
        self._streams.pop(stream.id, None)
        self._waiting.pop(stream.id, None)

    # -- the end ----------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Take no more requests; those under way go on."""
        if not self._leaving:
            self._leaving = True
            self.write(frames.goaway(self._last, Code.NO_ERROR))

    def lost(self) -> None:
        """Nothing comes any more, and nothing can be sent."""
        self.over = True
        for stream in list(self._streams.values()):
            self.forget(stream)
            if stream.listener:
                stream.listener.gone()

    def _break(self, error: Broken) -> None:
        self.write(frames.goaway(self._last, error.code, error.words))
        self.lost()


def _of_stream(id: int) -> None:
    if id == 0:
        raise Broken(Code.PROTOCOL_ERROR, "a frame of a stream names none")


def _of_connection(id: int) -> None:
    if id:
        raise Broken(Code.PROTOCOL_ERROR, "a frame of the connection names a stream")


def _without_padding(payload: bytes) -> bytes:
    if not payload or payload[0] >= len(payload):
        raise Broken(Code.PROTOCOL_ERROR, "more padding than there is")
    return payload[1 : len(payload) - payload[0]]
