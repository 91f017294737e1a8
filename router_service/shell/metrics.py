"""GET /archgw/metrics: what is counted, in Prometheus' text format; behind it those of Envoy's own figures that matter.

Labels are what the config names: candidates, routes; and words of ours. docs/operations.md says what each figure is.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from router_service.figures import Answers, Figures, Histogram, Tally
from router_service.gateway import Gateway
from router_service.plan import Candidate
from router_service.shell import budget_figures, standing
from router_service.shell.journal import Journal

VERSION = version("archgw")  # which is read from the disk
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Envoy:
    """What Envoy says of itself: whom it has put aside, by candidate id; its figures, as Prometheus reads them."""

    aside: Mapping[str, bool] = field(default_factory=dict)
    figures: bytes = b""


def page(gateway: Gateway, journal: Journal, troubles: Mapping[str, str], envoy: Envoy | None, now: float) -> bytes:
    """`troubles`: by part of the service, why it is not as it should be; empty where it is. `envoy`: None where it does
    not answer.
    """
    return written(taken(gateway, journal, troubles, envoy, now), envoy)


def taken(
    gateway: Gateway, journal: Journal, troubles: Mapping[str, str], envoy: Envoy | None, now: float
) -> list[Metric]:
    """The figures as they are now. The quick half, for what it reads changes with every request."""
    return list(_Figures(gateway, journal, troubles, envoy, now).collect())


def written(figures: Iterable[Metric], envoy: Envoy | None) -> bytes:
    """The slow half, which any thread may do."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Taken(figures))
    return generate_latest(registry) + (envoy.figures if envoy else b"")


@dataclass(frozen=True, eq=False)  # the library keeps it by its identity
class _Taken:
    """What the library asks when a page is wanted: nothing is counted twice, nothing is global."""

    figures: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.figures


class _Figures:
    def __init__(
        self, gateway: Gateway, journal: Journal, troubles: Mapping[str, str], envoy: Envoy | None, now: float
    ) -> None:
        self._gateway, self._journal, self._troubles, self._now = gateway, journal, troubles, now
        self._envoy, self._counted = envoy, journal.figures

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("archgw_build", "Which archgw this is.", value={"version": VERSION})
        yield from self._requests()
        yield from self._tries()
        yield from self._answers()
        yield from self._times()
        yield from self._service()

    def _requests(self) -> Iterator[Metric]:
        gateway, counted = self._gateway, self._counted
        requests = CounterMetricFamily(
            "archgw_requests",
            "Requests that have ended, by the status that the client got, the route, and what kind of request it was.",
            labels=["class", "route", "kind"],
        )
        for labels, number in sorted(counted.requests.items()):
            requests.add_metric(labels, number)
        yield requests
        decisions = CounterMetricFamily(
            "archgw_decisions", "Decisions that were asked for alone, likewise.", labels=["class", "route", "kind"]
        )
        for labels, number in sorted(counted.decisions.items()):
            decisions.add_metric(labels, number)
        yield decisions
        cache = CounterMetricFamily(
            "archgw_cache_requests", "Requests with which the cache of answers had to do.", labels=["result"]
        )
        for result in ("hit", "miss", "refresh"):
            cache.add_metric([result], counted.cache[result])
        yield cache
        yield CounterMetricFamily(
            "archgw_cache_saved_dollars", "What its hits would have cost on the baseline model.", counted.spared
        )
        yield _gauge("archgw_requests_under_way", "Requests under way.", len(gateway.exchanges))
        yield _gauge("archgw_request_held_bytes", "Bytes of the bodies of requests under way.", gateway.exchanges.bytes)
        yield _gauge("archgw_sessions", "Sessions that are remembered.", len(gateway.sessions))

    def _tries(self) -> Iterator[Metric]:
        tallies, cooling = self._counted.tallies, self._gateway.cooling
        tallied = [(one, tallies.get(one.label, Tally())) for one in self._gateway.plan.candidates]
        for name, words, of in _TRIES:
            yield _counter(name, words, {one.id: of(tally) for one, tally in tallied})
        yield _by_candidate(
            GaugeMetricFamily("archgw_cooling_seconds", "Seconds for which it is still to be left alone.", labels=_BY),
            {one.id: round(cooling.left(one.id, self._now), 3) for one, _ in tallied},
        )
        aside = self._envoy.aside if self._envoy else {}
        yield _by_candidate(
            GaugeMetricFamily("archgw_put_aside", "1 while Envoy does not ask it after repeated failures.", labels=_BY),
            {one.id: aside[one.id] for one, _ in tallied if one.id in aside},
        )

    def _answers(self) -> Iterator[Metric]:
        answers = self._by_id()
        tokens = CounterMetricFamily(
            "archgw_tokens", "Tokens of its answers; reasoning is part of output.", labels=[*_BY, "kind"]
        )
        for id, one in answers.items():
            for kind in ("input", "cached", "cache_write", "output", "reasoning"):
                tokens.add_metric([id, kind], one.tokens[kind])
        yield tokens
        for name, words, of in _ANSWERS:
            yield _counter(name, words, {id: of(one) for id, one in answers.items()})

    def _times(self) -> Iterator[Metric]:
        answers = self._by_id()
        for name, words, of in _TIMES:
            family = HistogramMetricFamily(name, words, labels=_BY)
            for id, one in answers.items():
                family.add_metric([id], *_cumulated(of(one)))
            yield family
        buckets, total = _cumulated(self._counted.routing)
        words = "How long the router model took to read an ask."
        yield HistogramMetricFamily("archgw_routing_seconds", words, buckets=buckets, sum_value=total)
        yield CounterMetricFamily(
            "archgw_routing_failures", "Asks for which the router model was late, or failed.", self._counted.unrouted
        )

    def _service(self) -> Iterator[Metric]:
        degraded = GaugeMetricFamily(
            "archgw_degraded", "1 where a part does not work and requests pass without it.", labels=["part"]
        )
        for part, trouble in self._troubles.items():
            degraded.add_metric([part], bool(trouble))
        yield degraded
        yield _gauge("archgw_envoy_answers", "1 where Envoy's own figures are below.", bool(self._envoy))
        if ledger := self._journal.ledger:
            yield CounterMetricFamily("archgw_ledger_written", "Requests in the ledger.", ledger.tally.written)
            words = "Requests that found no room in the ledger."
            yield CounterMetricFamily("archgw_ledger_lost", words, ledger.tally.lost)
        if telemetry := self._journal.telemetry:
            yield CounterMetricFamily("archgw_telemetry_sent", "Requests told by OTLP.", telemetry.tally.sent)
            words = "Requests that could not be told by OTLP."
            yield CounterMetricFamily("archgw_telemetry_lost", words, telemetry.tally.lost)
        yield from budget_figures.figures(standing.of_lasting(self._gateway))

    def _by_id(self) -> dict[str, Answers]:
        return {one.id: _of(self._counted, one) for one in self._gateway.plan.candidates}


