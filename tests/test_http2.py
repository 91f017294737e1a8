"""One connection, its client played by another's HTTP/2: what goes over the wire, and what is refused."""

from collections.abc import Callable
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_service.http2 import frames, messages
from router_service.http2.connection import Connection, Headers
from router_service.http2.frames import Code, frame
from router_service.http2.sending import Sending, Stream

HEADERS = [(":method", "POST"), (":path", "/s/m"), (":scheme", "http"), (":authority", "a"), ("te", "trailers")]
BLOCK = hpack.Encoder().encode(HEADERS, huffman=False)
GREETING = frames.PREFACE + frames.settings({})


@dataclass
class Heard:
    """Keeps what it hears; `answer` is called with each piece of data."""

    stream: Stream
    headers: Headers
    answer: Callable[["Heard", bytes, bool], None]
    data: bytes = b""
    end: bool = False
    left: bool = False
    drains: int = 0

    def heard(self, data: bytes, *, end: bool) -> None:
        self.data += data
        self.end = end
        self.answer(self, data, end)

    def gone(self) -> None:
        self.left = True

    def drained(self) -> None:
        self.drains += 1


def silent(heard: Heard, data: bytes, end: bool) -> None:
    pass


def echo(heard: Heard, data: bytes, end: bool) -> None:
    if not data and not end:
        return
    if len(heard.data) == len(data):
        heard.stream.begin(messages.BEGINNING)
    if data:
        heard.stream.send(data)
        heard.stream.take(len(data))
    if end:
        heard.stream.finish(messages.ENDING)


class Server:
    def __init__(self, answer: Callable[[Heard, bytes, bool], None] = silent, *, window: int = 256 * 1024) -> None:
        self.streams: list[Heard] = []
        self._answer = answer
        self.sending = Sending()
        self.connection = Connection(self._open, self.sending, window=window)

    def _open(self, stream: Stream, headers: Headers) -> Heard:
        self.streams.append(Heard(stream, headers, self._answer))
        return self.streams[-1]

    def told(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        """The frames that come of these bytes: type, flags, stream, payload."""
        self.connection.receive(data)
        return split(self.sending.taken_out())

    def greeted(self) -> "Server":
        self.told(GREETING)
        return self


def split(data: bytes) -> list[tuple[int, int, int, bytes]]:
    found = []
    while data:
        upper, lower, kind, flags, stream = frames.HEAD.unpack_from(data)
        length = upper << 8 | lower
        found.append((kind, flags, stream, data[9 : 9 + length]))
        data = data[9 + length :]
    return found


def request(id: int, *, end: bool = False) -> bytes:
    return frame(frames.HEADERS, frames.END_HEADERS | (frames.END_STREAM if end else 0), id, BLOCK)


@dataclass
class Client:
    """Another's HTTP/2, of which what it sends arrives in pieces of these sizes."""

    server: Server
    pieces: list[int]
    windows: dict[h2.settings.SettingCodes, int] = field(default_factory=dict)
    got: dict[int, bytes] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    peer: h2.connection.H2Connection = field(init=False)
    _turn: int = 0

    def __post_init__(self) -> None:
        self.peer = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.peer.initiate_connection()
        self.peer.update_settings(self.windows)
        self.exchange()

    def exchange(self) -> None:
        while True:
            sent, answered = self.peer.data_to_send(), self.server.sending.taken_out()
            if not sent and not answered:
                return
            while sent:
                size = self.pieces[self._turn % len(self.pieces)]
                self._turn += 1
                self.server.connection.receive(sent[:size])
                sent = sent[size:]
            for event in self.peer.receive_data(answered):
                if isinstance(event, h2.events.DataReceived):
                    self.got[event.stream_id] = self.got.get(event.stream_id, b"") + event.data
                    self.peer.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    self.ended.add(event.stream_id)
                assert not isinstance(event, h2.events.ConnectionTerminated | h2.events.StreamReset), event

    def send(self, id: int, data: bytes, padding: int | None) -> None:
        """As far as the windows are open, again and again."""
        while data:
            room = min(self.peer.local_flow_control_window(id), self.peer.max_outbound_frame_size)
            size = min(room - (0 if padding is None else padding + 1), len(data))
            if size > 0:
                self.peer.send_data(id, data[:size], pad_length=padding)
                data = data[size:]
            self.exchange()


@settings(max_examples=60, deadline=None)
@given(
    bodies=st.lists(st.integers(0, 200_000), min_size=1, max_size=6),
    pieces=st.lists(st.integers(1, 70_000), min_size=1, max_size=6),
    padding=st.none() | st.integers(0, 40),
    window=st.integers(1, 100_000),
    frame_size=st.sampled_from([16_384, 20_000, 1_000_000]),
)
def test_what_is_said_comes_back_however_it_is_cut(
    bodies: list[int], pieces: list[int], padding: int | None, window: int, frame_size: int
) -> None:
    codes = h2.settings.SettingCodes
    server = Server(echo, window=70_000)
    client = Client(server, pieces, {codes.INITIAL_WINDOW_SIZE: window, codes.MAX_FRAME_SIZE: frame_size})
    said = {}
    for size in bodies:
        id = client.peer.get_next_available_stream_id()
        client.peer.send_headers(id, HEADERS)
        said[id] = bytes(id % 251 for _ in range(size))
        client.send(id, said[id], padding)
    for id in said:
        client.peer.end_stream(id)
    client.exchange()
    assert client.ended == set(said)
    assert {id: client.got.get(id, b"") for id in said} == said
    assert len(server.connection) == 0


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 255), st.integers(0, 9), st.binary(max_size=40))))
def test_no_frames_whatever_break_more_than_their_connection(given: list[tuple[int, int, int, bytes]]) -> None:
    server = Server(echo).greeted()
    for kind, flags, stream, payload in given:
        server.connection.receive(frame(kind, flags, stream, payload))
    if server.sending.over:
        kind, _, _, _ = split(server.sending.taken_out())[-1]
        assert kind == frames.GOAWAY
        assert len(server.connection) == 0


# -- what breaks a connection --------------------------------------------------------------------------------------

BROKEN = {
    "another protocol": (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", Code.PROTOCOL_ERROR),
    "no settings": (frames.PREFACE + frame(frames.PING, 0, 0, bytes(8)), Code.PROTOCOL_ERROR),
    "settings of a stream": (GREETING + frame(frames.SETTINGS, 0, 1, b""), Code.PROTOCOL_ERROR),
    "half a setting": (GREETING + frame(frames.SETTINGS, 0, 0, b"123"), Code.FRAME_SIZE_ERROR),
    "an acknowledgement with words": (GREETING + frame(frames.SETTINGS, 1, 0, bytes(6)), Code.FRAME_SIZE_ERROR),
    "a window too large": (GREETING + frames.settings({4: 2**31}), Code.FLOW_CONTROL_ERROR),
    "a frame too small": (GREETING + frames.settings({5: 100}), Code.PROTOCOL_ERROR),
    "push": (GREETING + frames.settings({2: 2}), Code.PROTOCOL_ERROR),
    "a promise": (GREETING + frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), Code.PROTOCOL_ERROR),
    "a frame too long": (GREETING + frame(frames.DATA, 0, 1, bytes(20_000)), Code.FRAME_SIZE_ERROR),
    "data of nobody": (GREETING + frame(frames.DATA, 0, 1, b"1"), Code.PROTOCOL_ERROR),
    "data of a stream of ours": (GREETING + request(3) + frame(frames.DATA, 0, 2, b"1"), Code.PROTOCOL_ERROR),
    "data behind the end": (GREETING + request(1, end=True) + frame(frames.DATA, 0, 1, b"1"), Code.STREAM_CLOSED),
    "headers behind the end": (GREETING + request(1, end=True) + request(1), Code.STREAM_CLOSED),
    "headers in the middle": (GREETING + request(1) + request(1), Code.PROTOCOL_ERROR),
    "headers of no stream": (GREETING + request(0), Code.PROTOCOL_ERROR),
    "headers of a server": (GREETING + request(2), Code.PROTOCOL_ERROR),
    "headers that are none": (GREETING + frame(frames.HEADERS, 4, 1, b"\xff\xff\xff"), Code.COMPRESSION_ERROR),
    "no priority": (GREETING + frame(frames.HEADERS, 4 | 0x20, 1, b"1"), Code.FRAME_SIZE_ERROR),
    "a short priority": (GREETING + frame(frames.PRIORITY, 0, 1, b"1"), Code.FRAME_SIZE_ERROR),
    "all padding": (GREETING + request(1) + frame(frames.DATA, 8, 1, b"\x05"), Code.PROTOCOL_ERROR),
    "headers that stop": (GREETING + frame(frames.HEADERS, 0, 1, BLOCK) + request(3), Code.PROTOCOL_ERROR),
    "headers that go on from nothing": (GREETING + frame(frames.CONTINUATION, 4, 1, BLOCK), Code.PROTOCOL_ERROR),
    "headers without end": (
        GREETING + frame(frames.HEADERS, 0, 1, BLOCK) + frame(frames.CONTINUATION, 0, 1, bytes(16_000)) * 5,
        Code.ENHANCE_YOUR_CALM,
    ),
    "a short ping": (GREETING + frame(frames.PING, 0, 0, b"1"), Code.FRAME_SIZE_ERROR),
    "a ping of a stream": (GREETING + frame(frames.PING, 0, 1, bytes(8)), Code.PROTOCOL_ERROR),
    "a short reset": (GREETING + request(1) + frame(frames.RST_STREAM, 0, 1, b"1"), Code.FRAME_SIZE_ERROR),
    "a reset of nobody": (GREETING + frames.reset(1, Code.CANCEL), Code.PROTOCOL_ERROR),
    "a short increment": (GREETING + frame(frames.WINDOW_UPDATE, 0, 0, b"1"), Code.FRAME_SIZE_ERROR),
    "an increment of nothing": (GREETING + frames.window_update(0, 0), Code.PROTOCOL_ERROR),
    "an increment of nobody's": (GREETING + frames.window_update(1, 1), Code.PROTOCOL_ERROR),
    "increments without end": (GREETING + frames.window_update(0, frames.MAX_WINDOW), Code.FLOW_CONTROL_ERROR),
    "settings that widen too far": (
        GREETING + request(1) + frames.window_update(1, 2**31 - 70_000) + frames.settings({4: 2**31 - 1}),
        Code.FLOW_CONTROL_ERROR,
    ),
}


