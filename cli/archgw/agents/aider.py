"""aider, launched through the gateway.

Its `.env` files beat the environment, and its options beat both (seen with 0.86): so the address goes both ways.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from archgw.agents.agent import TOKEN, Agent, Json, Launch, Situation, ancestors, option, unused_login, variables
from archgw.agents.texts import from_yaml
from router_service.plan import FAST_MODELS

_SECOND = ("weak-model", "editor-model")  # whom it asks besides its main model
# Short for models of vendors that it asks at their own address.
_SHORTCUTS = ("--opus", "--sonnet", "--haiku", "--4", "--4o", "--mini", "--35turbo", "--deepseek", "--o1-mini")


def reads(environment: Mapping[str, str], here: Path) -> Sequence[Path]:
    home = Path(environment.get("HOME") or "/")
    return [folder / ".aider.conf.yml" for folder in dict.fromkeys([home, *ancestors(here)])]


def prepare(situation: Situation) -> Launch:
    given, settings = variables(situation.settings)
    base = f"{situation.url}/v1"
    options = {
        "show-model-warnings": False,  # it knows no model of ours, and asks about each
        "model": _name(situation.asked),
        "weak-model": _name(FAST_MODELS[0]),
        **_kept(situation),
        **settings,
        **({"model": _name(situation.model)} if situation.model else {}),
        "openai-api-base": base,
        **({} if situation.client_key else {"openai-api-key": TOKEN}),
    }
    command = ["aider", *(word for name, value in options.items() for word in _words(name, value))]
    # A key is in no argument list, which everybody on the machine can read; by this name it beats .env files as well.
    secret = {"AIDER_OPENAI_API_KEY": situation.client_key} if situation.client_key else {}
    address = {"OPENAI_API_BASE": base, "OPENAI_API_KEY": situation.token}
    environment = {**situation.environment, **given, **address, **secret}
    notes = [*_around({**options, **_asked(situation.arguments)}, situation), *unused_login(situation.plan, "aider")]
    return Launch((*command, *situation.arguments), environment, tuple(notes))


def _name(model: str) -> str:
    """`openai/` says how it is asked, not who."""
    return f"openai/{model}"


def _kept(situation: Situation) -> Json:
    """What the user's files say of other models than the main one, which is ours; the nearest file holds."""
    files = [from_yaml(text) for text in situation.files.values()]
    said = {name: settings[name] for settings in files for name in _SECOND if settings.get(name)}
    return {name: model if _ours(model) else _name(FAST_MODELS[0]) for name, model in said.items()}


def _ours(model: Any) -> bool:
    return str(model).startswith("openai/")


def _words(name: str, value: Any) -> Iterator[str]:
    """An option as it is typed, from how it stands in `.aider.conf.yml`."""
    if isinstance(value, list):
        for item in value:
            yield from _words(name, item)
    elif isinstance(value, bool):
        yield f"--{name}" if value else f"--no-{name}"
    else:
        yield from (f"--{name}", value if isinstance(value, str) else json.dumps(value))


def _asked(arguments: Sequence[str]) -> Json:
    named = {name: option(arguments, f"--{name}") for name in ("model", *_SECOND)}
    return {name: model for name, model in named.items() if model}


def _around(options: Json, situation: Situation) -> list[str]:
    models = [f"--{name} {options[name]}" for name in ("model", *_SECOND) if not _ours(options.get(name, "openai/"))]
    shortcuts = [argument for argument in situation.arguments if argument in _SHORTCUTS]
    return [
        f"{found}: aider asks its vendor by itself; through the gateway it is named openai/..., such as"
        f" {_name(situation.plan.candidates[0].label)}"
        for found in (*models, *shortcuts)
    ]


AGENT = Agent(
    name="aider",
    program="aider",
    install="pip install aider-chat",
    prepare=prepare,
    reads=reads,
)
