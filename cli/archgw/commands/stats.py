"""archgw stats: what the models have done, how fast, and for how much."""

import csv
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from archgw import budgets, configs, ledger, report
from archgw.books import Unreadable
from archgw.stats import BY, By, Line, Stats, sparkline, stats

_SIGNALS = {  # as the ledger calls them -> as a column
    "good": "+",
    "bad": "-",
    "should be": "misrouted",
    "override": "overridden",
    "re-ask": "re-asked",
    "correction": "corrected",
    "interrupted": "stopped",
    "retried": "retried",
    "tool error": "tool errors",
    "reverted": "undone",
    "refusal": "refused",
    "truncation": "cut off",
    "error": "broke off",
    "unfinished": "left",
}


def stats_(
    by: Annotated[str, typer.Option("--by", help=f"What a line is: {', '.join(BY)}.")] = "model",
    since: Annotated[str, typer.Option(help=ledger.SINCE)] = "7d",
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
    cheaper. Cached is how much of what was read came out of the vendors' prompt caches.
    """
    if as_json and as_csv:
        report.fail("JSON or CSV, one of them", mend="leave out --json or --csv", code=report.MISUSE)
    group = _group(by)
    begin = start(since)
    try:
        found = _ask(config, group, begin)
        budget_lines = budgets.kept(config)
    except Unreadable as error:
        report.fail(str(error), mend=error.mend)
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


def start(since: str) -> float:
    """Of the time that is looked at, in seconds since the epoch."""
    try:
        return ledger.begin(since)
    except (ValueError, OverflowError):
        mend = "write 24h, 7d or a date such as 2026-01-31"
        report.fail(f"'{since}' is no time gone by", mend=mend, code=report.MISUSE)


def _group(by: str) -> By:
    chosen: By | None = next((known for known in BY if known == by), None)
    if chosen is None:
        report.fail(f"there is no '{by}' to sum up by", mend=f"one of: {', '.join(BY)}", code=report.MISUSE)
    return chosen


def _ask(config: Path | None, by: By, since: float) -> Stats:
    with ledger.opened(config) as connection:
        return stats(connection, by, since=since)


# -- printed ---------------------------------------------------------------------------------------------------


def _print(found: Stats) -> None:
    out = report.console
    span = _span(found.until - found.since)
    if not found.total.requests:
        out.print(f"No requests in the last {span}.")
        return
    out.print(f"[bold]{found.total.requests:,}[/bold] requests in the last {span}, {_money(found.total)}\n")
    out.print(_table(found, out.width))
    if any(line.unpriced for line in found.lines):
        out.print("\n[dim]?: of some nobody knows the price (which the config may say) or the tokens.[/dim]")


def _table(found: Stats, width: int) -> Table:
    """With as many columns as have room."""
    names = [escape(line.name or "(none)") for line in found.lines]
    columns = {heading: [cell(line) for line in found.lines] for heading, (_, cell) in _COLUMNS.items()}
    for name, heading in _SIGNALS.items():
        if any(name in line.signals for line in found.lines):
            columns[heading] = [str(line.signals.get(name, 0)) for line in found.lines]
    if not found.total.hits:
        del columns["from cache"]
    for heading in sorted(columns, key=_spare, reverse=True):
        whole = _wide(found.by, names) + sum(_GAP + _wide(*one) for one in columns.items())
        if whole > width and _spare(heading):
            del columns[heading]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(found.by, overflow="fold")
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in zip(names, *columns.values(), strict=True):
        table.add_row(*row)
    return table


def _spare(heading: str) -> int:
    """How soon it is left out."""
    return _COLUMNS[heading][0] if heading in _COLUMNS else _OF_SIGNALS


def _wide(heading: str, cells: Sequence[str]) -> int:
    """Of a column, in letters."""
    return max(Text.from_markup(cell).cell_len for cell in (heading, *cells))


def _span(seconds: float) -> str:
    for unit, length in (("days", 86_400), ("hours", 3600)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds / 60:.0f} minutes"


def _money(total: Line) -> str:
    spent = f"{_dollars(total.cost)} spent"
    if total.saved is None:
        return spent
    saved = _rounded(total.saved)
    way = "saved against" if saved >= 0 else "more than"
    return f"{spent}, {_dollars(abs(saved))} {way} the baseline model"


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


_OF_SIGNALS = 6
_GAP = 2  # letters between two columns
_COLUMNS: dict[str, tuple[int, Callable[[Line], str]]] = {  # with how soon it is left out where room is short; 0: never
    "requests": (0, lambda line: f"{line.requests:,}"),
    "over time": (7, lambda line: f"[cyan]{sparkline(line.curve)}[/cyan]"),
    "tokens in": (8, lambda line: _tokens(line.input + line.cached + line.cache_write)),
    "out": (9, lambda line: _tokens(line.output)),
    "cost": (0, lambda line: _known_dollars(line)),
    "saved": (0, lambda line: _signed(line.saved)),
    "cached": (2, lambda line: "-" if line.hit_rate is None else f"{100 * line.hit_rate:.0f}%"),
    "first content": (3, lambda line: report.seconds(line.first_content.p50)),
    "slowest": (10, lambda line: report.seconds(line.first_content.p95)),
    "tokens/s": (5, lambda line: "-" if line.speed.p50 is None else f"{line.speed.p50:.0f}"),
    "failed": (4, lambda line: _failed(line)),
    "stepped in": (11, lambda line: _share(line.failovers, line.requests)),
    "from cache": (2, lambda line: f"{line.hits:,}"),
}
_ROWS: dict[str, Callable[[Line], str]] = {
    "requests": lambda line: f"{line.requests:,}",
    "over time": lambda line: f"[cyan]{sparkline(line.curve)}[/cyan]",
    "cost": lambda line: _dollars(line.cost),
    "cost of a request": lambda line: _dollars(line.cost / max(1, line.requests - line.unpriced)),
    "saved": lambda line: _signed(line.saved),
    "tokens out of a request": lambda line: f"{line.output / line.requests:.0f}",
    "read from a cache": lambda line: "-" if line.hit_rate is None else f"{100 * line.hit_rate:.1f}%",
    "first content, middle": lambda line: report.seconds(line.first_content.p50),
    "first content, slowest of twenty": lambda line: report.seconds(line.first_content.p95),
    "tokens/s, middle": lambda line: "-" if line.speed.p50 is None else f"{line.speed.p50:.0f}",
    "answered from the cache": lambda line: _share(line.hits, line.requests),
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
    return f"${value:.4f}" if 0 < value < 0.1 else f"${value:,.2f}"


def _rounded(value: float) -> float:
    """What is less than can be told is nothing."""
    return value if abs(value) >= 0.00005 else 0.0


def _known_dollars(line: Line) -> str:
    """Where some prices are not known, what the others come to is said to be less than all."""
    if line.unpriced and not line.cost:
        return "?"
    return _dollars(line.cost) + ("+?" if line.unpriced else "")


def _signed(value: float | None) -> str:
    if value is None:
        return "-"
    value = _rounded(value)
    return f"[green]{_dollars(value)}[/green]" if value >= 0 else f"[red]-{_dollars(-value)}[/red]"


def _failed(line: Line) -> str:
    """Of a model its tries; of anything else, requests that nobody answered."""
    return _share(line.errors, line.requests) if line.tries is None else _share(line.failed_tries or 0, line.tries)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if part and whole else "-"
