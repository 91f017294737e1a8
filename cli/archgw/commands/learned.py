"""archgw learned: what your feedback has taught, what it does, and how it is undone."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from sqlalchemy import Connection

from archgw import configs, learned, report
from archgw.books import Unreadable
from archgw.learned import Found
from router_service.evidence import EVERYTHING, NONE
from router_service.lessons import Lesson
from router_service.shell import carried, fingerprint, lessons
from router_service.shell.private import open_private

learned_app = typer.Typer(invoke_without_command=True, help="See what your feedback has taught, and undo it.")
ConfigOption = Annotated[Path | None, typer.Option("--config", help=configs.HELP, show_default=False)]
ClientOption = Annotated[
    str | None,
    typer.Option("--client", help="Of this client key alone, by its name; everybody's otherwise.", show_default=False),
]
_SHOWN = 3  # pieces of evidence of a lesson
_LETTERS = 90  # of an ask
_SOON = "a gateway that runs takes it up within seconds"


@learned_app.callback()
def list_(
    context: typer.Context,
    client: ClientOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Tell what your feedback has taught: which asks go elsewhere for it, and which models answer better.

    Each lesson says what it is made of, how many of your last asks it moves, and whether it is applied. Nothing of it
    leaves this machine.
    """
    if context.invoked_subcommand:
        return
    plan = learned.planned(config)
    with _words(), learned.books(plan) as books, books.reading() as connection:
        found = learned.found(connection, plan, client=client)
        _known(client, found)
    if as_json:
        sys.stdout.write(json.dumps(_told(found), indent=1, ensure_ascii=False) + "\n")
        return
    _print(found)


@learned_app.command("undo")
def undo(
    what: Annotated[str, typer.Argument(help="The id of a lesson, or of one request of its evidence.", metavar="ID")],
    client: ClientOption = None,
    config: ConfigOption = None,
) -> None:
    """Leave a lesson out, or one request of its evidence. Nothing is deleted: archgw learned redo takes it back."""

    def leave_out(connection: Connection, caller: str, id: str) -> None:
        lessons.leave_out(connection, caller, id, time.time())

    caller, id = _change(what, client, config, leave_out)
    report.console.print(f"{escape(id)} is left out{_whose(caller)}; {_SOON}", soft_wrap=True)
    report.console.print(f"  take it back: archgw learned redo {escape(id)}")


@learned_app.command("redo")
def redo(
    what: Annotated[str, typer.Argument(help="What was undone, or 'all' for a reset.", metavar="ID")],
    client: ClientOption = None,
    config: ConfigOption = None,
) -> None:
    """Let count again what was undone; after a reset, all of it: archgw learned redo all"""

    def take_back(connection: Connection, caller: str, id: str) -> None:
        if not lessons.take_back(connection, caller, id):
            report.fail(f"{id} was not undone", mend="see what there is: archgw learned")

    if what == "all":
        plan = learned.planned(config)
        with _words(), learned.books(plan) as books, books.writing() as connection:
            gone = [
                one
                for one in lessons.read(connection).left_out
                if one.what == EVERYTHING and client in (None, one.caller)
            ]
            for one in gone:
                lessons.take_back(connection, one.caller, EVERYTHING)
        if not gone:
            report.fail("there was no reset", mend="see what there is: archgw learned")
        report.console.print(f"what was said before the reset counts again; {_SOON}")
        return
    caller, id = _change(what, client, config, take_back)
    report.console.print(f"{escape(id)} counts again{_whose(caller)}; {_SOON}", soft_wrap=True)


