"""What goes out of one HTTP/2 connection, and when (RFC 9113, 5.2 and 6.9): answers in, bytes to be sent out.

What the peer does not take waits in its stream's queue. What the peer says is judged elsewhere: who has heard it sets
the limits (`room`, `new_room`, `largest`), and lets what waits `go_on` where they have grown.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from router_service.http2 import frames
from router_service.http2.frames import Code

_QUANTUM = 64 * 1024  # bytes that a stream may send before others have their turn


class Listener(Protocol):
    """Whom a stream tells of what it hears. `heard`: with `end` nothing more follows. `gone`: the peer has given it
    up, or the connection is lost. `drained`: what was queued has gone out.
    """

    def heard(self, data: bytes, *, end: bool) -> None: ...

    def gone(self) -> None: ...

    def drained(self) -> None: ...


class Stream:
    """One request and its answer."""

    __slots__ = ("_end", "_sending", "id", "listener", "open", "queue", "queued", "remote_ended", "room", "window")

    def __init__(self, sending: "Sending", id: int, *, window: int) -> None:
        self._sending, self.id = sending, id
        self.room, self.window = sending.new_room, window  # bytes that we may send; that the peer may
        self.queue: deque[memoryview] = deque()
        self.queued = 0
        self.remote_ended = False
        self.open = True  # for us to send
        self.listener: Listener | None = None
        self._end: bytes | None = None  # the trailers that follow the queue

    def begin(self, block: bytes) -> None:
        """The answer's headers, compressed."""
        if self.open:
            self._sending.write(frames.frame(frames.HEADERS, frames.END_HEADERS, self.id, block))

    def send(self, data: bytes) -> None:
        if data and self.open and self._end is None:
            self._sending.send(self, data)

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
        self._sending.write(frames.frame(frames.HEADERS, flags, self.id, self._end))
        self.open = False
        if not self.remote_ended:  # nobody listens any more (RFC 9113, 8.1)
            self._sending.write(frames.reset(self.id, Code.NO_ERROR))
        self._sending.forget(self)

    @property
    def ending(self) -> bool:
        return self._end is not None

    def reset(self, code: Code) -> None:
        if self.open:
            self._sending.write(frames.reset(self.id, code))
            self._sending.forget(self)

    def take(self, count: int) -> None:
        """So many bytes of what was heard are done with."""
        if not self.remote_ended and self.open:
            self.window += count
            self._sending.write(frames.window_update(self.id, count))


class Sending:
    """`wrote` is called whenever there is something in `out`."""

    def __init__(self, wrote: Callable[[], None] = lambda: None) -> None:
        self._wrote = wrote
        self._waiting: dict[int, Stream] = {}  # those with a queue, whose turn is next first
        self.streams: dict[int, Stream] = {}  # under way
        self.room = self.new_room = frames.DEFAULT_WINDOW  # bytes that may go out: of all streams; of a new one
        self.largest = frames.DEFAULT_FRAME  # bytes of a frame
        self.blocked = False
        self.over = False
        self.out: list[bytes | memoryview] = []

    def write(self, data: bytes | memoryview) -> None:
        if not self.over:
            self.out.append(data)
            self._wrote()

    def taken_out(self) -> bytes:
        """What is to be sent; then it is with whoever has asked."""
        data = b"".join(self.out)
        self.out.clear()
        return data

    def send(self, stream: Stream, data: bytes) -> None:
        size = len(data)
        if size <= self.largest and size <= stream.room and size <= self.room and not (stream.queue or self.blocked):
            stream.room -= size
            self.room -= size
            self.write(frames.HEAD.pack(size >> 8, size & 0xFF, frames.DATA, 0, stream.id) + data)
            return
        stream.queue.append(memoryview(data))
        stream.queued += size
        self._waiting[stream.id] = stream
        self.go_on_with(stream)  # of the others that wait, none may send now what it might not before

    def pause(self) -> None:
        """The peer takes nothing at the moment."""
        self.blocked = True

    def resume(self) -> None:
        self.blocked = False
        self.go_on()

    def go_on_with(self, stream: Stream) -> None:
        """Send what it has queued, as far as the windows allow."""
        while stream.queue and not self.blocked and self._send_some(stream):
            pass
        if not stream.queue:
            self._waiting.pop(stream.id, None)

    def go_on(self) -> None:
        """Send what is queued, as far as the windows allow, each stream in its turn."""
        idle = 0
        while self._waiting and not self.blocked and self.room and idle < len(self._waiting):
            id, stream = next(iter(self._waiting.items()))
            del self._waiting[id]
            idle = 0 if self._send_some(stream) else idle + 1
            if stream.queue:
                self._waiting[id] = stream

    def _send_some(self, stream: Stream) -> bool:
        """Whether anything could be sent."""
        before = stream.queued
        left = max(0, min(_QUANTUM, stream.room, self.room))
        while stream.queue and left:
            data = stream.queue.popleft()
            size = min(left, len(data), self.largest)
            if size < len(data):
                stream.queue.appendleft(data[size:])
            self.write(frames.head(size, frames.DATA, 0, stream.id))
            self.write(data[:size])
            left -= size
            stream.queued -= size
            stream.room -= size
            self.room -= size
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
        self.streams.pop(stream.id, None)
        self._waiting.pop(stream.id, None)
