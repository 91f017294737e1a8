"""One HTTP/2 connection as its server hears it (RFC 9113): bytes in, calls to listeners out.

What a listener has not taken is not asked for: a stream's window is opened again by what its listener takes. Requests
are compressed without a table (we ask for that), so the same headers are the same bytes, and are read once. All that
the peer may not do is found here; what is said to it goes out by sending.py.
"""

from collections.abc import Callable, Sequence

import hpack

from router_service.http2 import frames
from router_service.http2.frames import Code
from router_service.http2.sending import Listener, Sending, Stream

Headers = Sequence[tuple[str, str]]
Open = Callable[[Stream, Headers], Listener]

_CONNECTION_WINDOW = 64 * 1024 * 1024  # bytes; the streams' own windows are what bounds
_MAX_HEADERS = 64 * 1024  # bytes of a header block
_KNOWN_BLOCKS = 256  # header blocks whose meaning is kept
_MAX_OWED = 10_000  # answers to pings and settings that the peer does not take


class Broken(Exception):
    """The peer has broken the protocol; the connection ends."""

    def __init__(self, code: Code, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


class Connection:
    """`open` makes a listener of each request that comes; `window` is in bytes, of each stream, `frame` of a frame."""

    def __init__(
        self, open: Open, sending: Sending, *, window: int = 256 * 1024, frame: int = frames.DEFAULT_FRAME
    ) -> None:
        self._open, self._sending, self._window, self._largest = open, sending, window, frame
        self._streams = sending.streams
        self._rest = b""
        self._greeted = False
        self._settled = False  # the peer's settings have come
        self._last = 0  # the newest request's stream
        self._leaving = False
        self._taken = 0  # bytes heard in all streams together since the window was opened again
        self._decoder = hpack.Decoder(_MAX_HEADERS)
        self._known: dict[bytes, Headers] = {}
        self._block: tuple[int, int, bytearray] | None = None  # stream and flags of headers that go on
        self._owed = 0
        sending.write(
            frames.settings(
                {
                    frames.HEADER_TABLE_SIZE: 0,
                    frames.INITIAL_WINDOW_SIZE: window,
                    frames.MAX_FRAME_SIZE: frame,
                    frames.MAX_HEADER_LIST: _MAX_HEADERS,
                }
            )
        )
        sending.write(frames.window_update(0, _CONNECTION_WINDOW - frames.DEFAULT_WINDOW))

    def __len__(self) -> int:
        """Requests under way."""
        return len(self._streams)

    def receive(self, data: bytes) -> None:
        """Bytes of the peer's, cut anywhere. After an error the connection is over, and `sending.out` says why."""
        if self._sending.over:
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
            if self._sending.over:
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
            self._sending.write(frames.window_update(0, self._taken))
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
            self._sending.write(frames.reset(id, Code.REFUSED_STREAM))
            return
        stream = Stream(self._sending, id, window=self._window)
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
            self._sending.forget(stream)
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
            more, self._sending.new_room = value - self._sending.new_room, value
            for stream in list(self._streams.values()):
                if stream.room + more > frames.MAX_WINDOW:
                    raise Broken(Code.FLOW_CONTROL_ERROR, "a stream's window is too large")
                stream.room += more
                self._sending.go_on_with(stream)
        elif name == frames.MAX_FRAME_SIZE:
            if not frames.DEFAULT_FRAME <= value <= frames.LARGEST_FRAME:
                raise Broken(Code.PROTOCOL_ERROR, "a frame's largest size is out of range")
            self._sending.largest = value
        elif name == frames.ENABLE_PUSH and value > 1:
            raise Broken(Code.PROTOCOL_ERROR, "push is on or off")

    def _on_window_update(self, id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Broken(Code.FRAME_SIZE_ERROR, "a window's increment has four bytes")
        more = int.from_bytes(payload) & 0x7FFFFFFF
        if id == 0:
            if not more:
                raise Broken(Code.PROTOCOL_ERROR, "a window grows by nothing")
            if self._sending.room + more > frames.MAX_WINDOW:
                raise Broken(Code.FLOW_CONTROL_ERROR, "the connection's window is too large")
            self._sending.room += more
            self._sending.go_on()
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
        stream.room += more
        self._sending.go_on_with(stream)

    def _owe(self, answer: bytes) -> None:
        """The peer's own doing: who asks without end and takes no answer is told so."""
        self._owed = self._owed + 1 if self._sending.blocked else 0
        if self._owed > _MAX_OWED:
            raise Broken(Code.ENHANCE_YOUR_CALM, "too much is asked of the connection itself")
        self._sending.write(answer)

    # -- the end ----------------------------------------------------------------------------------------------

    def leave(self) -> None:
        """Take no more requests; those under way go on."""
        if not self._leaving:
            self._leaving = True
            self._sending.write(frames.goaway(self._last, Code.NO_ERROR))

    def lost(self) -> None:
        """Nothing comes any more, and nothing can be sent."""
        self._sending.over = True
        for stream in list(self._streams.values()):
            self._sending.forget(stream)
            if stream.listener:
                stream.listener.gone()

    def _break(self, error: Broken) -> None:
        self._sending.write(frames.goaway(self._last, error.code, error.words))
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
