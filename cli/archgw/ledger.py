"""The ledger as the command line reads it: where it stands, and from when on."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from archgw import configs
from archgw.home import home
from router_service.config import Ledger
from router_service.shell.ledger import BadLedger, engine
from router_service.shell.ledger_schema import NewerLedger, is_current, migrate

_AGO = re.compile(r"(\d+)\s*(m|h|d|w)")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
SINCE = "How far back: 90m, 24h, 7d, 4w, or a date such as 2026-01-31."


class NoLedger(Exception):
    """There is none that could be read; `mend` is what to do, empty where nothing is known."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend


def begin(since: str) -> float:
    """Seconds since the epoch. Raises ValueError."""
    if ago := _AGO.fullmatch(since):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    return datetime.fromisoformat(since).astimezone().timestamp()


@contextmanager
def opened(config: Path | None) -> Iterator[Connection]:
    """To read from. Raises NoLedger, also for what goes wrong in the block; that of `config`, see `settings`."""
    at, kept = home(), settings(config)
    if kept.url == "none":
        raise NoLedger("the config keeps no ledger", "write  ledger: {url: sqlite}  into it")
    if kept.url == "sqlite" and not at.ledger.exists():
        raise NoLedger("nothing has been recorded yet", "start the gateway and ask something: archgw up")
    try:
        with _begun(kept, at.ledger, read_only=True) as connection:
            current = is_current(connection)
        if not current:  # an older gateway wrote it, or another is just about to
            with _begun(kept, at.ledger, read_only=False) as connection:
                migrate(connection)
        with _begun(kept, at.ledger, read_only=True) as connection:
            yield connection
    except BadLedger as error:
        raise NoLedger(str(error)) from error
    except (SQLAlchemyError, NewerLedger, OSError) as error:
        cause = getattr(error, "orig", None) or error
        words = (str(cause).splitlines() or [""])[0][:200]
        raise NoLedger(f"the ledger cannot be read: {type(cause).__name__}: {words}") from error


@contextmanager
def _begun(kept: Ledger, file: Path, *, read_only: bool) -> Iterator[Connection]:
    database = engine(kept.url, file, read_only=read_only)
    try:
        with database.begin() as connection:
            yield connection
    finally:
        database.dispose()


def settings(config: Path | None) -> Ledger:
    """Of the config that is named, or of the gateway that runs, or of the one that is found; else the usual ones."""
    stack = home().stack()
    if config is None and stack:
        config = Path(stack.config)
    if config is None and configs.kept() is None:
        return Ledger()
    return configs.read(configs.find(config), need_keys=False).ledger
