"""What it costs to leave the model that serves a thread for another, and whether that is worth it.

A vendor that has just read a conversation reads it again at a tenth of the price or less; whoever takes over reads all
of it anew. So a switch has a price, known before anybody is asked: what the candidate charges for the context, less
what staying does. Against it stands what the rest of the turn is expected to cost less there. Whether an answer gets
better is the user's judgement, made in the preferences: for that, switches that do not pay for themselves may take
`routing.max_switch_spend` of what the session costs; and a cent is always there, unless that is nothing.
"""

from dataclasses import dataclass

from router_service.plan import Candidate
from router_service.pricing import Price
from router_service.session import Read, Session

REQUESTS = 6.0  # of a turn, while nothing is known: the user's ask and five rounds of tools
TRIFLE = 0.01  # dollars for which nobody wants another model than the one of his preference
WRITTEN = 400.0  # tokens of an answer, while nothing is known
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Switch:
    """`tokens` that `to` would read anew. In dollars: `price`, what reading the context costs there, less what it costs
    where it is; `saving`, what the rest of the turn is expected to cost less there (negative: more); `allowed`, what
    may still be spent on switches. `done` is the decision."""

    of: str
    to: str
    tokens: int
    price: float
    saving: float
    allowed: float
    done: bool

    @property
    def words(self) -> str:
        """The numbers that decided, in a sentence."""
        gain = f"to save {dollars(self.saving)}" if self.saving > 0 else "and save nothing"
        price = dollars(self.price) if self.price > 0 else "for no more than staying"
        told = f"re-read {tokens(self.tokens)} tokens, {price}, {gain}"
        if self.done:
            return f"left {self.of}: this turn will {told}"
        return f"stayed on {self.of}: {self.to} would {told}; {dollars(self.allowed)} may go into switches by now"


def switch(session: Session, here: Candidate, there: Candidate, *, share: float, now: float) -> Switch | None:
    """None where it cannot be priced: nothing has been read yet, or somebody's prices are not known.

    `share`: how much of what the session costs may go into switches.
    """
    read = session.reads.get(here.id)
    if here.price is None or there.price is None or read is None:
        return None
    price_here, price_there = here.price.when(now), there.price.when(now)
    known = _warm(session, there, read.tokens, now)
    staying = _reading(price_here, read.tokens, _warm(session, here, read.tokens, now))
    going = _reading(price_there, read.tokens, known)
    requests = session.requests / session.turns if session.turns else REQUESTS
    written = session.written / session.requests if session.requests else WRITTEN
    rest_there = _rest(price_there, read.tokens, requests, written)
    saving = _rest(price_here, read.tokens, requests, written) - rest_there
    allowed = max(0.0, share * (session.spent + going + rest_there) - session.switched)
    done = going - staying <= max(saving, allowed, TRIFLE if share else 0.0)
    return Switch(here.label, there.label, read.tokens - known, going - staying, saving, allowed, done)


def asking(candidate: Candidate, session: Session, *, tokens: int, written: float, now: float) -> float | None:
    """Dollars for one request of so many tokens and its answer, with what the vendor still knows of the thread; None
    where the price is not known. `now`: seconds since the epoch, for some cost more at some hours of the day.
    """
    if candidate.price is None:
        return None
    price = candidate.price.when(now)
    reading = _reading(price, tokens, _warm(session, candidate, tokens, now))
    return reading + written * price.at(tokens).output / _MILLION


def _warm(session: Session, candidate: Candidate, tokens: int, now: float) -> int:
    """How many of the thread's tokens the candidate's vendor still knows."""
    read: Read | None = session.reads.get(candidate.id)
    return min(read.tokens, tokens) if read and read.warm(now) else 0


def _reading(price: Price, tokens: int, known: int) -> float:
    """Dollars for reading the thread once, `known` of its tokens from the vendor's cache."""
    each = price.at(tokens)
    return (known * each.cached + (tokens - known) * each.cache_write) / _MILLION


def _rest(price: Price, tokens: int, requests: float, written: float) -> float:
    """Dollars for what follows in the turn: the context from the cache each time, and all answers."""
    each = price.at(tokens)
    return (max(0.0, requests - 1) * tokens * each.cached + requests * written * each.output) / _MILLION


def dollars(amount: float) -> str:
    """$0.21; of less than a cent the first digit that counts: $0.003."""
    if amount and abs(amount) < 0.01:
        return f"${amount:.1g}" if abs(amount) >= 0.0001 else "$0.0001 at most"
    return f"${amount:,.2f}"


def tokens(count: int) -> str:
    return f"{count / 1000:.0f}k" if count >= 10_000 else f"{count / 1000:.1f}k" if count >= 1000 else str(count)
