"""Keeps answers for whoever asks the same again: in memory and a file, or in Redis, which replicas share.

Who asks first asks for all who ask the same meanwhile: they wait, and get what he gets. A store that fails costs nobody
an answer; it is told once.
"""

import asyncio
import logging
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from router_service.caching import Entry, read, written
from router_service.config import MIB
from router_service.exchange import Look
from router_service.outcome import Outcome
from router_service.plan import Plan
from router_service.shell.private import make_private

_log = logging.getLogger("archgw.cache")
_IN_MEMORY = 64 * MIB  # bytes at most
_WAITING = 100  # answers that are yet to be written; those beyond are not
_PATIENCE = 0.25  # seconds that a request waits for Redis
_DISK_PATIENCE = 1.0  # the same for a disk
_BACK_OFF = 5.0  # seconds in which a Redis that did not answer is not asked again
_WITHIN = 2.0  # seconds that it may take behind the requests' backs
_CLAIMED_FOR = 30.0  # seconds for which a replica asks for all of them; if it is gone by then, another does
_LOOK_AGAIN = 0.05  # seconds between two looks at what another replica has got
_MANY = 5  # hundredths of the answers that leave at once where there are too many
_PREFIX, _CLAIM = "archgw:cache:", "archgw:cache-claim:"
_LEFT = 499
_WRITTEN = "written"  # what alone shows that the file is well again: to read may go well on a full disk

Verdict = Literal["next", "failed", "alone"]
"""What those who waited do when there is no answer for them: one of them asks for the rest; the same, unless that has
failed, too; or each asks for himself."""
OnWait = Callable[[float], Awaitable[None]]
_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class Held:
    """How many answers a store holds, and their bytes."""

    entries: int = 0
    bytes: int = 0


class Store(Protocol):
    """What outlives the service. None of it raises. `trouble`: why it does not work, in words; empty when it does.

    `front`: whether memory may stand before it; not where others change it, too.
    """

    front: bool
    trouble: str

    async def get(self, key: str) -> Entry | None: ...

    async def put(self, key: str, entry: Entry, at_most: int) -> None: ...

    async def claim(self, key: str, exchange: str) -> bool:
        """Whether no other service is asking; if so, this one is from now on."""
        ...

    async def release(self, key: str, exchange: str) -> None: ...

    async def held(self) -> Held: ...

    async def clear(self) -> None: ...

    async def close(self) -> None: ...


def of(plan: Plan, file: Path | None) -> Store:
    """The store that the config names: Redis where that keeps sessions, a file, or nothing but memory."""
    url = plan.state.url
    if url.startswith(("redis://", "rediss://")):
        return Redis(url)
    return Database(file) if url == "sqlite" and file else Nowhere()


