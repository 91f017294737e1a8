"""A provider's answer, read as it comes and told again in the client's dialect: as it is where both speak the same.

Pure. What becomes of the answer is `attempt`'s to say.
"""

from router_service import fast_json
from router_service.conversation import ReplyEnded, ReplyEvent, ReplyFailed, ReplyStarted, TextDelta, Usage
from router_service.dialects.dialect import Addressee, Dialect, Reader, Writer
from router_service.dialects.parts.names import long_names, restored
from router_service.dialects.parts.seals import Sealer
from router_service.exchange import Exchange
from router_service.inflate import Inflater
from router_service.model_field import rename_stream, replace_fields
from router_service.plan import Candidate
from router_service.sse import EventDecoder, WholeEvents, first_events
from router_service.verdict import EVENT_STREAM, failure_in, json_object, until_failure, wants_usage

MAX_HELD = 64 * 1024 * 1024  # bytes of an unstreamed answer, or of one in translation, whose text is kept for its end
TOO_MUCH = "answered more than the gateway can hold"


class Retelling:
    """`usage`, `model` and `ended`: what the answer has said of itself so far; `broke_off`: its stream ended before it
    did; `declined`: the model will not; `failed`: what failed in the piece of a stream that was read last.
    """

    def __init__(self, exchange: Exchange, candidate: Candidate, dialect: Dialect) -> None:
        """`dialect` is the one that the candidate is asked in."""
        self._exchange, self._candidate, self._dialect = exchange, candidate, dialect
        self.same = dialect is exchange.dialect
        self.usage = Usage()
        self.model = ""
        self.ended: ReplyEnded | None = None
        self.broke_off = False
        self.declined = False
        self.failed: ReplyFailed | None = None
        self._inflater: Inflater | None = None  # none where nothing is packed
        self._decoder = EventDecoder()
        self._reader: Reader = dialect.reader()
        self._long_names = {} if self.same else long_names(exchange.conversation)
        self._sealer = self._new_sealer()
        self._whole_events = WholeEvents()
        self._writer: Writer | None = None
        self._unreadable: int | None = None  # which event of the last chunk the client's own reader would stumble over

    # -- read -------------------------------------------------------------------------------------------------

    def expect(self, encoding: str) -> None:
        """How the body is packed. Raises ValueError where we cannot unpack it."""
        self._inflater = Inflater(encoding) if encoding else None

    def unpack(self, chunk: bytes) -> bytes:
        """Raises ValueError."""
        return self._inflater.feed(chunk) if self._inflater else chunk

    def read(self, chunk: bytes, end: bool) -> list[ReplyEvent]:
        """What a piece of a stream says."""
        fresh: list[ReplyEvent] = []
        self._unreadable = self.failed = None
        for at, sse in enumerate(self._decoder.feed(chunk)):
            read = self._reader.feed(sse)
            if failure := failure_in(read):
                self.failed = self.failed or failure
                self._unreadable = at if failure.odd else self._unreadable
            fresh += read
        if end:
            unsaid = self._reader.close()
            failure = failure_in(unsaid)
            self.broke_off = failure is not None
            self.failed = self.failed or failure
            fresh += unsaid
        return self._noted(fresh)

    def read_whole(self, body: bytes) -> list[ReplyEvent]:
        """What an answer says that is not streamed. Raises ValueError where it is none."""
        return self._noted(self._dialect.parse_reply(json_object(body)))

    def _noted(self, events: list[ReplyEvent]) -> list[ReplyEvent]:
        for event in events:
            match event:
                case TextDelta(refusal=refusal):  # most are
                    self.declined = self.declined or refusal
                case ReplyStarted(model=model, usage=usage):
                    self.model, self.usage = model, usage
                case ReplyEnded(usage=usage):  # of all that was told
                    self.usage = usage
                    self.ended = event
        return restored(events, self._long_names) if self._long_names else events

    # -- told again -------------------------------------------------------------------------------------------

    def begin(self, held: bytes, events: list[ReplyEvent], *, end: bool) -> bytes:
        """All of a stream up to its first content."""
        if not self.same:
            self._writer = self._new_writer()
        elif self._exchange.names_models_strictly:
            held = rename_stream(held, self._exchange.conversation.model)
        return self.tell(held, events, end=end)

    def tell(self, chunk: bytes, events: list[ReplyEvent], *, end: bool) -> bytes:
        """A piece of a stream that has begun; `events` is what was read of it. `end`: and it ends well with it."""
        end = end and not self.broke_off
        if self.same:
            chunk = chunk if self._unreadable is None else first_events(chunk, self._unreadable)
            return self._whole_events.feed(self._sealer.feed(chunk, end=end) if self._sealer else chunk, end=end)
        assert self._writer is not None
        return b"".join(map(self._writer.feed, until_failure(events) if self.failed else events))

    def tell_whole(self, events: list[ReplyEvent], body: bytes | None) -> tuple[bytes, str]:
        """The answer in the form that the client asked for, and its content type. `body` is its JSON, None when it came
        as a stream.
        """
        conversation = self._exchange.conversation
        if conversation.stream:
            return b"".join(map(self._new_writer().feed, events)), EVENT_STREAM
        if body is None or not self.same:
            reply = self._exchange.dialect.render_reply(events, self._addressee())
            return fast_json.dumps(reply), "application/json"
        body = self._sealer.whole(body) if self._sealer else body
        if self._exchange.names_models_strictly:
            body = replace_fields(body, {"model": conversation.model})
        return body, "application/json"

    def _new_sealer(self) -> Sealer | None:
        """Where several models speak the client's dialect, it must come back whose reasoning is whose."""
        if not self.same:
            return None
        dialect, maker = self._dialect, self._candidate.maker
        return Sealer(dialect, maker) if maker in self._exchange.plan.sealed.get(dialect.name, ()) else None

    def _new_writer(self) -> Writer:
        return self._exchange.dialect.writer(self._addressee())

    def _addressee(self) -> Addressee:
        conversation = self._exchange.conversation
        return Addressee(
            model=conversation.model,
            include_usage=wants_usage(conversation),
            created=int(self._exchange.wall),
            maker=self._candidate.maker,
            plain=frozenset(tool.name for tool in conversation.tools if tool.freeform),
            spaces={tool.name: tool.space for tool in conversation.tools if tool.space},
        )
