"""Several router services behind one Envoy: each has a number, and a request's id begins with that of whoever holds it.

Number 0 is called `router` and listens where the only one would; the others are `router-1`, `router-2`, ... With one
worker nothing is otherwise than without any.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from router_service.config import Limits

ROUTER = "router"


@dataclass(frozen=True, slots=True)
class Worker:
    """One of so many. `first` is the path of the socket of number 0."""

    first: Path
    number: int = 0
    count: int = 1

    @property
    def name(self) -> str:
        return name(self.number)

    @property
    def socket(self) -> Path:
        return socket(self.first, self.number)

    @property
    def siblings(self) -> Mapping[int, Path]:
        """The sockets of the others, by number."""
        return {one: socket(self.first, one) for one in range(self.count) if one != self.number}

    def ids(self, fresh: Callable[[], str]) -> Callable[[], str]:
        """Ids as long as the fresh ones, that tell the worker where there are several."""
        if self.count == 1:
            return fresh
        return lambda: mark(self.number) + fresh()[len(mark(self.number)) :]


def name(number: int) -> str:
    """Of its process: in the logs, in `archgw status`."""
    return f"{ROUTER}-{number}" if number else ROUTER


def socket(first: Path, number: int) -> Path:
    return first.with_stem(f"{first.stem}-{number}") if number else first


def mark(number: int) -> str:
    """What the ids of its requests begin with: two hexadecimal digits."""
    return f"{number:02x}"


def share(limits: Limits, count: int) -> Limits:
    """Of what the config allows the gateway, what one of so many may use; the largest body fits into each."""
    requests, memory = -(-limits.requests // count), limits.memory // count
    return replace(limits, requests=requests, memory=max(memory, limits.body))
