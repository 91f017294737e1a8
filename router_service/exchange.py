"""One client request, kept in memory under an id until its answer ends; and the words its two hops speak.

`Event` is what Envoy shows, `Effect` what is to be done about it. `Selection` and `Attempt` turn the one into the
other and do nothing else: no I/O, no clock. Times are seconds on whatever clock the shell passes in.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from router_service import allowance
from router_service.budgets import Asker
from router_service.caching import Entry, Keeping
from router_service.config import Identity, RetryBudget
from router_service.conversation import Conversation, Failure, Usage
from router_service.dialects.dialect import Dialect
from router_service.feedback import Feedback
from router_service.intent import Intent
from router_service.needs import Needs
from router_service.outcome import GONE, AttemptOutcome, Outcome, Trace
from router_service.plan import Candidate, Plan
from router_service.policies.policy import Decision, Scores
from router_service.signals import Signal

Headers = Mapping[str, str]
MAX_KEPT = 2000  # characters of a stranger's words in an outcome: five hundred of those are kept
MAX_NAME = 200
_TRACEPARENT = 55  # characters, in the only version there is

# -- events: what Envoy and the clock say ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RequestHeaders:
    headers: Headers
    end: bool = False


@dataclass(frozen=True, slots=True)
class RequestBody:
    body: bytes


@dataclass(frozen=True, slots=True)
class Scored:
    scores: Scores


@dataclass(frozen=True, slots=True)
class Recalled:
    """The sessions are here, or cannot be had."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the cache holds; None: ask. `late`: somebody is still asking the same, and patience has ended."""

    entry: Entry | None
    late: bool = False


@dataclass(frozen=True, slots=True)
class ResponseHeaders:
    """`details` is Envoy's own word for how the response came about; empty when the provider sent it."""

    status: int
    headers: Headers
    end: bool = False
    details: str = ""


@dataclass(frozen=True, slots=True)
class ResponseBody:
    chunk: bytes
    end: bool = False


@dataclass(frozen=True, slots=True)
class ResponseTrailers:
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rated:
    """What came of a `Rate`: of which request it is kept, and who had answered it, for which preference.

    No `request` where there is none; `trouble` says why nothing could be kept, in words.
    """

    request: str = ""
    model: str = ""
    preference: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """The moment that a `Wake` asked for has come."""


@dataclass(frozen=True, slots=True)
class Gone:
    """Envoy closed the stream: the client left, or a timer of Envoy's ran out."""


Event = (
    RequestHeaders
    | RequestBody
    | Recalled
    | Scored
    | Found
    | Rated
    | ResponseHeaders
    | ResponseBody
    | ResponseTrailers
    | Tick
    | Gone
)

# -- effects: what the shell is to do --------------------------------------------------------------------------


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

