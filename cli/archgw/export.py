"""What the ledger keeps, as files that other programs read: CSV, JSON lines, Parquet. Rows in, bytes out."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import IO, Any, Literal

from sqlalchemy import Connection, Integer, Select, Table, func, select
from sqlalchemy.types import Double

from archgw.stats import SPEED
from router_service.shell.ledger_schema import attempts, requests, signals

What = Literal["requests", "tries"]
Row = dict[str, Any]
_AT_ONCE = 5_000  # rows
_TABLES: dict[What, Table] = {"requests": requests, "tries": attempts}


class NoParquet(Exception):
    """The library that writes it is not installed."""


def count(connection: Connection, what: What, since: float) -> int:
    table = _TABLES[what]
    return connection.scalar(select(func.count()).select_from(table).where(table.c.at >= since)) or 0


def rows(connection: Connection, what: What, since: float) -> Iterator[Row]:
    """From `since` on, seconds since the epoch; the oldest first. Of requests with speed and signals, too."""
    told = _signals(connection, since) if what == "requests" else {}
    found = connection.execution_options(yield_per=_AT_ONCE).execute(_asked(what, since))
    for row in found.mappings():
        time = {"time": datetime.fromtimestamp(row["at"], UTC)}
        more = {"signals": told.get(row["id"], "")} if what == "requests" else {}
        yield {**time, **row, **more}


def columns(what: What) -> dict[str, type]:
    """Their names and what stands in them, in order."""
    more = {"tokens_per_second": float, "signals": str} if what == "requests" else {}
    return {"time": datetime} | {column.name: _kind(column.type) for column in _TABLES[what].columns} | more


def _asked(what: What, since: float) -> Select[Any]:
    table = _TABLES[what]
    order = (table.c.at, *table.primary_key.columns)
    more = [SPEED.label("tokens_per_second")] if what == "requests" else []
    return select(*table.columns, *more).where(table.c.at >= since).order_by(*order)


def _signals(connection: Connection, since: float) -> dict[str, str]:
    """By request, in one word each: `bad, re-ask`."""
    asked = select(signals.c.request, signals.c.signal).join(requests, requests.c.id == signals.c.request)
    found: dict[str, list[str]] = {}
    for request, signal in connection.execute(asked.where(requests.c.at >= since)):
        found.setdefault(request, []).append(signal)
    return {request: ", ".join(sorted(several)) for request, several in found.items()}


def _kind(of: Any) -> type:
    return int if isinstance(of, Integer) else float if isinstance(of, Double) else str


# -- formats ---------------------------------------------------------------------------------------------------


def _csv(names: dict[str, type], found: Iterator[Row], to: IO[bytes]) -> None:
    text = io.TextIOWrapper(to, "utf-8", newline="", write_through=True)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    for row in found:
        told = row | {"time": row["time"].isoformat()}
        writer.writerow({name: _no_formula(value) for name, value in told.items()})
    text.detach()


def _no_formula(value: Any) -> Any:
    """What a client called itself is not to be reckoned by a spreadsheet."""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _json_lines(names: dict[str, type], found: Iterator[Row], to: IO[bytes]) -> None:
    for row in found:
        scores = {"scores": json.loads(row["scores"])} if row.get("scores") else {}
        told = row | {"time": row["time"].isoformat()} | scores
        to.write(json.dumps(told, ensure_ascii=False).encode() + b"\n")


def _parquet(names: dict[str, type], found: Iterator[Row], to: IO[bytes]) -> None:
    """Raises NoParquet."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise NoParquet from None
    types = {
        datetime: pyarrow.timestamp("us", "UTC"),
        int: pyarrow.int64(),
        float: pyarrow.float64(),
        str: pyarrow.string(),
    }
    schema = pyarrow.schema([(name, types[kind]) for name, kind in names.items()])
    with parquet.ParquetWriter(to, schema, compression="zstd") as writer:
        while batch := list(islice(found, _AT_ONCE)):
            writer.write_table(pyarrow.Table.from_pylist(batch, schema=schema))


Format = Literal["csv", "jsonl", "parquet"]
FORMATS: dict[Format, Callable[[dict[str, type], Iterator[Row], IO[bytes]], None]] = {
    "csv": _csv,
    "jsonl": _json_lines,
    "parquet": _parquet,
}


def write(what: What, found: Iterable[Row], format: Format, to: IO[bytes]) -> None:
    """Raises NoParquet."""
    FORMATS[format](columns(what), iter(found), to)
