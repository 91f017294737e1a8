"""Seals put into answers that otherwise reach the client as the vendor wrote them: same dialect, several models.

Only the lines that carry a state of reasoning are read; every other byte passes as it came.
"""

from router_service.conversation import Json
from router_service.dialects.dialect import Dialect
from router_service.dialects.parts.fit import compact
from router_service.fast_json import loads


class Sealer:
    """Works on a stream line by line, so a line is kept back until it is whole."""

    def __init__(self, dialect: Dialect, maker: str) -> None:
        self._dialect, self._maker = dialect, maker
        self._kept = bytearray()

    def feed(self, chunk: bytes, *, end: bool) -> bytes:
        cut = len(chunk) if end else max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        if not (cut or end):
            self._kept += chunk
            return b""
        lines = bytes(self._kept) + chunk[:cut]
        self._kept = bytearray(chunk[cut:])
        if not self._carries(lines):
            return lines
        return b"".join(self._line(line) if self._carries(line) else line for line in lines.splitlines(keepends=True))

    def whole(self, body: bytes) -> bytes:
        return self._sealed(body) if self._carries(body) else body

    def _carries(self, data: bytes) -> bool:
        return any(mark in data for mark in self._dialect.states)

    def _line(self, line: bytes) -> bytes:
        field, colon, data = line.partition(b":")
        bare = data.rstrip(b"\r\n")
        if field != b"data":
            return line
        sealed = self._sealed(bare)
        return line if sealed is bare else field + colon + b" " + sealed + data[len(bare) :]

    def _sealed(self, data: bytes) -> bytes:
        try:
            told = loads(data)
        except (ValueError, RecursionError):
            return data
        if not isinstance(told, dict):
            return data
        sealed: Json = self._dialect.sealed(told, self._maker)
        return data if sealed is told else compact(sealed).encode("utf-8", "replace")
