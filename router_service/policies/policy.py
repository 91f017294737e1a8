"""What a decision is, and what a selection policy must be able to do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from router_service.plan import Candidate, Chain, Route
from router_service.session import NEW, Session
from router_service.switching import WRITTEN, Switch

Lane = Literal["routed", "explicit", "fast"]


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
    """What a router model was shown of a conversation, and which model it was."""

    model: str
    ask: str
    context: str
    tokens: int = 0


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
    `beliefs`: how good an answer is expected to be, 0 to 1, as learned; nothing of those nobody has judged yet.
    `able`: whether it may be asked now; who cools may not.
    """

    session: Session = NEW
    tokens: int = 0
    written: float = WRITTEN
    now: float = 0.0
    difficulty: Mapping[str, float] = field(default_factory=dict)
    beliefs: Mapping[str, float] = field(default_factory=dict)
    able: Callable[[Candidate], bool] = lambda _: True


@dataclass(frozen=True, slots=True)
class Choice:
    """Who answers first, and why it is not simply the first of the list; empty where it is that."""

    candidate: Candidate
    words: str = ""


class Policy(Protocol):
    """Picks who answers first from a route's pool; the rest follow in the route's order."""

    def __call__(self, route: Route, setting: Setting) -> Choice: ...
