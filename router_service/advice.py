"""Somebody else's Envoy asks where a request should go: its headers and body in, headers for his routes out. Pure.

Nothing that goes wrong here holds up his request: it goes on without a model of ours, and `x-arch-reason` says why.
Every other `x-arch-` header of its client's is taken away, for his routes to be sure who has set them.
"""

from router_service import admission, decisions
from router_service.effects import Advise, Effect, Proceed, Record, Respond, header_value
from router_service.events import (
    Event,
    Gone,
    Headers,
    RequestBody,
    RequestHeaders,
    ResponseBody,
    ResponseHeaders,
    ResponseTrailers,
)
from router_service.gateway import Gateway
from router_service.selection import Selection

_OURS = "x-arch-"
_NOT_OURS = f"archgw decides about POST requests whose path ends in {' or '.join(decisions.ABOUT)}"


class Advice:
    """His clients are let in by him; one who shows a client key of ours is known by it, and it goes no further."""

    def __init__(self, gateway: Gateway, *, wall: float) -> None:
        self._selection = Selection(gateway, wall=wall, admit=admission.recognize)
        self._clients = gateway.plan.clients
        self._listener = gateway.plan.listener
        self._wall = wall
        self._remove: tuple[str, ...] = ()
        self._said = False

    @property
    def done(self) -> bool:
        """Whether all is said. His Envoy need not hold the body for us then, which may be long, or never end."""
        return self._said

    def feed(self, event: Event, now: float) -> list[Effect]:
        match event:
            case RequestHeaders(headers, end):
                return self._on_headers(headers, end, now)
            case RequestBody() if self._said:
                return [Advise({})]
            # Envoy shows the answer's headers where nobody tells it not to.
            case ResponseHeaders() | ResponseBody() | ResponseTrailers():
                return [Advise({})]
            case Gone():
                return self._selection.feed(event, now)
        return self._heard(self._selection.feed(event, now))

    def give_up(self, trouble: str, now: float) -> list[Effect]:
        """An error of our own."""
        return self._heard(self._selection.give_up(trouble, now))

    def _on_headers(self, headers: Headers, end: bool, now: float) -> list[Effect]:
        self._remove = self._not_to_go_on(headers)
        path = decisions.asked(headers.get(":path", "").partition("?")[0])
        if not path or headers.get(":method") != "POST":
            return [self._say({"x-arch-reason": _NOT_OURS})]
        shown = {name: value for name, value in headers.items() if not name.startswith(_OURS) or name == admission.KEY}
        return self._heard(self._selection.feed(RequestHeaders(shown | {":path": path}, end), now))

    def _not_to_go_on(self, headers: Headers) -> tuple[str, ...]:
        kept = admission.recognize(self._clients, self._listener, "", headers, self._wall).headers
        return tuple(name for name in headers if name.startswith(_OURS) or name not in kept)

    def _heard(self, effects: list[Effect]) -> list[Effect]:
        """What the selection wants done; where it would answer, its answer is advice."""
        return [self._advised(effect, effects) for effect in effects]

    def _advised(self, effect: Effect, among: list[Effect]) -> Effect:
        match effect:
            case Proceed():
                return Advise({}, self._remove)
            case Respond() if self._selection.decided:
                return self._say(decisions.advice(self._selection.decided))
            case Respond(headers=headers):
                words = next((one.outcome.error for one in among if isinstance(one, Record)), "")
                told = {"x-arch-reason": header_value(words[: decisions.LONGEST])}
                return self._say(told | {"x-arch-request-id": headers["x-arch-request-id"]})
        return effect

    def _say(self, told: Headers) -> Advise:
        self._said = True
        return Advise(told, tuple(name for name in self._remove if name not in told))
