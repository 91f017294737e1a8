"""The ledger, opened for a question or for a thumb; where it cannot be, words that say why and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from router_service.config import Ledger as Settings
from router_service.shell.ledger import BadLedger, engine
from router_service.shell.ledger_schema import NewerLedger, is_current, metadata, migrate

_CACHE = 16_384  # KiB, for each connection


class Unreadable(Exception):
    """The text says why, `mend` what to do about it."""

    def __init__(self, why: str, mend: str) -> None:
        super().__init__(why)
        self.mend = mend


class Books:
    """`file` is where SQLite's ledger stands. While there is none, it reads as one in which nothing is."""

    def __init__(self, settings: Settings, file: Path) -> None:
        self._settings, self._file = settings, file
        self._is_sqlite = not settings.url.startswith("postgres")
        self._reading: Engine | None = None
        self._writing: Engine | None = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Raises Unreadable."""
        with self._in_words():
            database = _empty() if self.missing else self._open()
            with database.begin() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Raises Unreadable."""
        with self._in_words():
            if self.missing:
                raise Unreadable("nothing has been recorded yet", "ask something first: archgw cli-agent claude")
            self._open()
            with (self._writing or self._open()).begin() as connection:
                yield connection

    @property
    def missing(self) -> bool:
        """Whether nothing was ever recorded. Raises Unreadable where the config keeps no ledger."""
        if self._settings.url == "none":
            raise Unreadable("the config keeps no ledger", "write  ledger: {url: sqlite}  into it, then start anew")
        return self._is_sqlite and not self._path.exists()

    def close(self) -> None:
        for database in filter(None, (self._reading, self._writing)):
            database.dispose()

    @property
    def _path(self) -> Path:
        url = self._settings.url
        return Path(url.removeprefix("sqlite:///")) if ":" in url else self._file

    def _open(self) -> Engine:
        """The tables of an older archgw are brought up to date, as the gateway itself does when it first writes."""
        if self._reading is None:
            self._writing = writing = engine(self._settings.url, self._file)
            reading = engine(self._settings.url, self._file, read_only=True) if self._is_sqlite else writing
            with reading.begin() as connection:
                current = is_current(connection)
            if not current:
                with writing.begin() as connection:
                    migrate(connection)
            if self._is_sqlite:
                event.listen(reading, "connect", _remember)
                reading.dispose()  # those that are made from now on
            self._reading = reading
        return self._reading

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except BadLedger as error:
            raise Unreadable(str(error), "then start the gateway anew") from error
        except NewerLedger as error:
            raise Unreadable(str(error), "pip install --upgrade archgw") from error
        except (SQLAlchemyError, OSError) as error:
            raise Unreadable(self._why(error), "try again; the gateway goes on meanwhile") from error

    def _why(self, error: Exception) -> str:
        """What PostgreSQL's client says may hold the address, and with it a password."""
        cause = getattr(error, "orig", None) or error
        if isinstance(error, OperationalError) and "locked" in str(cause):
            return "the ledger is locked by somebody else"
        words = f": {str(cause).splitlines()[0][:160]}" if self._is_sqlite and str(cause) else ""
        return f"the ledger cannot be read ({type(cause).__name__}{words})"


def _remember(connection: Any, _: Any) -> None:
    """Panels read the same pages, one after the other."""
    connection.execute(f"pragma cache_size = -{_CACHE}")


def _empty() -> Engine:
    """So that every question has its usual answer."""
    made = create_engine("sqlite://")
    metadata.create_all(made)
    return made
