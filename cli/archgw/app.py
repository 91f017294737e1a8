"""archgw, the command line: one file per command, and this table."""

from importlib.metadata import version
from inspect import cleandoc
from typing import Annotated

import typer

from archgw.commands import (
    cache,
    check,
    check_mesh,
    cli_agent,
    client_key,
    dashboard,
    demo,
    drill,
    evaluate,
    export,
    learned,
    prompt_hook,
    rate,
    render,
    replay,
    route,
    simulate,
    stats,
    status,
    statusline,
    top,
    up,
    why,
)

app = typer.Typer(
    name="archgw",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="One familiar interface, the best of all models: every request is answered by the model that your own words"
    " in config.yaml prefer for it.",
    epilog="Try it without any key:  archgw demo",
)

_START, _AGENTS, _TEACH, _LOOK = "Start and stop", "Use", "Teach", "Look"

app.command("up", rich_help_panel=_START)(up.up)
app.command("down", rich_help_panel=_START)(up.down)
app.command("reload", rich_help_panel=_START)(up.reload)
app.command("demo", rich_help_panel=_START)(demo.demo)
app.command("cli-agent", rich_help_panel=_AGENTS, context_settings=cli_agent.PASSED_ON)(cli_agent.cli_agent)
app.command("client-key", rich_help_panel=_AGENTS)(client_key.client_key)
app.command("good", rich_help_panel=_TEACH)(rate.good)
app.command("bad", rich_help_panel=_TEACH)(rate.bad)
app.command("unrate", rich_help_panel=_TEACH)(rate.unrate)
app.command("route", rich_help_panel=_AGENTS)(route.route)
app.command("status", rich_help_panel=_LOOK)(status.status)
app.command("why", rich_help_panel=_LOOK)(why.why)
app.command("top", rich_help_panel=_LOOK)(top.top)
app.command("logs", rich_help_panel=_LOOK)(status.logs)
app.command("check", rich_help_panel=_LOOK)(check.check)
app.command("check-mesh", rich_help_panel=_LOOK)(check_mesh.check_mesh)
app.command("eval", rich_help_panel=_LOOK)(evaluate.evaluate)
app.command("drill", rich_help_panel=_LOOK)(drill.drill)
app.command("dashboard", rich_help_panel=_LOOK)(dashboard.dashboard)
app.command("stats", rich_help_panel=_LOOK)(stats.stats_)
app.command("export", rich_help_panel=_LOOK)(export.export_)
app.command("replay", rich_help_panel=_LOOK)(replay.replay_)
app.command("example", rich_help_panel=_START)(check.example)
app.command(
    "statusline",
    rich_help_panel=_AGENTS,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)(statusline.statusline)
app.command(
    "prompt-hook",
    rich_help_panel=_AGENTS,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)(prompt_hook.prompt_hook)
app.command("simulate", rich_help_panel=_AGENTS)(simulate.simulate)
app.add_typer(render.render_app, name="render", rich_help_panel=_LOOK)
app.add_typer(cache.cache_app, name="cache", rich_help_panel=_LOOK)
app.add_typer(learned.learned_app, name="learned", rich_help_panel=_TEACH)


def _in_one_line(words: str) -> str:
    """Paragraphs as such: a terminal breaks its lines where it ends, not where the source does."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in words.split("\n\n"))


for _command in (
    *app.registered_commands,
    *render.render_app.registered_commands,
    *cache.cache_app.registered_commands,
    *learned.learned_app.registered_commands,
):
    _command.help = _in_one_line(cleandoc(_command.callback.__doc__ or "")) if _command.callback else None


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"archgw {version('archgw')}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass
