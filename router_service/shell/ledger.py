"""Keeps what came of every request in a database, behind the requests' backs.

What is to be written waits in a bounded queue for a thread of its own. A disk that is full, or a database that is
locked or away, costs rows, which are counted, never a request its answer.
"""

import itertools
import logging
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, delete, event, func, insert, select, text
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError, SQLAlchemyError, StatementError

from router_service.bookkeeping import attempt_rows, request_row, signal_rows, vector_rows
from router_service.config import Ledger as Settings
from router_service.evidence import THUMBS
from router_service.feedback import LAST, Feedback
from router_service.outcome import Outcome
from router_service.plan import Plan
from router_service.shell.ledger_schema import NewerLedger, attempts, migrate, requests, signals, upsert, vectors
from router_service.shell.private import make_private
from router_service.shell.waiting import Waiting

_log = logging.getLogger("archgw.ledger")
_WAITING = 10_000  # outcomes; those that find no room are lost, and counted
_AT_ONCE = 500  # outcomes in one transaction
_GATHER = 0.2  # seconds
_TIDY_EVERY = 600.0
_CONNECTED_WITHIN = 5  # seconds; a host that is not there would be waited for for minutes
_BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0)  # seconds before the next attempt; the last one repeats
_TIDY_SHARE = 0.1  # of the rows that leave when the ledger is too large
_ADDED = (requests, attempts, signals, vectors)


class BadLedger(Exception):
    """The ledger cannot be used at all; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A request as the ledger has it: its id, who answered it, for which preference, when it came (seconds since the
    epoch), and with which client key."""

    request: str
    model: str
    preference: str
    at: float
    caller: str


@dataclass(frozen=True, slots=True)
class Rating:
    """What a user says of this request."""

    request: str
    feedback: Feedback


Entry = Outcome | Rating


@dataclass(slots=True)
class Tally:
    """`lost`: requests that found no room while the ledger could not be written."""

    written: int = 0
    lost: int = 0
    trouble: str = ""


def of(plan: Plan, file: Path | None) -> "Ledger | None":
    """The ledger that the config names. `file` is where SQLite's stands; without one, nothing is kept.

    Raises BadLedger.
    """
    url = plan.ledger.url
    return None if url == "none" or (url == "sqlite" and file is None) else Ledger(plan.ledger, file)


def engine(url: str, file: Path | None, *, read_only: bool = False, patience: float = 1.0) -> Engine:
    """Of a ledger `url` as in the config; `file` is where SQLite's stands. Raises BadLedger.

    `patience` is how long to wait, in seconds, while somebody else writes to SQLite's.
    """
    if not url.startswith("postgres"):
        return _sqlite(Path(url.removeprefix("sqlite:///")) if ":" in url else file, patience, read_only=read_only)
    try:
        return create_engine(
            "postgresql+psycopg://" + url.partition("://")[2],
            pool_pre_ping=True,
            pool_size=2,
            connect_args={"connect_timeout": _CONNECTED_WITHIN},
        )
    except ModuleNotFoundError:
        raise BadLedger(
            "ledger.url names PostgreSQL, whose client is not installed: pip install 'archgw[postgresql]'"
        ) from None


def _sqlite(file: Path | None, patience: float, *, read_only: bool) -> Engine:
    if file is None:
        raise BadLedger("there is no folder for a ledger")
    made = create_engine(f"sqlite:///{file}", connect_args={"timeout": patience})

    @event.listens_for(made, "connect")
    def _prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say
        if not read_only:  # it takes the lock of those who write
            connection.execute("pragma auto_vacuum = incremental")
        _begin_wal(connection, patience)
        connection.execute("pragma synchronous = normal")

    @event.listens_for(made, "begin")
    def _begin(connection: Connection) -> None:
        """Whoever writes waits for his turn; who became a writer on the way could not."""
        connection.exec_driver_sql("begin" if read_only else "begin immediate")

    return made


def _begin_wal(connection: sqlite3.Connection, patience: float) -> None:
    """SQLite does not wait by itself where two begin one file at the same moment."""
    until = time.monotonic() + patience
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