@pytest.mark.parametrize(("said", "code"), BROKEN.values(), ids=BROKEN.keys())
def test_who_breaks_the_protocol_is_told_so_and_left(said: bytes, code: Code) -> None:
    server = Server()
    kind, _, _, payload = server.told(said)[-1]
    assert (kind, payload[4:8]) == (frames.GOAWAY, code.to_bytes(4))
    assert server.sending.over and len(server.connection) == 0
    assert all(stream.left for stream in server.streams)
    assert server.told(request(5)) == []


def test_more_data_than_the_window_allows_breaks_it() -> None:
    server = Server(window=100).greeted()
    *_, (kind, _, _, payload) = server.told(request(1) + frame(frames.DATA, 0, 1, bytes(101)))
    assert (kind, payload[4:8]) == (frames.GOAWAY, Code.FLOW_CONTROL_ERROR.to_bytes(4))


@pytest.mark.parametrize("more", [0, frames.MAX_WINDOW], ids=["nothing", "too much"])
def test_an_increment_that_cannot_be_ends_its_stream_alone(more: int) -> None:
    server = Server().greeted()
    ((kind, _, id, _),) = server.told(request(1) + frames.window_update(1, more))
    assert (kind, id) == (frames.RST_STREAM, 1)
    assert server.streams[0].left and not server.sending.over


def test_pings_without_end_that_nobody_waits_for_are_too_much() -> None:
    server = Server().greeted()
    server.sending.pause()
    server.connection.receive(frame(frames.PING, 0, 0, bytes(8)) * 10_001)
    assert server.sending.over


# -- what is heard and told ----------------------------------------------------------------------------------------


def test_headers_may_come_in_pieces_with_padding_and_a_priority() -> None:
    server = Server().greeted()
    padded = bytes((3,)) + bytes(5) + BLOCK[:7] + bytes(3)
    server.told(
        frame(frames.HEADERS, frames.PADDED | frames.WITH_PRIORITY, 1, padded)
        + frame(frames.CONTINUATION, 0, 1, BLOCK[7:9])
        + frame(frames.CONTINUATION, frames.END_HEADERS, 1, BLOCK[9:])
    )
    assert server.streams[0].headers == HEADERS


