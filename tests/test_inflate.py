"""Compression that nobody asked for, undone."""

import gzip
import zlib

import pytest

from router_service.inflate import MOST, Inflater

WORDS = b"what a provider said " * 50


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("", WORDS),
        ("identity", WORDS),
        ("gzip", gzip.compress(WORDS, mtime=0)),
        (" GZIP ", gzip.compress(WORDS, mtime=0)),
        ("x-gzip", gzip.compress(WORDS, mtime=0)),
        ("deflate", zlib.compress(WORDS)),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000], ids=["byte by byte", "at once"])
def test_what_was_compressed_comes_out_whole(coding: str, data: bytes, size: int) -> None:
    inflater = Inflater(coding)
    assert b"".join(inflater.feed(data[at : at + size]) for at in range(0, len(data), size)) == WORDS


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, br"])
def test_a_coding_that_is_not_known_is_refused(coding: str) -> None:
    with pytest.raises(ValueError, match=f"'{coding}', which nobody asked for"):
        Inflater(coding)


def test_a_chunk_that_swells_beyond_all_bounds_is_refused() -> None:
    bomb = gzip.compress(bytes(MOST + 1))
    assert len(bomb) < MOST // 900
    with pytest.raises(ValueError, match="more than 64 MiB"):
        Inflater("gzip").feed(bomb)


def test_what_is_not_what_it_says_is_refused() -> None:
    with pytest.raises(ValueError, match="does not inflate"):
        Inflater("gzip").feed(WORDS)