@dataclass(slots=True)
class _Flight:
    """Somebody asks. `ended` tells what those who wait get of it."""

    exchange: str
    ended: "asyncio.Future[Entry | Verdict]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Cache:
    """`look` comes before a request, `keep` and `ended` after it."""

    def __init__(self, store: Store, at_most: int = 256 * MIB) -> None:
        self.store, self.at_most = store, at_most
        self.waiting = 0  # requests that wait for another's answer
        self._memory: OrderedDict[str, Entry] = OrderedDict()
        self._bytes = 0
        self._flights: dict[str, _Flight] = {}
        self._leads: dict[str, str] = {}  # by exchange, the key of what it asks for all
        self._late: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

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
        if self.store.front:
            self._remember(key, entry)
        flight = self._flights.get(key)
        if flight:
            self._land(flight.exchange, entry)
        exchange = flight.exchange if flight else ""
        if len(self._tasks) < _WAITING:
            self._later(self._write(key, entry, exchange))
        elif exchange:
            self._later(self.store.release(key, exchange))

    def ended(self, outcome: Outcome) -> None:
        """A request has ended; where others waited for it, and it had nothing for them, they are told."""
        verdict: Verdict = "next" if outcome.status == _LEFT else "failed" if outcome.status >= 400 else "alone"
        self.give_up(outcome.id, verdict)

    def give_up(self, exchange: str, verdict: Verdict = "next") -> None:
        key = self._leads.get(exchange)
        if key is not None:
            self._land(exchange, verdict)
            self._later(self.store.release(key, exchange))

    async def held(self) -> Held:
        found = await self.store.held()
        return found if not isinstance(self.store, Nowhere) else Held(len(self._memory), self._bytes)

    async def clear(self) -> Held:
        """Forget all answers; what there was."""
        before = await self.held()
        self._memory.clear()
        self._bytes = 0
        await self.store.clear()
        return before

    async def close(self) -> None:
        """Write what waits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_WITHIN):
                await asyncio.gather(*self._tasks)
        await self.store.close()

    # -- who asks for all -------------------------------------------------------------------------------------

    async def _lead(self, look: Look, until: float, on_wait: OnWait | None) -> Entry | None:
        """Whatever comes of it, those who wait are told: by what is found here, or when the request ends."""
        key, exchange = look.keeping.key, look.exchange
        self._flights[key] = _Flight(exchange)
        self._leads[exchange] = key
        if look.keeping.terms.fresh:
            return None
        try:
            found = await self._read(look) or await self._claimed(look, until, on_wait)
        except BaseException:
            self.give_up(exchange)
            raise
        if found:
            self._land(exchange, found)
            self._later(self.store.release(key, exchange))
        return found

    async def _claimed(self, look: Look, until: float, on_wait: OnWait | None) -> Entry | None:
        """Where another service is asking, what it gets, if it gets it in time."""
        key, until = look.keeping.key, min(until, time.monotonic() + _CLAIMED_FOR)
        if not self.store.front and await self.store.claim(key, look.exchange):
            return await self._read(look)  # it may have been written since we looked
        while not self.store.front and time.monotonic() < until:
            if on_wait:
                await on_wait(look.patience)
                on_wait = None
            await asyncio.sleep(_LOOK_AGAIN)
            ours = await self.store.claim(key, look.exchange)
            found = await self._read(look)
            if found or ours:
                return found
        return None

    async def _wait(self, flight: _Flight, until: float) -> Entry | Verdict | None:
        self.waiting += 1
        try:
            return await asyncio.wait_for(asyncio.shield(flight.ended), max(0.0, until - time.monotonic()))
        except TimeoutError:
            return None
        finally:
            self.waiting -= 1

    def _land(self, exchange: str, told: Entry | Verdict) -> None:
        key = self._leads.pop(exchange, None)
        if key is not None:
            self._flights.pop(key).ended.set_result(told)

    # -- what is kept -----------------------------------------------------------------------------------------

    async def _read(self, look: Look) -> Entry | None:
        key, now, ttl = look.keeping.key, time.time(), look.keeping.terms.ttl
        found = self._memory.get(key)
        if found is None:
            found = await self.store.get(key)
            if found and self.store.front:
                self._remember(key, found)
        else:
            self._memory.move_to_end(key)
        return found if found and found.good(now, ttl) else None

    def _remember(self, key: str, entry: Entry) -> None:
        self._forget(key)
        self._memory[key] = entry
        self._bytes += entry.size
        while self._bytes > min(self.at_most, _IN_MEMORY):
            self._forget(next(iter(self._memory)))

    def _forget(self, key: str) -> None:
        gone = self._memory.pop(key, None)
        self._bytes -= gone.size if gone else 0

    async def _write(self, key: str, entry: Entry, exchange: str) -> None:
        await self.store.put(key, entry, self.at_most)
        if exchange:
            await self.store.release(key, exchange)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Nowhere:
    """Memory is all there is."""

    front, trouble = True, ""

    async def get(self, key: str) -> Entry | None:
        return None

    async def put(self, key: str, entry: Entry, at_most: int) -> None:
        return

    async def claim(self, key: str, exchange: str) -> bool:
        return True

    async def release(self, key: str, exchange: str) -> None:
        return

    async def held(self) -> Held:
        return Held()

    async def clear(self) -> None:
        return

    async def close(self) -> None:
        return


class Database:
    """SQLite, readable by its owner alone, made when there is something to keep. A file that is none is replaced.

    Its size is bounded by `at_most`; what has not been asked for the longest goes first.
    """

    front = True

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, "cache")
        self._connection: sqlite3.Connection | None = None
        self.trouble = ""

    async def get(self, key: str) -> Entry | None:
        return await self._do(lambda: self._get(key), None, within=_DISK_PATIENCE)

    async def put(self, key: str, entry: Entry, at_most: int) -> None:
        await self._do(lambda: self._put(key, entry, at_most), "")

    async def claim(self, key: str, exchange: str) -> bool:
        return True

    async def release(self, key: str, exchange: str) -> None:
        return

    async def held(self) -> Held:
        return await self._do(self._held, Held())

    async def clear(self) -> None:
        await self._do(self._clear, None)

    async def close(self) -> None:
        await self._do(self._disconnect, None)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[[], _Told], otherwise: _Told, within: float | None = None) -> _Told:
        try:
            async with asyncio.timeout(within):
                told = await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._mended(work))
        except (OSError, sqlite3.Error) as error:
            self._tell(error)
            return otherwise
        if self.trouble and told is _WRITTEN:
            _log.warning("answers are kept again: %s", self._file)
            self.trouble = ""
        return told

    def _tell(self, error: Exception) -> None:
        trouble = f"{self._file}: {type(error).__name__}: {error}"
        if not self.trouble:
            _log.warning("answers are not kept for now: %s", trouble)
        self.trouble = f"answers are not kept: {trouble}"

    # -- on the thread ----------------------------------------------------------------------------------------

    def _mended(self, work: Callable[[], _Told]) -> _Told:
        """A file that is broken holds nothing that could not be asked again."""
        try:
            return work()
        except sqlite3.DatabaseError as error:
            self._disconnect()
            if isinstance(error, sqlite3.OperationalError):  # locked, full, not to be written: it may be good
                raise
            for name in ("", "-wal", "-shm"):
                self._file.with_name(self._file.name + name).unlink(missing_ok=True)
            return work()
        except OSError:
            self._disconnect()
            raise

    def _get(self, key: str) -> Entry | None:
        if not self._is_there():
            return None
        with self._open() as connection:
            row = connection.execute("select known, body from answers where key = ?", (key,)).fetchone()
            if row is None:
                return None
            with suppress(sqlite3.OperationalError):  # a full disk may be read
                connection.execute("update answers set used = ? where key = ?", (time.time(), key))
        try:
            return read(row[0], row[1])
        except ValueError:
            return None

    def _put(self, key: str, entry: Entry, at_most: int) -> str:
        known, body = written(entry)
        with self._open() as connection:
            connection.execute(
                "insert or replace into answers values (?, ?, ?, ?, ?)", (key, time.time(), entry.until, known, body)
            )
            connection.execute("delete from answers where until < ?", (time.time(),))
        while self._size() > at_most and self._let_go():
            pass
        return _WRITTEN

    def _let_go(self) -> bool:
        """Some of those that have not been asked for the longest; whether there were any."""
        some = "select key from answers order by used limit 1 + (select count(*) from answers) * ? / 100"
        with self._open() as connection:
            gone = connection.execute(f"delete from answers where key in ({some})", (_MANY,)).rowcount  # noqa: S608
        self._open().execute("pragma incremental_vacuum").fetchall()
        return gone > 0

    def _size(self) -> int:
        connection = self._open()
        pages, free, size = (
            connection.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _held(self) -> Held:
        if not self._is_there():
            return Held()
        asked = "select count(*), coalesce(sum(length(body) + length(known)), 0) from answers where until > ?"
        return Held(*self._open().execute(asked, (time.time(),)).fetchone())

    def _clear(self) -> None:
        """Nothing of them is left in the file, or beside it."""
        if not self._is_there():
            return
        with self._open() as connection:
            connection.execute("delete from answers")
        self._open().execute("vacuum")
        self._open().execute("pragma wal_checkpoint(truncate)").fetchall()

    def _is_there(self) -> bool:
        """One that was taken away, by whomever, is begun anew when there is something to keep."""
        there = self._file.exists()
        if not there:
            self._disconnect()
        return there

    def _open(self) -> sqlite3.Connection:
        self._is_there()
        if self._connection is None:
            make_private(self._file)
            self._connection = sqlite3.connect(self._file, timeout=1.0, check_same_thread=False)
            self._connection.execute("pragma auto_vacuum = incremental")
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = normal")
            self._connection.execute("pragma secure_delete = on")  # what is gone is overwritten
            self._connection.execute(
                "create table if not exists answers"
                " (key text primary key, used real, until real, known text, body blob)"
            )
            self._connection.execute("create index if not exists answers_used on answers (used)")
            self._connection.execute("create index if not exists answers_until on answers (until)")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None


class Redis:
    """Shared by replicas, which agree on who asks. How much it holds is its own affair (maxmemory)."""

    front = False

    def __init__(self, url: str) -> None:
        from redis import asyncio as redis  # that it is installed, the store of sessions has made sure

        self._client: Any = redis.Redis.from_url(
            url, socket_timeout=_WITHIN, socket_connect_timeout=_WITHIN, max_connections=100
        )
        self._away = float("-inf")
        self.trouble = ""

    async def get(self, key: str) -> Entry | None:
        told = await self._do(lambda: self._client.get(_PREFIX + key), _PATIENCE)
        if told is None:
            return None
        known, _, body = told.partition(b"\n")
        try:
            return read(known.decode(), body)
        except ValueError:
            return None

    async def put(self, key: str, entry: Entry, at_most: int) -> None:
        known, body = written(entry)
        left = int((entry.until - time.time()) * 1000)
        if left > 0:
            await self._do(lambda: self._client.set(_PREFIX + key, known.encode() + b"\n" + body, px=left), _WITHIN)

    async def claim(self, key: str, exchange: str) -> bool:
        """Without Redis, each for himself."""
        px = int(_CLAIMED_FOR * 1000)
        ours = await self._do(lambda: self._client.set(_CLAIM + key, exchange, px=px, nx=True), _PATIENCE)
        return bool(ours or self.trouble)

    async def release(self, key: str, exchange: str) -> None:
        """Another's claim is left alone; should it change hands between the two words, one more asks."""
        if await self._do(lambda: self._client.get(_CLAIM + key), _WITHIN) == exchange.encode():
            await self._do(lambda: self._client.delete(_CLAIM + key), _WITHIN)

    async def held(self) -> Held:
        sizes = await self._with_all("strlen")
        return Held(len(sizes), sum(sizes))

    async def clear(self) -> None:
        await self._with_all("unlink")

    async def close(self) -> None:
        await self._client.aclose()

    async def _with_all(self, word: str) -> list[int]:
        """What Redis says to this word of each answer that it holds."""

        async def said() -> list[int]:
            told: list[int] = []
            keys = [key async for key in self._client.scan_iter(f"{_PREFIX}*", count=1000)]
            for at in range(0, len(keys), 1000):
                async with self._client.pipeline(transaction=False) as pipeline:
                    for key in keys[at : at + 1000]:
                        getattr(pipeline, word)(key)
                    told += await pipeline.execute()
            return told

        return await self._do(said, 10 * _WITHIN) or []

    async def _do(self, ask: Callable[[], Awaitable[Any]], within: float) -> Any:
        """None where it does not answer; then it is not asked for a while."""
        if time.monotonic() - self._away < _BACK_OFF:
            return None
        try:
            async with asyncio.timeout(within):
                told = await ask()
        except Exception as error:
            self._tell(error)
            return None
        if self.trouble:
            _log.warning("answers are kept in Redis again")
        self.trouble = ""
        return told

    def _tell(self, error: Exception) -> None:
        """The URL may hold a password and is not told."""
        self._away = time.monotonic()
        if not self.trouble:
            _log.warning("Redis is not to be had (%s): no answers are kept for now", type(error).__name__)
        self.trouble = f"Redis is not to be had ({type(error).__name__}): no answers are kept"
