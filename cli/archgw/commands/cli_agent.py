"""archgw cli-agent: launch a coding agent through the gateway."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from archgw import configs, docker, report
from archgw.agents import AGENTS
from archgw.agents.agent import Agent, Launch, Situation, past_proxies
from archgw.agents.shown import Shell, command, exports, masked
from archgw.home import Stack, home, write_private
from router_service.conversation import BadRequest
from router_service.plan import Plan
from router_service.policies import explicit


def cli_agent(
    agent: Annotated[
        str,
        typer.Argument(help=f"{', '.join(AGENTS)}: the last is for any other client.", metavar="AGENT"),
    ],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            help="What goes to the agent: options that are not ours, and everything after -- as it is.",
            metavar="[-- ARGS...]",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="The model to begin with. Without it, each request is routed.", show_default=False),
    ] = "",
    settings: Annotated[
        str,
        typer.Option(
            help="Settings for this session, in the agent's own words, as JSON or the path of a JSON file. Variables"
            " such as ANTHROPIC_SMALL_FAST_MODEL may stand at the top level.",
            show_default=False,
        ),
    ] = "{}",
    feedback_commands: Annotated[
        bool,
        typer.Option(
            "--feedback-commands",
            help="Add /good, /bad and /unrate to Claude Code, for this session: what you say of an answer, kept without"
            " asking a model.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print what would be set and run, without your secrets, and do nothing."),
    ] = False,
    shell: Annotated[Shell, typer.Option(help="In whose words to print variables.")] = "bash",
) -> None:
    """Launch a coding agent whose every request is answered through the gateway.

    Your own settings files are never changed, and go on to hold, except for where requests go. If one of them leads
    around the gateway all the same, you are told.

    archgw cli-agent claude --resume

    archgw cli-agent claude --settings='{"ANTHROPIC_SMALL_FAST_MODEL": "deepseek-coder-v2"}'

    archgw cli-agent codex --model openai/gpt-4.1 -- exec "explain this repository"

    For any other client, env sets the variables that the vendors' SDKs read: in your shell, or for one command.

    eval "$(archgw cli-agent env)"

    archgw cli-agent env -- qwen
    """
    known = AGENTS.get(agent)
    if known is None:
        report.fail(f"no agent '{agent}'", mend=f"there are: {', '.join(AGENTS)}", code=report.MISUSE)
    if feedback_commands and not known.feedback:
        able = ", ".join(name for name, one in AGENTS.items() if one.feedback)
        report.fail(f"{agent} has no commands for feedback", mend=f"there are some for: {able}", code=report.MISUSE)
    given = _settings(settings)
    stack = home().stack() or docker.stack(home())
    if stack is None:
        report.fail("the gateway is not running", mend="start it: archgw up")
    plan = configs.complete(Path(stack.config))
    _check_model(plan, model, agent)
    situation = _situation(known, stack, plan, given, model, tuple(arguments or ()))
    feedback = home().folder / agent if feedback_commands else None
    launch = known.prepare(replace(situation, feedback=feedback))
    report.warn(launch.notes)
    if dry_run:
        _show(masked(launch, os.environ), shell)
        return
    _write(launch.files)
    if launch.arguments:
        _become(known, launch)
    else:
        _show(launch, shell)


def _check_model(plan: Plan, model: str, agent: str) -> None:
    try:
        explicit.resolve(plan, model or "auto", claude_code=False)
    except BadRequest as error:
        report.fail(error.message, mend=f"a --model after -- goes to {agent} as it is", code=report.MISUSE)


def _situation(
    agent: Agent, stack: Stack, plan: Plan, settings: dict[str, Any], model: str, arguments: tuple[str, ...]
) -> Situation:
    return Situation(
        url=stack.url,
        plan=plan,
        environment=past_proxies(os.environ, stack.url),
        settings=settings,
        arguments=arguments,
        files=_files(agent.reads(os.environ, Path.cwd())),
        model=model,
        archgw=shutil.which(sys.argv[0]) or shutil.which("archgw") or "archgw",
    )


def _files(patterns: Iterable[Path]) -> dict[Path, str]:
    paths = (path for pattern in patterns for path in sorted(pattern.parent.glob(pattern.name)))
    return {path: text for path in paths if (text := _text(path)) is not None}


def _text(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):  # not there, not ours to read, no text: the agent itself will say so
        return None


def _show(launch: Launch, shell: Shell) -> None:
    for line in exports(os.environ, launch.environment, shell):
        print(line)
    if launch.arguments:
        print(command(launch.arguments, shell))


def _write(files: Mapping[Path, str]) -> None:
    """Into our own home, whose folders are the user's alone."""
    for path, text in files.items():
        for folder in reversed([one for one in path.parents if home().folder in one.parents]):
            folder.mkdir(mode=0o700, exist_ok=True)
        write_private(path, text)


def _become(agent: Agent, launch: Launch) -> None:
    name = agent.program or launch.arguments[0]
    program = shutil.which(name)
    if program is None:
        report.fail(f"{name} is not installed", mend=f"install it: {agent.install}" if agent.install else "")
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
