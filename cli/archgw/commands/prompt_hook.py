"""archgw prompt-hook, as the help of `archgw` knows it; see archgw.prompt_hook, which runs without all this."""

import typer

from archgw.prompt_hook import main


def prompt_hook(context: typer.Context) -> None:
    """Take /good and /bad out of Claude Code's prompts, as feedback about its last answer."""
    raise typer.Exit(main(context.args))