class Ledger:
    """`record` returns at once, whatever the database does."""

    def __init__(self, settings: Settings, file: Path | None) -> None:
        self._settings, self._file = settings, None if settings.url.startswith("postgres") else file
        self._engine = engine(settings.url, file)
        sqlite_alone = not settings.url.startswith("postgres")
        self._reading = engine(settings.url, file, read_only=True) if sqlite_alone else self._engine
        self._waiting: Waiting[Entry] = Waiting(_WAITING, at_once=_AT_ONCE, gather=_GATHER)
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        self._ready = False
        self._adds: list[Any] = []  # made once: SQLAlchemy compiles a statement that it knows no second time
        self._give_up = float("inf")
        self.tally = Tally()

    @property
    def shared(self) -> bool:
        """Whether services of other machines may write there, too."""
        return self._settings.url.startswith("postgres")

    @property
    def waiting(self) -> int:
        """Outcomes and ratings that are yet to be written."""
        return len(self._waiting)

    def start(self) -> None:
        self._thread.start()

    def record(self, outcome: Outcome) -> None:
        self.tally.lost += not self._waiting.put(outcome)

    def rate(self, rating: Rating) -> bool:
        """Behind what has been recorded; whether there was room."""
        return self._waiting.put(rating)

    def find(self, feedback: Feedback, caller: str) -> Kept | None:
        """The request of this caller that is meant. Waits for the database; raises SQLAlchemyError or OSError."""
        if not self._ready:  # whoever opens a file of SQLite's that is not there makes one that all may read
            raise OSError("the ledger has not been opened yet")
        with self._reading.begin() as connection:
            return meant(connection, feedback, caller)

    def close(self, within: float = 5.0) -> None:
        """Write what waits, for so many seconds at most."""
        self._give_up = time.monotonic() + within
        self._waiting.end()
        self._thread.join(within)
        self._engine.dispose()
        self._reading.dispose()

    # -- on the ledger's own thread ---------------------------------------------------------------------------

    def _write_all(self) -> None:
        tidied = 0.0
        while True:
            batch, last = self._waiting.batch()
            if batch and not self._write_until_done(batch):
                return
            if time.monotonic() - tidied > _TIDY_EVERY or not tidied:
                tidied = time.monotonic()
                self._tidy()
            if last:
                return

    def _write_until_done(self, batch: list[Entry]) -> bool:
        """Again and again while the database cannot be written; False when there is no more time for it."""
        for pause in itertools.chain(_BACK_OFF, itertools.repeat(_BACK_OFF[-1])):
            try:
                self._write(batch)
            except Exception as error:  # this thread must not end, whatever it is
                if _is_of_a_row(error):
                    return self._write_singly(batch, error)
                self._tell(error)
                if time.monotonic() > self._give_up:
                    break
                if self._waiting.ending.wait(pause):
                    time.sleep(_BACK_OFF[0])
                continue
            self._well_again()
            self.tally.written += len(batch)
            return True
        self.tally.lost += len(batch)
        return False

    def _write_singly(self, batch: list[Entry], error: Exception) -> bool:
        """Some row can never be written: all others are."""
        if len(batch) == 1:
            if not self.tally.lost:
                _log.warning("a request cannot be written into the ledger (%s)", type(error).__name__)
            self.tally.lost += 1
            return True
        return all(self._write_until_done([outcome]) for outcome in batch)

    def _write(self, batch: list[Entry]) -> None:
        outcomes = [one for one in batch if isinstance(one, Outcome)]
        with self._begin() as connection:
            kept = [request_row(outcome, asks=self._settings.capture == "asks") for outcome in outcomes]
            tries = [row for outcome in outcomes for row in attempt_rows(outcome)]
            told = [row for outcome in outcomes for row in signal_rows(outcome)]
            seen = [row for outcome in outcomes for row in vector_rows(outcome)]
            self._adds = self._adds or [upsert(connection, table).on_conflict_do_nothing() for table in _ADDED]
            for add, more in zip(self._adds, (kept, tries, told, seen), strict=True):
                if more:
                    connection.execute(add, more)
            for one in batch:  # of a request that is written by now
                if isinstance(one, Rating):
                    rate(connection, one.request, one.feedback)

    def _begin(self) -> Any:
        if not self._ready:
            if self._file:
                make_private(self._file)
            with self._engine.begin() as connection:
                migrate(connection)
            self._ready = True
        return self._engine.begin()

    def _tidy(self) -> None:
        """Let go what is older than the user wants it kept, or more."""
        try:
            with self._begin() as connection:
                _forget(connection, before=time.time() - self._settings.keep)
                while _size(connection) > self._settings.at_most and _forget_some(connection):
                    pass
        except (SQLAlchemyError, OSError, NewerLedger) as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        """Once, until it is well again; the text of an error may hold what was to be written, or a password."""
        cause = getattr(error, "orig", None) or error
        words = str(cause).splitlines()[0][:160] if not self._settings.url.startswith("postgres") else ""
        trouble = f"{type(cause).__name__}{f': {words}' if words else ''}"
        if not self.tally.trouble:
            _log.warning(
                "the ledger cannot be written (%s); requests go on, and what came of them may be lost", trouble
            )
        self.tally.trouble = trouble

    def _well_again(self) -> None:
        if self.tally.trouble:
            _log.warning("the ledger is written again; %d requests are not in it", self.tally.lost)
        self.tally.trouble = ""


