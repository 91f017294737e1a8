"""What Envoy and the clock say to the two machines, and what was found out on their behalf."""

from collections.abc import Mapping
from dataclasses import dataclass

from router_service.caching import Entry
from router_service.policies.policy import Scores

Headers = Mapping[str, str]


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
