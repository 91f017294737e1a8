"""archgw statusline, as the help of `archgw` knows it; see archgw.statusline, which runs without all this."""

import typer

from archgw.statusline import main


def statusline(context: typer.Context) -> None:
    """Print one line about the model that really answered, for Claude Code's status line."""
    raise typer.Exit(main(context.args))
