"""The neutral model: what a client asked and what a model answered, in no vendor's words.

Every dialect parses into these values and renders out of them, so that N dialects need N readers and N
writers instead of N x N translators. What one vendor alone understands rides along as `Opaque` or in `extras`:
its own dialect puts it back untouched, every other one says that it was left out.

Nobody changes any of them. Those that a request has by the hundreds are not frozen all the same: Python takes four
times as long to make one that is.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Role = Literal["system", "user", "assistant"]
StopReason = Literal["end", "length", "stop_sequence", "tool_calls", "refusal", "pause"]


@dataclass(frozen=True, slots=True)
class Citation:
    """What words rest on, told behind them: a page of the web (`url`), or what `dialect` alone can say of it (`raw`).

    It stands for the letters from `since` to `until`, both counted back from where it is told; `quote` are words of
    the source. No dialect: `raw` is our own translation, and nobody's to take back.
    """

    dialect: str = field(compare=False)
    raw: Json = field(compare=False)
    url: str = ""
    title: str = ""
    quote: str = field(default="", compare=False)
    since: int = 0
    until: int = 0


@dataclass(slots=True, unsafe_hash=True)
class Text:
    """`citations` are told at its end. `refusal`: with these words the model declined."""

    text: str
    citations: tuple[Citation, ...] = ()
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """Either `data` (base64, with its media type) or `url`. `detail`: how closely to look, in OpenAI's words."""

    media_type: str = ""
    data: str = ""
    url: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A file such as a PDF: `data` (base64, with its media type), `url`, or plain `text`.

    `context` is what the client says about it; `cited`: the answer is to say which words of it it rests on.
    """

    media_type: str = ""
    data: str = ""
    url: str = ""
    text: str = ""
    title: str = ""
    context: str = ""
    cited: bool = False


@dataclass(slots=True, unsafe_hash=True)
class Thinking:
    """A model's reasoning, and the state that binds it to its maker: nobody else is shown either.

    `signature` is the state in the maker's own form: Anthropic's signature or redacted data, OpenAI's whole item as
    JSON. `maker` is a model as provider/name, or the dialect where the client said no more. `hidden`: the maker shows
    no words of it.
    """

    text: str
    signature: str = ""
    maker: str = ""
    hidden: bool = False


@dataclass(slots=True, unsafe_hash=True)
class ToolCall:
    """`arguments` is the JSON text as the model wrote it; it may be broken, and then stays so.

    `state` is what its maker signed the call with, as Gemini does; see Thinking.
    """

    id: str
    name: str
    arguments: str
    state: str = ""
    maker: str = ""


@dataclass(slots=True, unsafe_hash=True)
class ToolResult:
    call_id: str
    parts: "tuple[Text | Image | Document | Opaque, ...]"
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Search:
    """A search of the web that the vendor made for the model, and the pages it found, as (address, title).

    `raw` are the blocks of `dialect` that told it; no dialect: they are our own translation.
    """

    id: str = field(compare=False)
    query: str
    pages: tuple[tuple[str, str], ...] = ()
    error: str = field(default="", compare=False)
    dialect: str = field(default="", compare=False)
    raw: tuple[Json, ...] = field(default=(), compare=False)


@dataclass(slots=True, unsafe_hash=True)
class Opaque:
    """A content block that only `dialect` understands, as it came."""

    dialect: str
    kind: str
    raw: Json


Part = Text | Image | Document | Thinking | ToolCall | ToolResult | Search | Opaque


@dataclass(slots=True, unsafe_hash=True)
class Message:
    role: Role
    parts: tuple[Part, ...]


@dataclass(slots=True, unsafe_hash=True)
class Tool:
    """A function that the model may call; `schema` is the JSON schema of its arguments.

    `strict`: whether the arguments must match it to the letter, where the client said so. `freeform`: how a tool that
    takes plain text is declared in its own dialect; for everybody else it is a function with one string, `input`.
    `space` is the namespace and the name in it, where the client knows it by both.
    """

    name: str
    description: str
    schema: Json
    strict: bool | None = None
    freeform: Json | None = None
    space: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class WebSearch:
    """The vendor's own search of the web, offered to the model.

    `uses`: how many searches at most; `only` and `never`: domains; `near`: city, region, country and timezone of the
    user; `depth`: how much to read, in OpenAI's words.
    """

    uses: int | None = None
    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    near: Json = field(default_factory=dict)
    depth: str = ""


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`named` asks for the tool `name`, `web_search` for the vendor's own; `required` for any of them."""

    mode: Literal["auto", "none", "required", "named"]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Reasoning:
    """How hard to think: an effort word, a token budget, or off. Unset fields are the vendor's choice.

    `implied`: an effort was named, and whether to think was left to the model.
    """

    enabled: bool
    effort: str = ""
    budget: int | None = None
    implied: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class OutputSchema:
    """Structured output: a JSON object of the given schema, or any JSON object when `schema` is None."""

    name: str = ""
    schema: Json | None = None
    strict: bool = False
    description: str = ""


