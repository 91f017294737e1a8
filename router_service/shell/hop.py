"""One of Envoy's streams: its messages become events, and the machine's effects answers.

What can be answered at once is, as it is heard; only who has to wait, for the router model or for another's memory,
gets a task, and what comes meanwhile waits its turn.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Protocol

from router_service import admission, answers
from router_service.advice import Advice
from router_service.attempt import Attempt
from router_service.conversation import Failure
from router_service.count_attempt import CountAttempt
from router_service.effects import (
    Ask,
    Effect,
    Keep,
    Look,
    Rate,
    Recall,
    Record,
    Respond,
    Score,
    Tell,
    Wake,
    error_reply,
)
from router_service.events import Event, Found, Gone, Headers, Recalled, RequestHeaders, Scored, Tick
from router_service.exchange import Exchange
from router_service.pb import ext_proc_pb2 as pb
from router_service.selection import Selection
from router_service.shell import envoy_admin, metrics, router_api, wire
from router_service.shell.cache import Cache
from router_service.shell.logs import place
from router_service.shell.proof import NoProof
from router_service.shell.serving import Serving

_log = logging.getLogger("archgw")
_LARGE = 64 * 1024  # bytes of an answer out of the cache; on its way to Envoy one takes twice its size
AT_ONCE = 8  # large ones on their way, where a thousand wait for the same
_BETWEEN = 0.5  # seconds; Envoy takes the next candidate within a fraction of that
# How each role begins; any other is an attempt's, which goes on with an exchange that is there.
_BEGIN: dict[str, Callable[..., Selection | Advice]] = {
    "selection": Selection,
    "decide": Advice,  # in somebody else's Envoy
    "call": partial(Selection, admit=admission.introduced),  # by gRPC
}
_BOOKS = frozenset({Record, Keep})
_WAITS = frozenset({Recall, Score, Look, Rate, Tell})


class Envoy(Protocol):
    """The other end of the stream. `write`: a ProcessingResponse. `busy`: whether the hop takes its time."""

    def write(self, message: bytes) -> None: ...

    async def drain(self) -> None: ...

    def busy(self, *, now: bool) -> None: ...

    def failed(self, error: Exception) -> None: ...


class Hop:
    """`prefix`: what stands before the names of our clusters in this Envoy. `large`: of whom a few may go at once."""

    def __init__(
        self, serving: Serving, envoy: Envoy, *, role: str, prefix: str = "", large: asyncio.Semaphore | None = None
    ) -> None:
        self._serving, self._envoy = serving, envoy
        self._gateway, self._model = serving.gateway, serving.model  # as they are now: a reload changes nothing for it
        self._role, self._prefix = role, prefix
        self._large = large or asyncio.Semaphore(AT_ONCE)
        self._patient = False  # Envoy has been asked for patience, which it grants once
        self._looked = ""  # the exchange for which the cache was looked into
        self._exchange: Exchange | None = None  # of which this is an attempt
        self._machine: Selection | Advice | Attempt | CountAttempt | None = None
        self._heard: Event | None = None  # what is being answered
        self._request: Headers = {}
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._work: asyncio.Task[None] | None = None  # what is being waited for
        self._backlog: deque[pb.ProcessingRequest | Tick] = deque()  # what came meanwhile
        self._hurrying: set[asyncio.Task[None]] = set()
        self._closed = False

    def hear(self, message: pb.ProcessingRequest) -> None:
        if self._work:
            self._backlog.append(message)
        elif not self._closed:
            self._take(message)

    async def settled(self) -> None:
        """Until all that was heard has been answered."""
        while self._work:
            await self._work

    @property
    def waits(self) -> bool:
        return self._work is not None

    @property
    def done(self) -> bool:
        """To Envoy, a stream that ends well is the end of our interest."""
        return isinstance(self._machine, Advice) and self._machine.done

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._timer:
            self._timer.cancel()
        if self._work:
            self._work.cancel()
        self._backlog.clear()
        for effect in self._fed(Gone()):
            if isinstance(effect, Record):
                self._record(effect)
        cache = self._serving.cache
        if self._looked and not self._gateway.exchanges.get(self._looked):  # it has come to nothing, or has ended
            cache.give_up(self._looked)
        if self._exchange and not self._exchange.active and cache.leads(self._exchange.id):
            self._loop.call_later(_BETWEEN, _let_go, cache, self._exchange)

    def _take(self, message: pb.ProcessingRequest | Tick) -> None:
        if isinstance(message, Tick):
            self._feed(message)
            return
        self._heard = event = wire.event(message)
        if type(event) is RequestHeaders:
            self._request = event.headers
            if not self._open(event, message):
                self._perform([_exchange_gone(event)])
                return
        if event is not None:
            self._feed(event)

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

    def _feed(self, event: Event) -> None:
        self._perform(self._fed(event))

    def _fed(self, event: Event) -> list[Effect]:
        if self._machine is None:
            return []
        now = self._loop.time()
        try:
            effects = self._machine.feed(event, now)
        except Exception as error:  # a mistake of ours, whatever it is: told, and stepped over
            where = place(error)
            _log.error("%s: %s at %s", self._role, type(error).__name__, where)  # the message may hold a prompt
            effects = self._machine.give_up(f"an error in archgw itself ({type(error).__name__} at {where})", now)
        return effects

    # -- what is done at once ---------------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        self._keep_books(effects)
        for number, effect in enumerate(effects):
            if not self._done_at_once(effect):
                self._wait_for(effects[number:])
                return
        self._hurry()

    def _keep_books(self, effects: Iterable[Effect]) -> None:
        """First: at the last word of an answer Envoy closes the stream."""
        for effect in effects:
            if type(effect) is Record:
                self._record(effect)
            elif type(effect) is Keep:
                self._serving.cache.keep(effect.key, effect.entry)

    def _record(self, record: Record) -> None:
        self._serving.journal.record(record.outcome)
        self._serving.cache.ended(record.outcome)

    def _done_at_once(self, effect: Effect) -> bool:
        """Whether it could be."""
        if type(effect) is Wake:
            self._wake(effect.after)
        elif type(effect) in _WAITS or (type(effect) is Ask and effect.identity):
            return False
        elif type(effect) not in _BOOKS:
            self._answer(effect)
        return True

    def _answer(self, effect: Effect) -> None:
        answer = wire.response(effect, self._heard, self._request, self._prefix)
        if answer:
            self._envoy.write(answer)

    def _wake(self, after: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_later(after, self._tick)

    def _tick(self) -> None:
        if self._work:  # a tick and a message must not answer at the same time
            self._backlog.append(Tick())
            return
        try:
            self._feed(Tick())
        except Exception as error:
            self._envoy.failed(error)

    def _hurry(self) -> None:
        """What others are to know before they are asked the next thing."""
        sessions, spending = self._gateway.sessions, self._gateway.spending
        if self._serving.store.at_once and sessions.changed:
            self._later(self._serving.store.hurry(sessions))
        if spending.urgent:
            spending.urgent = False
            self._later(self._serving.purse.hurry(spending))

    # -- what is waited for -----------------------------------------------------------------------------------

    def _wait_for(self, effects: list[Effect]) -> None:
        self._work = self._loop.create_task(self._work_off(effects))
        self._envoy.busy(now=True)

    async def _work_off(self, effects: list[Effect]) -> None:
        try:
            await self._carry_out(effects)
        except Exception as error:
            self._work = None
            self._envoy.failed(error)
            return
        self._hurry()
        self._work = None
        try:
            while self._backlog and not self._work:
                self._take(self._backlog.popleft())
        except Exception as error:
            self._envoy.failed(error)
        if not self._work:
            self._envoy.busy(now=False)

    async def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if not self._done_at_once(effect):
                await self._waited(effect)

    async def _fed_and_done(self, event: Event) -> None:
        effects = self._fed(event)
        self._keep_books(effects)
        await self._carry_out(effects)

    async def _waited(self, effect: Effect) -> None:
        match effect:
            case Recall():
                await self._recall(effect)
                await self._fed_and_done(Recalled())
            case Score(ask, context):
                await self._fed_and_done(Scored(await self._model.score(ask, context)))
            case Look():
                await self._look(effect)
            case Rate():
                await self._fed_and_done(await self._serving.journal.rate(effect))
            case Tell(headers):
                await self._tell(headers)
            case Ask():
                await self._ask(effect)

    async def _recall(self, recall: Recall) -> None:
        """Both at once: a request waits for the slower one."""
        serving, gateway = self._serving, self._gateway
        wanted = [serving.store.recall(gateway.sessions, recall.keys)] if recall.keys else []
        if recall.counts:
            wanted.append(serving.purse.recall(gateway.spending, recall.counts))
        await asyncio.gather(*wanted)

    async def _tell(self, headers: Mapping[str, str]) -> None:
        serving, admin = self._serving, self._serving.envoy_admin
        troubles = router_api.troubles(self._model, serving.store, serving.journal, serving.purse, serving.cache)
        envoy = await asyncio.to_thread(of_envoy, admin) if admin else None
        figures = metrics.taken(self._gateway, serving.journal, troubles, envoy, self._loop.time())
        page = await asyncio.to_thread(metrics.written, figures, None)
        if serving.siblings:
            page = await serving.siblings.with_theirs(page)
        page += envoy.figures if envoy else b""
        self._answer(Respond(200, {**headers, "content-type": metrics.CONTENT_TYPE}, page))

    async def _look(self, look: Look) -> None:
        found = await self._found(look)
        large = found.entry is not None and found.entry.size > _LARGE
        async with self._large if large else nullcontext():
            effects = self._fed(found)
            again = any(isinstance(effect, Look) for effect in effects)
            self._keep_books(effects)
            if not again:
                await self._carry_out(effects)
                if large:
                    await self._envoy.drain()
        if again:  # which may take long
            await self._carry_out(effects)

    async def _found(self, look: Look) -> Found:
        self._looked = look.exchange
        on_wait = self._ask_patience if self._role == "selection" else None
        entry = await self._serving.cache.look(look, on_wait=on_wait)
        return Found(entry, late=self._serving.cache.was_late(look.exchange))

    async def _ask_patience(self, seconds: float) -> None:
        """Of Envoy, which waits ten seconds for a word of ours otherwise."""
        if not self._patient:
            self._patient = True
            self._envoy.write(wire.patience(seconds))

    async def _ask(self, ask: Ask) -> None:
        try:
            self._answer(await self._serving.identities.prove(ask))
        except NoProof as error:
            assert self._machine is not None
            effects = self._machine.give_up(str(error), self._loop.time())
            self._keep_books(effects)
            await self._carry_out(effects)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._hurrying.add(task)
        task.add_done_callback(self._hurrying.discard)


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


def of_envoy(admin: Path) -> metrics.Envoy | None:
    try:
        return metrics.Envoy(envoy_admin.ejections(admin), envoy_admin.figures(admin))
    except (OSError, ValueError, KeyError):  # the page says so
        return None