def test_the_same_headers_are_read_once_where_nobody_keeps_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    server, reads = Server().greeted(), list[bytes]()
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    decode = server.connection._decoder.decode
    monkeypatch.setattr(server.connection._decoder, "decode", lambda data: (reads.append(data), decode(data))[1])
    for id in (1, 3, 5, 7):
        server.told(frame(frames.HEADERS, frames.END_HEADERS, id, encoder.encode(HEADERS)))
    assert len(reads) == 2  # the first says that there is no table
    assert [stream.headers for stream in server.streams] == [HEADERS] * 4


def test_headers_by_a_table_mean_what_they_say() -> None:
    """As long as a client has not read our settings."""
    server, encoder = Server().greeted(), hpack.Encoder()
    for id, path in ((1, "/a"), (3, "/b"), (5, "/a"), (7, "/b")):
        server.told(frame(frames.HEADERS, 4, id, encoder.encode([(":path", path), ("x", path)])))
    assert [dict(stream.headers)["x"] for stream in server.streams] == ["/a", "/b", "/a", "/b"]


def test_trailers_end_what_is_heard() -> None:
    server = Server().greeted()
    server.told(request(1) + frame(frames.DATA, 0, 1, b"1") + frame(frames.HEADERS, 5, 1, BLOCK))
    assert (server.streams[0].data, server.streams[0].end) == (b"1", True)


def test_what_nobody_knows_is_passed_over() -> None:
    server = Server().greeted()
    assert server.told(frame(0xB, 0xFF, 1, b"new") + frames.settings({0xF000: 1})) == [(frames.SETTINGS, 1, 0, b"")]


def test_a_ping_is_answered() -> None:
    assert Server().greeted().told(frame(frames.PING, 0, 0, b"12345678")) == [(frames.PING, 1, 0, b"12345678")]


def test_an_answer_may_end_before_its_question() -> None:
    server = Server().greeted()
    server.told(request(1))
    server.streams[0].stream.finish(messages.refusal(5, "no"))
    kinds = [(kind, flags) for kind, flags, _, _ in split(server.sending.taken_out())]
    assert kinds == [(frames.HEADERS, 5), (frames.RST_STREAM, 0)]
    assert server.told(frame(frames.DATA, 1, 1, b"late") + frames.reset(1, Code.CANCEL)) == []
    assert not server.sending.over


def test_who_gives_up_is_not_answered() -> None:
    server = Server().greeted()
    server.told(request(1) + frames.reset(1, Code.CANCEL))
    (heard,) = server.streams
    heard.stream.send(b"1")
    heard.stream.finish(messages.ENDING)
    assert heard.left and not server.sending.out


def test_who_leaves_takes_no_more_and_ends_what_he_has() -> None:
    server = Server(echo).greeted()
    server.told(request(1))
    server.connection.leave()
    ((kind, _, _, payload),) = split(server.sending.taken_out())
    assert (kind, payload) == (frames.GOAWAY, (1).to_bytes(4) + Code.NO_ERROR.to_bytes(4))
    refused, *answered = server.told(request(3) + frame(frames.DATA, 1, 1, b"1"))
    assert refused == (frames.RST_STREAM, 0, 3, Code.REFUSED_STREAM.to_bytes(4))
    assert [id for _, _, id, _ in answered] == [1, 1, 1]


# -- flow control --------------------------------------------------------------------------------------------------


def test_nothing_is_asked_for_that_was_not_taken() -> None:
    server = Server(window=100).greeted()
    assert server.told(request(1) + frame(frames.DATA, 0, 1, bytes(100))) == []
    server.streams[0].stream.take(60)
    assert split(server.sending.taken_out()) == [(frames.WINDOW_UPDATE, 0, 1, (60).to_bytes(4))]
    assert server.told(frame(frames.DATA, 0, 1, bytes(60))) == []


