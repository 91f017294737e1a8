"""What a decision is, and what a selection policy must be able to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from router_service.beliefs import Opinion
from router_service.pace import Speed
from router_service.plan import Candidate, Chain, Route
from router_service.session import NEW, Session
from router_service.switching import WRITTEN, Switch, asking

Lane = Literal["routed", "explicit", "fast"]
LEARNING = ("best", "balanced")  # the selection policies that look at beliefs


@dataclass(frozen=True, slots=True)
class Scores:
    """Probabilities by route id; with `none` they add up to 1. `seconds` is what the model took.

    `trouble` says why there are none: the model was late, or failed. `difficulty`: how hard the ask looks, as
    probabilities of quick, standard and deep; empty when the model does not say. `vector`: what was asked, as the model
    sees it, float32 [width]; empty likewise. `model`: the fingerprint of the one that sees it so. `before`: what was
    another probability before anything was learned, by route id and "" for none.
    """

    routes: Mapping[str, float] = field(default_factory=dict)
    none: float = 1.0
    seconds: float = 0.0
    trouble: str = ""
    difficulty: Mapping[str, float] = field(default_factory=dict)
    vector: bytes = b""
    model: str = ""
    before: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a router model was shown of a conversation, and which model it was. `tokens`: 0 where it does not say."""

    model: str
    ask: str
    context: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class PreferenceReading:
    """What a router model is shown of a preference: `kept`, the beginning of `name: description`, in whole words, and
    not `lost`, its end. `tokens`: what all of it comes to; the first `most` are read.
    """

    kept: str
    lost: str
    tokens: int
    most: int


@dataclass(frozen=True, slots=True)
class Decision:
    """Route, chain and why, in a sentence that a user can read.

    `name` is what x-arch-route says: the preference, `default`, or the lane in which the client itself chose.
    """

    route: Route
    chain: Chain
    reason: str
    score: float | None = None
    lane: Lane = "routed"
    switch: Switch | None = None  # what leaving the model that served before would have cost, or does

    @property
    def name(self) -> str:
        return self.route.name if self.lane == "routed" else self.lane

    @property
    def route_id(self) -> str:
        """The same, as names and labels may carry it."""
        return self.route.id if self.lane == "routed" else self.lane

    @property
    def first(self) -> Candidate:
        return self.chain.first


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy may weigh, besides the route. Mappings are by candidate id.

    `tokens` that the request comes to, `written`: those that its answer is likely to. `now` is seconds since the epoch.
    `beliefs`: how good an answer is expected to be, as learned; empty where nothing is. `dearness`: how much of that
    the dearest loses for its price, 0 to 1 (`learning.cost`).
    `speeds`: how fast they answer lately. `able`: whether it may be asked now; who cools may not.
    """

    session: Session = NEW
    tokens: int = 0
    written: float = WRITTEN
    now: float = 0.0
    difficulty: Mapping[str, float] = field(default_factory=dict)
    beliefs: Mapping[str, Opinion] = field(default_factory=dict)
    dearness: float = 0.0
    speeds: Mapping[str, Speed] = field(default_factory=dict)
    able: Callable[[Candidate], bool] = lambda _: True

    def here(self, route: Route) -> Candidate | None:
        """Who serves the session, where he is in the pool."""
        pin = self.session.pin
        return next((candidate for candidate in route.candidates if pin and candidate.id == pin.candidate), None)

    def answer(self, candidate: Candidate) -> float:
        """The tokens that his answer is likely to have: as the session's, else as his own of late, else as others'."""
        if self.session.requests:
            return self.written
        known = [speed.written for speed in self.speeds.values() if speed.written is not None]
        own = self.speed(candidate).written
        return own if own is not None else sum(known) / len(known) if known else self.written

    def cost(self, candidate: Candidate) -> float | None:
        """Dollars that this request is expected to cost there; None where nobody knows the price."""
        written = self.answer(candidate)
        return asking(candidate, self.session, tokens=self.tokens, written=written, now=self.now)

    def speed(self, candidate: Candidate) -> Speed:
        return self.speeds.get(candidate.id) or Speed()

    def seconds(self, candidate: Candidate) -> float:
        """To the end of an answer of his."""
        return self.speed(candidate).seconds(self.answer(candidate))


@dataclass(frozen=True, slots=True)
class Choice:
    """Who answers first, and why; empty where it is simply the first of the list, or there was no choice."""

    candidate: Candidate
    words: str = ""


class Policy(Protocol):
    """Picks who answers first from a route's pool, all of whom may be asked; the rest follow in the route's order."""

    def __call__(self, route: Route, setting: Setting) -> Choice: ...


_TOLD = 2  # of those who were not chosen; a header holds a sentence, no table


def compared(
    word: str, chosen: Candidate, others: Sequence[Candidate], tell: Callable[[Candidate], str], more: str = ""
) -> str:
    """`cheapest: $0.004 here, $0.021 at anthropic/claude-sonnet-4-5`: what decided, for who was chosen and the next."""
    rest = "".join(f", {tell(one)} at {one.label}" for one in others[:_TOLD])
    return f"{word}: {tell(chosen)} here{rest}{more}"
