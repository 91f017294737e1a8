"""Keeps what was spent of budgets where it outlives the service and replicas agree: Redis, or the ledger's database.

Every writer tells what it has spent in all of a count. The store remembers that for each, and adds what is more than
before to the sum, which is all that anybody reads. So two writers never overwrite each other, and a write that may or
may not have come through is simply written again. A store that is away costs nobody an answer: the service goes on with
what it knows, and tells the store when it is back.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, and_, bindparam, case, delete, func, select, update

from router_service.budgets import Spending
from router_service.plan import Plan
from router_service.shell import redis_client
from router_service.shell.ledger import engine
from router_service.shell.ledger_schema import MIGRATIONS, budget_sums, budgets, migrate, upsert, version
from router_service.shell.private import make_private

_log = logging.getLogger("archgw.budgets")
_PATIENCE = 0.05  # seconds that a request waits for what others have spent
_WITHIN = 5.0  # seconds that a store may take behind the requests' backs
_TIDY_EVERY = 3600.0
_CONNECTIONS = 16  # to Redis at most, of each service
_WRITES_AT_MOST = 3600  # seconds after which nothing that was given up comes through any more
_PREFIX, _WRITER, _SUM = "archgw:budget:", "archgw:budget-writer:", "*"

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
                await self._begin_anew(error)
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

    async def _begin_anew(self, error: Exception) -> None:
        """Before it is told again."""

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
        """A write that was given up for late may still come through, after the next, and then adds nothing."""
        self._make_ready()
        with self._engine.begin() as connection:
            connection.execute(
                upsert(connection, budgets).on_conflict_do_nothing(), [row | {"spent": 0.0} for row in rows]
            )
            mine = budgets.c.writer == writer, budgets.c.key.in_([row["key"] for row in rows])
            asked = select(budgets.c.key, budgets.c.spent).where(*mine).with_for_update()
            before = {row.key: row.spent for row in connection.execute(asked)}
            greater = [row for row in rows if row["spent"] > before[row["key"]]]
            if greater:
                _replace(connection, greater, writer)
                # Each adds in the order of the keys, so that no two wait for each other.
                _add(
                    connection,
                    upsert(connection, budget_sums),
                    [row | {"more": row["spent"] - before[row["key"]]} for row in greater],
                )
            if time.monotonic() - self._tidied > _TIDY_EVERY or not self._tidied:
                self._tidied = time.monotonic()
                _let_go(connection, time.time())
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


def _replace(connection: Connection, rows: Rows, writer: str) -> None:
    here = budgets.c.writer == writer, budgets.c.key == bindparam("of")
    told = [{"of": row["key"], "told": row["spent"], "kept": row["until"]} for row in rows]
    connection.execute(update(budgets).where(*here).values(spent=bindparam("told"), until=bindparam("kept")), told)


def _add(connection: Connection, said: Any, rows: Rows) -> None:
    """`said`: an insert of this dialect. `more`: what has come to it."""
    later = case((budget_sums.c.until > said.excluded.until, budget_sums.c.until), else_=said.excluded.until)
    whole = {"spent": budget_sums.c.spent + said.excluded.spent, "until": later}
    told = [{"key": row["key"], "spent": row["more"], "until": row["until"]} for row in rows]
    connection.execute(said.on_conflict_do_update(index_elements=["key"], set_=whole), told)


def _let_go(connection: Connection, now: float) -> None:
    """What a service has told is needed for as long as the sum that it is part of."""
    needed = select(budget_sums.c.key).where(budget_sums.c.until >= now)
    connection.execute(delete(budgets).where(budgets.c.until < now, budgets.c.key.not_in(needed)))
    connection.execute(delete(budget_sums).where(budget_sums.c.until < now))


def _others(connection: Connection, keys: tuple[str, ...], writer: str) -> dict[str, float]:
    mine = budgets.c.key == budget_sums.c.key, budgets.c.writer == writer
    others = budget_sums.c.spent - func.coalesce(budgets.c.spent, 0.0)
    asked = select(budget_sums.c.key, others).select_from(budget_sums.outerjoin(budgets, and_(*mine)))
    found = connection.execute(asked.where(budget_sums.c.key.in_(keys)))
    return dict.fromkeys(keys, 0.0) | {key: max(0.0, float(spent)) for key, spent in found}


class Redis(Shared):
    """A hash for each count: what was spent of it, and beside it what each writer has told of that. So who reads it
    reads two fields, however many services there are, or have been.

    A writer adds the difference to what it has told before, in one transaction that watches a key of its own: a write
    that was given up for late, and comes through after the next, comes to nothing.
    """

    name = "Redis"

    def __init__(self, url: str) -> None:
        super().__init__(shared=True)
        # That the client is installed, the store of sessions has made sure.
        self._client: Any = redis_client.client(url, connections=_CONNECTIONS)

    async def close(self) -> None:
        await self._client.aclose()

    async def _begin_anew(self, error: Exception) -> None:
        await redis_client.leave_replica(self._client, error)

    async def _tell(self, rows: Rows, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        if not (rows or keys):
            await self._client.ping()
            return {}
        if not rows:
            return await self._ask(keys, writer)
        while True:  # for as long as there is patience; nobody else writes with this writer's name
            with suppress(redis_client.moved()):
                return await self._write(rows, keys, writer)

    async def _write(self, rows: Rows, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        """Raises WatchError where something of ours came between."""
        mine = _WRITER + writer
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.get(mine)
            for row in rows:
                pipeline.hget(_PREFIX + row["key"], writer)
            last, *told = await pipeline.execute()
        async with self._client.pipeline(transaction=True) as pipeline:
            await pipeline.watch(mine)
            if await pipeline.get(mine) != last:
                raise redis_client.moved()
            pipeline.multi()
            pipeline.set(mine, secrets.token_hex(8), ex=_WRITES_AT_MOST)
            for row, before in zip(rows, told, strict=True):
                name, more = _PREFIX + row["key"], row["spent"] - float(before or 0)
                if more > 0:
                    pipeline.hincrbyfloat(name, _SUM, more)
                    pipeline.hset(name, writer, repr(float(row["spent"])))
                    pipeline.expireat(name, int(row["until"]))
            for key in keys:
                pipeline.hmget(_PREFIX + key, _SUM, writer)
            found = await pipeline.execute()
        return _of_others(keys, found[len(found) - len(keys) :])

    async def _ask(self, keys: tuple[str, ...], writer: str) -> Mapping[str, float]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hmget(_PREFIX + key, _SUM, writer)
            return _of_others(keys, await pipeline.execute())


def _of_others(keys: tuple[str, ...], found: Iterable[tuple[str | None, str | None]]) -> dict[str, float]:
    told = zip(keys, found, strict=True)
    return {key: max(0.0, float(whole or 0) - float(mine or 0)) for key, (whole, mine) in told}
