"""archgw, the command line: one file per command, and this table.

A command's file is imported when that command is run, asked for its help or completed, and then alone: all of them
would bring everything that archgw stands on, a second and more of imports.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from inspect import cleandoc
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

_START, _USE, _TEACH, _LOOK = "Start and stop", "Use", "Teach", "Look"
_OTHERS = {"ignore_unknown_options": True}  # --resume and friends are the agent's
_ALL = {"ignore_unknown_options": True, "allow_extra_args": True}  # they read their own


@dataclass(frozen=True, slots=True)
class Entry:
    """`place` is the file in archgw.commands and what it holds there, a function or a Typer of its own; `says` is the
    first paragraph of its help, which `archgw --help` tells of it."""

    panel: str
    place: str
    says: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    has_help: bool = True


COMMANDS = {
    "up": Entry(
        _START, "up:up", "Start the gateway: the router service and Envoy, both kept running, and the dashboard."
    ),
    "down": Entry(
        _START, "up:down", "Stop the gateway. It takes no new connection, and ends when no request is under way."
    ),
    "reload": Entry(
        _START,
        "up:reload",
        "Use config.yaml, and the .env beside it, as they are now. Nothing that is under way is cut short.",
    ),
    "demo": Entry(_START, "demo:demo", "See it work: no keys, no network, nothing to configure."),
    "cli-agent": Entry(
        _USE,
        "cli_agent:cli_agent",
        "Launch a coding agent whose every request is answered through the gateway.",
        settings=_OTHERS,
    ),
    "client-key": Entry(
        _USE,
        "client_key:client_key",
        "Make a key for a client of the gateway: the key, shown this once, and the line of config.yaml that lets it"
        " in.",
    ),
    "good": Entry(_TEACH, "rate:good", "Say that an answer was good; without an id, the last one."),
    "bad": Entry(
        _TEACH,
        "rate:bad",
        "Say that an answer was bad; without an id, the last one; and who should have answered, if you know.",
    ),
    "unrate": Entry(
        _TEACH, "rate:unrate", "Take back what you have said of an answer; without an id, of the last one."
    ),
    "route": Entry(
        _USE,
        "route:route",
        "Show which preference and which model a prompt would get, and why. Nothing is sent to any provider.",
    ),
    "status": Entry(
        _LOOK,
        "status:status",
        "Show whether the gateway runs, how each model has been doing, and what is done without.",
    ),
    "why": Entry(_LOOK, "why:why", "Tell why a request was answered by the model that answered it."),
    "top": Entry(
        _LOOK,
        "top:top",
        "Watch requests as they are answered: what kind, which preference, which model, how fast, for how much.",
    ),
    "logs": Entry(
        _LOOK,
        "status:logs",
        "Print what the supervisor, the router service, Envoy and the dashboard logged: never a prompt, never a key.",
    ),
    "check": Entry(
        _LOOK,
        "check:check",
        "Check the config, the keys, the preferences and the Envoy configuration. Changes nothing, asks nobody.",
    ),
    "check-mesh": Entry(
        _LOOK,
        "check_mesh:check_mesh",
        "Tell what an Envoy of yours lacks to route to models, and what in it is in the way. Changes nothing, asks"
        " nobody.",
    ),
    "eval": Entry(
        _LOOK,
        "evaluate:evaluate",
        "Measure the router model on conversations whose right preference you know.",
    ),
    "drill": Entry(
        _LOOK,
        "drill:drill",
        "Break every model of the config, one at a time, and show what a client sees of it: the page to show a team.",
    ),
    "dashboard": Entry(
        _LOOK,
        "dashboard:dashboard",
        "Open the page that shows your requests live, with cost, speed, failovers and preferences.",
    ),
    "stats": Entry(
        _LOOK,
        "stats:stats_",
        "Show what the models have done: requests, tokens, cost, what was saved, how fast, how often they failed.",
    ),
    "export": Entry(
        _LOOK,
        "export:export_",
        "Write what the ledger keeps as CSV, JSON lines or Parquet: a row for each request.",
    ),
    "replay": Entry(
        _LOOK,
        "replay:replay_",
        "Show who would have answered what you asked Claude Code so far, and what it would have cost.",
    ),
    "example": Entry(
        _START, "check:example", "Print the example config, to start your own from: archgw example > config.yaml"
    ),
    "statusline": Entry(
        _USE,
        "statusline:statusline",
        "Print one line about the model that really answered, for Claude Code's status line.",
        settings=_ALL,
        has_help=False,
    ),
    "prompt-hook": Entry(
        _USE,
        "prompt_hook:prompt_hook",
        "Take /good and /bad out of Claude Code's prompts, as feedback about its last answer.",
        settings=_ALL,
        has_help=False,
    ),
    "simulate": Entry(
        _USE,
        "simulate:simulate",
        "Run simulated providers on loopback: the vendors' real wire formats and strictness, no keys, no network.",
    ),
    "render": Entry(
        _LOOK,
        "render:render_app",
        "Render what archgw feeds to other programs from the config: print it, or write it into a folder.",
    ),
    "cache": Entry(_LOOK, "cache:cache_app", "The cache of answers: look at it, or empty it."),
    "learned": Entry(_TEACH, "learned:learned_app", "See what your feedback has taught, and undo it."),
}


class Commands(Mapping[str, Any]):
    """The commands themselves, by name."""

    def __getitem__(self, name: str) -> Any:
        return loaded(name)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Listed(TyperGroup):
    """What is listed, in help and to a shell that completes, is read out of the table; what is run is loaded."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.commands = Commands()  # type: ignore[assignment]  # nobody puts anything in

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        with _without("rich.markdown", "rich.traceback"):
            super().format_help(ctx, formatter)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = COMMANDS.get(cmd_name)
        return TyperCommand(cmd_name, help=entry.says, rich_help_panel=entry.panel) if entry else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, found, rest = super().resolve_command(ctx, args)
        return name, loaded(name) if name and found else None, rest


