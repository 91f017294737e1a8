"""Keeps sessions where they outlive the service: in a file, or in Redis where several services share them.

The service works on its own memory. What has changed is written behind the requests' backs; a store that fails costs a
session its memory, never a request its answer.
"""

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from router_service.plan import Plan
from router_service.session import Sessions, read, written

_log = logging.getLogger("archgw.state")
_KEPT_FOR = 7 * 86_400.0  # seconds after its last request
_PATIENCE = 0.05  # seconds that a request waits for a shared session
_PREFIX = "archgw:session:"


class Store(Protocol):
    """`keep` and `recall` may take their time, and raise for nothing that the store does. `at_once`: others wait."""

    at_once: bool

    async def open(self, sessions: Sessions) -> None: ...

    async def keep(self, sessions: Sessions) -> None:
        """Write what has changed."""
        ...

    async def recall(self, sessions: Sessions, keys: Iterable[str]) -> None:
        """Bring in what others have written."""
        ...

    async def close(self) -> None: ...


def of(plan: Plan, file: Path | None) -> Store:
    """The store that the config names. `file` is where a file would stand; without one, nothing is kept.

    Raises BadStore.
    """
    url = plan.state.url
    if url.startswith(("redis://", "rediss://")):
        return Redis(url)
    return File(file) if url == "sqlite" and file else Nowhere()


class BadStore(Exception):
    """The store cannot be used at all; the text says what to do."""


class Nowhere:
    at_once = False

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

    def __init__(self, file: Path) -> None:
        self._file = file

    async def open(self, sessions: Sessions) -> None:
        try:
            rows = await asyncio.to_thread(self._load)
        except (OSError, sqlite3.Error) as error:
            _log.warning("sessions are not remembered: %s: %s", self._file, error)
            return
        for key, text in rows:
            try:
                sessions.learnt(key, read(text))
            except ValueError:
                continue

    async def keep(self, sessions: Sessions) -> None:
        if not sessions.changed:
            return
        rows = [(key, written(sessions.get(key)), time.time()) for key in sessions.changed]
        sessions.changed.clear()
        try:
            await asyncio.to_thread(self._save, rows)
        except (OSError, sqlite3.Error) as error:
            _log.warning("sessions are not remembered: %s: %s", self._file, error)

    async def recall(self, sessions: Sessions, keys: Iterable[str]) -> None:
        return

    async def close(self) -> None:
        return

    def _load(self) -> list[tuple[str, str]]:
        try:
            return self._rows()
        except sqlite3.DatabaseError:
            self._file.replace(self._file.with_suffix(".broken"))
            return self._rows()

    def _rows(self) -> list[tuple[str, str]]:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        opened = os.open(self._file, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
        os.fchmod(opened, 0o600)  # SQLite gives the files that it puts beside it the same
        os.close(opened)
        with sqlite3.connect(self._file) as connection:
            connection.execute("pragma journal_mode = wal")
            connection.execute("create table if not exists sessions (key text primary key, told text, at real)")
            connection.execute("delete from sessions where at < ?", (time.time() - _KEPT_FOR,))
            rows: list[tuple[str, str]] = connection.execute("select key, told from sessions order by at").fetchall()
        connection.close()
        return rows

    def _save(self, rows: list[tuple[str, str, float]]) -> None:
        with sqlite3.connect(self._file) as connection:
            connection.executemany("insert or replace into sessions values (?, ?, ?)", rows)
        connection.close()


class Redis:
    """Shared by replicas: fetched before a decision, written at once."""

    at_once = True

    def __init__(self, url: str) -> None:
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
        if not sessions.changed:
            return
        told = {key: written(sessions.get(key)) for key in sessions.changed}
        sessions.changed.clear()
        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                for key, text in told.items():
                    pipeline.set(_PREFIX + key, text, ex=int(_KEPT_FOR))
                await pipeline.execute()
        except Exception as error:
            self._tell(error)

    async def recall(self, sessions: Sessions, keys: Iterable[str]) -> None:
        keys = tuple(keys)
        try:
            async with asyncio.timeout(_PATIENCE):
                found: list[str | None] = await self._client.mget([_PREFIX + key for key in keys])
        except Exception as error:
            self._tell(error)
            return
        for key, text in zip(keys, found, strict=True):
            if text and key not in sessions.changed:
                try:
                    sessions.learnt(key, read(text))
                except ValueError:
                    continue

    async def close(self) -> None:
        await self._client.aclose()

    def _tell(self, error: Exception) -> None:
        """Once in a while; the URL may hold a password and is not told."""
        if time.monotonic() - self._away > 60:
            self._away = time.monotonic()
            _log.warning("Redis is not to be had (%s): sessions are this service's own for now", type(error).__name__)
