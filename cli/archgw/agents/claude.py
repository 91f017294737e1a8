"""Claude Code, launched through the gateway.

`env` in the user's own settings file beats the process environment, and `--settings` beats both: so our variables
go both ways, or a user's file would silently lead around the gateway (seen with 2.1.330 and 2.1.197). Only settings
that an administrator manages beat `--settings`.

Commands that give feedback are a plugin of that session (a folder that `--add-dir` names has to be trusted each time),
and are taken by a hook before they become a prompt: 2.1.330 shows a hook each prompt as it was typed, 2.1.197 a command
when it is about to expand.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from archgw.agents.agent import (
    CUSTOM_HEADERS,
    TOKEN,
    Agent,
    Json,
    Launch,
    Situation,
    billing,
    key_header,
    option,
    variables,
)
from archgw.agents.texts import from_json, text_of
from archgw.prompt_hook import COMMANDS
from router_service.admission import KEY
from router_service.offers import offer
from router_service.plan import CLAUDE_CODES

_MANAGED = (Path("/etc/claude-code"), Path("/Library/Application Support/ClaudeCode"))
# Each leads to a cloud's own address, whatever the base URL (2.1.330).
_CLOUDS = tuple(
    f"CLAUDE_CODE_USE_{name}"
    for name in ("BEDROCK", "VERTEX", "FOUNDRY", "ANTHROPIC_AWS", "ANTHROPIC_GOOGLE_CLOUD", "MANTLE", "GATEWAY")
)
_EVENTS = ("UserPromptSubmit", "UserPromptExpansion")
_COMMAND = """---
description: {words}
---
archgw takes /{name} before it becomes a prompt. That you read this means that hooks are turned off. Answer with one
sentence: nothing was kept, and `archgw {name}` in a terminal keeps it.
"""
_PLUGIN = {"name": "archgw", "version": version("archgw"), "description": "What you say of an answer, kept by archgw"}
_OURS = re.compile(r"\barchgw\S* statusline\b")


def reads(environment: Mapping[str, str], here: Path) -> Sequence[Path]:
    own = Path(environment.get("CLAUDE_CONFIG_DIR") or Path(environment.get("HOME") or "/") / ".claude")
    project = here / ".claude"
    managed = [folder / name for folder in _MANAGED for name in ("managed-settings.json", "managed-settings.d/*.json")]
    commands = [folder / "commands" / f"{name}.md" for folder in (own, project) for name in COMMANDS]
    return [own / "settings.json", project / "settings.json", project / "settings.local.json", *managed, *commands]


def prepare(situation: Situation) -> Launch:
    given, kept = variables(situation.settings)
    files = {path: from_json(text) for path, text in situation.files.items() if path.suffix == ".json"}
    users = [settings for path, settings in files.items() if not _is_managed(path)]
    theirs = {name: text_of(value) for settings in users for name, value in _env(settings).items()}
    values = _defaults(situation, theirs) | given | _address(situation, {**situation.environment, **theirs, **given})
    line = _status_line([*users, kept], situation.archgw)
    merged = kept | {"env": values} | ({"statusLine": line} if line else {}) | _hooks(situation, kept)
    command = [
        "claude",
        *([f"--plugin-dir={situation.feedback}"] if situation.feedback else []),
        *("--settings", json.dumps(merged)),
        *(["--model", _name(situation)] if situation.model else []),
        *_permission_mode([*users, kept], situation.arguments),
        *situation.arguments,
    ]
    notes = [
        *_lifted(situation.settings),
        *_set_aside(situation, files, given),
        *_managed(files, situation.url),
        *_unheard(situation, files, given),
        *_own_commands(situation),
        *billing(situation.plan),
    ]
    # The client's key goes by the environment alone: everybody on the machine can read an argument list.
    environment = _without_key(situation.environment) | values | key_header(situation, given)
    return Launch(tuple(command), environment, tuple(notes), _commands(situation.feedback))


def _commands(folder: Path | None) -> dict[Path, str]:
    if folder is None:
        return {}
    commands = {
        folder / "commands" / f"{name}.md": _COMMAND.format(words=words, name=name) for name, words in COMMANDS.items()
    }
    return {folder / ".claude-plugin" / "plugin.json": json.dumps(_PLUGIN)} | commands


def _hooks(situation: Situation, given: Json) -> Json:
    """Ours beside those of the same settings; those of other files run as well."""
    theirs = given.get("hooks") or {}
    if situation.feedback is None or not isinstance(theirs, dict):
        return {}
    ours = {"hooks": [{"type": "command", "command": f"{shlex.quote(situation.archgw)} prompt-hook"}]}
    lists = {event: theirs[event] if isinstance(theirs.get(event), list) else [] for event in _EVENTS}
    return {"hooks": theirs | {event: [*listed, ours] for event, listed in lists.items()}}


def _own_commands(situation: Situation) -> list[str]:
    own = [path for path in situation.files if path.suffix == ".md"] if situation.feedback else []
    return [f"{path} is not reached in this session: /{path.stem} gives feedback to archgw" for path in own]


def _is_managed(path: Path) -> bool:
    return any(folder in path.parents for folder in _MANAGED)


def _env(settings: Json) -> Json:
    env = settings.get("env")
    return env if isinstance(env, dict) else {}


def _defaults(situation: Situation, theirs: Mapping[str, str]) -> dict[str, str]:
    """What we propose; the user may have said otherwise in a file or in the environment."""
    window = offer(situation.plan, situation.asked).context
    ours = {
        "ANTHROPIC_SMALL_FAST_MODEL": "arch.fast.v1",
        "CLAUDE_CODE_GATEWAY_HINT_HEADERS": "1",  # tells turns, sub-agents and side requests apart
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",  # /model lists what the gateway offers
        # Of a model that it does not know it believes that a million tokens fit.
        **({"CLAUDE_CODE_MAX_CONTEXT_TOKENS": str(window)} if window else {}),
    }
    return {name: theirs.get(name) or situation.environment.get(name) or value for name, value in ours.items()}


def _address(situation: Situation, named: Mapping[str, str]) -> dict[str, str]:
    """What nobody may say otherwise, or requests go elsewhere."""
    token = {} if situation.own_login else {"ANTHROPIC_AUTH_TOKEN": TOKEN}
    return {"ANTHROPIC_BASE_URL": situation.url, **token, **{cloud: "0" for cloud in _CLOUDS if cloud in named}}


def _name(situation: Situation) -> str:
    """A bare claude-* name is what Claude Code asks for anyway, and is routed: behind the prefix it is a choice."""
    chosen = situation.model in (*situation.plan.names, *situation.plan.aliases)
    return f"{CLAUDE_CODES}{situation.model}" if chosen and situation.model.startswith("claude-") else situation.model


def _status_line(layers: Iterable[Json], archgw: str) -> Any:
    """Ours, and after it the user's own, where he has one; nothing where his is none that can be called."""
    theirs: Any = {}
    for settings in layers:
        theirs = settings.get("statusLine", theirs)
    if not isinstance(theirs, dict) or theirs.get("type", "command") != "command":
        return theirs
    own = theirs.get("command") or ""
    if _OURS.search(own):
        return theirs
    command = f"{shlex.quote(archgw)} statusline" + (f" --after {shlex.quote(own)}" if own else "")
    return {"type": "command", **theirs, "command": command}


