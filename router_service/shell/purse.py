"""Keeps what was spent of budgets where it outlives the service and replicas agree: Redis, or the ledger's database.

Every writer has a row of its own for each count, in which stands what it has spent in all; the sum is what was spent.
So two writers never overwrite each other, and a write that may or may not have come through is simply written again.
A store that is away costs nobody an answer: the service goes on with what it knows, and tells the store when it is
back.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from router_service.budgets import Spending
from router_service.plan import Plan
from router_service.shell.ledger import engine
from router_service.shell.ledger_schema import MIGRATIONS, budgets, migrate, version
from router_service.shell.private import make_private

_log = logging.getLogger("archgw.budgets")
_PATIENCE = 0.05  # seconds that a request waits for what others have spent
_WITHIN = 5.0  # seconds that a store may take behind the requests' backs
_TIDY_EVERY = 3600.0
_PREFIX = "archgw:spent:"

Rows = list[dict[str, Any]]


class Purse(Protocol):
    """`keep` and `recall` raise for nothing that the store does. `trouble`: why it is not told, in words, or empty."""

    trouble: str

    async def keep(self, spending: Spending, keys: Iterable[str] = ()) -> None:
        """Tell the store what was spent, and learn what others have spent of that and of these."""
        ...

    async def hurry(self, spending: Spending) -> None:
        """Tell it now, unless it is just being told."""
        ...

    async def recall(self, spending: Spending, keys: Iterable[str]) -> None:
        """Learn what others have spent of these, while a request waits."""
        ...

    async def close(self) -> None: ...


def of(plan: Plan, file: Path | None) -> Purse:
    """The purse that the config names: Redis, where replicas share it, else the ledger's database.

    `file` is where SQLite's stands; without one, and without a ledger, nothing outlives the service. Raises BadLedger.
    """
    if plan.state.url.startswith(("redis://", "rediss://")):
        return Redis(plan.state.url)
    url = plan.ledger.url
    if url == "none" or (url == "sqlite" and file is None):
        return Nowhere()
    return Database(url, file)


class Nowhere:
    trouble = ""

    async def keep(self, spending: Spending, keys: Iterable[str] = ()) -> None:
        spending.changed.clear()
        spending.tidy(time.time())

    async def hurry(self, spending: Spending) -> None:
        return

    async def recall(self, spending: Spending, keys: Iterable[str]) -> None:
        return

    async def close(self) -> None:
        return


class Shared:
    """What Redis and a database have in common: when they are asked, and what becomes of their troubles."""

    name = "the store"

    def __init__(self, *, shared: bool) -> None:
        self.trouble = ""
        self._shared = shared
        self._keeping = asyncio.Lock()

    async def keep(self, spending: Spending, keys: Iterable[str] = ()) -> None:
        spending.stored, spending.shared = True, self._shared
        keys = tuple(keys)
        async with self._keeping:
            if not (keys or spending.changed or self.trouble):
                return
            writer, changed = spending.writer, set(spending.changed)
            rows = [
                {"key": key, "writer": writer, "spent": spending.own[key], "until": spending.kept_until[key]}
                for key in sorted(changed)
            ]
            spending.changed -= changed
            try:
                async with asyncio.timeout(_WITHIN):
                    others = await self._tell(rows, tuple({*keys, *changed}), writer)
            except Exception as error:
                spending.changed |= changed
                self._worry(error)
                return
            except asyncio.CancelledError:  # the service ends, and tells it once more
                spending.changed |= changed
                raise
            self._well()
            spending.learnt(others, writer)
            spending.tidy(time.time())

    async def hurry(self, spending: Spending) -> None:
        if not self._keeping.locked():
            await self.keep(spending)

    async def recall(self, spending: Spending, keys: Iterable[str]) -> None:
        """Where the store is away already, nobody waits for it."""
        if self.trouble:
            return
        writer = spending.writer
        try:
            async with asyncio.timeout(_PATIENCE):
                spending.learnt(await self._ask(tuple(keys), writer), writer)
        except TimeoutError:
            return  # busy, perhaps; whether it is away, `keep` finds out
        except Exception as error:
            self._worry(error)

    async def _tell(self, rows: Rows, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        """Write, then read, all or nothing. With neither to do, find out whether it is there."""
        raise NotImplementedError

    async def _ask(self, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        raise NotImplementedError

    def _worry(self, error: Exception) -> None:
        """Once, until it is well again; the words of an error may hold a password."""
        cause = getattr(error, "orig", None) or error
        told = "it does not answer in time" if isinstance(cause, TimeoutError) else type(cause).__name__
        if not self.trouble:
            _log.warning(
                "%s cannot be told what was spent (%s); budgets go on with what is known here", self.name, told
            )
        self.trouble = f"{self.name} cannot be told what was spent ({told}): each service counts its own meanwhile"

    def _well(self) -> None:
        if self.trouble:
            _log.warning("%s is told what was spent again", self.name)
        self.trouble = ""


class Database(Shared):
    """The ledger's, SQLite or PostgreSQL, on threads of its own: the driver's calls wait."""

    name = "the ledger's database"

    def __init__(self, url: str, file: Path | None) -> None:
        postgres = url.startswith("postgres")
        super().__init__(shared=postgres)
        self._file = None if postgres else Path(url.removeprefix("sqlite:///")) if ":" in url else file
        self._engine: Engine = engine(url, file, patience=0.8 * _WITHIN)
        self._reader = self._engine if postgres else engine(url, file, read_only=True)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="budgets")
        self._ready = False
        self._tidied = 0.0

    async def close(self) -> None:
        """What was given up for late may still have a connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_WITHIN):
                await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engine.dispose()
        self._reader.dispose()

    async def _tell(self, rows: Rows, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        if not rows:
            return await self._ask(keys, writer)
        return await self._off(self._write, rows, keys, writer)

    async def _ask(self, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        return await self._off(self._read, keys, writer)

    async def _off(self, work: Any, *arguments: Any) -> Mapping[str, float]:
        found: Mapping[str, float] = await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        return found

    def _read(self, keys: tuple[str, ...], writer: str) -> dict[str, float]:
        self._make_ready()
        with self._reader.begin() as connection:
            return _others(connection, keys, writer)

    def _write(self, rows: Rows, keys: tuple[str, ...], writer: str) -> dict[str, float]:
        self._make_ready()
        with self._engine.begin() as connection:
            dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
            said = dialect.insert(budgets)
            # A write that was given up for late may still come through, after the next: the greater one holds.
            greater = func.greatest if connection.dialect.name == "postgresql" else func.max
            mine = {"spent": greater(budgets.c.spent, said.excluded.spent), "until": said.excluded.until}
            connection.execute(said.on_conflict_do_update(index_elements=["key", "writer"], set_=mine), rows)
            if time.monotonic() - self._tidied > _TIDY_EVERY or not self._tidied:
                self._tidied = time.monotonic()
                connection.execute(delete(budgets).where(budgets.c.until < time.time()))
            return _others(connection, keys, writer)

    def _make_ready(self) -> None:
        """A database that was begun before is only looked at: a request waits, and the ledger may be writing."""
        if self._ready:
            return
        begun = self._file is None or (self._file.exists() and self._file.stat().st_size > 0)
        if self._file:
            make_private(self._file)
        if not (begun and self._is_current()):
            with self._engine.begin() as connection:
                migrate(connection)
        self._ready = True

    def _is_current(self) -> bool:
        with self._reader.begin() as connection:
            return version(connection) == len(MIGRATIONS)


def _others(connection: Connection, keys: tuple[str, ...], writer: str) -> dict[str, float]:
    asked = select(budgets.c.key, func.sum(budgets.c.spent)).group_by(budgets.c.key)
    found = connection.execute(asked.where(budgets.c.key.in_(keys), budgets.c.writer != writer))
    return dict.fromkeys(keys, 0.0) | {key: float(spent) for key, spent in found}


class Redis(Shared):
    """A sorted set for each count; a writer's score is what it has spent.

    For a score may be told only to grow (ZADD GT, Redis 6.2): a write that was given up for late may still come
    through, after the next.
    """

    name = "Redis"

    def __init__(self, url: str) -> None:
        from redis import asyncio as redis  # that it is installed, the store of sessions has made sure

        super().__init__(shared=True)
        self._client: Any = redis.Redis.from_url(url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2)

    async def close(self) -> None:
        await self._client.aclose()

    async def _tell(self, rows: Rows, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        if not (rows or keys):
            await self._client.ping()
            return {}
        async with self._client.pipeline(transaction=True) as pipeline:
            for row in rows:
                pipeline.zadd(_PREFIX + row["key"], {writer: float(row["spent"])}, gt=True)
                pipeline.expireat(_PREFIX + row["key"], int(row["until"]))
            for key in keys:
                pipeline.zrange(_PREFIX + key, 0, -1, withscores=True)
            found = await pipeline.execute()
        told = zip(keys, found[2 * len(rows) :], strict=True)
        return {key: sum(spent for name, spent in scores if name != writer) for key, scores in told}

    async def _ask(self, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        return await self._tell([], keys, writer)
