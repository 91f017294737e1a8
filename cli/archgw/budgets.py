"""Budgets as people read them: what was spent of them, asked of a running gateway or of where it is kept."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from archgw import configs, report
from archgw.home import home
from router_service.budgets import Spending, all_standings, standing_keys
from router_service.config.budgets import Unit, amount
from router_service.pb import router_pb2 as pb
from router_service.plan import Plan, plan


@dataclass(frozen=True, slots=True)
class Line:
    """One budget, of whom where each has its own. `until`: seconds since the epoch, None for that of a session."""

    name: str
    of: str
    spent: float
    limit: float
    unit: str
    then: str
    until: float | None


def told(budgets: Iterable[pb.Budget]) -> list[Line]:
    """By a gateway that runs."""
    return [
        Line(one.name, one.of, one.spent, one.limit, one.unit, one.then, one.until if one.HasField("until") else None)
        for one in budgets
    ]


def kept(given: Path | None) -> list[Line]:
    """By the store that the config names, that of the gateway that runs or the one that is found; sessions left out."""
    stack = home().stack()
    path = given or (Path(stack.config) if stack else configs.kept())
    config = configs.read(path, need_keys=False) if path else None
    if config is None or not config.budgets or all(entry.missing_key for entry in config.providers):
        return []
    return asyncio.run(_kept(plan(config)))


def table(lines: Iterable[Line], now: float) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("budget", "spent", "", "then", "anew"):
        shown.add_column(heading, justify="right" if heading in ("spent", "") else "left", overflow="fold")
    for line in lines:
        unit: Unit = "tokens" if line.unit == "tokens" else "dollars"
        of = f" ({_short(line.of)})" if line.of else ""
        spent = f"{amount(line.spent, unit)} of {amount(line.limit, unit)}"
        shown.add_row(escape(line.name + of), spent, _share(line), line.then, _anew(line.until, now))
    return shown


async def _kept(plan: Plan) -> list[Line]:
    from router_service.shell import purse  # with a database's library, which who asks a gateway that runs does without

    store, spending, now = purse.of(plan, home().ledger), Spending(), time.time()
    clients = [client.name for client in plan.clients]
    await store.keep(spending, standing_keys(plan.budgets, clients, plan.preferences, now))
    await store.close()
    report.warn([store.trouble] if store.trouble else [])
    return [
        Line(one.budget.name, one.of, one.spent, one.budget.at_most, one.budget.unit, one.budget.then, one.until)
        for one in all_standings(plan.budgets, spending, clients, plan.preferences, now)
    ]


def _short(of: str) -> str:
    """A session's key by its first letters; a name as it is."""
    key, slash, _ = of.removeprefix("fingerprint/").partition("/")
    return f"{key[:8]}…" if slash or of.startswith("fingerprint/") else of


def _share(line: Line) -> str:
    share = f"{100 * line.spent / line.limit:.0f} %"
    if line.spent < line.limit:
        return share
    return f"[{'red' if line.then == 'block' else 'yellow'}]{share}[/]"


def _anew(until: float | None, now: float) -> str:
    """In the time of who looks."""
    if until is None:
        return "with the next session"
    at = datetime.fromtimestamp(until).astimezone()
    return f"{at:%H:%M}" if until - now < 86_400 else f"{at:%Y-%m-%d %H:%M}"
