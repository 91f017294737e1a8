"""archgw stats: what the models have done, how fast, and for how much."""

import csv
import json
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from sqlalchemy.exc import SQLAlchemyError

from archgw import budgets, configs, report
from archgw.home import Home, home
from archgw.stats import BY, By, Line, Stats, sparkline, stats
from router_service.config import Config, Ledger
from router_service.plan import plan
from router_service.shell.ledger import BadLedger, engine
from router_service.shell.ledger_schema import NewerLedger, migrate

_AGO = re.compile(r"(\d+)\s*(m|h|d|w)")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_SIGNALS = {  # as the ledger calls them -> as a column
    "good": "+",
    "bad": "-",
    "re-ask": "re-asked",
    "override": "overridden",
    "tool error": "tool errors",
    "refusal": "refused",
    "truncation": "cut off",
}


def stats_(
    by: Annotated[str, typer.Option("--by", help=f"What a line is: {', '.join(BY)}.")] = "model",
    since: Annotated[str, typer.Option(help="How far back: 90m, 24h, 7d, 4w, or a date such as 2026-01-31.")] = "7d",
    compare: Annotated[
        tuple[str, str], typer.Option(metavar="A B", help="Two lines side by side, such as two models.")
    ] = ("", ""),
    config: Annotated[Path | None, typer.Option(help=configs.HELP, show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print it as CSV, a line each.")] = False,
) -> None:
    """Show what the models have done: requests, tokens, cost, what was saved, how fast, how often they failed.

    All of it is of your own requests, as the ledger keeps them. Saved is what the same tokens would have cost on the
    baseline model (routing.baseline) less what they cost, prompt caches included; below zero where that would have been
    cheaper.
    """
    group = _group(by)
    begin = _begin(since)
    try:
        found, budget_lines = _ask(config, group, begin)
    except BadLedger as error:
        report.fail(str(error))
    except (SQLAlchemyError, NewerLedger, OSError) as error:
        cause = getattr(error, "orig", None) or error
        report.fail(f"the ledger cannot be read: {type(cause).__name__}: {str(cause).splitlines()[0][:200]}")
    if as_json:
        sys.stdout.write(
            json.dumps(asdict(found) | {"budgets": [asdict(line) for line in budget_lines]}, indent=1) + "\n"
        )
    elif as_csv:
        _print_csv(found)
    elif compare != ("", ""):
        _compare(found, *compare)
    else:
        _print(found)
        if budget_lines:
            report.console.print()
            report.console.print(budgets.table(budget_lines, time.time()))


def _group(by: str) -> By:
    chosen: By | None = next((known for known in BY if known == by), None)
    if chosen is None:
        report.fail(f"there is no '{by}' to sum up by", mend=f"one of: {', '.join(BY)}", code=report.MISUSE)
    return chosen


def _begin(since: str) -> float:
    """Seconds since the epoch."""
    if ago := _AGO.fullmatch(since):
        return time.time() - int(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(since).astimezone().timestamp()
    except ValueError:
        report.fail(f"'{since}' is no time", mend="write 24h, 7d or a date such as 2026-01-31", code=report.MISUSE)


def _ask(config: Path | None, by: By, since: float) -> tuple[Stats, list[budgets.Line]]:
    """What the ledger says, and how the budgets stand."""
    at = home()
    read = _config(config)
    settings = read.ledger if read else Ledger()
    if settings.url == "none":
        report.fail("the config keeps no ledger", mend="write  ledger: {url: sqlite}  into it")
    if settings.url == "sqlite" and not at.ledger.exists():
        report.fail("nothing has been recorded yet", mend="start the gateway and ask something: archgw up")
    database = engine(settings.url, at.ledger, read_only=settings.url == "sqlite")
    offset = int(datetime.now().astimezone().utcoffset().total_seconds())  # type: ignore[union-attr]
    try:
        with database.begin() as connection:
            if settings.url != "sqlite":
                migrate(connection)
            found = stats(connection, by, since=since, offset=offset)
    finally:
        database.dispose()
    return found, _budgets(read, at)


def _budgets(config: Config | None, at: Home) -> list[budgets.Line]:
    if config is None or not config.budgets or all(entry.missing_key for entry in config.providers):
        return []
    lines, trouble = budgets.kept(plan(config), at.ledger)
    report.warn([trouble] if trouble else [])
    return lines


def _config(config: Path | None) -> Config | None:
    """The one that is named, or that of the gateway that runs, or the one that is found."""
    stack = home().stack()
    if config is None and stack:
        config = Path(stack.config)
    if config is None and configs.kept() is None:
        return None
    return configs.read(configs.find(config), need_keys=False)


# -- printed ---------------------------------------------------------------------------------------------------


def _print(found: Stats) -> None:
    out = report.console
    days = (found.until - found.since) / 86_400
    span = f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"
    if not found.total.requests:
        out.print(f"No requests in the last {span}.")
        return
    out.print(f"[bold]{found.total.requests}[/bold] requests in the last {span}, {_money(found.total)}\n")
    columns = {heading: cell for heading, (width, cell) in _COLUMNS.items() if out.width >= width}
    told = [name for name in _SIGNALS if any(name in line.signals for line in found.lines)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(found.by, overflow="fold")
    for heading in (*columns, *(_SIGNALS[name] for name in told)):
        table.add_column(heading, justify="right", no_wrap=True)
    for line in found.lines:
        cells = [cell(line) for cell in columns.values()]
        table.add_row(escape(line.name or "(none)"), *cells, *(str(line.signals.get(name, 0)) for name in told))
    out.print(table)
    if any(line.unpriced for line in found.lines):
        out.print("\n[dim]?: the price of some is not known; say it in the config (price).[/dim]")


def _money(total: Line) -> str:
    spent = f"{_dollars(total.cost)} spent"
    if total.saved is None:
        return spent
    way = "saved against" if total.saved >= 0 else "more than"
    return f"{spent}, {_dollars(abs(total.saved))} {way} the baseline model"


def _compare(found: Stats, a: str, b: str) -> None:
    one, other = (_line(found, name) for name in (a, b))
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for line in (one, other):
        table.add_column(escape(line.name), justify="right", overflow="fold")
    for heading, cell in _ROWS.items():
        table.add_row(heading, cell(one), cell(other))
    for name, heading in _SIGNALS.items():
        if name in one.signals or name in other.signals:
            table.add_row(heading, *(_share(line.signals.get(name, 0), line.requests) for line in (one, other)))
    report.console.print(table)


_COLUMNS: dict[str, tuple[int, Callable[[Line], str]]] = {  # with the width of a terminal that has room for it
    "requests": (0, lambda line: str(line.requests)),
    "over time": (100, lambda line: f"[cyan]{sparkline(line.curve)}[/cyan]"),
    "tokens in": (110, lambda line: _tokens(line.input + line.cached + line.cache_write)),
    "out": (110, lambda line: _tokens(line.output)),
    "cost": (0, lambda line: _known_dollars(line)),
    "saved": (0, lambda line: _signed(line.saved)),
    "first content": (0, lambda line: report.seconds(line.first_content.p50)),
    "slowest": (120, lambda line: report.seconds(line.first_content.p95)),
    "tokens/s": (0, lambda line: "-" if line.speed.p50 is None else f"{line.speed.p50:.0f}"),
    "failed": (0, lambda line: _failed(line)),
    "stepped in": (130, lambda line: _share(line.failovers, line.requests)),
}
_ROWS: dict[str, Callable[[Line], str]] = {
    "requests": lambda line: str(line.requests),
    "over time": lambda line: f"[cyan]{sparkline(line.curve)}[/cyan]",
    "cost": lambda line: _dollars(line.cost),
    "cost of a request": lambda line: _dollars(line.cost / max(1, line.requests - line.unpriced)),
    "saved": lambda line: _signed(line.saved),
    "tokens out of a request": lambda line: f"{line.output / line.requests:.0f}",
    "read from a cache": lambda line: _share(line.cached, line.input + line.cached + line.cache_write),
    "first content, middle": lambda line: report.seconds(line.first_content.p50),
    "first content, slowest of twenty": lambda line: report.seconds(line.first_content.p95),
    "tokens/s, middle": lambda line: "-" if line.speed.p50 is None else f"{line.speed.p50:.0f}",
    "failed": lambda line: _failed(line),
    "stepped in for another": lambda line: _share(line.failovers, line.requests),
}


def _line(found: Stats, name: str) -> Line:
    named = [line for line in found.lines if line.name == name or line.name.endswith(f"/{name}")]
    if len(named) != 1:
        there = ", ".join(line.name for line in found.lines if line.name) or "none"
        report.fail(f"no {found.by} '{name}' in that time", mend=f"there are: {there}", code=report.MISUSE)
    return named[0]


def _print_csv(found: Stats) -> None:
    rows = [_flat(line) for line in found.lines]
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(_flat(found.total))
    writer = csv.DictWriter(sys.stdout, names, restval=0, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _flat(line: Line) -> dict[str, Any]:
    row = asdict(line)
    del row["curve"]
    for name in ("first_content", "speed"):
        spread = row.pop(name)
        row |= {f"{name}_{share}": value for share, value in spread.items()}
    return row | {name.replace(" ", "_"): count for name, count in row.pop("signals").items()}


def _tokens(count: int) -> str:
    return f"{count / 1e6:.1f}M" if count >= 1e6 else f"{count / 1e3:.0f}k" if count >= 1e4 else str(count)


def _dollars(value: float) -> str:
    return f"${value:.4f}" if 0 < value < 0.1 else f"${value:.2f}"


def _known_dollars(line: Line) -> str:
    """Where some prices are not known, what the others come to is said to be less than all."""
    if line.unpriced and not line.cost:
        return "?"
    return _dollars(line.cost) + ("+?" if line.unpriced else "")


def _signed(value: float | None) -> str:
    if value is None:
        return "-"
    return f"[green]{_dollars(value)}[/green]" if value >= 0 else f"[red]-{_dollars(-value)}[/red]"


def _failed(line: Line) -> str:
    """Of a model its tries; of anything else, requests that nobody answered."""
    return _share(line.errors, line.requests) if line.tries is None else _share(line.failed_tries or 0, line.tries)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if part and whole else "-"
