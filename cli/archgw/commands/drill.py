"""archgw drill: break models one at a time, and see what a client sees of it."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from archgw import configs, report
from archgw.commands.check import example_text
from archgw.commands.demo import free_port
from archgw.drill import page, text
from archgw.drill.course import Course, gone_through
from archgw.drill.findings import Findings
from archgw.drill.leads import Lead, find, leads
from archgw.drill.reading import CLIENTS
from archgw.drill.rewiring import NOBODYS_LOGIN, PLACES, placeholders
from archgw.drill.running import MOST_TOKENS
from archgw.drill.scenarios import ALL, BY_NAME
from archgw.drill.spending import Spending, at_most
from archgw.machine import CannotStart
from router_service.config import Config, ProviderEntry, parse
from router_service.plan import plan
from router_service.shell.files import variables

_WORD = "spend"


def drill(
    config: Annotated[
        Path | None,
        typer.Argument(help=f"{configs.HELP} Without any of them: the example.", show_default=False),
    ] = None,
    candidate: Annotated[
        list[str] | None,
        typer.Option("--candidate", help="Break only this model. May be repeated.", show_default=False),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario", help=f"Break it only so: {', '.join(BY_NAME)}. May be repeated.", show_default=False
        ),
    ] = None,
    client: Annotated[str, typer.Option(help=f"Who asks: {', '.join(CLIENTS)} or both.")] = "both",
    patience: Annotated[
        float,
        typer.Option(
            help="Seconds after which a silent model is given up in the drill, where the config waits longer;"
            " 0 waits as the config says.",
            min=0,
            max=600,
        ),
    ] = 2.0,
    html: Annotated[Path | None, typer.Option(help="Write a page to show.", show_default=False)] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write it as Markdown.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    real: Annotated[
        bool,
        typer.Option(
            "--real", help="Only the broken model is simulated, all others are the real vendors: costs money."
        ),
    ] = False,
    spend: Annotated[
        float | None,
        typer.Option(
            help="With --real, instead of the two questions: the most that it may cost, in dollars.",
            min=0,
            show_default=False,
        ),
    ] = None,
) -> None:
    """Break every model of the config, one at a time, and show what a client sees of it: the page to show a team.

    Killed, overloaded, out of quota, slow, silent, broken in the middle of an answer; and the
    gateway's own processes killed. Simulated providers play the models, the gateway is one of its
    own on free ports: no keys are needed, a running gateway is not touched. Exits with 1 when
    anything was lost, or not tried. See docs/drill.md.
    """
    course = _course(config, candidate or [], scenario or [], client, patience, real=real)
    if real:
        _agree(course, spend)
    elif spend is not None:
        report.fail("--spend goes with --real", code=report.MISUSE)
    for file in (html, markdown):
        if file and not file.absolute().parent.is_dir():
            report.fail(f"there is no folder {file.absolute().parent}", code=report.MISUSE)
    logging.getLogger("archgw.supervisor").addHandler(logging.NullHandler())  # it tells of each restart
    try:
        findings = asyncio.run(gone_through(course, port=free_port))
    except CannotStart as error:
        report.fail(str(error))
    for file, written in ((html, page.html), (markdown, text.markdown)):
        if file:
            _write(file, written(findings))
    if as_json:
        sys.stdout.write(json.dumps(findings.as_json(), indent=1, ensure_ascii=False) + "\n")
    else:
        _print(findings, [file for file in (html, markdown) if file])
    if not findings.passed:
        raise typer.Exit(report.NO)


def _write(file: Path, told: str) -> None:
    try:
        file.write_text(told, "utf-8")
    except OSError as error:
        report.fail(f"cannot write {file}: {error.strerror}")


# -- what is to be drilled ------------------------------------------------------------------------------------------


def _course(
    given: Path | None,
    candidates: Sequence[str],
    scenarios: Sequence[str],
    client: str,
    patience: float,
    *,
    real: bool,
) -> Course:
    path = configs.find(given) if given else configs.kept()
    said = _text(path) if path else example_text()
    environment = variables(path or Path("config.yaml").resolve()) if real else {**os.environ, **PLACES}
    known = {**environment, **placeholders(said)}
    read = configs.read if real else configs.unsettled  # stand-ins need no key, and a drill keeps its own books
    config = read(path, environment=known) if path else _example(said, known, need_keys=real)
    entries = _entries(config, real=real)
    if real and not any(not entry.missing_key for entry in entries):
        report.fail("no model is left that could be asked for real", mend="drill without --real, or set a key")
    asked = leads(plan(replace(config, providers=entries)))
    unknown = [name for name in scenarios if name not in BY_NAME]
    if unknown:
        report.fail(f"no scenario '{unknown[0]}'", mend=f"there are: {', '.join(BY_NAME)}", code=report.MISUSE)
    if client != "both" and client not in CLIENTS:
        report.fail(f"no client '{client}'", mend=f"there are: {', '.join(CLIENTS)}, both", code=report.MISUSE)
    labels = [label for wanted in candidates for label in _labels(wanted, asked)]
    return Course(
        title=path.name if path else "the example config",
        config=config,
        environment=environment,
        entries=tuple(entry for entry in entries if not entry.missing_key),
        leads=tuple(lead for lead in asked if not labels or lead.label in labels),
        scenarios=tuple(one for one in ALL if not scenarios or one.name in scenarios),
        clients=tuple(CLIENTS.values()) if client == "both" else (CLIENTS[client],),
        patience=patience,
        real=real,
        text=said,
    )


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        configs.read(path)  # says what is wrong, and exits
        raise


def _example(said: str, environment: dict[str, str], *, need_keys: bool) -> Config:
    config = parse(said, file="the example", environment=environment)
    if need_keys and all(entry.missing_key for entry in config.providers):
        report.fail("there is no config.yaml, and no key for any model of the example", mend="drill without --real")
    return config


def _entries(config: Config, *, real: bool) -> tuple[ProviderEntry, ...]:
    """Stand-ins need no key. Who is really asked needs one; with a client's own login it cannot be asked from here."""
    if not real:
        return tuple(replace(entry, missing_key="") for entry in config.providers)
    return tuple(
        replace(entry, missing_key=NOBODYS_LOGIN) if entry.passthrough_auth else entry for entry in config.providers
    )