@learned_app.command("reset")
def reset(
    client: ClientOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Leave out all that was said until now. Nothing is deleted: archgw learned redo all takes it back."""
    whose = f" of {client}" if client else ""
    if not yes and not typer.confirm(f"Leave out everything that was learned{whose} until now?"):
        raise typer.Exit(report.NO)
    plan = learned.planned(config)
    with _words(), learned.books(plan) as books, books.writing() as connection:
        evidence = lessons.read(connection)
        callers = {one.caller for one in evidence.asked} if client is None else {client}
        for caller in callers:
            lessons.leave_out(connection, caller, EVERYTHING, time.time())
    report.console.print(f"nothing that was said until now counts any more; {_SOON}", soft_wrap=True)
    report.console.print("  take it back: archgw learned redo all")


@learned_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(help="Where to, such as learned.json.")],
    client: ClientOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    config: ConfigOption = None,
) -> None:
    """Write what was said of answers as JSON: numbers and names, none of your words. Readable by you alone."""
    if file.exists() and not force:
        report.fail(f"{file} is there already", mend="--force writes over it")
    plan = learned.planned(config)
    with _words(), learned.books(plan) as books, books.reading() as connection:
        told = carried.exported(connection, lambda one: client in (None, one.caller))
    try:
        with os.fdopen(open_private(file, os.O_WRONLY | os.O_TRUNC), "w", encoding="utf-8") as to:
            json.dump(told, to)
    except OSError as error:
        report.fail(f"{file} cannot be written: {error.strerror}")
    report.errors.print(f"{_count(len(told['asked']), 'ask')} and what was said of them in {file}", soft_wrap=True)


@learned_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="What archgw learned export has written.")],
    client: Annotated[
        str | None,
        typer.Option("--client", help="Whose it becomes, by the name of a client key; whose it was otherwise."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Add what was exported elsewhere. What is here already stays; the same file twice changes nothing."""
    plan = learned.planned(config)
    try:
        told = json.loads(file.read_text("utf-8"))
    except OSError as error:
        report.fail(f"{file} cannot be read: {error.strerror}")
    except ValueError:
        report.fail(f"{file} is not JSON", mend="archgw learned export FILE writes one")
    try:
        with _words(), learned.books(plan) as books, books.writing() as connection:
            asks, said = carried.imported(connection, told, caller=client)
    except carried.BadExport as error:
        report.fail(f"{file} {error}", mend="archgw learned export FILE writes one")
    report.console.print(f"{_count(asks, 'ask')} and {_count(said, 'word')} about them are new here; {_SOON}")
    if carried.models_of(told) - {fingerprint.of(plan.routing)}:
        report.warn(["some were seen by another router model than yours; they cannot be compared, and are left aside"])
    old = sum(one["at"] < time.time() - plan.ledger.keep for one in told["asked"])
    if old:
        report.warn([f"{_count(old, 'ask')} are older than ledger.keep and will be let go; keep more to keep them"])


def _change(
    what: str, client: str | None, config: Path | None, change: Callable[[Connection, str, str], None]
) -> tuple[str, str]:
    plan = learned.planned(config)
    with _words(), learned.books(plan) as books, books.writing() as connection:
        found = learned.found(connection, plan, client=client)
        _known(client, found)
        meant = [one for one in learned.named(found, what) if client in (None, one[0])]
        if not meant:
            report.fail(f"nothing that was learned is called '{what}'", mend="see what there is: archgw learned")
        if len(meant) > 1:
            report.fail(f"'{what}' could be {' or '.join(id for _, id in meant)}", mend="write more of it")
        change(connection, *meant[0])
    return meant[0]


@contextmanager
def _words() -> Iterator[None]:
    try:
        yield
    except Unreadable as error:
        report.fail(str(error), mend=error.mend)


# -- for people ----------------------------------------------------------------------------------------------------


def _print(found: Found) -> None:
    out = report.console
    if not found.plan.learning.enabled:
        report.warn(["nothing is learned: the config says  learning: {enabled: false}"])
    if not found.lessons:
        _how(found)
    for state, heading in (("applied", ""), ("waiting", "not applied"), ("undone", "undone")):
        some = [lesson for lesson in found.lessons if lesson.state == state]
        if some and heading:
            out.print(f"[bold]{heading}[/bold]\n")
        for lesson in some:
            _print_lesson(lesson, found)
    gone = found.left_out()
    for one in gone:
        what = "all that was said before" if one.what == EVERYTHING else f"request {one.what}"
        back = "all" if one.what == EVERYTHING else one.what
        out.print(
            f"left out: {escape(what)}{_whose(one.caller)}, since {_when(one.at)}; archgw learned redo {escape(back)}",
            soft_wrap=True,
        )
    if found.strange:
        out.print(
            f"[yellow]note:[/yellow] {_count(found.strange, 'ask')} had been seen by another router model than the one"
            " in use, and cannot be compared with what it sees: what was said of them waits until that model is back.",
            soft_wrap=True,
        )
    for name in found.gone:
        out.print(
            f"[yellow]note:[/yellow] what you said belongs to “{escape(name)}” waits: the config has no preference of"
            " that name. Under another name it has to be said anew.",
            soft_wrap=True,
        )
    if any(lesson.state != "undone" for lesson in found.lessons):
        out.print("undo one: archgw learned undo ID     all: archgw learned reset")


def _known(client: str | None, found: Found) -> None:
    """A name with a slip in it has taught nothing, which is no answer."""
    names = {*(one.name for one in found.plan.clients), *(one.caller for one in found.evidence.asked)}
    if client and client not in names:
        known = ", ".join(sorted(filter(None, names)))
        report.fail(f"no client key is called '{client}'", mend=f"there are: {known}" if known else "there are none")


def _how(found: Found) -> None:
    out = report.console
    asks = sum(found.client in (None, one.caller) for one in found.evidence.asked)
    out.print(f"Nothing has been learned yet, from {_count(asks, 'ask')}.\n")
    out.print("Teach it when an answer came from the wrong place:\n", soft_wrap=True)
    name = found.plan.routes[0].name if found.plan.routes else "code review"
    out.print(f'  archgw bad --should-be "{escape(name)}"     that ask belonged to this preference')
    out.print(f"  archgw bad --should-be {escape(found.plan.candidates[0].label)}     or to this model")
    out.print("  archgw good                               that was right\n")
    out.print("One word is enough to begin with: the same ask, and what is like it, goes there from then on.")


def _print_lesson(lesson: Lesson, found: Found) -> None:
    out = report.console
    out.print(f"[bold]{lesson.id}[/bold]  {escape(_what(lesson))}{escape(_whose(lesson.caller))}", soft_wrap=True)
    made = _pieces(lesson)
    out.print(f"        from {escape(made)}", soft_wrap=True)
    for piece in lesson.pieces[-_SHOWN:]:
        ask = found.asks.get(piece.request, "")
        words = f": {_cut(ask)}" if ask else ""
        out.print(f"          {piece.request}, {_when(piece.at)}, {piece.said}{escape(words)}", soft_wrap=True)
    if lesson.state == "applied":
        out.print(f"        {_effect(lesson)}", soft_wrap=True)
    elif lesson.state == "waiting":
        out.print(f"        not applied: {escape(lesson.why)}", soft_wrap=True)
    else:
        out.print(f"        take it back: archgw learned redo {lesson.id}", soft_wrap=True)
    out.print()


def _what(lesson: Lesson) -> str:
    if lesson.kind == "model":
        was, now = lesson.means
        return f"for {lesson.route}: {lesson.target} over {lesson.source}, {now:.2f} to {was:.2f}"
    target = "no preference" if lesson.target == NONE else lesson.target
    source = "no preference" if lesson.source == NONE else lesson.source
    return f"asks like these -> {target}, not {source}"


def _pieces(lesson: Lesson) -> str:
    if lesson.kind == "preference":
        corrections = sum(one.said == "should be" for one in lesson.pieces)
        liked = len(lesson.pieces) - corrections
        more = f" and {_count(liked, 'answer')} that you liked since" if liked else ""
        older = f", the last {_SHOWN}" if len(lesson.pieces) > _SHOWN else ""
        return f"{_count(corrections, 'correction')}{more}{older}:"
    good = sum(one.said == "good" for one in lesson.pieces)
    older = f", the last {_SHOWN}" if len(lesson.pieces) > _SHOWN else ""
    return f"{good} good and {len(lesson.pieces) - good} bad signs{older}:"


def _effect(lesson: Lesson) -> str:
    if not lesson.of:
        return "applied"
    asks = f"of your last {_count(lesson.of, 'ask')}" + (f" for {lesson.route}" if lesson.kind == "model" else "")
    return f"applied: {escape(asks)}, {lesson.moves} would go elsewhere for it"


def _whose(caller: str) -> str:
    return f" ({caller})" if caller else ""


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}"


def _count(number: int, what: str) -> str:
    return f"1 {what}" if number == 1 else f"{number:,} {what}s"


def _cut(text: str) -> str:
    told = " ".join(text.split())
    return told if len(told) <= _LETTERS else f"{told[: _LETTERS - 1]}…"


def _told(found: Found) -> dict[str, object]:
    return {
        "enabled": found.plan.learning.enabled,
        "router_model": found.model,
        "asks": len(found.evidence.asked),
        "asks_of_other_router_models": found.strange,
        "lessons": [asdict(lesson) for lesson in found.lessons],
        "left_out": [asdict(one) for one in found.left_out()],
    }
