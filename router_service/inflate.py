"""Undo the compression of an answer from a provider that was asked for none."""

import zlib

_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
MOST = 64 * 1024 * 1024  # bytes out of one chunk; a thousandth of it, well pressed, comes as one


class Inflater:
    """Raises ValueError for a coding it does not know, and for data that is not what it says."""

    def __init__(self, coding: str) -> None:
        coding = coding.strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise ValueError(f"compressed its answer as '{coding}', which nobody asked for")
        self._inflate = None if coding in ("", "identity") else zlib.decompressobj(_GZIP_OR_ZLIB)

    def feed(self, chunk: bytes) -> bytes:
        if self._inflate is None:
            return chunk
        try:
            inflated = self._inflate.decompress(chunk, MOST)
        except zlib.error as error:
            raise ValueError("sent an answer that does not inflate") from error
        if self._inflate.unconsumed_tail:
            raise ValueError(f"sent a chunk that inflates to more than {MOST // 2**20} MiB")
        return inflated
