"""How the command line talks: one console, tables, and errors that name the command that mends them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from router_service.plan import Plan, Route

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

NO, MISUSE = 1, 2


def fail(message: str, *, mend: str = "", code: int = NO) -> NoReturn:
    """Say what is wrong and what to do about it, and exit."""
    errors.print(f"[red]error:[/red] {escape(message)}", soft_wrap=True)
    if mend:
        errors.print(f"  {escape(mend)}", soft_wrap=True)
    raise typer.Exit(code)


def warn(messages: Iterable[str]) -> None:
    for message in messages:
        errors.print(f"[yellow]note:[/yellow] {escape(message)}", soft_wrap=True)


@contextmanager
def written(where: Path) -> Iterator[None]:
    """Around what is written there: where it cannot be, says so and exits."""
    try:
        yield
    except OSError as error:
        fail(f"cannot write {where}: {error.strerror}", mend="name another place, or make room there")


def routes_table(plan: Plan) -> Table:
    """Each preference with its chain: who is asked first, and who steps in."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("when you ask for", overflow="fold")
    table.add_column("first", overflow="fold")
    table.add_column("then, if that fails", overflow="fold")
    for route in (*plan.routes, plan.default):
        chain = plan.chain(route, route.candidates[0])
        then = ", ".join(candidate.label for candidate in chain.candidates[1 : chain.attempts])
        name = "anything else" if route is plan.default else route.name
        if len(route.candidates) > 1 and (route.prefer != "listed" or route.by_difficulty):
            table.add_row(escape(name), escape(_choice(route)), "the rest of them")
            continue
        table.add_row(escape(name), escape(chain.first.label), escape(then) or "-")
    return table


def _choice(route: Route) -> str:
    """`the cheapest of openai/gpt-4.1, deepseek/deepseek-chat, by difficulty`."""
    which = {"listed": "the first", "balanced": "the best balance"}.get(route.prefer, f"the {route.prefer}")
    labels = ", ".join(candidate.label for candidate in route.candidates)
    return f"{which} of {labels}" + (", by difficulty" if route.by_difficulty else "")


def seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
