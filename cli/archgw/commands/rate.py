"""archgw good, bad, unrate: what you say of an answer, kept in the ledger."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.markup import escape
from sqlalchemy import Connection, select

from archgw import configs, ledger, report
from archgw.books import Unreadable
from archgw.home import home
from router_service import feedback
from router_service.evidence import SHOULD_BE, THUMBS, Target
from router_service.feedback import LAST, Feedback
from router_service.plan import Plan
from router_service.policies.policy import LEARNING
from router_service.shell.ledger import Kept, meant, rate
from router_service.shell.ledger_schema import requests

_SHOWN = 5  # requests, where several are meant
_LATE = 1000  # turns, of which the last may be somebody else's
_Request = Annotated[
    str,
    typer.Argument(
        help="'last', your last turn that was answered, or the id of a request (x-arch-request-id, archgw top) or how"
        " it begins.",
        metavar="REQUEST",
    ),
]
_Session = Annotated[
    str, typer.Option("--session", help="Of this session alone: its id or how it begins.", show_default=False)
]
_Client = Annotated[
    str | None,
    typer.Option("--client", help="Of this client key alone, by its name.", metavar="NAME", show_default=False),
]
_ShouldBe = Annotated[
    str | None,
    typer.Option(
        "--should-be",
        metavar="NAME",
        help="Who should have answered: a preference of the config ('default' for none of them), or a model.",
        show_default=False,
    ),
]
_Config = Annotated[Path | None, typer.Option(help=configs.HELP, show_default=False)]


def good(
    request: _Request = LAST,
    session: _Session = "",
    should_be: _ShouldBe = None,
    client: _Client = None,
    config: _Config = None,
) -> None:
    """Say that an answer was good; without an id, the last one.

    It is kept in the ledger, whether the gateway runs or not. archgw unrate takes it back.
    """
    _rate(Feedback(request, session, (("good", None),)), should_be, client, config)


def bad(
    request: _Request = LAST,
    session: _Session = "",
    should_be: _ShouldBe = None,
    client: _Client = None,
    config: _Config = None,
) -> None:
    """Say that an answer was bad; without an id, the last one; and who should have answered, if you know.

    It is kept in the ledger, whether the gateway runs or not. archgw unrate takes it back.

    archgw bad --should-be "code review"

    archgw bad 5f0e8a1c --should-be anthropic/claude-sonnet-4-5
    """
    _rate(Feedback(request, session, (("bad", None),)), should_be, client, config)


def unrate(request: _Request = LAST, session: _Session = "", client: _Client = None, config: _Config = None) -> None:
    """Take back what you have said of an answer; without an id, of the last one."""
    found = _keep(Feedback(request, session, gone=(*THUMBS, SHOULD_BE)), client, config)
    report.console.print(f"Taken back: {_told(found)}", soft_wrap=True)


def _rate(given: Feedback, should_be: str | None, client: str | None, config: Path | None) -> None:
    plan = None if should_be is None else configs.complete(_used(config))
    target = _target(should_be, plan, config) if should_be is not None and plan else None
    more: feedback.Said = ((SHOULD_BE, target.told),) if target else ()
    found = _keep(replace(given, said=given.said + more), client, config)
    meant = f", should be the {target.kind} {escape(target.name)}" if target else ""
    report.console.print(f"Kept: [bold]{given.said[0][0]}[/bold]{meant}. {_told(found)}", soft_wrap=True)
    if plan and target and target.kind == "model":
        report.warn(_what_it_moves(plan, found.preference, target.name))
    report.console.print(f"To take it back: archgw unrate {found.request}", style="dim", soft_wrap=True)


def _used(config: Path | None) -> Path:
    stack = home().stack()
    return Path(stack.config) if config is None and stack else configs.find(config)


def _target(word: str, plan: Plan, config: Path | None) -> Target:
    try:
        return feedback.resolve(word, feedback.names(plan))
    except ValueError as error:
        report.fail(f"--should-be: {error}", mend=f"the names are those of {_used(config)}", code=report.MISUSE)


def _what_it_moves(plan: Plan, preference: str, model: str) -> list[str]:
    """Why a model that is named changes nothing, where that is so."""
    route = next((one for one in plan.routes if one.name == preference), None)
    if route is None:
        return ["no preference has chosen the model, and so nothing follows from which it should be"]
    if model not in [one.label for one in route.candidates]:
        return [f"{model} is not among the models of “{preference}”: it is asked where the config lists it there"]
    if route.prefer not in LEARNING:
        return [f"“{preference}” asks its models in your order; selection_policy: {LEARNING[0]} goes by what you say"]
    return []


def _keep(given: Feedback, client: str | None, config: Path | None) -> Kept:
    try:
        with ledger.writable(config) as connection:
            found = _found(connection, given, client)
            if given.request == LAST and not given.session and client is None:
                _only_ones(connection, found)
            rate(connection, found.request, given)
            return found
    except Unreadable as error:
        report.fail(str(error), mend=error.mend)


def _found(connection: Connection, given: Feedback, client: str | None) -> Kept:
    wanted = [given.request] if given.request == LAST else _ids(connection, given.request)
    if len(wanted) > 1:
        shown = [*wanted[:_SHOWN], *(["..."] if len(wanted) > _SHOWN else [])]
        report.fail(f"several requests begin with {given.request}: {', '.join(shown)}", mend="write more of the id")
    found = meant(connection, Feedback(wanted[0], given.session), client) if wanted else None
    return found or _unknown(given, client)


def _only_ones(connection: Connection, found: Kept) -> None:
    """Where several have keys, the last turn of all may well be somebody else's, and what is said of it teaches his."""
    late = select(requests.c.caller).where(requests.c.kind == "user turn", requests.c.served != "")
    callers = set(connection.scalars(late.order_by(requests.c.at.desc()).limit(_LATE))) - {""}
    if found.caller and len(callers) > 1:
        report.fail(
            f"several have asked: {', '.join(sorted(callers))}", mend="say whose last turn it is: --client NAME"
        )


def _ids(connection: Connection, beginning: str) -> list[str]:
    begins = requests.c.id.startswith(beginning, autoescape=True)
    return list(connection.scalars(select(requests.c.id).where(begins).limit(_SHOWN + 1))) if beginning else []


def _unknown(given: Feedback, client: str | None) -> NoReturn:
    where = (f" in session {given.session}" if given.session else "") + (f" of client {client}" if client else "")
    if given.request == LAST:
        report.fail(f"no turn has been answered{where} yet", mend="ask something first: archgw cli-agent claude")
    report.fail(f"the ledger has no request {given.request}{where}", mend="see which there are: archgw top")


def _told(found: Kept) -> str:
    whose = f" (client {found.caller})" if found.caller else ""
    return escape(f"{found.request}: {found.preference or '-'} -> {found.model or 'nobody'}{whose}")
