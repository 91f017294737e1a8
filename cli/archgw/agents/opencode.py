"""opencode, launched through the gateway.

OPENCODE_CONFIG_CONTENT is merged over every config file of the user's (seen with 1.18). In it the gateway is a provider
and the only one: an agent that names a model of another fails instead of going around the gateway; we say so before.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from archgw.agents.agent import Agent, Json, Launch, Situation, ancestors, option, unused_login, variables
from archgw.agents.texts import from_json, from_yaml, merged
from router_service.offers import Offer, offers
from router_service.plan import FAST_MODELS, ROUTED_MODELS

_CONTENT = "OPENCODE_CONFIG_CONTENT"
_NAMES = ("opencode.json", "opencode.jsonc")
_PAGES = ("agent", "agents", "mode", "modes", "command", "commands")  # folders of what may name a model in its head
_MANAGED = tuple(
    folder / name
    for folder in (Path("/etc/opencode"), Path("/Library/Application Support/opencode"))
    for name in _NAMES
)


def reads(environment: Mapping[str, str], here: Path) -> Sequence[Path]:
    home = Path(environment.get("HOME") or "/")
    own = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    named = [Path(environment["OPENCODE_CONFIG"])] if environment.get("OPENCODE_CONFIG") else []
    projects = [folder / place / name for folder in ancestors(here) for place in (".", ".opencode") for name in _NAMES]
    pages = [
        place / kind / "*.md"
        for place in (own, *(folder / ".opencode" for folder in ancestors(here)))
        for kind in _PAGES
    ]
    return [own / "config.json", *(own / name for name in _NAMES), *named, *projects, *pages, *_MANAGED]


def prepare(situation: Situation) -> Launch:
    given, settings = variables(situation.settings)
    own = from_json(situation.environment.get(_CONTENT, ""))
    proposed = {
        "model": f"archgw/{ROUTED_MODELS[0]}",
        "small_model": f"archgw/{FAST_MODELS[0]}",
        "enabled_providers": ["archgw"],
    }
    chosen = {"model": f"archgw/{situation.model}"} if situation.model else {}
    config = merged(merged(merged(own, proposed), settings), {"provider": {"archgw": _provider(situation)}, **chosen})
    environment = {**situation.environment, **given, _CONTENT: json.dumps(config)}
    notes = [*_others(situation), *_managed(situation), *unused_login(situation.plan, "opencode")]
    return Launch(("opencode", *situation.arguments), environment, tuple(notes))


def _provider(situation: Situation) -> Json:
    return {
        "npm": "@ai-sdk/openai-compatible",  # comes with opencode
        "name": "archgw",
        "options": {"baseURL": f"{situation.url}/v1", "apiKey": situation.token},
        "models": {one.id: _model(one) for one in offers(situation.plan)},
    }


def _model(one: Offer) -> Json:
    """Pictures are taken whoever is asked: models that cannot see them are passed over."""
    told = {
        "name": one.name,
        "attachment": True,
        "modalities": {"input": ["text", "image", "pdf"], "output": ["text"]},
    }
    known = one.context and one.max_output
    return told | ({"limit": {"context": one.context, "output": one.max_output}} if known else {})


def _others(situation: Situation) -> list[str]:
    """Models of other providers that are named somewhere: they are not offered in this session."""
    asked = [("the arguments", option(situation.arguments, "--model", "-m"))]
    places = asked + [found for path, text in situation.files.items() for found in _named(path, text)]
    return [
        f"{model} in {place} is not offered in this session; models are named archgw/..., such as archgw/{_like(model)}"
        for place, model in places
        if model and not model.startswith("archgw/")
    ]


def _named(path: Path, text: str) -> list[tuple[str, str]]:
    """Where a file names models: a config for its agents, a page for its own."""
    if path.suffix == ".md":
        heads = {str(path): from_yaml(text.partition("---\n")[2].partition("\n---")[0])}
    else:
        config = from_json(text)
        heads = {
            f"{group}.{name} of {path}": what
            for group in ("agent", "mode", "command")
            for name, what in (config.get(group) or {}).items()
            if isinstance(what, dict)
        }
    return [(place, head["model"]) for place, head in heads.items() if isinstance(head.get("model"), str)]


def _like(model: str) -> str:
    return model if "/" in model else ROUTED_MODELS[0]


def _managed(situation: Situation) -> list[str]:
    return [
        f"{path} is managed and goes before everything else: with its {name}, requests may NOT go through the gateway"
        for path in _MANAGED
        for name in ("enabled_providers", "model", "small_model")
        if name in from_json(situation.files.get(path, ""))
    ]


AGENT = Agent(
    name="opencode",
    program="opencode",
    install="npm install -g opencode-ai",
    prepare=prepare,
    reads=reads,
)