@cache
def loaded(name: str) -> Any:
    """The command of that name, or the group. Raises KeyError."""
    entry = COMMANDS[name]
    module, _, attribute = entry.place.partition(":")
    found = getattr(import_module(f"archgw.commands.{module}"), attribute)
    around = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    if isinstance(found, typer.Typer):
        around.add_typer(found, name=name, rich_help_panel=entry.panel)
    else:
        settings = dict(entry.settings)
        around.command(name, rich_help_panel=entry.panel, context_settings=settings, add_help_option=entry.has_help)(
            found
        )
    for command in (found if isinstance(found, typer.Typer) else around).registered_commands:
        command.help = _in_one_line(cleandoc(command.callback.__doc__ or "")) if command.callback else None
    made: Any = get_command(around)
    return made.commands[name] if isinstance(found, typer.Typer) else made


class _Nothing(ModuleType):
    def __getattr__(self, name: str) -> type:
        return type(name, (), {})


@contextmanager
def _without(*modules: str) -> Iterator[None]:
    """Typer draws help with what also draws Markdown and tracebacks, of which there are none in ours: to import those
    two is a third of the time that the page takes."""
    absent = [name for name in modules if name not in sys.modules]
    sys.modules.update({name: _Nothing(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def _in_one_line(words: str) -> str:
    """Paragraphs as such: a terminal breaks its lines where it ends, not where the source does."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in words.split("\n\n"))


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version  # with all of email, for nobody else

        typer.echo(f"archgw {version('archgw')}")
        raise typer.Exit


if "_ARCHGW_COMPLETE" in os.environ:  # a shell asks; see docs/operations.md
    from typer.completion import completion_init  # type: ignore[attr-defined]  # it is what typer calls itself

    completion_init()

app = typer.Typer(
    name="archgw",
    cls=Listed,
    no_args_is_help=True,
    add_completion=False,  # two options that nobody needs in help; without them it works by the variable alone
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="One familiar interface, the best of all models: every request is answered by the model that your own words"
    " in config.yaml prefer for it.",
    epilog="Try it without any key:  archgw demo",
)


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass
