"""archgw client-key: a new key for a client, shown once; the config gets its hash."""

import hashlib
import json
import secrets
from typing import Annotated

import typer

from archgw import report
from router_service.config import ConfigErrors, parse

_MODEL = "llm_providers: [{model: ollama/any}]\n"  # a config wants one


def client_key(
    name: Annotated[str, typer.Argument(help="Whose key it is, as it shall stand in config.yaml.")] = "me",
    expires: Annotated[
        str, typer.Option(help="The last day on which it is taken, such as 2027-01-31.", show_default=False)
    ] = "",
) -> None:
    """Make a key for a client of the gateway: the key, shown this once, and the line of config.yaml that lets it in.

    Nothing is kept. To change a client's key, add the new line beside the old one, restart, give the client the new
    key, then take the old line out.
    """
    key = f"archgw-{secrets.token_hex(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    until = f", expires: {expires}" if expires else ""
    line = f'- {{name: {json.dumps(name)}, key: "sha256:{digest}"{until}}}'
    _check(line)
    out = report.console
    out.print(f"the key of {name}, shown this once:\n\n  {key}\n", markup=False, soft_wrap=True)
    out.print(f"for config.yaml:\n\nclients:\n  {line}\n", markup=False, soft_wrap=True)
    out.print("for agents that archgw cli-agent launches:  export ARCHGW_CLIENT_KEY=...")
    out.print("any other client sends it as its API key, or as x-arch-key")


def _check(line: str) -> None:
    try:
        parse(f"clients:\n  {line}\n{_MODEL}", file="", environment={})
    except ConfigErrors as error:
        mistake = error.mistakes[0]
        report.fail(mistake.message, mend=mistake.hint, code=report.MISUSE)
