"""Whether what a provider says is an answer, found out while nothing of it has reached the client. Pure.

A `Judge` hears the answer up to its first content and says what it is: a `Judgement`, or None while that is open.
"""

from dataclasses import dataclass, replace

from router_service import refusals
from router_service.conversation import KIND_BY_STATUS, Failure, ReplyEvent, ReplyFailed, is_content
from router_service.dialects.dialect import Dialect
from router_service.events import Headers, ResponseHeaders
from router_service.exchange import Exchange
from router_service.plan import Candidate
from router_service.refusals import Lack
from router_service.retelling import MAX_HELD, TOO_MUCH, Retelling
from router_service.verdict import (
    brief,
    failure_in,
    in_words,
    is_event_stream,
    is_full,
    lacks_model,
    meant,
    retry_after,
    scrubbed,
    status_of,
)

MAX_HELD_STREAM = 1024 * 1024  # bytes of a stream that has shown no content
MAX_ERROR = 256 * 1024
_OURS_TO_MEND = frozenset({401, 402, 403, 404, 408, 409, 421, 425, 429})  # our key, our model name, our quota
_OF_THE_ACCOUNT = frozenset({"rate_limit_error", "billing_error", "authentication_error", "overloaded_error"})
_COME_BACK = frozenset({413, 429, 503, 529})  # after a while


@dataclass(frozen=True, slots=True)
class Begun:
    """A stream has shown its first content: its bytes up to there, and what they say. `end`: it is all there."""

    held: bytes
    events: list[ReplyEvent]
    end: bool


@dataclass(frozen=True, slots=True)
class Whole:
    """All of an answer. `body` is its JSON, None when it came as a stream."""

    events: list[ReplyEvent]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Full:
    """Envoy has not asked, for as much is under way with the candidate as may be."""


@dataclass(frozen=True, slots=True)
class Failed:
    """No answer. `brief` are the words without the provider's own; `status` is 0 where it means nothing."""

    words: str
    status: int = 0
    brief: str = ""


@dataclass(frozen=True, slots=True)
class Unfit:
    """This candidate cannot take the request, for what it lacks; `words` say so. `body` is its own refusal."""

    lack: Lack
    failure: Failure
    words: str
    brief: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A genuine client error: nobody else would take the request either. `body` is the provider's own refusal."""

    failure: Failure
    brief: str
    body: bytes


Judgement = Begun | Whole | Full | Failed | Unfit | Refused


class Judge:
    """`headers` are the provider's; `wait`: the seconds after which it wants to be asked again, where it says so."""

    def __init__(self, exchange: Exchange, candidate: Candidate, retelling: Retelling, dialect: Dialect) -> None:
        """`dialect` is the one that the candidate is asked in."""
        self._exchange, self._candidate, self._retelling, self._dialect = exchange, candidate, retelling, dialect
        self.headers: Headers = {}
        self.wait = ""
        self._status = 0
        self._details = ""
        self._streamed = False
        self._held = bytearray()
        self._events: list[ReplyEvent] = []

    def hear(self, event: ResponseHeaders) -> Judgement | None:
        self._status, self.headers, self._details = event.status, event.headers, event.details
        try:
            self._retelling.expect(event.headers.get("content-encoding", ""))
        except ValueError as error:
            return Failed(str(error))
        self._streamed = event.status == 200 and is_event_stream(event.headers)
        return self.feed(b"", end=True) if event.end else None

    def feed(self, chunk: bytes, *, end: bool) -> Judgement | None:
        try:
            chunk = self._retelling.unpack(chunk)
        except ValueError as error:
            return Failed(str(error))
        self._held += chunk
        if self._streamed:
            return self._judge_stream(chunk, end=end)
        if len(self._held) > (MAX_HELD if self._status < 400 else MAX_ERROR):
            return Failed(TOO_MUCH)
        return self._judge_whole(bytes(self._held)) if end else None

    def _judge_stream(self, chunk: bytes, *, end: bool) -> Judgement | None:
        fresh = self._retelling.read(chunk, end)
        self._events += fresh
        if not self._exchange.conversation.stream:  # the client wants one object: hold it to the end
            if len(self._held) > MAX_HELD:
                return Failed(TOO_MUCH)
            return self._judge_events(None) if self._retelling.ended or end else None
        failure = self._retelling.failed
        if failure:  # nothing has gone out yet, whatever came before it
            return self._failed(failure, "failed before its first content: ")
        if any(map(is_content, fresh)) or self._acceptable_empty():
            return self._begun(end=end)
        if self._retelling.ended or end:
            return Failed("sent an empty answer")
        return Failed("sent a stream without content") if len(self._held) > MAX_HELD_STREAM else None

    def _begun(self, *, end: bool) -> Begun:
        begun = Begun(bytes(self._held), self._events, end)
        self._held.clear()
        self._events = []
        return begun

    def _judge_whole(self, body: bytes) -> Judgement:
        """An unstreamed answer or an error, complete."""
        if self._status != 200:
            return self._judge_error(body)
        try:
            self._events = self._retelling.read_whole(body)
        except ValueError:
            return Failed("sent something that is no answer of its API")
        return self._judge_events(body)

    def _judge_events(self, body: bytes | None) -> Whole | Failed:
        """A whole answer; `body` is its JSON, None when it came as a stream."""
        failure = failure_in(self._events)
        if failure:
            return self._failed(failure)
        if not any(map(is_content, self._events)) and not self._acceptable_empty():
            return Failed("sent an empty answer")
        return Whole(self._events, body)

    def _acceptable_empty(self) -> bool:
        """A reply that ended in order and says nothing: fine after tool results, for a probe, or cut by its limit."""
        after_tools, ended = self._exchange.intent.kind != "user turn", self._retelling.ended
        if ended is None or any(isinstance(event, ReplyFailed) for event in self._events):
            return False
        return after_tools or ended.reason != "end"

    def _failed(self, failure: ReplyFailed, before: str = "") -> Failed:
        words = f"{before}{scrubbed(failure.message, self._candidate.secret)}"
        return Failed(words, status_of(failure), brief(self._status, failure))

    # -- errors -----------------------------------------------------------------------------------------------

    def _judge_error(self, body: bytes) -> Judgement:
        failure = self._dialect.parse_error(self._status, body)
        if self._details and is_full(self._details) and self._status == 503:
            return Full()
        if self._details and not self._details.startswith("via_upstream"):
            return Failed(in_words(self._details, body), self._status)
        if self._status in _COME_BACK:
            self.wait = retry_after(self.headers, body)
        status, short = meant(failure), brief(self._status, failure)
        said = replace(failure, message=scrubbed(failure.message, self._candidate.secret))
        words = f"answered {self._status} ({said.message})"
        lack = refusals.lacking(failure) if failure.kind not in _OF_THE_ACCOUNT else None
        if lack:
            return Unfit(lack, self._as_refusal(said), words, short, body)
        ours = status in _OURS_TO_MEND or status >= 500 or status < 400 or failure.kind == "rate_limit_error"
        if ours or lacks_model(failure):
            return Failed(words, status, short)
        return Refused(said, short, body)

    def _as_refusal(self, failure: Failure) -> Failure:
        """Some call it a 404 or a 500, which the client would take for something else."""
        if self._status in refusals.STATUSES:
            return failure
        return replace(failure, status=400, kind=KIND_BY_STATUS[400], odd=True)
