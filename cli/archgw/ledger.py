"""The ledger as the command line reads it: where it stands, and from when on."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from archgw import configs
from archgw.books import Books, Unreadable
from archgw.home import home
from router_service.config import Ledger

_AGO = re.compile(r"(\d+)\s*(m|h|d|w)")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
SINCE = "How far back: 90m, 24h, 7d, 4w, or a date such as 2026-01-31."


def begin(since: str) -> float:
    """Seconds since the epoch; what is further back is where it began. Raises ValueError, also for what is to come."""
    now = time.time()
    if ago := _AGO.fullmatch(since):
        return max(0.0, now - int(ago[1]) * _SECONDS[ago[2]])
    then = datetime.fromisoformat(since).astimezone().timestamp()
    if then > now:
        raise ValueError("is yet to come")
    return max(0.0, then)


@contextmanager
def opened(config: Path | None) -> Iterator[Connection]:
    """To read from. Raises Unreadable, also for what the database says in the block; of `config`, see `settings`."""
    books = Books(settings(config), home().ledger)
    if books.missing:
        raise Unreadable("nothing has been recorded yet", "start the gateway and ask something: archgw up")
    try:
        with books.reading() as connection:
            yield connection
    finally:
        books.close()


@contextmanager
def writable(config: Path | None) -> Iterator[Connection]:
    """The same, to write to."""
    books = Books(settings(config), home().ledger)
    try:
        with books.writing() as connection:
            yield connection
    finally:
        books.close()


def settings(config: Path | None) -> Ledger:
    """Of the config that is named, or of the gateway that runs, or of the one that is found; else the usual ones."""
    stack = home().stack()
    if config is None and stack:
        config = Path(stack.config)
    if config is None and configs.kept() is None:
        return Ledger()
    path = configs.find(config)
    os.environ.update(configs.database_variables(path))
    return configs.read(path, need_keys=False).ledger
