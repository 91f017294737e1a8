"""archgw export: the ledger, for a spreadsheet, a notebook or a database."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.progress import track

from archgw import configs, ledger, report
from archgw.books import Unreadable
from archgw.commands.stats import start
from archgw.export import FORMATS, Format, NoParquet, What, count, rows, write
from router_service.shell.private import open_private


def export_(
    file: Annotated[
        Path | None,
        typer.Argument(help="Where to, such as requests.parquet; the terminal if you name none.", show_default=False),
    ] = None,
    tries: Annotated[bool, typer.Option("--tries", help="A row for each try instead of each request.")] = False,
    since: Annotated[str, typer.Option(help=f"{ledger.SINCE} Else all there is.", show_default=False)] = "",
    format_: Annotated[
        str, typer.Option("--format", help=f"{', '.join(FORMATS)}; without it, what the file's name ends with.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    config: Annotated[Path | None, typer.Option(help=configs.HELP, show_default=False)] = None,
) -> None:
    """Write what the ledger keeps as CSV, JSON lines or Parquet: a row for each request.

    docs/ledger.md says what each column is. The file is readable by you alone.
    """
    what: What = "tries" if tries else "requests"
    format = _format(format_, file)
    begin = start(since) if since else 0.0
    try:
        with ledger.opened(config) as connection, _to(file, force=force) as to:
            total = count(connection, what, begin)
            found = rows(connection, what, begin)
            if file:
                found = iter(track(found, f"writing {file.name}", total, console=report.errors, transient=True))
            write(what, found, format, to)
    except Unreadable as error:
        report.fail(str(error), mend=error.mend)
    except NoParquet:
        report.fail("Parquet is written by a library that is not installed", mend="pip install 'archgw[parquet]'")
    if file:
        report.errors.print(f"{total} {what} in {file}")


def _format(named: str, file: Path | None) -> Format:
    wanted = named or (file.suffix.removeprefix(".").lower() if file else "csv")
    format: Format | None = next((known for known in FORMATS if known == wanted), None)
    if format is None:
        word = f"there is no format '{wanted}'" if wanted else "what format is it to have?"
        report.fail(word, mend=f"name the file so, or say --format: {', '.join(FORMATS)}", code=report.MISUSE)
    if format == "parquet" and not file:
        report.fail("Parquet is no text for a terminal", mend="archgw export requests.parquet", code=report.MISUSE)
    return format


@contextmanager
def _to(file: Path | None, *, force: bool) -> Iterator[IO[bytes]]:
    """There when it is whole, and not before. Who reads from the terminal's side may have enough before that."""
    if file is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to be flushed at the end
        return
    if file.exists() and not force:
        report.fail(f"{file} is there already", mend="--force writes over it")
    part = file.with_name(f"{file.name}.part")
    try:
        with os.fdopen(open_private(part, os.O_WRONLY | os.O_TRUNC), "wb") as to:
            yield to
        part.replace(file)
    except OSError as error:
        report.fail(f"{file} cannot be written: {error.strerror}")
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
