"""What a wire format must be able to do: requests, replies, streams and errors, to and from the neutral model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from router_service.conversation import Conversation, Failure, Json, ReplyEvent
from router_service.sse import ServerSentEvent


@dataclass(slots=True, unsafe_hash=True)  # never changed; a frozen one takes twice as long to make, at each request
class Target:
    """The model that a request is rendered for, and what it cannot take.

    The facts that concern the body, of the model and of its provider's API; see `providers/provider.py`. `maker` is its
    name as provider/model: whose state of reasoning it may be shown. `room` is what its window leaves for the answer,
    in tokens, where that may be less than it writes.
    """

    model: str
    max_output: int | None = None
    token_field: str = "max_tokens"  # noqa: S105 - the name of a field, not a password
    reasoning: bool = False
    thinking: Literal["", "budget", "adaptive"] = ""
    sampling: bool = True
    stop: bool = True
    system: bool = True
    inline_system: bool = True
    tools: bool = True
    images: bool = True
    refuses: frozenset[str] = frozenset()
    thoughts: str = ""
    tool_id_length: tuple[int, int] | None = None
    strict_order: bool = False
    refuses_in_messages: frozenset[str] = frozenset()
    knows: frozenset[str] = frozenset()
    vendor_tools: frozenset[str] | None = None
    accounts: bool = True
    maker: str = ""
    signs_calls: bool = False
    documents: bool = True
    documents_as_images: bool = False
    prefill: bool = True
    structured: bool = True
    verbosity: bool = False
    efforts: tuple[str, ...] = ()
    description_length: int | None = None
    forcing: Literal["", "unthinking", "any", "never", "auto"] = ""
    hottest: float = 2.0
    most_stops: int = 4
    schema_beside_tools: bool = True
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """A request body for the target, and in words what had to be left out or changed to fit."""

    body: Json
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Addressee:
    """What a reply has to know of its request.

    `model` as the client called it; `include_usage`: it wants a stream to say what it cost; `created`: when the reply
    began, in seconds since 1970, for the dialects that say it; `maker`: the model that answered, as provider/name,
    with which its state of reasoning is sealed; `plain`: the names of tools that take plain text; `spaces`: namespace
    and name in it of tools that the client knows by both.
    """

    model: str
    include_usage: bool = True
    created: int = 0
    maker: str = ""
    plain: frozenset[str] = frozenset()
    spaces: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counter:
    """Where this dialect's tokens are counted: the clients' path, and what follows a provider's base URL.

    `fields` are those of a request that the count is asked with; `beside` stands beside `input_tokens` in its answer.
    """

    path: str
    upstream_path: str
    fields: frozenset[str]
    beside: tuple[tuple[str, str], ...] = ()

    def answer(self, tokens: int) -> Json:
        return {**dict(self.beside), "input_tokens": tokens}


class Reader(Protocol):
    """Reads a streamed reply: events of the wire in, neutral events out."""

    def feed(self, event: ServerSentEvent) -> list[ReplyEvent]: ...

    def close(self) -> list[ReplyEvent]:
        """The stream has ended: what is still to be said (a ReplyFailed when it ended too soon)."""
        ...


class Writer(Protocol):
    """Writes a streamed reply: neutral events in, bytes of the wire out."""

    def feed(self, event: ReplyEvent) -> bytes: ...


class Dialect(Protocol):
    """`paths` are where clients ask; `upstream_path` is what follows a provider's base URL. `counter`: None where the
    dialect has no way to ask how many tokens a request comes to.

    `headers` are what its vendors want to be told with every request; `states` the words that stand in every event or
    reply with a state of reasoning, which `sealed` seals.
    """

    name: str
    paths: tuple[str, ...]
    upstream_path: str
    headers: tuple[tuple[str, str], ...]
    states: tuple[bytes, ...]
    counter: Counter | None

    def sealed(self, told: Json, maker: str) -> Json:
        """An event or a whole reply, as the vendor sent it, with its states of reasoning under the maker's seal."""
        ...

    def parse_request(self, body: Json) -> Conversation:
        """Raises BadRequest in words that tell the client what to mend."""
        ...

    def render_request(self, conversation: Conversation, target: Target) -> Rendered: ...

    def takes(self, conversation: Conversation, target: Target) -> bool:
        """Whether the client's own bytes, in this dialect, suit the target once `adapt` has been applied."""
        ...

    def adapt(self, conversation: Conversation, target: Target, warnings: list[str]) -> dict[str, Any]:
        """Top-level fields of the client's own body that must change for the target; None takes one out."""
        ...

    def parse_reply(self, body: Json) -> list[ReplyEvent]:
        """A whole reply as the events its stream would have had. ValueError when it is not a reply."""
        ...

    def render_reply(self, events: Sequence[ReplyEvent], to: Addressee) -> Json: ...

    def reader(self) -> Reader: ...

    def writer(self, to: Addressee) -> Writer: ...

    def parse_error(self, status: int, body: bytes) -> Failure:
        """A vendor's error answer; a body that is none of its own still yields a Failure."""
        ...

    def render_error(self, failure: Failure) -> bytes: ...

    def render_error_event(self, failure: Failure) -> bytes:
        """The error as the last event of a stream that has already begun."""
        ...
