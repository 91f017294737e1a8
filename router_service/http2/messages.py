"""gRPC over HTTP/2: messages in the data of a stream, and how its answer begins and ends.

Source: PROTOCOL-HTTP2.md of gRPC. Nothing is compressed, neither messages nor headers, and names and values of a header
block stand in it as they are (RFC 7541, 6.2.2): nobody keeps a table.
"""

import struct
from collections.abc import Mapping
from urllib.parse import quote

CONTENT_TYPE = "application/grpc"
_PREFIX = struct.Struct(">BL")  # compressed or not; length


class TooLong(Exception):
    """A message is longer than may be."""


class Compressed(Exception):
    """A message is compressed, which we have not offered to take."""


class Messages:
    """Data as it comes -> the messages that are complete with it, each in one piece."""

    __slots__ = ("_have", "_longest", "_parts")

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._have = 0

    @property
    def begun(self) -> bool:
        """A message is there in part."""
        return self._have > 0

    def feed(self, data: bytes) -> list[bytes]:
        """Raises TooLong, Compressed."""
        if not self._parts and len(data) >= 5 and len(data) == 5 + self._length(data):  # as most come
            return [data[5:]]
        if self._parts:
            self._parts.append(data)
            self._have += len(data)
            if self._have < 5 or self._have < (size := 5 + self._length(self._head())):
                return []
            if self._have == size:  # as the end of a long one always comes: in one copy
                return [self._taken()]
            data = b"".join(self._parts)
            self._parts = []
        complete, at = list[bytes](), 0
        while len(data) - at >= 5 and len(data) - at >= 5 + (length := self._length(data, at)):
            complete.append(data[at + 5 : at + 5 + length])
            at += 5 + length
        self._have = len(data) - at
        if self._have:
            self._parts = [data[at:]]
        return complete

    def _taken(self) -> bytes:
        """The message that all the parts are, and nothing else."""
        first, *rest = self._parts
        self._parts, self._have = [], 0
        return b"".join((memoryview(first)[5:], *rest))

    def _head(self) -> bytes:
        if len(self._parts[0]) < 5:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]

    def _length(self, data: bytes, at: int = 0) -> int:
        compressed, length = _PREFIX.unpack_from(data, at)
        if compressed:
            raise Compressed
        if length > self._longest:
            raise TooLong
        return int(length)


def framed(message: bytes) -> bytes:
    return _PREFIX.pack(0, len(message)) + message


def block(headers: Mapping[str, str]) -> bytes:
    """A header block. Names in lower case; values of ASCII."""
    return b"".join(b"\x00" + _string(name) + _string(value) for name, value in headers.items())


def _string(text: str) -> bytes:
    raw = text.encode("ascii")
    return _integer(len(raw)) + raw


def _integer(value: int) -> bytes:
    """With a prefix of seven bits, the eighth, for Huffman's code, being 0 (RFC 7541, 5.1)."""
    if value < 0x7F:
        return bytes((value,))
    rest, value = bytearray((0x7F,)), value - 0x7F
    while value >= 0x80:
        rest.append(value & 0x7F | 0x80)
        value >>= 7
    rest.append(value)
    return bytes(rest)


BEGINNING = block({":status": "200", "content-type": CONTENT_TYPE})


def ending(status: int = 0, words: str = "") -> bytes:
    """The trailers of an answer, as a block."""
    told = {"grpc-message": quote(words, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")} if words else {}
    return block({"grpc-status": str(status), **told})


def refusal(status: int, words: str) -> bytes:
    """Headers and trailers of an answer in one block."""
    return BEGINNING + ending(status, words)


ENDING = ending()
