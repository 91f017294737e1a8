"""Claude Code, launched through the gateway.

`env` in the user's own settings file beats the process environment, and `--settings` beats both: so our variables
go both ways, or a user's file would silently lead around the gateway (seen with 2.1.330 and 2.1.197).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from archgw.agents.agent import Agent, Json, Launch

_VARIABLE = re.compile(r"^[A-Z][A-Z0-9_]*$")
_TOKEN = "archgw"  # noqa: S105 - any word does: the gateway has the keys; with it, no login is asked for


def prepare(
    url: str, settings: Json, arguments: Sequence[str], environment: Mapping[str, str], own_login: bool
) -> Launch:
    lifted = {name: _text(value) for name, value in settings.items() if _VARIABLE.match(name)}
    given = {name: _text(value) for name, value in (settings.get("env") or {}).items()}
    ours = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_SMALL_FAST_MODEL": "arch.fast.v1",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",  # tells turns, sub-agents and side requests apart
    }
    if not own_login:
        ours["ANTHROPIC_AUTH_TOKEN"] = _TOKEN
    variables = ours | lifted | given | {"ANTHROPIC_BASE_URL": url}
    kept = {name: value for name, value in settings.items() if not _VARIABLE.match(name)}
    merged = kept | {"env": variables}
    command = ["claude", "--settings", json.dumps(merged), *_permission_mode(kept, arguments), *arguments]
    return Launch(tuple(command), _without_key(environment) | variables, tuple(_notes(given, lifted, url)))


def _text(value: Any) -> str:
    """A variable's value; what is no text is written as in JSON: true, 32000."""
    return value if isinstance(value, str) else json.dumps(value)


def _permission_mode(settings: Json, arguments: Sequence[str]) -> list[str]:
    """Auto mode waits for a verdict that only Anthropic's own models send; other models would stall it."""
    chosen = settings.get("permissions") or any(
        argument.split("=")[0] in ("--permission-mode", "--dangerously-skip-permissions") for argument in arguments
    )
    return [] if chosen else ["--permission-mode", "default"]


def _without_key(environment: Mapping[str, str]) -> dict[str, str]:
    """An API key in the environment makes Claude Code ask whether to use it, and goes before our token."""
    return {name: value for name, value in environment.items() if name != "ANTHROPIC_API_KEY"}


def _notes(given: dict[str, str], lifted: dict[str, str], url: str) -> list[str]:
    notes = []
    if lifted:
        notes.append(f"{', '.join(sorted(lifted))}: passed on as environment, which is how Claude Code reads it")
    other = (given | lifted).get("ANTHROPIC_BASE_URL", url)
    if other != url:
        notes.append(f"ANTHROPIC_BASE_URL={other} is not used: requests go through the gateway at {url}")
    return notes


AGENT = Agent(
    name="claude",
    program="claude",
    install="npm install -g @anthropic-ai/claude-code",
    prepare=prepare,
)