def sign(connection: Connection, request: str, signal: str, told: str | None = None) -> bool:
    """Keep what speaks for or against an answer, `good` and `bad` above all, which replace each other; whether there is
    such a request.
    """
    if not unsign(connection, request, *(THUMBS if signal in THUMBS else (signal,))):
        return False
    connection.execute(insert(signals).values(request=request, signal=signal, at=time.time(), told=told))
    return True


def rate(connection: Connection, request: str, feedback: Feedback) -> bool:
    """Keep all that is said of it, and take back what is taken back; whether there is such a request."""
    there = unsign(connection, request, *feedback.gone)
    return there and all(sign(connection, request, signal, told) for signal, told in feedback.said)


def meant(connection: Connection, feedback: Feedback, caller: str | None = None) -> Kept | None:
    """The request that feedback is about; of this caller, where one is given."""
    table = requests.c
    asked = select(table.id, table.served, table.route, table.at, table.caller).order_by(table.at.desc()).limit(1)
    if feedback.request == LAST:
        asked = asked.where(table.kind == "user turn", table.served != "")
    else:
        asked = asked.where(table.id == feedback.request)
    if feedback.session:
        asked = asked.where(table.session.startswith(feedback.session, autoescape=True))
    if caller is not None:
        asked = asked.where(table.caller == caller)
    row = connection.execute(asked).one_or_none()
    return Kept(*row) if row else None


def unsign(connection: Connection, request: str, *gone: str) -> bool:
    """Take these back, where they were said; whether there is such a request."""
    if connection.scalar(select(requests.c.id).where(requests.c.id == request)) is None:
        return False
    connection.execute(delete(signals).where(signals.c.request == request, signals.c.signal.in_(gone)))
    return True


def _is_of_a_row(error: Exception) -> bool:
    """What is to be written is at fault, and no waiting mends it; else the database, or what leads to it."""
    if isinstance(error, SQLAlchemyError):
        return isinstance(error, (DataError, IntegrityError, ProgrammingError)) or type(error) is StatementError
    return not isinstance(error, (OSError, NewerLedger))


def _forget(connection: Connection, *, before: float) -> None:
    for table in (requests, attempts, signals, vectors):
        connection.execute(delete(table).where(table.c.at < before))


def _forget_some(connection: Connection) -> bool:
    """The oldest tenth; whether there was anything."""
    count = connection.scalar(select(func.count()).select_from(requests)) or 0
    if not count:
        return False
    some = select(requests.c.at).order_by(requests.c.at).offset(int(count * _TIDY_SHARE)).limit(1)
    before = connection.scalar(some)
    _forget(connection, before=before if before is not None else time.time())
    if connection.dialect.name == "sqlite":
        connection.connection.cursor().execute("pragma incremental_vacuum").fetchall()  # each page is a row of it
    return True


def _size(connection: Connection) -> int:
    """Bytes of what is in use."""
    if connection.dialect.name == "sqlite":
        pages = connection.scalar(text("pragma page_count")) or 0
        free = connection.scalar(text("pragma freelist_count")) or 0
        return (pages - free) * (connection.scalar(text("pragma page_size")) or 0)
    tables = ("requests", "attempts", "signals", "vectors")
    return sum(connection.scalar(text(f"select pg_total_relation_size('{name}')")) or 0 for name in tables)
