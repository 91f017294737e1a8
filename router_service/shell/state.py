"""Keeps sessions, and who cools, where they outlive the service: in a file, or in Redis, which several services share.

The service works on its own memory. What has changed is written behind the requests' backs; a store that fails costs a
session its memory, never a request its answer. It is told once that it fails; what could not be written is written when
it is well again.
"""

import asyncio
import json
import logging
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from router_service.cooling import Cooling
from router_service.plan import Plan
from router_service.session import Sessions, read, written
from router_service.shell.private import make_private

_log = logging.getLogger("archgw.state")
_KEPT_FOR = 7 * 86_400.0  # seconds after its last request
_PATIENCE = 0.05  # seconds that a request waits for a shared session
_WORKERS_PATIENCE = 0.5  # the same where the next turn may be another process's every time; not while Redis is away
_LOCK_PATIENCE = 5.0  # seconds that SQLite waits for a lock, off the requests' way
_PREFIX, _COOLING = "archgw:session:", "archgw:cooling:"


class Store(Protocol):
    """`keep` and `recall` may take their time, and raise for nothing that the store does. `at_once`: others wait.

    `trouble`: why nothing is kept at the moment, in words; empty when all is well.
    """

    at_once: bool
    trouble: str

    async def open(self, sessions: Sessions) -> None: ...

    async def keep(self, sessions: Sessions) -> None:
        """Write what has changed."""
        ...

    async def recall(self, sessions: Sessions, keys: Iterable[str]) -> None:
        """Bring in what others have written."""
        ...

    async def close(self) -> None: ...


def of(plan: Plan, file: Path | None, cooling: Cooling | None = None) -> Store:
    """The store that the config names. `file` is where a file would stand; without one, nothing is kept.

    Raises BadStore.
    """
    url, cooling = plan.state.url, cooling or Cooling()
    if url.startswith(("redis://", "rediss://")):
        return Redis(url, cooling, [candidate.id for candidate in plan.candidates], among_workers=plan.workers > 1)
    return File(file, cooling) if url == "sqlite" and file else Nowhere()


class BadStore(Exception):
    """The store cannot be used at all; the text says what to do."""


class Nowhere:
    at_once, trouble = False, ""

    async def open(self, sessions: Sessions) -> None:
        return

    async def keep(self, sessions: Sessions) -> None:
        sessions.changed.clear()

    async def recall(self, sessions: Sessions, keys: Iterable[str]) -> None:
        return

    async def close(self) -> None:
        return


