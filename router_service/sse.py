"""Server-sent events: bytes in any chunking -> events -> bytes, by the WHATWG specification.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

import re
from dataclasses import dataclass

_BLANK = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")  # what ends an event


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    data: str
    event: str = ""

    def encode(self) -> bytes:
        name = f"event: {self.event}\n" if self.event else ""
        lines = "".join(f"data: {line}\n" for line in self.data.split("\n"))
        # JSON may hold half of a surrogate pair, which UTF-8 does not know.
        return f"{name}{lines}\n".encode("utf-8", "replace")


_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")  # which end an event


class EventDecoder:
    """Feed it bytes as they come; it returns the events that are complete. Comments and ids are dropped."""

    __slots__ = ("_data", "_event", "_rest", "_started")

    def __init__(self) -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self._started = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        *lines, self._rest = _lines(self._rest + chunk)
        if lines and not self._started:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            self._started = True
        events = []
        for line in lines:
            if line:
                self._field(line)
            elif self._data:
                events.append(ServerSentEvent("\n".join(self._data), self._event))
                self._data, self._event = [], ""
            else:
                self._event = ""
        return events

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value.decode("utf-8", "replace"))
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")


def first_events(data: bytes, count: int) -> bytes:
    """The bytes of the first events that end in these, with the comments between them."""
    end = 0
    for found in _BLANK.finditer(data):
        if not count:
            break
        count -= any(line.startswith(b"data") for line in _lines(data[end : found.start()]))
        end = found.end()
    return data[:end]


class WholeEvents:
    """Bytes as they came, each event once it is whole: of one that breaks off in the middle nothing is passed on."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, chunk: bytes, *, end: bool) -> bytes:
        """`end`: the stream has ended well, and what is kept is its last event."""
        data = self._kept + chunk
        cut = len(data) if end else max((data.rfind(it) + len(it) for it in _BLANK_LINES if it in data), default=0)
        self._kept = data[cut:]
        return data[:cut]


def _lines(data: bytes) -> list[bytes]:
    """Split at \\n, \\r\\n and \\r; the last item is what has no end yet (a final \\r may be half a \\r\\n)."""
    if b"\r" not in data:
        return data.split(b"\n")
    held = data.endswith(b"\r")
    body = data[:-1] if held else data
    parts = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    if held:
        parts[-1] += b"\r"
    return parts
