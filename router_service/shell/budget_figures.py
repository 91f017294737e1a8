"""What /archgw/metrics says of budgets. Labels are names of the config; of sessions, without end, nothing."""

from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from router_service.budgets import Standing

_LABELS = ["budget", "of", "unit"]


def figures(standings: Iterable[Standing]) -> Iterator[Metric]:
    spent = GaugeMetricFamily("archgw_budget_spent", "What has been spent of a budget.", labels=_LABELS)
    limit = GaugeMetricFamily("archgw_budget_limit", "What may be spent of it.", labels=_LABELS)
    for one in standings:
        labels = [one.budget.name, one.of, one.budget.unit]
        spent.add_metric(labels, one.spent)
        limit.add_metric(labels, one.budget.at_most)
    if spent.samples:
        yield from (spent, limit)
