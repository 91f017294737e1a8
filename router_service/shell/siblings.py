"""The other router services behind the same Envoy: asked for their figures by whoever is asked for everybody's."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import grpc
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families

from router_service.pb import router_pb2 as pb
from router_service.pb import router_pb2_grpc
from router_service.workers import Worker

_WITHIN = 2.0  # seconds; then the page is told without it
# What is the same for all, or Envoy's, is told by one of them, and once.
_COMMON = ("archgw_build", "archgw_envoy_answers", "archgw_put_aside", "archgw_budget_spent", "archgw_budget_limit")

Pages = Mapping[int, str | None]
"""By worker, what it counts as Prometheus reads it; None where it does not answer."""


class Siblings:
    def __init__(self, worker: Worker) -> None:
        self._number, self._sockets = worker.number, worker.siblings

    def __bool__(self) -> bool:
        return bool(self._sockets)

    async def with_theirs(self, mine: bytes) -> bytes:
        """A page of everybody's figures, each with the number of who counted it; `mine` is this worker's."""
        pages = await asyncio.gather(*map(_page, self._sockets.values()))
        told = {self._number: mine.decode(), **dict(zip(self._sockets, pages, strict=True))}
        return await asyncio.to_thread(written, told, self._number)


async def _page(socket: Path) -> str | None:
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        try:
            reply: pb.FiguresReply = await router_pb2_grpc.RouterStub(channel).Figures(
                pb.FiguresRequest(), timeout=_WITHIN
            )
        except grpc.RpcError:
            return None
    return reply.page.decode()


def written(pages: Pages, mine: int) -> bytes:
    """One page out of several: every sample has a label `worker`, so that each counter begins anew with its process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Read(list(_families(pages, mine))))
    return generate_latest(registry)


def _families(pages: Pages, mine: int) -> Iterator[Metric]:
    found: dict[str, Metric] = {}
    for worker, page in sorted(pages.items()):
        for family in text_string_to_metric_families(page or ""):
            common = family.name in _COMMON
            if common and worker != mine:
                continue
            whole = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                labels = sample.labels if common else {**sample.labels, "worker": str(worker)}
                whole.add_sample(sample.name, labels, sample.value)
    yield from found.values()
    answers = GaugeMetricFamily("archgw_worker_answers", "1 where its figures are here.", labels=["worker"])
    for worker, page in sorted(pages.items()):
        answers.add_metric([str(worker)], page is not None)
    yield answers


class _Read:
    """What the library asks when a page is wanted."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families
