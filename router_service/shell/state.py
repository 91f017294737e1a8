"""Keeps sessions, and who cools, where they outlive the service: in a file, or in Redis, which several services share.

The service works on its own memory. What has changed is written behind the requests' backs; a store that fails costs a
session its memory, never a request its answer. It is told once that it fails; what could not be written is written when
it is well again.
"""

import asyncio
import json
import logging
import math
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from router_service.cooling import Cooling
from router_service.plan import Plan
from router_service.session import NEW, Session, Sessions, read, written
from router_service.session_merge import merged
from router_service.shell import redis_client
from router_service.shell.private import make_private

_log = logging.getLogger("archgw.state")
_KEPT_FOR = 7 * 86_400.0  # seconds after its last request
_PATIENCE = 0.05  # seconds that a request waits for a shared session
_WORKERS_PATIENCE = 0.5  # the same where the next turn may be another process's every time; not while Redis is away
_LOCK_PATIENCE = 5.0  # seconds that SQLite waits for a lock, off the requests' way
_REDIS_WITHIN = 5.0  # seconds that it may take behind the requests' backs
_CONNECTIONS = 32  # at most, of each service
_MOST_ASKING = 1000  # requests whose answer is still to come from Redis; those beyond do without
_BEGUN_AT_ONCE = 8  # writes of sessions that are new; of the others one
_AT_ONCE = 500  # sessions in one transaction
_TRIES = 4  # where others write the same sessions at the same moment
_PREFIX, _COOLING = "archgw:session:", "archgw:cooling:"