@dataclass(slots=True, unsafe_hash=True)
class Conversation:
    """One request. `messages` keep the client's order; system words in mid-conversation stay in place.

    `metadata` and `extras` are words of `dialect`, the one that the client spoke: no other may repeat them.
    `vendor_tools` are the kinds of tools in `extras` that their vendor runs itself; `search` is the one that others
    have, too. `verbosity`: how much to write, in OpenAI's words; `user`: who it is that asks. `words` are the roles and
    the fields of messages that the client used, for the vendors that refuse some of them; `source` are its messages as
    they came, for targets that take them with a block more or less.
    """

    model: str
    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    search: WebSearch | None = None
    vendor_tools: tuple[str, ...] = field(default=(), compare=False)
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    stream: bool = False
    reasoning: Reasoning | None = None
    output_schema: OutputSchema | None = None
    verbosity: str = ""
    user: str = ""
    metadata: Json = field(default_factory=dict)
    extras: Json = field(default_factory=dict)
    dialect: str = ""
    words: frozenset[str] = field(default=frozenset(), compare=False)
    source: tuple[Json, ...] = field(default=(), compare=False)


# -- replies ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `input` counts what was read anew; `cached` and `cache_write` come on top of it, not within. `hour_write`
    is the part of `cache_write` that is kept for an hour. `searches` of the web are no tokens, but cost as well.

    None means that the vendor did not say; it is not zero.
    """

    input: int | None = None
    cached: int | None = None
    cache_write: int | None = None
    output: int | None = None
    reasoning: int | None = None
    hour_write: int | None = None
    searches: int | None = None


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    id: str
    model: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """`refusal`: with these words the model declines."""

    text: str
    refusal: bool = False


@dataclass(frozen=True, slots=True)
class TextEnded:
    """The text so far is a piece of its own, and rests on `citations`.

    `apart`: what follows is another text; else it goes on in the same sentence, as Anthropic's cited blocks do.
    """

    citations: tuple[Citation, ...] = ()
    apart: bool = False


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """`signature` comes last, in an event of its own with empty text. `hidden`: there was no text before it."""

    text: str
    signature: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class ToolCallStarted:
    """`index` tells parallel calls apart within one reply; `state` is what the maker signed the call with."""

    index: int
    id: str
    name: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    index: int
    arguments: str


@dataclass(frozen=True, slots=True)
class OpaqueBlock:
    """A finished block of the reply that only `dialect` understands (a server tool's result, say)."""

    dialect: str
    kind: str
    raw: Json


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    reason: StopReason
    usage: Usage = Usage()
    stop_sequence: str = ""


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """An error that arrived inside the reply, after a good status.

    `odd`: it had a shape that the official client of its dialect reads over.
    """

    kind: str
    message: str
    odd: bool = field(default=False, compare=False)


ReplyEvent = (
    ReplyStarted
    | TextDelta
    | TextEnded
    | ThinkingDelta
    | ToolCallStarted
    | ToolCallDelta
    | Search
    | OpaqueBlock
    | ReplyEnded
    | ReplyFailed
)
Content = TextDelta | ThinkingDelta | ToolCallStarted | ToolCallDelta | Search | OpaqueBlock


def is_content(event: ReplyEvent) -> bool:
    """Whether the event is something a user could see, so that there is no going back to another model."""
    match event:
        case TextDelta(text) | ThinkingDelta(text):
            return text != ""
        case ToolCallStarted() | Search() | OpaqueBlock():
            return True
    return False


# -- errors ----------------------------------------------------------------------------------------------------


class BadRequest(ValueError):
    """The client's request cannot be understood. `status` is what HTTP calls it; the message says what to do."""

    def __init__(self, message: str, *, status: int = 400, kind: str = "invalid_request_error") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind

    @property
    def failure(self) -> "Failure":
        return Failure(self.status, self.kind, self.message)


@dataclass(frozen=True, slots=True)
class Failure:
    """An error on its way to the client, in no dialect yet.

    `kind` is Anthropic's error type (`invalid_request_error`, `overloaded_error`, ...), the richest vocabulary
    of the field; each dialect maps it to its own words. `odd`: the vendor said it in a shape that the official
    client of its dialect does not read.
    """

    status: int
    kind: str
    message: str
    odd: bool = field(default=False, compare=False)


TOO_LONG = "prompt is too long"  # the words on which Claude Code compacts, whoever says it first
KIND_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
