"""The ledger, opened for a question or for a thumb; where it cannot be, words that say why and what to do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from router_service.config import Ledger as Settings
from router_service.shell.ledger import BadLedger, engine
from router_service.shell.ledger_schema import MIGRATIONS, NewerLedger, metadata, migrate, version

_CACHE = 16_384  # KiB, for each connection


class Unreadable(Exception):
    """The text says why, `mend` what to do about it."""

    def __init__(self, why: str, mend: str) -> None:
        super().__init__(why)
        self.mend = mend


class Books:
    """`file` is where SQLite's ledger stands. While there is none, it reads as one in which nothing is.

    What the database says against it is Unreadable, in a block that is given a connection, too; what else goes wrong
    there is the block's own.
    """

    def __init__(self, settings: Settings, file: Path) -> None:
        self._settings, self._file = settings, file
        self._is_sqlite = not settings.url.startswith("postgres")
        self._opening = threading.Lock()
        self._opened: _Opened | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Raises Unreadable."""
        opened = self._open()
        with self._in_words(), (opened.reading if opened else _empty()).begin() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Raises Unreadable."""
        opened = self._open()
        if opened is None:
            raise Unreadable("nothing has been recorded yet", "ask something first: archgw cli-agent claude")
        with self._in_words(), opened.writing.begin() as connection:
            yield connection

    @property
    def missing(self) -> bool:
        """Whether there is no file of it. Raises Unreadable where the config keeps no ledger."""
        if self._settings.url == "none":
            raise Unreadable("the config keeps no ledger", "write  ledger: {url: sqlite}  into it, then start anew")
        return self._is_sqlite and not self._path.exists()

    def close(self) -> None:
        if self._opened:
            self._opened.dispose()
        self._opened = None

    @property
    def _path(self) -> Path:
        url = self._settings.url
        return Path(url.removeprefix("sqlite:///")) if ":" in url else self._file

    def _open(self) -> "_Opened | None":
        """None where nothing was ever recorded. A file that is not that of before, or gone, is let go."""
        with self._opening, self._in_words():
            try:
                missing = self.missing
                file = None if missing or not self._is_sqlite else _identity(self._path)
                if self._opened and self._opened.file != file:
                    self.close()
                if self._opened is None and not missing:
                    self._opened = self._made(file)
            except OSError as error:
                raise self._unreadable(error) from error
            return self._opened

    def _made(self, file: "_Identity | None") -> "_Opened | None":
        writing = engine(self._settings.url, self._file)
        reading = engine(self._settings.url, self._file, read_only=True) if self._is_sqlite else writing
        made = _Opened(reading, writing, file)
        try:
            ready = self._is_ready(made)
        finally:
            made.dispose()  # the connections that have looked: others are made when they are wanted
        if self._is_sqlite:
            event.listen(reading, "connect", _remember)
        return made if ready else None

    def _is_ready(self, made: "_Opened") -> bool:
        """Whether anything is there. SQLite's tables are brought up to date, as the gateway does when it first writes.

        PostgreSQL's are left as they are: older gateways may share them, and would write no more.
        """
        newest = len(MIGRATIONS)
        with made.reading.begin() as connection:
            found = version(connection)
        if self._is_sqlite and found < newest:
            with made.writing.begin() as connection:
                migrate(connection)
        elif 0 < found < newest:
            raise Unreadable(
                f"the ledger is of version {found}, and other gateways may share it",
                f"start this archgw's gateway once, which makes it version {newest}: archgw up",
            )
        return self._is_sqlite or found > 0

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except BadLedger as error:
            raise Unreadable(str(error), "then start the gateway anew") from error
        except NewerLedger as error:
            raise Unreadable(str(error), "pip install --upgrade archgw") from error
        except SQLAlchemyError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> Unreadable:
        return Unreadable(self._why(error), "try again; the gateway goes on meanwhile")

    def _why(self, error: Exception) -> str:
        """What PostgreSQL's client says may hold the address, and with it a password."""
        cause = getattr(error, "orig", None) or error
        if isinstance(error, OperationalError) and "locked" in str(cause):
            return "the ledger is locked by somebody else"
        words = f": {str(cause).splitlines()[0][:160]}" if self._is_sqlite and str(cause) else ""
        return f"the ledger cannot be read ({type(cause).__name__}{words})"


_Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True, slots=True)
class _Opened:
    reading: Engine
    writing: Engine
    file: _Identity | None

    def dispose(self) -> None:
        self.reading.dispose()
        self.writing.dispose()


def _identity(file: Path) -> _Identity:
    found = file.stat()
    return found.st_dev, found.st_ino


def _remember(connection: Any, _: Any) -> None:
    """Panels read the same pages, one after the other."""
    connection.execute(f"pragma cache_size = -{_CACHE}")


def _empty() -> Engine:
    """So that every question has its usual answer."""
    made = create_engine("sqlite://")
    metadata.create_all(made)
    return made
