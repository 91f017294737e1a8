"""archgw cli-agent: launch a coding agent through the gateway."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from archgw import configs, report
from archgw.agents import AGENTS
from archgw.home import home


def cli_agent(
    agent: Annotated[str, typer.Argument(help=f"Which agent: {', '.join(AGENTS)}.", metavar="AGENT")],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="Everything after -- goes to the agent as it is.", metavar="[-- ARGS...]", show_default=False
        ),
    ] = None,
    settings: Annotated[
        str,
        typer.Option(
            help="Settings for this session, as JSON or the path of a JSON file. Variables such as"
            " ANTHROPIC_SMALL_FAST_MODEL may stand at the top level.",
            show_default=False,
        ),
    ] = "{}",
) -> None:
    """Launch a coding agent whose every request is answered through the gateway.

    archgw cli-agent claude

    archgw cli-agent claude --settings='{"ANTHROPIC_SMALL_FAST_MODEL": "deepseek-coder-v2"}'

    archgw cli-agent claude -- -p "explain this repository"
    """
    known = AGENTS.get(agent)
    if known is None:
        report.fail(f"no agent '{agent}'", mend=f"there are: {', '.join(AGENTS)}", code=report.MISUSE)
    given = _settings(settings)
    stack = home().stack()
    if stack is None:
        report.fail("the gateway is not running", mend="start it: archgw up")
    program = shutil.which(known.program)
    if program is None:
        report.fail(f"{known.program} is not installed", mend=f"install it: {known.install}")
    plan = configs.complete(Path(stack.config))
    own_login = any(candidate.passthrough for candidate in plan.candidates)
    launch = known.prepare(stack.url, given, arguments or [], os.environ, own_login)
    report.warn(launch.notes)
    sys.stdout.flush()
    os.execve(program, list(launch.arguments), dict(launch.environment))  # noqa: S606


def _settings(text: str) -> dict[str, Any]:
    try:
        if not text.lstrip().startswith("{") and Path(text).is_file():
            text = Path(text).read_text("utf-8")
        parsed = json.loads(text)
    except (ValueError, OSError) as error:  # OSError: too long for the name of a file, or not ours to read
        report.fail(
            f"--settings is not valid JSON: {error}",
            mend="""for example: --settings='{"model": "arch.main.v1"}'""",
            code=report.MISUSE,
        )
    if not isinstance(parsed, dict):
        report.fail("--settings must be a JSON object", code=report.MISUSE)
    if not isinstance(parsed.get("env") or {}, dict):
        report.fail("env in --settings must be a JSON object", code=report.MISUSE)
    return parsed
