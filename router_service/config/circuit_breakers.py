"""How much may be under way at once: with a vendor, and of second tries. Envoy's circuit breakers, in Envoy's words."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from router_service.config.reading import Reader, Value, section

MOST_AT_ONCE = 8192  # what Envoy is told where no limit is wanted


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """At most this share of the requests under way may be at a second or later try; `least` may be in any case."""

    share: float = 0.2
    least: int = 3


@dataclass(frozen=True, slots=True)
class CircuitBreakers:
    """The first three hold for one candidate, `max_retries` for one chain, `retry_budget` for the whole gateway."""

    max_connections: int = MOST_AT_ONCE
    max_pending_requests: int = MOST_AT_ONCE  # that wait for a connection
    max_requests: int = MOST_AT_ONCE
    max_retries: int = MOST_AT_ONCE
    retry_budget: RetryBudget | None = None

    @property
    def bounded(self) -> bool:
        """Whether a candidate may be full, and is then passed over."""
        return min(self.max_connections, self.max_pending_requests, self.max_requests) < MOST_AT_ONCE


def circuit_breakers(value: Value) -> CircuitBreakers:
    return section(value, CircuitBreakers(), _LIMITS)


def limits_of_model(value: Value) -> tuple[tuple[str, int], ...]:
    """Only what is said: the others are those of `failover.limits`."""
    said = {name: _OF_MODEL[name](item) for name, item in value.fields(_OF_MODEL).items()}
    return tuple((name, number) for name, number in said.items() if number is not None)


def _whole(least: int, value: Value) -> int | None:
    return value.whole(least=least, most=MOST_AT_ONCE)


def _budget(value: Value) -> RetryBudget:
    return section(value, RetryBudget(), {"share": Value.share, "least": partial(_whole, 0)})


_OF_MODEL = {
    "max_connections": partial(_whole, 1),
    "max_pending_requests": partial(_whole, 1),  # while a connection is made, too: with 0 none gets through
    "max_requests": partial(_whole, 1),
}
_LIMITS: Mapping[str, Reader] = {**_OF_MODEL, "max_retries": partial(_whole, 1), "retry_budget": _budget}
