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


def encoded(data: bytes, event: str = "") -> bytes:
    """The same for data that is in bytes already, and one line, as JSON is."""
    return b"event: %b\ndata: %b\n\n" % (event.encode(), data) if event else b"data: %b\n\n" % data


_BLANK_LINES = (b"\n\n", b"\r\n\r\n", b"\r\r")  # which end an event
_LONGEST_BLANK = 4


class EventDecoder:
    """Feed it bytes as they come; it returns the events that are complete. Comments and ids are dropped."""

    __slots__ = ("_data", "_event", "_rest", "_started")

    def __init__(self) -> None:
        self._rest = bytearray()  # of a line; one of a megabyte may come in a thousand chunks, and is looked at once
        self._event = ""
        self._data: list[str] = []
        self._started = False

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        if self._rest:
            if b"\n" not in chunk and b"\r" not in chunk and not self._rest.endswith(b"\r"):
                self._rest += chunk
                return []
            chunk = bytes(self._rest) + chunk
        *lines, rest = _lines(chunk)
        self._rest = bytearray(rest)
        if lines and not self._started:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            self._started = True
        events = []
        for line in lines:
            if line.startswith(b"data: "):  # most are
                self._data.append(line[6:].decode("utf-8", "replace"))
            elif line:
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
        self._kept = bytearray()

    def feed(self, chunk: bytes, *, end: bool) -> bytes:
        """`end`: the stream has ended well, and what is kept is its last event."""
        if not self._kept and (end or chunk.endswith(_BLANK_LINES)):
            return chunk
        seen = max(0, len(self._kept) - _LONGEST_BLANK + 1)  # where a blank line cannot begin any more
        self._kept += chunk
        ends = (at + len(it) for it in _BLANK_LINES if (at := self._kept.rfind(it, seen)) >= 0)
        cut = len(self._kept) if end else max(ends, default=0)
        whole = bytes(self._kept[:cut])
        del self._kept[:cut]
        return whole


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