# -- the exchange ----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Exchange:
    """What a Selection and its Attempts share. `headers` are the client's, lower-case names."""

    id: str
    started: float
    wall: float  # seconds since the epoch, for people
    headers: Headers
    query: str
    dialect: Dialect
    body: bytes
    conversation: Conversation
    intent: Intent
    needs: Needs
    session: str
    decision: Decision
    plan: Plan  # as it was when the request began: a reload changes nothing for it
    patience: float  # seconds that an attempt may take to its first content, or to the end where nothing is streamed
    trace: Trace = field(default_factory=Trace)
    caller: str = ""  # whose client key it came with
    budgets: tuple[str, ...] = ()  # what is told of budgets with the answer
    told: tuple[tuple[str, Signal], ...] = ()  # what it says of earlier answers, by their requests' ids
    counts: bool = False  # only how many tokens it comes to is asked
    obstacles: Mapping[str, str] = field(default_factory=dict)  # why a candidate is passed over, by its id
    unfit: set[str] = field(default_factory=set)  # ids of who, as another's refusal has shown, is no use either
    refusal: Failure | None = None  # what the last vendor said that could not take the request
    later: frozenset[str] = frozenset()  # ids of those who cool, and are asked when all others have been
    attempts: list[AttemptOutcome] = field(default_factory=list)
    tried: int = 0  # attempts begun
    passed: int = 0  # of them, those that asked nobody
    active: int = 0  # attempts under way
    met: set[str] = field(default_factory=set)  # ids of those whose turn it has been
    asked: list[str] = field(default_factory=list)  # ids of those that were asked, in order
    again: bool = False  # asks a second time, which counts against the budget of retries
    over: str = ""  # why nobody else is asked any more
    touched: float = 0.0
    cut: Outcome | None = None  # of an answer that was cut off: for the record, unless Envoy comes back or says by whom
    torn: int = 0  # the try of which Envoy has said that its provider tore the stream
    keep: Keeping | None = None  # where the answer is kept for whoever asks the same
    follows: bool = False  # goes on waiting for who is just asking the same, where it may for longer

    @property
    def tries(self) -> int:
        """How often Envoy may enter the attempt hop: passing somebody over takes a try, but is none.

        After the last of a chain it begins again with the first, and so comes to those who cool.
        """
        chain = self.decision.chain
        if self.later and chain.attempts > 1:
            return 2 * len(chain.candidates)
        if chain.bounded:
            return len(chain.candidates)
        if not self.obstacles:
            return min(chain.attempts, len(chain.candidates))
        asked = [at for at, candidate in enumerate(chain.candidates, 1) if not self._foreseen(candidate)]
        return asked[chain.attempts - 1] if len(asked) >= chain.attempts else len(chain.candidates)

    def left(self, now: float) -> float:
        """Seconds until its time is up."""
        return self.plan.listener.timeout - (now - self.started)

    @property
    def asker(self) -> Asker:
        """Whose budgets the request counts for."""
        return allowance.asker(self.caller, self.session, self.decision)

    @property
    def prompt(self) -> str:
        """Claude Code's id of what the user asked: the same through all requests of the turn."""
        return self.headers.get("x-claude-code-prompt-id", "")[:MAX_KEPT]

    def passes(self, candidate: Candidate) -> bool:
        """The first of the chain is asked in any case: the client named it, or nobody fits better."""
        return candidate.id in self.unfit or self._foreseen(candidate)

    def _foreseen(self, candidate: Candidate) -> bool:
        return candidate.id in self.obstacles and candidate is not self.decision.first

    def waits(self, candidate: Candidate) -> bool:
        """Others first: who cools is asked when its turn comes again, and until then nobody is asked twice."""
        if candidate.id in self.later:
            return candidate.id not in self.met
        return candidate.id in self.asked and bool(self.later.difference(self.asked))

    @property
    def names_models_strictly(self) -> bool:
        """Whether the client takes an answer by another name than it asked for to be another model's.

        Claude Code 2.1.197 then keeps what was thought to itself, in the middle of a tool loop, too.
        """
        claude_code = self.headers.get("user-agent", "").startswith("claude-cli/")
        return claude_code and self.dialect.name == "anthropic_messages"

    @property
    def last_attempt(self) -> bool:
        """Envoy will not come again."""
        return self.tried >= self.tries

    @property
    def spent(self) -> bool:
        """As many have been asked as may be. Envoy may come again all the same; then nobody is asked."""
        return bool(self.over) or len(self.asked) >= self.decision.chain.attempts

    def outcome(
        self,
        *,
        now: float,
        status: int,
        served: str = "",
        usage: Usage | None = None,
        first_content: float | None = None,
        error: str = "",
        brief: str = "",
        warnings: tuple[str, ...] = (),
        ask: bool = False,
        cost: float | None = None,
        baseline: float | None = None,
        signal: Signal | None = None,
        model_told: str = "",
    ) -> Outcome:
        return Outcome(
            id=self.id,
            started=self.wall,
            kind=("subagent: " if self.intent.subagent else "") + self.intent.kind,
            client=self.headers.get("user-agent", "").split(" ")[0][:MAX_KEPT],
            session=self.session,
            route=self.decision.name,
            reason=self.decision.reason,
            model_asked=self.conversation.model[:MAX_KEPT],
            model_served=served,
            status=status,
            attempts=tuple(self.attempts),
            usage=usage or Usage(),
            score=self.decision.score,
            first_content=None if first_content is None else first_content - self.started,
            duration=now - self.started,
            error=error[:MAX_KEPT],
            ask=self.intent.ask[:80] if ask else "",
            warnings=warnings,
            cost=cost,
            baseline=baseline,
            prompt=self.prompt,
            trace=self.trace,
            caller=self.caller,
            brief=brief,
            signals=self.told + (((self.id, signal),) if signal else ()),
            route_id=self.decision.route_id,
            dialect=self.dialect.name,
            streamed=self.conversation.stream,
            parent=traceparent(self.headers),
            model_told=model_told[:MAX_NAME],
            cache=self.keep.terms.mark if self.keep else "",
        )


_BETWEEN = 5.0  # seconds; Envoy takes the next candidate within a fraction of one


class Full(Exception):
    """No room for another exchange: all that are kept are still under way."""


