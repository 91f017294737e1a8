"""Server-sent events in any chunking; the cases are the specification's own and what vendors send."""

import pytest

from router_service.sse import EventDecoder, ServerSentEvent, WholeEvents, first_events

CASES: list[tuple[str, bytes, list[ServerSentEvent]]] = [
    ("one event", b"data: a\n\n", [ServerSentEvent("a")]),
    ("a name", b"event: x\ndata: a\n\n", [ServerSentEvent("a", "x")]),
    ("the name after the data", b"data: a\nevent: x\n\n", [ServerSentEvent("a", "x")]),
    ("names do not outlive their event", b"event: x\ndata: a\n\ndata: b\n\n",
     [ServerSentEvent("a", "x"), ServerSentEvent("b")]),
    ("a name without data", b"event: x\n\ndata: b\n\n", [ServerSentEvent("b")]),
    ("lines", b"data: a\ndata:  b\ndata\n\n", [ServerSentEvent("a\n b\n")]),
    ("no space", b"data:a\n\n", [ServerSentEvent("a")]),
    ("comments, ids, retries, unknown", b": hi\nid: 1\nretry: 5\nx: y\ndata: a\n\n", [ServerSentEvent("a")]),
    ("CRLF", b"event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n", [ServerSentEvent("a", "x"), ServerSentEvent("b")]),
    ("CR", b"data: a\rdata: b\r\rdata: c\r\r\n", [ServerSentEvent("a\nb"), ServerSentEvent("c")]),
    ("a byte order mark", b"\xef\xbb\xbfdata: a\n\n", [ServerSentEvent("a")]),
    ("beyond ASCII", "data: grüß 👋\n\n".encode(), [ServerSentEvent("grüß 👋")]),
    ("a line separator of Unicode", "data: a\u2028b\x0bc\n\n".encode(), [ServerSentEvent("a\u2028b\x0bc")]),
    ("no UTF-8", b"data: \xff\n\n", [ServerSentEvent("\ufffd")]),
    ("unfinished", b"data: a\n\ndata: b\n", [ServerSentEvent("a")]),
    ("nothing", b"\n\n\n", []),
]  # fmt: skip


@pytest.mark.parametrize(("data", "events"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_events_come_out_whole_however_they_are_cut(data: bytes, events: list[ServerSentEvent]) -> None:
    assert EventDecoder().feed(data) == events
    for cut in range(len(data) + 1):
        decoder = EventDecoder()
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == events
    decoder = EventDecoder()
    assert [event for at in range(len(data)) for event in decoder.feed(data[at : at + 1])] == events


@pytest.mark.parametrize(
    "event", [ServerSentEvent("a"), ServerSentEvent("a\nb", "x"), ServerSentEvent("grüß"), ServerSentEvent(" a")]
)
def test_what_is_encoded_is_decoded(event: ServerSentEvent) -> None:
    assert EventDecoder().feed(event.encode()) == [event]


@pytest.mark.parametrize("line", [b"\n", b"\r\n", b"\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize(
    ("count", "kept"), [(0, b""), (1, b"event: a\ndata: 1\n\n"), (2, b"event: a\ndata: 1\n\n: ping\n\ndata: 2\n\n")]
)
def test_the_first_events_are_cut_off_with_the_comments_before_them(count: int, kept: bytes, line: bytes) -> None:
    data = b"event: a\ndata: 1\n\n: ping\n\ndata: 2\n\ndata: 3\n\nda"
    assert first_events(data.replace(b"\n", line), count) == kept.replace(b"\n", line)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["newline", "both", "return"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_events_pass_when_they_are_whole(size: int, end: str) -> None:
    stream = "event: a\ndata: 1\n\n: ping\n\ndata: 2\n\ndata: 3".replace("\n", end).encode()
    gate = WholeEvents()
    passed = b"".join(gate.feed(stream[at : at + size], end=False) for at in range(0, len(stream), size))
    assert passed == stream.removesuffix(b"data: 3")
    assert gate.feed(b"", end=True) == b"data: 3"
