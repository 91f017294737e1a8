"""Answers in a file: SQLite, readable by its owner alone, made when there is something to keep.

Whatever is asked of it is done on one thread, in the order in which it was asked. A file that is none is replaced.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from router_service.caching import Entry, read, written
from router_service.shell.cache_stores import WITHIN, Held, Rest
from router_service.shell.private import make_private

_log = logging.getLogger("archgw.cache")
_PATIENCE = 1.0  # seconds that a request waits for the disk
_MANY = 5  # hundredths of the answers that leave at once where there are too many
_SOME = 50  # answers that are swept at once: who wants one waits no longer than for these
_WRITTEN = "written"  # what alone shows that the file is well again: to read may go well on a full disk
_Told = TypeVar("_Told")


class Database:
    """Its size is bounded by `at_most`; what has not been asked for the longest goes first."""

    front = True

    def __init__(self, file: Path) -> None:
        self._file = file
        self._thread = ThreadPoolExecutor(1, "cache")
        self._connection: sqlite3.Connection | None = None
        self._used: dict[str, float] = {}  # when it was asked for what, as far as it is yet to be written
        self._rest = Rest()
        self.trouble = ""

    async def get(self, key: str) -> Entry | None:
        if not self._rest.is_over():
            return None
        return await self._do(lambda: self._get(key), None, within=_PATIENCE)

    def asked(self, key: str) -> None:
        self._used[key] = time.time()

    async def put(self, key: str, entry: Entry, at_most: int) -> None:
        await self._do(lambda: self._put(key, entry, at_most), "")

    async def claim(self, key: str, exchange: str) -> bool:
        return True

    async def renew(self, key: str, exchange: str) -> None:
        return

    async def release(self, key: str, exchange: str) -> None:
        return

    async def held(self) -> Held:
        return await self._do(self._held, Held())

    async def sweep(self) -> None:
        """What has had its time is overwritten; nothing of it is left beside the file, either."""
        while await self._do(self._sweep_some, 0):
            pass
        await self._do(self._settle, "")

    async def clear(self) -> None:
        await self._do(self._clear, "")

    async def close(self) -> None:
        await self._do(self._settle, "", within=WITHIN)
        await self._do(self._disconnect, None, within=WITHIN)
        self._thread.shutdown(wait=False)

    async def _do(self, work: Callable[[], _Told], otherwise: _Told, within: float | None = None) -> _Told:
        """`within`: the seconds that somebody waits for it."""
        asked = time.monotonic()
        try:
            async with asyncio.timeout(within):
                told = await asyncio.get_running_loop().run_in_executor(self._thread, lambda: self._mended(work))
        except (OSError, sqlite3.Error) as error:
            if within is not None:
                self._rest.begin(asked)
            self._tell(error)
            return otherwise
        self._rest.end()
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
                self._beside(name).unlink(missing_ok=True)
            return work()
        except OSError:
            self._disconnect()
            raise

    def _get(self, key: str) -> Entry | None:
        if not self._is_there():
            return None
        row = self._open().execute("select known, body from answers where key = ?", (key,)).fetchone()
        if row is None:
            return None
        self.asked(key)
        try:
            return read(row[0], row[1])
        except ValueError:
            return None

    def _put(self, key: str, entry: Entry, at_most: int) -> str:
        known, body = written(entry)
        with self._open() as connection:
            self._write_used(connection)
            connection.execute(
                "insert or replace into answers values (?, ?, ?, ?, ?)", (key, time.time(), entry.until, known, body)
            )
        while self._size() > at_most and self._let_go():
            pass
        return _WRITTEN

    def _let_go(self) -> bool:
        """Some of those that have not been asked for the longest; whether there were any."""
        return self._delete("order by used limit 1 + (select count(*) from answers) * ? / 100", _MANY) > 0

    def _sweep_some(self) -> int:
        """How many have gone."""
        return self._delete("where until <= ? limit ?", time.time(), _SOME) if self._is_there() else 0

    def _delete(self, which: str, *values: float) -> int:
        some = f"select key from answers {which}"  # noqa: S608
        with self._open() as connection:
            gone = connection.execute(f"delete from answers where key in ({some})", values).rowcount  # noqa: S608
        if gone:
            self._open().execute("pragma incremental_vacuum").fetchall()
        return gone

    def _settle(self) -> str:
        """Write what is yet to be written, and leave nothing in the file beside it."""
        if not self._is_there():
            return ""
        wal = self._beside("-wal")
        if not (self._used or (wal.exists() and wal.stat().st_size)):
            return ""
        with self._open() as connection:
            self._write_used(connection)
        self._open().execute("pragma wal_checkpoint(truncate)").fetchall()
        return _WRITTEN

    def _write_used(self, connection: sqlite3.Connection) -> None:
        used, self._used = self._used, {}
        connection.executemany(
            "update answers set used = ? where key = ?", [(at, key) for key, at in list(used.items())]
        )

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

    def _clear(self) -> str:
        """Nothing of them is left in the file, or beside it."""
        if not self._is_there():
            return ""
        with self._open() as connection:
            connection.execute("delete from answers")
        self._open().execute("vacuum")
        self._open().execute("pragma wal_checkpoint(truncate)").fetchall()
        return _WRITTEN

    def _is_there(self) -> bool:
        """One that was taken away, by whomever, is begun anew when there is something to keep."""
        there = self._file.exists()
        if not there:
            self._disconnect()
        return there

    def _beside(self, ending: str) -> Path:
        return self._file.with_name(self._file.name + ending)

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
