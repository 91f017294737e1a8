"""The service on its unix socket: Envoy's external processing, what it logs of torn streams, our own API, how it is."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from router_service.gateway import Gateway
from router_service.pb import access_log_pb2 as log
from router_service.pb import access_log_pb2_grpc, router_pb2_grpc
from router_service.pb import ext_proc_pb2 as pb
from router_service.shell import router_model, wire
from router_service.shell.cache import Cache
from router_service.shell.cache_stores import Nowhere as NoStore
from router_service.shell.decisions_api import DecisionsApi
from router_service.shell.grpc_http2 import Server
from router_service.shell.hop import AT_ONCE, Hop
from router_service.shell.identities import Identities
from router_service.shell.journal import Journal
from router_service.shell.learner import LOOK_EVERY, Learner
from router_service.shell.ledger import Ledger
from router_service.shell.line import Code, Line, Metadata
from router_service.shell.private import close_to_others, make_way
from router_service.shell.purse import Nowhere, Purse
from router_service.shell.request_log import RequestLog
from router_service.shell.router_api import RouterApi
from router_service.shell.serving import Serving
from router_service.shell.siblings import Siblings
from router_service.shell.state import Store
from router_service.shell.telemetry import Telemetry
from router_service.torn import tear
from router_service.workers import Worker

_log = logging.getLogger("archgw")
_PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
_SPARE = 16 * 1024 * 1024  # bytes of a message beside a body; a translated body may be longer than it was
_SWEEP_EVERY = 1.0
_REMEMBER_EVERY = 1.0

Log = AsyncIterator[log.StreamAccessLogsMessage]


class Processing:
    """One stream of Envoy's external processing: a hop, and the line to it."""

    def __init__(self, serving: Serving, large: asyncio.Semaphore, line: Line, metadata: Metadata) -> None:
        self._line, self._ended = line, False
        self._role = metadata.get("x-archgw-role", "")
        self._hop = Hop(serving, self, role=self._role, prefix=metadata.get("x-archgw-prefix", ""), large=large)

    # -- what the line tells ----------------------------------------------------------------------------------

    def message(self, data: bytes) -> None:
        try:
            self._hop.hear(pb.ProcessingRequest.FromString(data))
        except DecodeError:
            self._end(Code.INVALID_ARGUMENT, "this is no ProcessingRequest")
        except Exception as error:
            self.failed(error)
        else:
            self._look_whether_done()

    def ended(self) -> None:
        self._ended = True
        self._look_whether_done()

    def gone(self) -> None:
        self._hop.close()

    # -- what the hop asks of it ------------------------------------------------------------------------------

    def write(self, message: bytes) -> None:
        self._line.write(message)

    async def drain(self) -> None:
        await self._line.drain()

    def busy(self, *, now: bool) -> None:
        if now:
            self._line.hold()
        else:
            self._line.release()
            self._look_whether_done()

    def failed(self, error: Exception) -> None:
        self._line.fail(error, self._role)
        self._hop.close()

    def _look_whether_done(self) -> None:
        if (self._ended or self._hop.done) and not self._hop.waits:
            self._end()

    def _end(self, code: Code = Code.OK, words: str = "") -> None:
        self._line.end(code, words)
        self._hop.close()


class TornStreams(access_log_pb2_grpc.AccessLogServiceServicer):
    """What Envoy logs of streams that their provider tore: alone from the end of a stream nobody could tell."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def StreamAccessLogs(self, stream: Log, context: Any) -> log.StreamAccessLogsResponse:  # noqa: N802
        loop = asyncio.get_running_loop()
        async for message in stream:
            for attempt in wire.torn(message):
                tear(self._gateway, attempt, loop.time())
        return log.StreamAccessLogsResponse()


async def serve(
    gateway: Gateway,
    worker: Worker,
    store: Store,
    ledger: Ledger | None = None,
    admin: Path | None = None,
    telemetry: Telemetry | None = None,
    purse: Purse | None = None,
    cache: Cache | None = None,
    learner: Learner | None = None,
) -> None:
    """Serve until cancelled. The socket is readable by its owner alone. `admin`: that of Envoy's own page."""
    model = await router_model.ready(gateway.plan)
    alone = worker.count == 1 and not (ledger and ledger.shared)
    request_log, socket = RequestLog(), worker.socket
    journal = Journal(ledger, telemetry, alone=alone, log=request_log.record)
    cache = cache or Cache(NoStore(), gateway.plan.cache.at_most)
    serving = Serving(gateway, model, journal, store, Identities(), admin, purse or Nowhere(), cache, learner)
    serving.siblings = Siblings(worker)
    request_log.start()
    if ledger:
        ledger.start()
    if telemetry:
        telemetry.start()
    await store.open(gateway.sessions)
    await serving.count_up()
    server = Server(longest=2 * gateway.plan.limits.body + _SPARE)
    server.add(_PROCESS, partial(Processing, serving, asyncio.Semaphore(AT_ONCE)))
    access_log_pb2_grpc.add_AccessLogServiceServicer_to_server(TornStreams(gateway), server)
    router_pb2_grpc.add_RouterServicer_to_server(RouterApi(serving), server)
    router_pb2_grpc.add_DecisionsServicer_to_server(DecisionsApi(partial(Hop, serving)), server)
    wellness = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs are older than it
    health_pb2_grpc.add_HealthServicer_to_server(wellness, server)
    await wellness.set("", HealthCheckResponse.SERVING)
    make_way(socket)
    await server.start(socket)
    serving.find_identities()
    close_to_others(socket)
    gc.freeze()  # what is loaded by now stays: a full collection would look at all of it, and hold up every request
    _log.info("serving on %s", socket)
    try:
        await asyncio.gather(
            _sweep(gateway, serving),
            _remember(gateway, store),
            _count_up(serving),
            _learn(serving, learner),
            cache.tend(),
        )
    finally:
        await wellness.enter_graceful_shutdown()
        await server.stop(grace=5)
        await store.keep(gateway.sessions)
        await store.close()
        await serving.count_up()
        await serving.purse.close()
        await cache.close()
        await serving.close()
        await asyncio.to_thread(request_log.close)
        if ledger:
            await asyncio.to_thread(ledger.close)
        if telemetry:
            await asyncio.to_thread(telemetry.close)
        if learner:
            learner.close()


async def _remember(gateway: Gateway, store: Store) -> None:
    while True:
        await asyncio.sleep(_REMEMBER_EVERY)
        await store.keep(gateway.sessions)


async def _count_up(serving: Serving) -> None:
    while True:
        await asyncio.sleep(_REMEMBER_EVERY)
        await serving.count_up()


async def _learn(serving: Serving, learner: Learner | None) -> None:
    while learner:
        found = await asyncio.to_thread(learner.look, serving.gateway.plan, serving.model.seen_as, time.time())
        if found is not None:
            serving.gateway.learned = found
        await asyncio.sleep(LOOK_EVERY)


async def _sweep(gateway: Gateway, serving: Serving) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(_SWEEP_EVERY)
        for outcome in gateway.exchanges.expire(loop.time()):
            serving.journal.record(outcome)
            serving.cache.ended(outcome)