def test_what_the_windows_do_not_allow_waits_and_then_goes_out_in_turn() -> None:
    server = Server()
    server.told(frames.PREFACE + frames.settings({4: 10}) + request(1) + request(3))
    for heard in server.streams:
        heard.stream.send(b"0123456789abcdef")
        heard.stream.finish(messages.ENDING)
    sent = split(server.sending.taken_out())
    assert [(id, data) for _, _, id, data in sent] == [(1, b"0123456789"), (3, b"0123456789")]
    assert [heard.stream.queued for heard in server.streams] == [6, 6]
    told = server.told(frames.window_update(3, 100) + frames.window_update(1, 6))
    assert [(id, data) for kind, _, id, data in told if kind == frames.DATA] == [(3, b"abcdef"), (1, b"abcdef")]
    assert [id for kind, flags, id, _ in told if kind == frames.HEADERS and flags & 1] == [3, 1]


def test_a_smaller_window_may_be_less_than_nothing() -> None:
    server = Server().greeted()
    server.told(request(1))
    server.streams[0].stream.send(bytes(1000))
    server.sending.taken_out()
    server.told(frames.settings({4: 500}))
    server.streams[0].stream.send(b"more")
    assert not server.sending.out
    assert [data for _, _, _, data in server.told(frames.window_update(1, 500))] == []
    assert [data for _, _, _, data in server.told(frames.window_update(1, 2))] == [b"mo"]


def test_while_the_peer_takes_nothing_all_wait() -> None:
    server = Server().greeted()
    server.told(request(1))
    server.sending.pause()
    server.streams[0].stream.send(b"1")
    assert not server.sending.out and server.streams[0].drains == 0
    server.sending.resume()
    assert server.sending.out and server.streams[0].drains == 1


def test_nothing_said_while_the_peer_takes_nothing_does_not_keep_the_end_back() -> None:
    server = Server().greeted()
    server.told(request(1))
    server.sending.pause()
    server.streams[0].stream.send(b"")
    server.streams[0].stream.finish(messages.ENDING)
    server.sending.resume()
    assert len(server.connection) == 0


def test_what_waits_for_one_window_costs_the_same_however_many_wait_for_theirs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server, looks, look = Server(), list[int](), Sending._send_some
    server.told(frames.PREFACE + frames.settings({4: 0}) + b"".join(request(id) for id in range(1, 400, 2)))
    monkeypatch.setattr(Sending, "_send_some", lambda self, one: looks.append(one.id) or look(self, one))
    for heard in server.streams:
        heard.stream.send(b"0123456789")
    assert len(looks) <= 2 * len(server.streams)


def test_one_long_answer_does_not_keep_the_others_waiting() -> None:
    server = Server()
    server.told(frames.PREFACE + frames.settings({4: 2**30}) + request(1) + request(3))
    long, short = server.streams
    server.sending.pause()
    long.stream.send(bytes(1_000_000))
    short.stream.send(b"short")
    server.sending.resume()
    sent = [id for _, _, id, _ in split(server.sending.taken_out())]
    assert 3 not in sent  # the connection's window was for one turn
    ids = [id for _, _, id, _ in server.told(frames.window_update(0, 200_000))]
    assert ids.index(3) < len(ids) - 1 and ids.count(1) > 1


# -- messages ------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300)), st.lists(st.integers(1, 50), min_size=1))
def test_messages_are_whole_however_they_are_cut(said: list[bytes], pieces: list[int]) -> None:
    reader, data, heard, turn = messages.Messages(300), b"".join(map(messages.framed, said)), list[bytes](), 0
    while data:
        size = pieces[turn % len(pieces)]
        turn += 1
        heard += reader.feed(data[:size])
        data = data[size:]
    assert heard == said and not reader.begun


@pytest.mark.parametrize("cut", [1, 3, 100])
def test_a_message_that_is_too_long_is_known_by_its_head(cut: int) -> None:
    head = b"\0" + (301).to_bytes(4)
    reader = messages.Messages(300)
    with pytest.raises(messages.TooLong):
        for at in range(0, 5, cut):
            reader.feed(head[at : at + cut])


def test_a_compressed_message_cannot_be_read() -> None:
    with pytest.raises(messages.Compressed):
        messages.Messages(300).feed(b"\1" + bytes(4))


@given(st.text(max_size=400))
def test_words_at_the_end_can_be_read_by_others(words: str) -> None:
    from urllib.parse import unquote

    read = dict(hpack.Decoder().decode(messages.ending(13, words)))
    assert read["grpc-status"] == "13"
    assert unquote(str(read.get("grpc-message", ""))) == words.encode("utf-8", "replace").decode()