def _labels(wanted: str, asked: Sequence[Lead]) -> list[str]:
    known = [lead.label for lead in asked]
    found = find(wanted, known)
    if not found:
        report.fail(f"no model '{wanted}' to break", mend=f"there are: {', '.join(known)}", code=report.MISUSE)
    return found


# -- what it may cost -----------------------------------------------------------------------------------------------


def _agree(course: Course, most: float | None) -> None:
    """Nothing is spent before somebody has said twice that it may be."""
    each = len(course.of_models) * len(course.clients)
    rows = {lead.label: each for lead in course.leads}
    rows[course.leads[0].label] += len(course.of_gateway) * len(course.clients)
    spending = at_most(course.leads, rows, writes=MOST_TOKENS)
    _print_spending(spending)
    if most is None:
        typer.confirm("Ask them?", abort=True, err=True)
        if (
            typer.prompt(f"It is your money. Type '{_WORD}' to go on", default="", show_default=False, err=True)
            != _WORD
        ):
            report.fail("nothing was asked, nothing was spent")
        return
    if spending.unpriced:
        report.fail(
            f"no price is known of {', '.join(spending.unpriced)}, so nobody can say that it stays below ${most:g}",
            mend="write a price into the config, or leave out --spend and answer the questions",
        )
    if spending.dollars > most:
        report.fail(
            f"it may cost ${spending.dollars:.4f}, which is more than ${most:g}",
            mend="break fewer models (--candidate), in fewer ways (--scenario), or allow more",
        )


def _print_spending(spending: Spending) -> None:
    out = report.errors
    out.print(f"The real vendors are asked, {spending.total} times at most:")
    for vendor, requests in spending.requests.items():
        out.print(f"  {escape(vendor)}: {requests}")
    out.print(f"At published prices that is ${spending.dollars:.4f} at most, with {MOST_TOKENS} tokens an answer.")
    if spending.unpriced:
        out.print(f"Not counted, for no price is known: {escape(', '.join(spending.unpriced))}.", soft_wrap=True)


# -- for people -----------------------------------------------------------------------------------------------------


def _print(findings: Findings, written: Sequence[Path]) -> None:
    out, clients = report.console, len(findings.clients)
    out.print(f"[bold]{escape(findings.config)}[/bold], {findings.seconds:.0f} s. {findings.kind}\n", soft_wrap=True)
    for chain in findings.chains:
        if rows := findings.of(chain.candidate):
            then = f"then {', then '.join(chain.then)}" if chain.then else "nobody steps in"
            out.print(f"[bold]{escape(chain.candidate)}[/bold]: {escape(chain.because)}; {escape(then)}")
            out.print(text.table(rows, clients=clients))
            out.print()
    if findings.of_gateway:
        out.print("[bold]the gateway itself[/bold]")
        out.print(text.table(findings.of_gateway, clients=clients))
        out.print()
    for change in findings.changes:
        out.print(f"[dim]otherwise than in the config: {escape(change)}[/dim]", soft_wrap=True)
    out.print(f"\n[bold]{text.summary(findings)}[/bold]")
    out.print(f"{'[red]' if findings.leaks else '[green]'}{escape(text.keys(findings))}[/]", soft_wrap=True)
    for file in written:
        out.print(f"Wrote {escape(str(file))}", soft_wrap=True)
    if not written:
        out.print("\nA page to show:  archgw drill --html drill.html")
