"""Envoy's external processing service, what it logs of torn streams, our own API, and how it is, on one unix socket."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse

from router_service import admission, answers
from router_service.advice import Advice
from router_service.attempt import Attempt, tear
from router_service.conversation import Failure
from router_service.count_attempt import CountAttempt
from router_service.exchange import (
    Ask,
    Effect,
    Event,
    Exchange,
    Found,
    Gone,
    Headers,
    Keep,
    Look,
    Rate,
    Recall,
    Recalled,
    Record,
    RequestHeaders,
    Respond,
    Score,
    Scored,
    Tell,
    Tick,
    Wake,
    error_reply,
)
from router_service.pb import access_log_pb2 as log
from router_service.pb import access_log_pb2_grpc, ext_proc_pb2_grpc, router_pb2_grpc
from router_service.pb import ext_proc_pb2 as pb
from router_service.selection import Gateway, Selection
from router_service.shell import decisions_api, envoy_admin, metrics, router_api, router_model, wire
from router_service.shell.cache import Cache
from router_service.shell.cache_stores import Nowhere as NoStore
from router_service.shell.identities import Identities
from router_service.shell.journal import Journal
from router_service.shell.learner import LOOK_EVERY, Learner
from router_service.shell.ledger import Ledger
from router_service.shell.logs import place
from router_service.shell.private import close_to_others, make_way
from router_service.shell.proof import NoProof
from router_service.shell.purse import Nowhere, Purse
from router_service.shell.request_log import RequestLog
from router_service.shell.router_api import RouterApi
from router_service.shell.router_model import Model
from router_service.shell.serving import Serving
from router_service.shell.siblings import Siblings
from router_service.shell.state import Store
from router_service.shell.telemetry import Telemetry
from router_service.workers import Worker

_log = logging.getLogger("archgw")
_SPARE = 16 * 1024 * 1024  # bytes of a message beside a body; a translated body may be longer than it was
_WINDOW = 256 * 1024  # bytes of one stream that Envoy may have sent and we have not read
_LARGE = 64 * 1024  # bytes of an answer out of the cache; on its way to Envoy one takes twice its size
_AT_ONCE = 8  # large ones on their way, where a thousand wait for the same
_SWEEP_EVERY = 1.0
_BETWEEN = 0.5  # seconds; Envoy takes the next candidate within a fraction of that
_REMEMBER_EVERY = 1.0
# How each role begins; any other is an attempt's, which goes on with an exchange that is there.
_BEGIN: dict[str, Callable[..., Selection | Advice]] = {
    "selection": Selection,
    "decide": Advice,  # in somebody else's Envoy
    "call": partial(Selection, admit=admission.introduced),  # by gRPC
}

Stream = AsyncIterator[pb.ProcessingRequest]
Log = AsyncIterator[log.StreamAccessLogsMessage]
Context = grpc.aio.ServicerContext[pb.ProcessingRequest, pb.ProcessingResponse]


class ExternalProcessor(ext_proc_pb2_grpc.ExternalProcessorServicer):
    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._large = asyncio.Semaphore(_AT_ONCE)

    async def Process(self, stream: Stream, context: Context) -> None:  # noqa: N802 - gRPC's name
        metadata = dict(context.invocation_metadata() or ())
        role = str(metadata.get("x-archgw-role"))
        prefix = str(metadata.get("x-archgw-prefix", ""))
        hop = _hop(self._serving, context, role=role, prefix=prefix, large=self._large)
        try:
            async for message in stream:
                await hop.on_message(message)
                if hop.done:  # to Envoy, a stream that ends well is the end of our interest
                    return
        except Exception as error:
            # gRPC would tell Envoy the error's own words, and Envoy logs what it hears: a prompt, or a key.
            words = f"{type(error).__name__} at {place(error)}"
            _log.error("%s: %s", role, words)
            await context.abort(grpc.StatusCode.INTERNAL, f"an error in archgw itself ({words})")
        finally:
            hop.close()


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


class Hop:
    """One of Envoy's streams: turns its messages into events, and effects into answers."""

    def __init__(
        self,
        gateway: Gateway,
        model: Model,
        journal: Journal,
        store: Store,
        context: Context,
        *,
        role: str,
        prefix: str = "",
        identities: Identities | None = None,
        admin: Path | None = None,
        purse: Purse | None = None,
        cache: Cache | None = None,
        large: asyncio.Semaphore | None = None,
        siblings: Siblings | None = None,
    ) -> None:
        self._cache, self._large = cache or Cache(NoStore()), large or asyncio.Semaphore(_AT_ONCE)
        self._patient = False  # Envoy has been asked for patience, which it grants once
        self._looked = ""  # the exchange for which the cache was looked into
        self._gateway, self._model, self._journal, self._store = gateway, model, journal, store
        self._purse, self._siblings = purse or Nowhere(), siblings
        self._context = context
        self._keeping: asyncio.Task[None] | None = None
        self._counting: asyncio.Task[None] | None = None
        self._role, self._prefix = role, prefix
        self._identities, self._admin = identities or Identities(), admin
        self._exchange: Exchange | None = None  # of which this is an attempt
        self._machine: Selection | Advice | Attempt | CountAttempt | None = None
        self._last: pb.ProcessingRequest | None = None
        self._request: dict[str, str] = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()  # a tick and a message must not answer at the same time

    async def on_message(self, message: pb.ProcessingRequest) -> None:
        event = wire.event(message)
        if event is None:
            return
        async with self._turn:
            self._last = message
            if isinstance(event, RequestHeaders):
                self._request = dict(event.headers)
                if not self._open(event, message):
                    await self._perform([_exchange_gone(event)])
                    return
            await self._feed(event)

    @property
    def done(self) -> bool:
        return isinstance(self._machine, Advice) and self._machine.done

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        if self._machine:
            for effect in self._machine.feed(Gone(), self._loop.time()):
                if isinstance(effect, Record):
                    self._record(effect)
        if self._looked and not self._gateway.exchanges.get(self._looked):  # it has come to nothing, or has ended
            self._cache.give_up(self._looked)
        if self._exchange and not self._exchange.active:
            self._loop.call_later(_BETWEEN, _let_go, self._cache, self._exchange)

    def _record(self, record: Record) -> None:
        self._journal.record(record.outcome)
        self._cache.ended(record.outcome)

    def _open(self, event: RequestHeaders, message: pb.ProcessingRequest) -> bool:
        if begin := _BEGIN.get(self._role):
            self._machine = begin(self._gateway, wall=time.time())
            return True
        self._exchange = exchange = self._gateway.exchanges.get(event.headers.get("x-archgw-exchange", ""))
        candidate = exchange.decision.chain.candidate(wire.candidate(message)) if exchange else None
        if exchange is None or candidate is None:
            return False
        if exchange.counts:
            self._machine = CountAttempt(self._gateway, exchange, candidate)
        else:
            self._machine = Attempt(self._gateway, exchange, candidate, self._loop.time())
        return True

    async def _feed(self, event: Event) -> None:
        await self._perform(self._fed(event))

    def _fed(self, event: Event) -> list[Effect]:
        if self._machine is None:
            return []
        now = self._loop.time()
        try:
            return self._machine.feed(event, now)
        except Exception as error:  # a mistake of ours, whatever it is: told, and stepped over
            where = place(error)
            _log.error("%s: %s at %s", self._role, type(error).__name__, where)  # the message may hold a prompt
            return self._machine.give_up(f"an error in archgw itself ({type(error).__name__} at {where})", now)

    async def _perform(self, effects: list[Effect]) -> None:
        # At the last word of an answer Envoy closes the stream, which cancels us while we write: keep the books first.
        for effect in effects:
            match effect:
                case Keep(key, entry):
                    self._cache.keep(key, entry)
                case Record():
                    self._record(effect)
        for effect in effects:
            match effect:
                case Recall():
                    await self._recall(effect)
                    await self._feed(Recalled())
                case Score(ask, context):
                    await self._feed(Scored(await self._model.score(ask, context)))
                case Look():
                    await self._look(effect)
                case Rate():
                    await self._feed(await self._journal.rate(effect))
                case Wake(after):
                    self._wake(after)
                case Record() | Keep():
                    continue
                case Tell(headers):
                    await self._tell(headers)
                case Ask():
                    await self._ask(effect)
                case _:
                    await self._answer(effect)
        if self._store.at_once and self._gateway.sessions.changed:
            self._keeping = self._loop.create_task(self._store.hurry(self._gateway.sessions))
        if self._gateway.spending.urgent:
            self._gateway.spending.urgent = False
            self._counting = self._loop.create_task(self._purse.hurry(self._gateway.spending))

    async def _recall(self, recall: Recall) -> None:
        """Both at once: a request waits for the slower one."""
        wanted = [self._store.recall(self._gateway.sessions, recall.keys)] if recall.keys else []
        if recall.counts:
            wanted.append(self._purse.recall(self._gateway.spending, recall.counts))
        await asyncio.gather(*wanted)

    async def _tell(self, headers: Headers) -> None:
        troubles = router_api.troubles(self._model, self._store, self._journal, self._purse, self._cache)
        envoy = await asyncio.to_thread(_of_envoy, self._admin) if self._admin else None
        figures = metrics.taken(self._gateway, self._journal, troubles, envoy, self._loop.time())
        page = await asyncio.to_thread(metrics.written, figures, None)
        if self._siblings:
            page = await self._siblings.with_theirs(page)
        page += envoy.figures if envoy else b""
        await self._answer(Respond(200, {**headers, "content-type": metrics.CONTENT_TYPE}, page))

    async def _look(self, look: Look) -> None:
        found = await self._found(look)
        large = found.entry is not None and found.entry.size > _LARGE
        async with self._large if large else nullcontext():
            effects = self._fed(found)
            again = any(isinstance(effect, Look) for effect in effects)
            if not again:
                await self._perform(effects)
        if again:  # which may take long
            await self._perform(effects)

    async def _found(self, look: Look) -> Found:
        self._looked = look.exchange
        on_wait = self._ask_patience if self._role == "selection" else None
        entry = await self._cache.look(look, on_wait=on_wait)
        return Found(entry, late=self._cache.was_late(look.exchange))

    async def _ask_patience(self, seconds: float) -> None:
        """Of Envoy, which waits ten seconds for a word of ours otherwise."""
        if self._patient:
            return
        self._patient = True
        await self._context.write(wire.patience(seconds))

    async def _ask(self, ask: Ask) -> None:
        try:
            await self._answer(await self._identities.prove(ask))
        except NoProof as error:
            assert self._machine is not None
            await self._perform(self._machine.give_up(str(error), self._loop.time()))

    async def _answer(self, effect: Effect) -> None:
        answer = wire.response(effect, self._last, self._request, self._prefix)
        if answer:
            await self._context.write(answer)

    def _wake(self, after: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(after, self._tick)

    def _tick(self) -> None:
        self._ticking = self._loop.create_task(self._on_tick())

    async def _on_tick(self) -> None:
        async with self._turn:
            try:
                await self._feed(Tick())
            except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
                _log.debug("a tick came after its stream had ended")


def _hop(now: Serving, context: Context, *, role: str, prefix: str = "", large: asyncio.Semaphore | None = None) -> Hop:
    return Hop(
        now.gateway,
        now.model,
        now.journal,
        now.store,
        context,
        role=role,
        prefix=prefix,
        identities=now.identities,
        admin=now.envoy_admin,
        purse=now.purse,
        cache=now.cache,
        large=large,
        siblings=now.siblings,
    )


def _let_go(cache: Cache, exchange: Exchange) -> None:
    """Envoy has not come back with it: its client has left, and whoever waits for its answer asks himself."""
    if not exchange.active:
        cache.give_up(exchange.id)


def _exchange_gone(event: RequestHeaders) -> Respond:
    """The client left between two attempts, and nobody reads this; or the service was restarted, and somebody does."""
    dialect = answers.dialect_for(event.headers.get(":path", ""), event.headers)
    words = "archgw: the router service was restarted while this request was under way; send it again"
    explained = {"x-arch-model": "none", "x-arch-route": "none", "x-arch-reason": words, "x-arch-attempts": "0"}
    return error_reply(dialect, Failure(503, "overloaded_error", words), explained)


def _of_envoy(admin: Path) -> metrics.Envoy | None:
    try:
        return metrics.Envoy(envoy_admin.ejections(admin), envoy_admin.figures(admin))
    except (OSError, ValueError, KeyError):  # the page says so
        return None


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
    server = grpc.aio.server(options=_options(gateway))
    ext_proc_pb2_grpc.add_ExternalProcessorServicer_to_server(ExternalProcessor(serving), server)
    access_log_pb2_grpc.add_AccessLogServiceServicer_to_server(TornStreams(gateway), server)
    router_pb2_grpc.add_RouterServicer_to_server(RouterApi(serving), server)
    decisions_api.serve(server, partial(_hop, serving))
    wellness = health.aio.HealthServicer()  # type: ignore[attr-defined]  # its stubs are older than it
    health_pb2_grpc.add_HealthServicer_to_server(wellness, server)
    await wellness.set("", HealthCheckResponse.SERVING)
    make_way(socket)
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    serving.find_identities()
    close_to_others(socket)
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


def _options(gateway: Gateway) -> list[tuple[str, int]]:
    """grpc's own 4 MB turned a 5 MB request into a 500."""
    longest = 2 * gateway.plan.limits.body + _SPARE
    return [
        ("grpc.max_receive_message_length", longest),
        ("grpc.max_send_message_length", longest),
        # grpc widens a stream's window by itself, to megabytes where its reader is slow: two hundred of them are much.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.http2.lookahead_bytes", _WINDOW),
    ]


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
