"""One client request, kept in memory under an id until its answer ends.

`Selection` and `Attempt` share it. They turn an `Event` into `Effect`s and do nothing else: no I/O, no clock. Times are
seconds on whatever clock the shell passes in.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from router_service import allowance
from router_service.budgets import Asker
from router_service.caching import Keeping
from router_service.config import RetryBudget
from router_service.conversation import Conversation, Failure, Usage
from router_service.dialects.dialect import Dialect
from router_service.events import Headers
from router_service.intent import Intent
from router_service.needs import Needs
from router_service.outcome import GONE, AttemptOutcome, Outcome, Trace
from router_service.plan import Candidate, Plan
from router_service.policies.policy import Decision
from router_service.signals import Signal

MAX_KEPT = 2000  # characters of a stranger's words in an outcome: five hundred of those are kept
MAX_NAME = 200
_TRACEPARENT = 55  # characters, in the only version there is


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


def traceparent(headers: Headers) -> str:
    """Of which trace of the client's own the request is a part (W3C Trace Context); empty where it says none."""
    return headers.get("traceparent", "")[:_TRACEPARENT]
