"""What the shell is to do, as the two machines say it."""

from dataclasses import dataclass

from router_service.caching import Entry, Keeping
from router_service.config import Identity
from router_service.conversation import Failure
from router_service.dialects.dialect import Dialect
from router_service.events import Headers
from router_service.feedback import Feedback
from router_service.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Proceed:
    """Let the message pass as it is."""


@dataclass(frozen=True, slots=True)
class Respond:
    """Answer the client ourselves. `retry`: this attempt has failed, let Envoy take the next candidate; `next`: the
    same, but nobody has failed.
    """

    status: int
    headers: Headers
    body: bytes
    retry: bool = False
    next: bool = False


@dataclass(frozen=True, slots=True)
class Advise:
    """Let the message pass, with these headers set and those taken away; the request is routed anew by them."""

    headers: Headers
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """Ask the router model how well each preference fits."""

    ask: str
    context: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recall:
    """Fetch these sessions, and these counts of what was spent, from where they are kept; then come back with
    Recalled."""

    keys: tuple[str, ...] = ()
    counts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """See what the cache holds, or wait for who is just asking the same, for `patience` seconds; then come back with
    Found. Whoever gets None asks, and others wait for `exchange` until it has ended; not where it asks `alone`, as what
    it gets cannot be kept: then it is only seen what there is."""

    keeping: Keeping
    exchange: str
    patience: float
    alone: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """For the cache, and for whoever waits for it."""

    key: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Choose:
    """Send the exchange's id, instead of the body, down this chain; `patience` is for each attempt, in seconds."""

    chain: str
    exchange: str
    attempts: int
    patience: float


@dataclass(frozen=True, slots=True)
class Tell:
    """Answer with what is counted; `headers` go with it."""

    headers: Headers


@dataclass(frozen=True, slots=True)
class Rate:
    """Keep what a user says of an answer, if it was `caller`'s; then come back with Rated."""

    feedback: Feedback
    caller: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the provider: `headers` are all that it gets, but for what proves the `identity`.

    Should the provider tear its answer, Envoy has to speak for itself: in its log it names exchange and number of the
    try (`attempt`), to the client of this `dialect` it says whose answer it was (`model`, as a header may carry it).
    """

    cluster: str
    headers: Headers
    body: bytes
    identity: Identity | None = None
    attempt: str = ""
    dialect: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """Let the response headers go, with these set and those taken away."""

    headers: Headers
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    chunk: bytes
    end: bool = False


@dataclass(frozen=True, slots=True)
class Wake:
    """Come back with a Tick after so many seconds, unless another Wake follows first."""

    after: float


@dataclass(frozen=True, slots=True)
class Record:
    outcome: Outcome


Effect = (
    Proceed
    | Respond
    | Advise
    | Tell
    | Rate
    | Recall
    | Score
    | Look
    | Keep
    | Choose
    | Ask
    | Release
    | Send
    | Wake
    | Record
)


def error_reply(dialect: Dialect, failure: Failure, headers: Headers, *, retry: bool = False) -> Respond:
    body = dialect.render_error(failure)
    return Respond(failure.status, {"content-type": "application/json", **headers}, body, retry=retry)


def header_value(text: str) -> str:
    """Text as a header may carry it: one line, other scripts as percent-encoded UTF-8 (like a URL)."""
    line = " ".join(text.split())
    if line.isascii() and line.isprintable():
        return line
    return "".join(char if " " <= char <= "~" else "".join(f"%{byte:02X}" for byte in char.encode()) for char in line)