class Store(Protocol):
    """`keep` and `recall` may take their time, and raise for nothing that the store does. `at_once`: others wait.

    `trouble`: why nothing is kept at the moment, in words; empty when all is well.
    """

    at_once: bool

    @property
    def trouble(self) -> str: ...

    async def open(self, sessions: Sessions) -> None: ...

    async def keep(self, sessions: Sessions) -> None:
        """Write what has changed."""
        ...

    async def hurry(self, sessions: Sessions) -> None:
        """Write it now, where others wait for it, unless it is just being written."""
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

    async def hurry(self, sessions: Sessions) -> None:
        return

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

    async def hurry(self, sessions: Sessions) -> None:
        return

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
    """Shared by replicas: fetched before a decision, written behind an answer, one write at a time.

    What another service has written of a session meanwhile is not overwritten but joined with what happened here.
    """

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
        try:
            self._client: Any = redis_client.client(url, connections=_CONNECTIONS)
        except ImportError:
            raise BadStore(
                "state.url names Redis, whose client is not installed: pip install 'archgw[redis]'"
            ) from None
        self._writing = asyncio.Lock()
        self._beginning = asyncio.Semaphore(_BEGUN_AT_ONCE)
        self._under_way: set[str] = set()  # keys that are being written
        self._unsure: dict[
            str, tuple[str, Session]
        ] = {}  # what was written, when nobody said that it was; and its mark
        self._asking: set[asyncio.Task[None]] = set()
        self._away = False  # then nobody waits for it
        self._failing, self._late = "", ""
        self._warned = -math.inf

    @property
    def trouble(self) -> str:
        return self._failing or self._late

    async def open(self, sessions: Sessions) -> None:
        sessions.shared = True

    async def keep(self, sessions: Sessions) -> None:
        """What changes while it is written is written next."""
        async with self._writing:
            while await self._keep(sessions) and (self._due(sessions) or self._cooling.changed):
                pass

    async def hurry(self, sessions: Sessions) -> None:
        """Sessions that are new do not wait for the others."""
        if not (self._away or self._beginning.locked()):
            async with self._beginning:
                while await self._begin(sessions):
                    pass
        if not (self._away or self._writing.locked()):
            await self.keep(sessions)

    async def recall(self, sessions: Sessions, keys: Iterable[str]) -> None:
        """What comes later than a request waits is there for the next one. Where Redis is away, nobody waits: `keep`
        finds out when it is back.
        """
        if self._away or len(self._asking) >= _MOST_ASKING:
            return
        asking = asyncio.create_task(self._ask(sessions, tuple(keys)))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        patience = _WORKERS_PATIENCE if self._among_workers and not self.trouble else _PATIENCE
        done, _ = await asyncio.wait({asking}, timeout=patience)
        if done:
            self._late = ""
        elif not self._late:
            self._late = f"Redis answers after more than {patience:g} s: sessions may be this service's own"
            self._warn("%s", self._late)

    async def close(self) -> None:
        if self._asking:
            await asyncio.wait(self._asking, timeout=2 * redis_client.WITHIN)
        await self._client.aclose()

    async def _ask(self, sessions: Sessions, keys: tuple[str, ...]) -> None:
        names = [*(_PREFIX + key for key in keys), *(_COOLING + candidate for candidate in self._candidates)]
        before = {key: (sessions.get(key), sessions.known.get(key)) for key in keys}
        try:  # the client's own patience ends it: cut short from outside, it leaves connections half made
            found: list[str | None] = await self._client.mget(names)
        except Exception as error:
            self._fail(error)
            return
        for key, text in zip(keys, found, strict=False):
            now = sessions.get(key), sessions.known.get(key)
            still = all(one is other for one, other in zip(before[key], now, strict=True))
            # What is being written, or was while we asked, may be newer than what was read.
            if text and still and key not in sessions.changed and key not in self._under_way:
                with suppress(ValueError):
                    sessions.learnt(key, _read(text))
        for candidate, text in zip(self._candidates, found[len(keys) :], strict=True):
            if text:
                with suppress(ValueError, TypeError):
                    _learn(self._cooling, candidate, *json.loads(text))

    async def _keep(self, sessions: Sessions) -> bool:
        """Whether there is nothing against going on."""
        left, cold = self._due(sessions), set(self._cooling.changed)
        keys = frozenset(left)
        if not (left or cold or self.trouble):
            return True
        sessions.changed -= left
        self._cooling.changed.clear()
        self._under_way |= left
        self._unsure = {key: one for key, one in self._unsure.items() if key in self._under_way}
        begun = time.monotonic()
        try:
            async with asyncio.timeout(_REDIS_WITHIN):
                await self._tell_who_cools(cold)
                cold = set()
                self._late = "" if time.monotonic() - begun < _PATIENCE else self._late
                while left:
                    portion = sorted(left)[:_AT_ONCE]
                    some = {key: sessions.get(key) for key in portion if key in sessions}
                    self._settle(sessions, some, await self._write(some, sessions.known))
                    left.difference_update(portion)
            self._well()
        except _Contended:
            return False  # the next second
        except Exception as error:
            self._fail(error)
            await redis_client.leave_replica(self._client, error)
            return False
        finally:
            # Else what Redis knew before would take the place of what has happened meanwhile.
            sessions.changed |= {key for key in left if key in sessions}
            self._cooling.changed |= cold
            self._under_way -= keys
        return True

    def _due(self, sessions: Sessions) -> set[str]:
        """What is to be written: the new ones not, where enough are at them, who go on with these."""
        return sessions.changed & sessions.known.keys() if self._beginning.locked() else set(sessions.changed)

    async def _begin(self, sessions: Sessions) -> bool:
        """Write, in one word, what was never written: a session's second request may be another service's at once.

        Whether there was any; what another has written meanwhile is left to `keep`.
        """
        fresh = {key: sessions.get(key) for key in sorted(sessions.changed - sessions.known.keys())[:_AT_ONCE]}
        if not fresh:
            return False
        mark, stored = secrets.token_hex(8), dict[str, Session]()
        sessions.changed -= fresh.keys()
        self._under_way |= fresh.keys()
        self._unsure |= {key: (mark, one) for key, one in fresh.items()}
        try:
            async with asyncio.timeout(_REDIS_WITHIN), self._client.pipeline(transaction=False) as pipeline:
                for key, one in fresh.items():
                    pipeline.set(_PREFIX + key, f"{mark}\n{written(one)}", ex=int(_KEPT_FOR), nx=True)
                told = await pipeline.execute()
            stored = {key: one for (key, one), new in zip(fresh.items(), told, strict=True) if new}
            self._unsure = {key: one for key, one in self._unsure.items() if key not in fresh}
            self._settle(sessions, fresh, stored)
        except Exception as error:
            self._fail(error)
        finally:
            sessions.changed |= {key for key in fresh if key in sessions and key not in stored}
            self._under_way -= fresh.keys()
        return len(stored) == len(fresh)

    async def _tell_who_cools(self, cold: Iterable[str]) -> None:
        async with self._client.pipeline(transaction=False) as pipeline:
            pipeline.ping()  # where there is nothing to tell, to hear whether it is well
            for candidate in cold:
                left = math.ceil(self._cooling.left(candidate, time.monotonic()))
                if left:
                    pipeline.set(_COOLING + candidate, json.dumps(_told(self._cooling, candidate)), ex=left)
            await pipeline.execute()

    async def _write(self, mine: Mapping[str, Session], known: Mapping[str, Session]) -> dict[str, Session]:
        """What is stored then. Raises _Contended, and whatever the client raises."""
        names = [_PREFIX + key for key in mine]
        for _ in range(_TRIES if names else 0):
            async with self._client.pipeline(transaction=True) as pipeline:
                with suppress(redis_client.moved()):
                    await pipeline.watch(*names)
                    found: list[str | None] = await pipeline.mget(names)
                    there = zip(mine, found, strict=True)
                    stored = {key: self._joined(mine[key], text, key, known) for key, text in there}
                    mark = secrets.token_hex(8)
                    self._unsure |= {key: (mark, one) for key, one in stored.items()}
                    pipeline.multi()
                    for key, one in stored.items():
                        pipeline.set(_PREFIX + key, f"{mark}\n{written(one)}", ex=int(_KEPT_FOR))
                    await pipeline.execute()
                    self._unsure = {key: one for key, one in self._unsure.items() if key not in stored}
                    return stored
        if names:
            raise _Contended
        return {}

    def _joined(self, mine: Session, text: str | None, key: str, known: Mapping[str, Session]) -> Session:
        """What another version wrote, and nobody here can read, gives way. What we gave up writing may be there."""
        with suppress(ValueError):
            if text:
                mark, session = self._unsure.get(key, ("", NEW))
                return merged(mine, _read(text), session if _mark(text) == mark else known.get(key, NEW))
        return mine

    def _settle(self, sessions: Sessions, mine: Mapping[str, Session], stored: Mapping[str, Session]) -> None:
        """It may have gone on here while it was written."""
        for key, one in stored.items():
            now = sessions.get(key)
            if now is mine[key]:
                sessions.learnt(key, one)
            elif key in sessions:
                sessions.put(key, merged(now, one, mine[key]))
                sessions.known[key] = one

    def _fail(self, error: Exception) -> None:
        """The URL may hold a password and is not told."""
        refused = redis_client.is_refusal(error)
        what = "Redis takes no sessions" if refused else "Redis is not to be had"
        why = "it does not answer in time" if type(error).__name__ == "TimeoutError" else type(error).__name__
        self._warn("%s (%s): sessions are this service's own for now", what, why)
        self._failing = f"{what} ({why}): sessions are this service's own"
        self._away = not refused

    def _warn(self, words: str, *facts: object) -> None:
        """Once in a while."""
        if time.monotonic() - self._warned > 60:
            self._warned = time.monotonic()
            _log.warning(words, *facts)

    def _well(self) -> None:
        if self._failing:
            _log.warning("Redis is there again: sessions are shared")
        self._failing, self._away = "", False


def _mark(text: str) -> str:
    """Each write has its own, by which who wrote it knows it again."""
    return text.partition("\n")[0]


def _read(text: str) -> Session:
    """Raises ValueError."""
    return read(text.partition("\n")[2])


class _Contended(Exception):
    """Others go on writing the same."""