_BY = ["candidate"]
_TRIES: tuple[tuple[str, str, Callable[[Tally], float]], ...] = (
    ("archgw_tries", "Tries that have ended.", lambda one: one.tries),
    ("archgw_answers", "Tries that it answered.", lambda one: one.answered),
    ("archgw_failures", "Tries that it failed.", lambda one: one.failed),
)
_ANSWERS: tuple[tuple[str, str, Callable[[Answers], float]], ...] = (
    ("archgw_failovers", "Answers that it gave after others had been tried.", lambda one: one.stepped_in),
    ("archgw_cost_dollars", "What its answers cost.", lambda one: one.cost),
    ("archgw_baseline_dollars", "What they would have cost on the baseline model.", lambda one: one.baseline),
    ("archgw_unpriced_requests", "Answers whose price is not known.", lambda one: one.unpriced),
)
_TIMES: tuple[tuple[str, str, Callable[[Answers], Histogram]], ...] = (
    (
        "archgw_first_content_seconds",
        "How long it took to the first content of a streamed answer.",
        lambda one: one.first_content,
    ),
    (
        "archgw_request_seconds",
        "How long the requests took that it answered, tries of others included.",
        lambda one: one.whole,
    ),
)


def _of(counted: Figures, candidate: Candidate) -> Answers:
    return counted.answers.get(candidate.label) or Answers()


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _counter(name: str, words: str, values: Mapping[str, float]) -> Metric:
    return _by_candidate(CounterMetricFamily(name, words, labels=_BY), values)


def _by_candidate(
    family: CounterMetricFamily | GaugeMetricFamily, values: Mapping[str, float]
) -> CounterMetricFamily | GaugeMetricFamily:
    for id, value in values.items():
        family.add_metric([id], value)
    return family


def _cumulated(histogram: Histogram) -> tuple[list[tuple[str, float]], float]:
    """As Prometheus has it: each bucket holds all that is less, too; and the sum."""
    told, so_far = [], 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        so_far += count
        told.append(("+Inf" if bound == float("inf") else f"{bound:g}", float(so_far)))
    return told, histogram.sum