class Exchanges:
    """The exchanges under way, bounded in number and in bytes.

    A request is expected from its headers on, so that a body that is still on its way has its room, too. An exchange
    is dropped when its answer ends. One whose client left between two attempts is never told so: it goes once it has
    had no attempt under way for `idle` seconds, or for `unasked` where none has begun yet; sooner when its room is
    needed. One whose answer was cut off goes after `lingering` seconds: by then Envoy has said who did it, or has come
    back.
    """

    def __init__(
        self,
        *,
        limit: int = 2048,
        max_bytes: int = 512 * 1024 * 1024,
        idle: float = _BETWEEN,
        unasked: float = 30.0,
        lingering: float = 1.0,
    ) -> None:
        self._kept: OrderedDict[str, Exchange] = OrderedDict()
        self._limit, self._max_bytes = limit, max_bytes
        self._idle, self._unasked, self._lingering = idle, unasked, lingering
        self._expected: dict[str, int] = {}  # the bytes of a body that is on its way, as far as they are told
        self._made_way: list[Outcome] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept) + len(self._expected)

    def expect(self, id: str, size: int, now: float) -> None:
        """Raises Full. Either `add` or `forget` follows."""
        self._make_room(size, now)
        self._expected[id] = size
        self.bytes += size

    def forget(self, id: str) -> None:
        """Nothing comes of a request that was expected, or has become an exchange already."""
        self.bytes -= self._expected.pop(id, 0)

    def add(self, exchange: Exchange) -> None:
        """Raises Full."""
        self.forget(exchange.id)
        self._make_room(len(exchange.body), exchange.touched)
        self._kept[exchange.id] = exchange
        self.bytes += len(exchange.body)

    def get(self, id: str) -> Exchange | None:
        return self._kept.get(id)

    def may_ask_again(self, exchange: Exchange, budget: RetryBudget | None) -> bool:
        """Whether the budget has room for a second try of this one; if so, it is taken."""
        if budget is None or exchange.again:
            return True
        under_way = sum(kept.again for kept in self._kept.values())
        exchange.again = under_way < max(budget.least, budget.share * len(self._kept))
        return exchange.again

    def drop(self, id: str) -> Exchange | None:
        exchange = self._kept.pop(id, None)
        if exchange:
            self.bytes -= len(exchange.body)
        return exchange

    def expire(self, now: float) -> list[Outcome]:
        """Drop what has been left alone. The outcomes of that, and of what had to make room, for the record."""
        left = [e for e in self._kept.values() if not e.active and now - e.touched > self._at_most(e)]
        for exchange in left:
            self.drop(exchange.id)
        made_way, self._made_way = self._made_way, []
        return [*made_way, *map(_left, left)]

    def _at_most(self, exchange: Exchange) -> float:
        """Under more load than there is processor for, a first attempt has been seen to take ten seconds to come."""
        return self._patience(exchange) if exchange.tried else self._unasked

    def _patience(self, exchange: Exchange) -> float:
        return self._lingering if exchange.cut else self._idle

    def _make_room(self, size: int, now: float) -> None:
        """Drops the oldest that nobody works on any more. Raises Full."""
        while (len(self) >= self._limit or self.bytes + size > self._max_bytes) and len(self):
            left = (old for old in self._kept.values() if not old.active and now - old.touched >= self._patience(old))
            idle = next(left, None)
            if idle is None:
                raise Full
            self.drop(idle.id)
            self._made_way.append(_left(idle))


def _left(exchange: Exchange) -> Outcome:
    """Nobody came back for it: the client left, or Envoy had no other candidate that is well."""
    if exchange.cut:
        return exchange.cut
    last = exchange.attempts[-1] if exchange.attempts else None
    if last and exchange.torn == exchange.tried:  # and Envoy told the client so
        trouble = f"broke off after {last.seconds:.1f} s"
        exchange.attempts[-1] = replace(last, status=0, trouble=trouble)
        return exchange.outcome(now=exchange.touched, status=502, error=f"{last.candidate} {trouble}")
    if last is None or last.status == GONE:
        return exchange.outcome(now=exchange.touched, status=GONE, error="the client left before an answer")
    return exchange.outcome(now=exchange.touched, status=last.status or 503, error=last.trouble, brief=last.brief)


# -- what every reply of ours carries --------------------------------------------------------------------------


def error_reply(dialect: Dialect, failure: Failure, headers: Headers, *, retry: bool = False) -> Respond:
    body = dialect.render_error(failure)
    return Respond(failure.status, {"content-type": "application/json", **headers}, body, retry=retry)


def traceparent(headers: Headers) -> str:
    """Of which trace of the client's own the request is a part (W3C Trace Context); empty where it says none."""
    return headers.get("traceparent", "")[:_TRACEPARENT]


def header_value(text: str) -> str:
    """Text as a header may carry it: one line, other scripts as percent-encoded UTF-8 (like a URL)."""
    line = " ".join(text.split())
    if line.isascii() and line.isprintable():
        return line
    return "".join(char if " " <= char <= "~" else "".join(f"%{byte:02X}" for byte in char.encode()) for char in line)