class File:
    """SQLite, readable by its owner alone. A file that is none is put aside, and a new one begun."""

    at_once = False

    def __init__(self, file: Path, cooling: Cooling | None = None) -> None:
        self._file, self._cooling = file, cooling or Cooling()
        self._loaded = False
        self.trouble = ""

    async def open(self, sessions: Sessions) -> None:
        """What cannot be read now is read when it can be; what has happened since stands."""
        try:
            rows, cold = await asyncio.to_thread(self._load)
        except (OSError, sqlite3.Error) as error:
            self._tell(error)
            return
        self._loaded = True
        self._well()
        for key, text in rows:
            if key not in sessions:
                with suppress(ValueError):
                    sessions.learnt(key, read(text))
        for candidate, until, why in cold:
            _learn(self._cooling, candidate, until, why)

    async def keep(self, sessions: Sessions) -> None:
        if not self._loaded:
            await self.open(sessions)
        keys, cold = set(sessions.changed), set(self._cooling.changed)
        if not self._loaded or not (keys or cold or self.trouble):
            return
        rows = [(key, written(sessions.get(key)), time.time()) for key in keys]
        cooling = [(candidate, *_told(self._cooling, candidate)) for candidate in cold]
        sessions.changed.clear()
        self._cooling.changed.clear()
        try:
            await asyncio.to_thread(self._save, rows, cooling)
        except (OSError, sqlite3.Error) as error:
            self._tell(error)
            self._loaded = not isinstance(error, sqlite3.Error) or _passes(error)
            sessions.changed |= {key for key in keys if key in sessions}
            self._cooling.changed |= cold
            return
        self._well()

    async def recall(self, sessions: Sessions, keys: Iterable[str]) -> None:
        return

    async def close(self) -> None:
        return

    def _tell(self, error: Exception) -> None:
        if not self.trouble:
            _log.warning("sessions are not remembered for now: %s: %s", self._file, error)
        self.trouble = f"sessions are not remembered: {self._file}: {error}"

    def _well(self) -> None:
        if self.trouble:
            _log.warning("sessions are remembered again: %s", self._file)
        self.trouble = ""

    def _load(self) -> tuple[list[tuple[str, str]], list[tuple[str, float, str]]]:
        try:
            return self._rows()
        except sqlite3.DatabaseError as error:
            if _passes(error):
                raise
            self._file.replace(self._file.with_suffix(".broken"))
            return self._rows()

    def _rows(self) -> tuple[list[tuple[str, str]], list[tuple[str, float, str]]]:
        with self._open() as connection:
            connection.execute("delete from sessions where at < ?", (time.time() - _KEPT_FOR,))
            connection.execute("delete from cooling where until < ?", (time.time(),))
            rows: list[tuple[str, str]] = connection.execute("select key, told from sessions order by at").fetchall()
            cold: list[tuple[str, float, str]] = connection.execute(
                "select candidate, until, why from cooling"
            ).fetchall()
        return rows, cold

    def _save(self, rows: list[tuple[str, str, float]], cold: list[tuple[str, float, str]]) -> None:
        with self._open() as connection:
            connection.executemany("insert or replace into sessions values (?, ?, ?)", rows)
            connection.executemany("insert or replace into cooling values (?, ?, ?)", cold)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction, on a file that is made where there is none (any more)."""
        make_private(self._file)
        with closing(sqlite3.connect(self._file, timeout=_LOCK_PATIENCE)) as connection, connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("create table if not exists sessions (key text primary key, told text, at real)")
            connection.execute("create table if not exists cooling (candidate text primary key, until real, why text)")
            yield connection


def _passes(error: sqlite3.Error) -> bool:
    """Locked, full, not to be written: the file may be good. Else it is broken."""
    return isinstance(error, sqlite3.OperationalError)


def _told(cooling: Cooling, candidate: str) -> tuple[float, str]:
    """Until when, in seconds since the epoch, and why."""
    now = time.monotonic()
    return time.time() + cooling.left(candidate, now), cooling.why(candidate, now)


def _learn(cooling: Cooling, candidate: str, until: float, why: str) -> None:
    left = until - time.time()
    if left > 0:
        cooling.learnt(candidate, time.monotonic() + left, why)


class Redis:
    """Shared by replicas: fetched before a decision, written at once."""

    at_once = True

    def __init__(
        self,
        url: str,
        cooling: Cooling | None = None,
        candidates: Sequence[str] = (),
        *,
        among_workers: bool = False,
    ) -> None:
        self._cooling, self._candidates, self._among_workers = cooling or Cooling(), candidates, among_workers
        self.trouble = ""
        try:
            from redis import asyncio as redis
        except ImportError:
            raise BadStore(
                "state.url names Redis, whose client is not installed: pip install 'archgw[redis]'"
            ) from None
        self._client: Any = redis.Redis.from_url(url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2)
        self._away = 0.0

    async def open(self, sessions: Sessions) -> None:
        sessions.shared = True

    async def keep(self, sessions: Sessions) -> None:
        keys, cold = set(sessions.changed), set(self._cooling.changed)
        if not (keys or cold or self.trouble):
            return
        told = {key: written(sessions.get(key)) for key in keys}
        sessions.changed.clear()
        self._cooling.changed.clear()
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                pipeline.ping()  # where there is nothing to tell, to hear whether it is well
                for key, text in told.items():
                    pipeline.set(_PREFIX + key, text, ex=int(_KEPT_FOR))
                for candidate in cold:
                    left = math.ceil(self._cooling.left(candidate, time.monotonic()))
                    if left:
                        pipeline.set(_COOLING + candidate, json.dumps(_told(self._cooling, candidate)), ex=left)
                await pipeline.execute()
            self._well()
        except Exception as error:
            self._tell(error)
            # Else what Redis knew before would take the place of what has happened meanwhile.
            sessions.changed |= {key for key in keys if key in sessions}
            self._cooling.changed |= cold

    async def recall(self, sessions: Sessions, keys: Iterable[str]) -> None:
        keys = tuple(keys)
        names = [*(_PREFIX + key for key in keys), *(_COOLING + candidate for candidate in self._candidates)]
        try:
            async with asyncio.timeout(_WORKERS_PATIENCE if self._among_workers and not self.trouble else _PATIENCE):
                found: list[str | None] = await self._client.mget(names)
            self._well()
        except Exception as error:
            self._tell(error)
            return
        for key, text in zip(keys, found, strict=False):
            if text and key not in sessions.changed:
                with suppress(ValueError):
                    sessions.learnt(key, read(text))
        for candidate, text in zip(self._candidates, found[len(keys) :], strict=True):
            if text:
                with suppress(ValueError, TypeError):
                    _learn(self._cooling, candidate, *json.loads(text))

    async def close(self) -> None:
        await self._client.aclose()

    def _tell(self, error: Exception) -> None:
        """Once in a while; the URL may hold a password and is not told."""
        if time.monotonic() - self._away > 60:
            self._away = time.monotonic()
            _log.warning("Redis is not to be had (%s): sessions are this service's own for now", type(error).__name__)
        self.trouble = f"Redis is not to be had ({type(error).__name__}): sessions are this service's own"

    def _well(self) -> None:
        self.trouble = ""
