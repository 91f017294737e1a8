"""Keeps answers for whoever asks the same again: in memory and a file, or in Redis, which replicas share.

Who asks first asks for all who ask the same meanwhile: they wait, and get what he gets. A store that fails costs nobody
an answer; it is told once.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from router_service.caching import Entry
from router_service.config import MIB
from router_service.effects import Look
from router_service.outcome import Outcome
from router_service.plan import Plan
from router_service.shell.cache_file import Database
from router_service.shell.cache_redis import CLAIMED_FOR, Redis
from router_service.shell.cache_stores import WITHIN, Held, Nowhere, Store

_IN_MEMORY = 64 * MIB  # bytes at most
_WAITING = 100  # answers that are yet to be written; those beyond are not
_LOOK_AGAIN = 0.05  # seconds between two looks at what another replica has got
_SWEPT_EVERY = 60.0  # seconds
_LEFT = 499

Verdict = Literal["next", "failed", "alone"]
"""What those who waited do when there is no answer for them: one of them asks for the rest; the same, unless that has
failed, too; or each asks for himself."""
OnWait = Callable[[float], Awaitable[None]]


def of(plan: Plan, file: Path | None) -> "Cache":
    """Where the config keeps answers: in Redis where that keeps sessions, in a file, or in memory alone.

    The file is swept and cleared all the same: it may be there from before.
    """
    url, at_most, database = plan.state.url, plan.cache.at_most, Database(file) if file else None
    if url == "sqlite" and database:
        return Cache(database, at_most)
    store = Redis(url) if url.startswith(("redis://", "rediss://")) else Nowhere()
    return Cache(store, at_most, before=database)


@dataclass(slots=True, eq=False)
class _Flight:
    """Somebody asks. `ended` tells what those who wait get of it. `claimed`: other services may wait for it, too."""

    key: str
    exchange: str
    claimed: bool = False
    ended: "asyncio.Future[Entry | Verdict]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True, eq=False)
class _Reading:
    """`passed`: what is being read was kept anew or forgotten meanwhile."""

    key: str
    passed: bool = False


class Cache:
    """`look` comes before a request, `keep` and `ended` after it. `before`: where answers were kept until lately."""

    def __init__(self, store: Store, at_most: int = 256 * MIB, *, before: Store | None = None) -> None:
        self.store, self.at_most = store, at_most
        self._stores = (store, before) if before else (store,)
        self.waiting = 0  # requests that wait for another's answer
        self._memory: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0
        self._flights: dict[str, _Flight] = {}
        self._leads: dict[str, _Flight] = {}  # by exchange
        self._late: set[str] = set()
        self._readings: set[_Reading] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unwritten = 0

    @property
    def trouble(self) -> str:
        """Why it does not work, in words; empty when it does."""
        return next((store.trouble for store in self._stores if store.trouble), "")

    async def look(self, look: Look, *, on_wait: OnWait | None = None) -> Entry | None:
        """None: ask. `on_wait` is called once, before it is waited for another, with the seconds that this may take."""
        key, until, failures = look.keeping.key, time.monotonic() + look.patience, 0
        if look.alone:
            return None if look.keeping.terms.fresh else await self._read(look)
        while True:
            flight = self._flights.get(key)
            if flight is None:
                return await self._lead(look, until, on_wait)
            if look.keeping.terms.fresh:
                return None
            if on_wait:
                await on_wait(look.patience)
                on_wait = None
            told = await self._wait(flight, until)
            if isinstance(told, Entry):
                return told
            if told is None:
                self._late.add(look.exchange)
            failures += told == "failed"
            if told in (None, "alone") or failures > 1:
                return None

    def was_late(self, exchange: str) -> bool:
        """Whether its patience ended while somebody was still asking. Said once."""
        late = exchange in self._late
        self._late.discard(exchange)
        return late

    def keep(self, key: str, entry: Entry) -> None:
        """At once, for whoever waits; for the store, behind the requests' backs."""
        self._pass(key)
        if self.store.front:
            self._remember(key, entry)
        flight = self._flights.get(key)
        if flight:
            self._land(flight, entry)
        if self._unwritten < _WAITING:
            self._unwritten += 1
            self._later(self._write(key, entry, flight))
        elif flight:
            self._release(flight)

    def ended(self, outcome: Outcome) -> None:
        """A request has ended; where others waited for it, and it had nothing for them, they are told."""
        verdict: Verdict = "next" if outcome.status == _LEFT else "failed" if outcome.status >= 400 else "alone"
        self.give_up(outcome.id, verdict)

    def leads(self, exchange: str) -> bool:
        """Whether others may wait for its answer."""
        return exchange in self._leads

    def give_up(self, exchange: str, verdict: Verdict = "next") -> None:
        flight = self._leads.get(exchange)
        if flight:
            self._land(flight, verdict)
            self._release(flight)

    async def held(self) -> Held:
        found = [await store.held() for store in self._stores]
        found += [Held(len(self._memory), self._bytes)] if isinstance(self.store, Nowhere) else []
        return Held(sum(one.entries for one in found), sum(one.bytes for one in found))

    async def clear(self) -> Held:
        """Forget all answers; what there was."""
        before = await self.held()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=WITHIN)  # what is being written goes, too
        for store in self._stores:
            await store.clear()
        self._memory.clear()
        self._bytes = 0
        for reading in self._readings:
            reading.passed = True
        return before

    async def tend(self) -> None:
        """Until it is cancelled: what has had its time goes, and whoever asks for all tells other services that he
        still does."""
        await asyncio.gather(self._go_on_sweeping(), self._go_on_claiming())

    async def sweep(self) -> None:
        """Let go of what has had its time."""
        now = time.time()
        for key in [key for key, entry in self._memory.items() if entry.until <= now]:
            self._forget(key)
        for store in self._stores:
            await store.sweep()

    async def close(self) -> None:
        """Write what waits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN):
                await asyncio.gather(*self._tasks)
        for store in self._stores:
            await store.close()

    async def _go_on_sweeping(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(_SWEPT_EVERY)

    # -- who asks for all -------------------------------------------------------------------------------------

    async def _lead(self, look: Look, until: float, on_wait: OnWait | None) -> Entry | None:
        """Whatever comes of it, those who wait are told: by what is found here, or when the request ends."""
        flight = _Flight(look.keeping.key, look.exchange)
        self._flights[flight.key] = self._leads[flight.exchange] = flight
        if look.keeping.terms.fresh:
            return None
        try:
            found = await self._read(look) or await self._claimed(flight, look, until, on_wait)
        except BaseException:
            self.give_up(flight.exchange)
            self._release(flight)
            raise
        if found:
            self._land(flight, found)
        if flight.ended.done():
            self._release(flight)
        return found

    async def _claimed(self, flight: _Flight, look: Look, until: float, on_wait: OnWait | None) -> Entry | None:
        """Where another service is asking, what it gets, if it gets it in time."""
        while not self.store.front:
            flight.claimed = True  # should it be cancelled now, nobody knows
            flight.claimed = await self.store.claim(flight.key, flight.exchange)
            found = await self._read(look)  # it may have been written since we looked
            if found or flight.claimed or time.monotonic() >= until:
                return found
            if on_wait:
                await on_wait(look.patience)
                on_wait = None
            await asyncio.sleep(_LOOK_AGAIN)
        return None

    async def _wait(self, flight: _Flight, until: float) -> Entry | Verdict | None:
        self.waiting += 1
        try:
            return await asyncio.wait_for(asyncio.shield(flight.ended), max(0.0, until - time.monotonic()))
        except TimeoutError:
            return None
        finally:
            self.waiting -= 1

    def _land(self, flight: _Flight, told: Entry | Verdict) -> None:
        if self._leads.pop(flight.exchange, None):
            self._flights.pop(flight.key)
            flight.ended.set_result(told)

    def _release(self, flight: _Flight) -> None:
        """Only what was claimed: a hit costs the store one word."""
        if flight.claimed:
            flight.claimed = False
            self._later(self.store.release(flight.key, flight.exchange))

    async def _go_on_claiming(self) -> None:
        while True:
            await asyncio.sleep(CLAIMED_FOR / 3)
            claimed = [flight for flight in self._leads.values() if flight.claimed]
            await asyncio.gather(*(self.store.renew(flight.key, flight.exchange) for flight in claimed))

    # -- what is kept -----------------------------------------------------------------------------------------

    async def _read(self, look: Look) -> Entry | None:
        key = look.keeping.key
        found = self._memory.get(key) or await self._read_store(key)
        if not found or not found.good(time.time(), look.keeping.terms.ttl):
            return None
        if key in self._memory:
            self._memory.move_to_end(key)
            self.store.asked(key)
        return found

    async def _read_store(self, key: str) -> Entry | None:
        """What was kept or forgotten while it was read goes before what was read."""
        reading = _Reading(key)
        self._readings.add(reading)
        try:
            found = await self.store.get(key)
        finally:
            self._readings.discard(reading)
        if reading.passed:
            return self._memory.get(key)
        if found and self.store.front:
            self._remember(key, found)
        return found

    def _pass(self, key: str) -> None:
        for reading in self._readings:
            reading.passed |= reading.key == key

    def _remember(self, key: str, entry: Entry) -> None:
        self._forget(key)
        self._memory[key] = entry
        self._bytes += entry.size
        while self._bytes > min(self.at_most, _IN_MEMORY):
            self._forget(next(iter(self._memory)))

    def _forget(self, key: str) -> None:
        gone = self._memory.pop(key, None)
        self._bytes -= gone.size if gone else 0

    async def _write(self, key: str, entry: Entry, flight: _Flight | None) -> None:
        try:
            await self.store.put(key, entry, self.at_most)
        finally:
            self._unwritten -= 1
        if flight and flight.claimed:
            flight.claimed = False
            await self.store.release(key, flight.exchange)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