def _permission_mode(layers: Iterable[Json], arguments: Sequence[str]) -> list[str]:
    """Auto mode waits for a verdict that only Anthropic's own models send; other models would stall it."""
    said = any((settings.get("permissions") or {}).get("defaultMode") for settings in layers)
    skipped = "--dangerously-skip-permissions" in arguments
    return [] if said or skipped or option(arguments, "--permission-mode") else ["--permission-mode", "default"]


def _without_key(environment: Mapping[str, str]) -> dict[str, str]:
    """An API key in the environment makes Claude Code ask whether to use it, and goes before our token."""
    return {name: value for name, value in environment.items() if name != "ANTHROPIC_API_KEY"}


def _lifted(settings: Json) -> list[str]:
    lifted = sorted(variables({name: value for name, value in settings.items() if name != "env"})[0])
    return [f"{', '.join(lifted)}: passed on as environment, which is how Claude Code reads it"] if lifted else []


def _set_aside(situation: Situation, files: Mapping[Path, Json], given: Mapping[str, str]) -> list[str]:
    """What would lead around the gateway, and does not for this session."""
    places = {"--settings": given, "the environment": _clouds(situation.environment)} | {
        str(path): _env(settings) for path, settings in files.items() if not _is_managed(path)
    }
    return [
        f"{name}={value} in {place} is not used: requests go through the gateway at {situation.url}"
        for place, env in places.items()
        for name, value in _around(env, situation.url)
    ]


def _managed(files: Mapping[Path, Json], url: str) -> list[str]:
    return [
        f"{path} is managed and goes before everything else: with its {name}={value}, requests do NOT go through"
        " the gateway; ask who manages it"
        for path, settings in files.items()
        if _is_managed(path)
        for name, value in _around(_env(settings), url)
    ]


def _unheard(situation: Situation, files: Mapping[Path, Json], given: Mapping[str, str]) -> list[str]:
    """Custom headers of the user's settings go before those of the environment, in which the client's key is."""
    places = {"--settings": given} | {str(path): _env(settings) for path, settings in files.items()}
    return [
        f"{CUSTOM_HEADERS} in {place} hides the client key: add a line '{KEY}: ...' to it, or no request is let in"
        for place, env in places.items()
        if situation.client_key and KEY not in text_of(env.get(CUSTOM_HEADERS, KEY))
    ]


def _around(env: Mapping[str, Any], url: str) -> list[tuple[str, str]]:
    found = {name: text_of(value) for name, value in env.items()}
    other = found.get("ANTHROPIC_BASE_URL", url)
    address = [("ANTHROPIC_BASE_URL", other)] if other != url else []
    return address + list(_clouds(found).items())


def _clouds(env: Mapping[str, str]) -> dict[str, str]:
    return {name: env[name] for name in _CLOUDS if env.get(name, "0").lower() not in ("", "0", "false", "no", "off")}


AGENT = Agent(
    name="claude",
    program="claude",
    install="npm install -g @anthropic-ai/claude-code",
    prepare=prepare,
    reads=reads,
    feedback=True,
)
