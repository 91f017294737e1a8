"""The config of a drill: the user's own, with stand-ins in the place of models and the drill in that of the router."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from archgw.simulate import VENDORS, Vendor
from router_service.config import Config, Failover, LocalModel, ProviderEntry, ShippedModel
from router_service.providers import by_name

NOBODYS_LOGIN = "ARCHGW_DRILL_HAS_NO_LOGIN"  # a variable that is never set
PLACES = {"GOOGLE_CLOUD_PROJECT": "drill", "GOOGLE_CLOUD_LOCATION": "global"}  # what Vertex's paths are made of
_SERVERS = ("vllm", "lm_studio", "llama_cpp", "ollama")  # of one's own; they speak OpenAI's chat
_OWN = {"openai": "vllm", "responses": "openai", "anthropic": "anthropic"}  # who plays an endpoint of one's own
_DEADLINE = 10.0  # seconds in which the drill says which preference is meant: its answer is no guess
NEVER_ASIDE = 1_000_000


@dataclass(frozen=True, slots=True)
class StandIn:
    """Where a model of the config is played, and the variable that holds its key."""

    url: str
    variable: str


def player(entry: ProviderEntry) -> Vendor:
    """The simulated vendor that stands in for a model; it knows every model by name, as its vendor may."""
    vendor = entry.model.partition("/")[0]
    if entry.interface:
        name = vendor if entry.interface == "openai" and vendor in _SERVERS else _OWN[entry.interface]
    else:
        name = by_name(vendor).name
    return replace(VENDORS[name], open=True)


def rewired(
    text: str, config: Config, stand_ins: Mapping[str, StandIn], *, port: int, router: str = "", **more: float
) -> str:
    """The config as YAML. `stand_ins` are by what the config calls a model; who has none stays as it is.

    `router` is the address of the drill's own router model, without which the config's own is loaded. `more` are keys
    of `failover`.
    """
    told: dict[str, Any] = yaml.safe_load(text)
    key = "llm_providers" if "llm_providers" in told else "model_providers"
    told[key] = [
        _entry(item, entry, stand_ins.get(entry.known_as))
        for item, entry in zip(told[key], config.providers, strict=True)
    ]
    for preference in told.get("routing_preferences") or []:
        preference.pop("selection_policy", None)  # who is broken is asked first, whoever would be better
    listener = {"address": "127.0.0.1", "port": port, "timeout": config.listener.timeout}
    told["listeners"] = {"egress_traffic": listener}
    told["failover"] = (told.get("failover") or {}) | more
    told["routing"] = _routing(told.get("routing") or {}, config, router)
    told["state"] = {"url": "memory"}
    for unused in ("ledger", "cache", "learning"):
        told.pop(unused, None)
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)


def failover(config: Config, patience: float) -> dict[str, float]:
    """What of `failover` a drill sets: shorter waits, and nobody put aside or left alone, so that all are in place."""
    told = config.failover
    if not patience:
        return {"put_aside_after": NEVER_ASIDE, "cool_at_most": 0}
    return {
        "first_content_timeout": min(told.first_content_timeout, patience),
        "whole_answer_timeout": min(told.whole_answer_timeout, patience),
        "put_aside_after": NEVER_ASIDE,
        "cool_at_most": 0,
    }


def changes(told: Failover, patience: float) -> list[str]:
    """The same, for the page."""
    said = []
    for name, value in (
        ("first_content_timeout", told.first_content_timeout),
        ("whole_answer_timeout", told.whole_answer_timeout),
    ):
        if patience and value > patience:
            said.append(f"{name} is {patience:g} s here, {value:g} s in the config")
    said.append(f"nobody is put aside here, after {told.put_aside_after} failures in a row in the config")
    if told.cool_at_most:
        said.append(f"nobody is left alone for what he said here, for up to {told.cool_at_most:g} s in the config")
    return said


def placeholders(text: str) -> dict[str, str]:
    """A value for the router model's key, which a drill does not ask; without it the config could not be read."""
    try:
        key = yaml.safe_load(text)["routing"]["model"]["access_key"]
    except (yaml.YAMLError, KeyError, TypeError):
        return {}
    name = str(key).strip("${}")
    return {name: "not-asked"} if str(key).startswith("$") and name else {}


def _entry(item: dict[str, Any], entry: ProviderEntry, stand_in: StandIn | None) -> dict[str, Any]:
    if stand_in is None:
        if not entry.passthrough_auth:
            return item
        rest = {name: value for name, value in item.items() if name != "passthrough_auth"}
        return rest | {"access_key": f"${NOBODYS_LOGIN}"}  # the drill has no login of a user's
    kept = {name: value for name, value in item.items() if name not in ("access_key", "credentials")}
    kept["base_url"] = stand_in.url
    return kept if entry.passthrough_auth else kept | {"access_key": f"${stand_in.variable}"}


def _routing(told: dict[str, Any], config: Config, router: str) -> dict[str, Any]:
    """An LLM that routes is never asked; a folder beside the config is elsewhere from here."""
    if router:
        return told | {"model": {"base_url": router, "name": "drill"}, "deadline": _DEADLINE, "threshold": 0}
    rest = {name: value for name, value in told.items() if name != "model"}
    match config.routing.model:
        case LocalModel(folder):
            return rest | {"model": folder}
        case ShippedModel(part):
            return rest | {"model": part}
    return rest
