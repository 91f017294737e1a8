"""GET /archgw/metrics: what the service counts, in Prometheus' text format. Labels are candidates, not a user's words.

Envoy's own figures (connections, bytes, retries) are on its own page, /stats/prometheus.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from router_service.selection import Gateway
from router_service.shell import budget_figures, standing
from router_service.shell.journal import Journal, Tally

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def page(
    gateway: Gateway, journal: Journal, troubles: Mapping[str, str], aside: Mapping[str, bool], now: float
) -> bytes:
    """`troubles`: by part of the service, why it is not as it should be; empty where it is. `aside`: whom Envoy has put
    aside, by candidate id; empty where Envoy does not say.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(gateway, journal, troubles, aside, now))
    return generate_latest(registry)


class _Figures:
    """What the library asks for when a page is wanted: nothing is counted twice, nothing is global."""

    def __init__(
        self, gateway: Gateway, journal: Journal, troubles: Mapping[str, str], aside: Mapping[str, bool], now: float
    ) -> None:
        self._gateway, self._journal, self._troubles, self._now = gateway, journal, troubles, now
        self._aside = aside

    def collect(self) -> Iterator[Metric]:
        yield from self._candidates()
        gateway, journal = self._gateway, self._journal
        requests = CounterMetricFamily(
            "archgw_requests",
            "Requests that have ended, by the status that the client got.",
            labels=["class"],
        )
        for name, number in sorted(journal.classes.items()):
            requests.add_metric([name], number)
        yield requests
        yield GaugeMetricFamily("archgw_requests_under_way", "Requests under way.", value=len(gateway.exchanges))
        yield GaugeMetricFamily(
            "archgw_request_bytes_held", "Bytes of the bodies of requests under way.", value=gateway.exchanges.bytes
        )
        yield GaugeMetricFamily("archgw_sessions", "Sessions that are remembered.", value=len(gateway.sessions))
        degraded = GaugeMetricFamily(
            "archgw_degraded",
            "1 where a part does not work and requests pass without it.",
            labels=["part"],
        )
        for part, trouble in self._troubles.items():
            degraded.add_metric([part], bool(trouble))
        yield degraded
        if journal.ledger:
            lost = CounterMetricFamily("archgw_ledger_lost", "Requests that found no room in the ledger.")
            lost.add_metric([], journal.ledger.tally.lost)
            yield lost
        yield from budget_figures.figures(standing.of_all(gateway))

    def _candidates(self) -> Iterator[Metric]:
        tries = CounterMetricFamily("archgw_tries", "Tries at a candidate that have ended.", labels=["candidate"])
        answered = CounterMetricFamily("archgw_answers", "Tries that a candidate answered.", labels=["candidate"])
        failed = CounterMetricFamily("archgw_failures", "Tries that a candidate failed.", labels=["candidate"])
        cooling = GaugeMetricFamily(
            "archgw_cooling_seconds", "Seconds for which a candidate is still to be left alone.", labels=["candidate"]
        )
        aside = GaugeMetricFamily(
            "archgw_put_aside", "1 while Envoy does not ask a candidate after repeated failures.", labels=["candidate"]
        )
        for candidate in self._gateway.plan.candidates:
            if candidate.id in self._aside:
                aside.add_metric([candidate.id], self._aside[candidate.id])
            tally, labels = self._journal.tallies.get(candidate.label, Tally()), [candidate.id]
            tries.add_metric(labels, tally.tries)
            answered.add_metric(labels, tally.answered)
            failed.add_metric(labels, tally.failed)
            cooling.add_metric(labels, round(self._gateway.cooling.left(candidate.id, self._now), 3))
        yield from (tries, answered, failed, cooling, aside)
