"""Codex, launched through the gateway.

It takes no address from the environment (OPENAI_BASE_URL is ignored) but overrides of its config on the command line,
which beat `config.toml`, a project's own and profiles (seen with 0.171). Only what an administrator manages beats them.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from archgw.agents.agent import Agent, Json, Launch, Situation, unused_login, variables
from archgw.agents.texts import from_toml
from router_service.offers import offer

_MANAGED = Path("/etc/codex/managed_config.toml")
_KEY = "ARCHGW_TOKEN"
_BARE = re.compile(r"[A-Za-z0-9_-]+$")
_PROVIDER = re.compile(r"(-c|--config=)?model_provider(s\.archgw\.\w+)?=")
_ELSEWHERE = ("--oss", "--local-provider", "--remote")


def reads(environment: Mapping[str, str], here: Path) -> Sequence[Path]:
    return [_MANAGED]


def prepare(situation: Situation) -> Launch:
    given, settings = variables(situation.settings)
    chosen = {"model": situation.model} if situation.model else {}
    overrides = _defaults(situation) | dict(_flat(settings)) | _address(situation) | chosen
    flags = [part for name, value in overrides.items() for part in ("-c", f"{name}={_toml(value)}")]
    environment = {**situation.environment, **given, _KEY: situation.token}
    notes = [*_around(situation), *unused_login(situation.plan, "Codex")]
    return Launch(("codex", *flags, *situation.arguments), environment, tuple(notes))


def _defaults(situation: Situation) -> Json:
    """It knows the windows of OpenAI's models alone."""
    window = offer(situation.plan, situation.asked).context
    return {"model": situation.asked} | ({"model_context_window": window} if window else {})


def _address(situation: Situation) -> Json:
    ours = {"name": "archgw", "base_url": f"{situation.url}/v1", "wire_api": "responses", "env_key": _KEY}
    return {"model_provider": "archgw", **{f"model_providers.archgw.{name}": value for name, value in ours.items()}}


def _flat(settings: Json, *path: str) -> Iterator[tuple[str, Any]]:
    """By the dotted names of overrides; a table whose keys are no such names stays one."""
    for name, value in settings.items():
        if isinstance(value, dict) and value and all(_BARE.match(key) for key in value):
            yield from _flat(value, *path, name)
        else:
            yield ".".join((*path, name)), value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _around(situation: Situation) -> list[str]:
    """What leads around the gateway all the same."""
    arguments = situation.arguments
    flags = [name for name in _ELSEWHERE if any(argument.partition("=")[0] == name for argument in arguments)]
    overridden = [argument for argument in arguments if _PROVIDER.match(argument) and not argument.endswith("archgw")]
    cloud = ["the command 'cloud'"] if arguments[:1] == ("cloud",) else []
    managed = from_toml(situation.files.get(_MANAGED, "")).get("model_provider", "archgw")
    beaten = f"model_provider={managed} in {_MANAGED}, which goes before everything else"
    found = [*flags, *overridden, *cloud, *([beaten] if managed != "archgw" else [])]
    return [f"{one}: requests do NOT go through the gateway" for one in found]


AGENT = Agent(
    name="codex",
    program="codex",
    install="npm install -g @openai/codex",
    prepare=prepare,
    reads=reads,
)
