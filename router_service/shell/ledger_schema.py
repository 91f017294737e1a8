"""The ledger's tables, and how an older ledger becomes a newer one. SQLite and PostgreSQL."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.schema import CreateColumn

metadata = MetaData()

SUMMED = (  # what sums are made of: with these in an index, months of requests are summed without reading their rows
    *("route", "served", "status", "failed", "first_content", "duration"),
    *("input", "cached", "cache_write", "output", "cost", "baseline"),
)

_HIT = text("cache = 'hit'")

requests = Table(
    "requests",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("at", Double, nullable=False),  # seconds since the epoch
    Column("session", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("client", String(200), nullable=False),
    Column("caller", String(200), nullable=False, server_default=""),  # the name of its client key
    Column("route", String(200), nullable=False),
    Column("reason", String(700), nullable=False, server_default=""),  # why this model, in a sentence
    Column("score", Double),
    Column("scores", Text),  # JSON: [[preference, probability], ...], the best first
    Column("difficulty", String(20)),
    Column("asked", String(200), nullable=False),
    Column("served", String(200), nullable=False),  # empty where nobody answered
    Column("status", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("failed", Integer, nullable=False),  # of the tries
    Column("input", Integer),  # tokens; read anew, without those below
    Column("cached", Integer),
    Column("cache_write", Integer),
    Column("output", Integer),
    Column("reasoning", Integer),  # of the output
    Column("cost", Double),  # dollars
    Column("baseline", Double),  # dollars that the same would have cost on the baseline model
    Column("first_content", Double),  # seconds
    Column("duration", Double, nullable=False),
    Column("routing", Double),
    Column("trouble", Text, nullable=False),
    Column("warnings", Integer, nullable=False),
    Column("ask", Text),
    Column("cache", String(10), nullable=False, server_default=""),  # hit, miss, refresh; empty: not asked
    Index("requests_at", "at"),
    Index("requests_session", "session", "at"),
    Index("requests_sums", "at", *SUMMED),
    Index("requests_hits", "at", sqlite_where=_HIT, postgresql_where=_HIT),  # few among many
)

attempts = Table(
    "attempts",
    metadata,
    Column("request", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", Double, nullable=False),  # of the request
    Column("candidate", String(200), nullable=False),
    Column("status", Integer, nullable=False),
    Column("trouble", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Index("attempts_at", "at"),
)

signals = Table(  # what speaks for or against an answer: thumbs, a re-ask, a refusal ...
    "signals",
    metadata,
    Column("request", String(64), primary_key=True),
    Column("signal", String(40), primary_key=True),
    Column("at", Double, nullable=False),
    Column("told", Text),
    Index("signals_at", "at"),
)

budgets = Table(  # what each service has told that it has spent of a budget
    "budgets",
    metadata,
    Column("key", Text, primary_key=True),  # unit, day or month or "session", and of whom
    Column("writer", String(40), primary_key=True),
    Column("spent", Double, nullable=False),  # dollars or tokens
    Column("until", Double, nullable=False),  # seconds since the epoch; nobody asks for it afterwards
    Index("budgets_until", "until"),
)

budget_sums = Table(  # what all of them have spent; beside it, so that nobody has to read what each has
    "budget_sums",
    metadata,
    Column("key", Text, primary_key=True),
    Column("spent", Double, nullable=False),
    Column("until", Double, nullable=False),
    Index("budget_sums_until", "until"),
)

vectors = Table(  # each ask that the router model read, as that sees it; no words
    "vectors",
    metadata,
    Column("request", String(64), primary_key=True),
    Column("at", Double, nullable=False),
    Column("caller", String(200), nullable=False),
    Column("session", String(200), nullable=False),
    Column("route", String(200), nullable=False),
    Column("served", String(200), nullable=False),
    Column("difficulty", String(20), nullable=False),
    Column("model", String(40), nullable=False),  # fingerprint of the router model
    Column("vector", LargeBinary, nullable=False),  # a signed byte for each number; its direction counts alone
    Column("fits", Text, nullable=False),  # JSON, as `scores` of a request, but before anything was learned
    Index("vectors_at", "at"),
)

left_out = Table(  # what learning is to leave out of the evidence, because the user has undone it
    "left_out",
    metadata,
    Column("caller", String(200), primary_key=True),
    Column("what", String(64), primary_key=True),  # a lesson, a request, or "*": everything
    Column("at", Double, nullable=False),  # what was said until then
)

_version = Table("ledger_version", metadata, Column("number", Integer, primary_key=True))


def _tables(connection: Connection) -> None:
    """As they are today; so that what a later step adds may be there already."""
    metadata.create_all(connection)


def _reason(connection: Connection) -> None:
    _add(connection, requests.c.reason)


def _budgets(connection: Connection) -> None:
    budgets.create(connection, checkfirst=True)


def _sums(connection: Connection) -> None:
    index = next(one for one in requests.indexes if one.name == "requests_sums")
    index.create(connection, checkfirst=True)


def _whole(connection: Connection) -> None:
    """Two lines of work had numbered their steps alike: who has taken one's has not taken the other's."""
    _add(connection, requests.c.caller)
    _budgets(connection)
    _sums(connection)


def _cache(connection: Connection) -> None:
    _add(connection, requests.c.cache)
    index = next(one for one in requests.indexes if one.name == "requests_hits")
    index.create(connection, checkfirst=True)


def _learning(connection: Connection) -> None:
    vectors.create(connection, checkfirst=True)
    left_out.create(connection, checkfirst=True)


def _budget_sums(connection: Connection) -> None:
    budget_sums.create(connection, checkfirst=True)
    known = select(budget_sums.c.key)
    whole = select(budgets.c.key, func.sum(budgets.c.spent), func.max(budgets.c.until)).group_by(budgets.c.key)
    connection.execute(
        insert(budget_sums).from_select(["key", "spent", "until"], whole.where(budgets.c.key.not_in(known)))
    )


def _add(connection: Connection, column: Column[Any]) -> None:
    there = {one["name"] for one in inspect(connection).get_columns(column.table.name)}
    if column.name not in there:
        said = CreateColumn(column).compile(dialect=connection.dialect)
        connection.execute(text(f"alter table {column.table.name} add column {said}"))


# Never changed, only added to.
MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    _tables,
    _reason,
    _budgets,
    _sums,
    _whole,
    _cache,
    _learning,
    _budget_sums,
)
_LOCK = 0x61726368677721  # for PostgreSQL: one replica at a time


class NewerLedger(Exception):
    """The ledger was written by a newer archgw."""


def version(connection: Connection) -> int:
    """How far the tables are, len(MIGRATIONS) where they are as this archgw wants them; 0 where there are none.

    To know it, nothing is locked. Raises NewerLedger.
    """
    if not inspect(connection).has_table(_version.name):
        return 0
    return _known(connection.scalar(select(func.max(_version.c.number))) or 0)


def upsert(connection: Connection, table: Table) -> Any:
    """An insert that can say what to do about a row that is there: each database has its own, and PostgreSQL's is
    loaded where it is spoken."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def migrate(connection: Connection) -> None:
    """Bring the tables to where this archgw wants them. Raises NewerLedger."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"select pg_advisory_xact_lock({_LOCK})"))
    _version.create(connection, checkfirst=True)
    done = set(connection.scalars(select(_version.c.number)))
    _known(max(done, default=0))
    for number, change in enumerate(MIGRATIONS, 1):
        if number not in done:
            change(connection)
            connection.execute(insert(_version).values(number=number))


def _known(number: int) -> int:
    if number > len(MIGRATIONS):
        raise NewerLedger(f"the ledger is of version {number}, this archgw knows {len(MIGRATIONS)}; upgrade archgw")
    return number
