"""A config whose every provider is a simulated one: what `archgw simulate` prints and `archgw demo` runs."""

from collections.abc import Mapping
from typing import Any

import yaml

from router_service.providers import by_name

KEY_PREFIX = "simulated-key-of-"


def vendors(config_text: str) -> list[str]:
    """The vendors that a config names, in its order, by their proper names."""
    entries = yaml.safe_load(config_text)["llm_providers"]
    return list(dict.fromkeys(by_name(entry["model"].partition("/")[0]).name for entry in entries))


def rewired(config_text: str, urls: Mapping[str, str], **sections: Any) -> str:
    """The config with each model's vendor at its simulator's URL; `sections` are set on top of it."""
    config = yaml.safe_load(config_text)
    for entry in config["llm_providers"]:
        entry["base_url"] = urls[by_name(entry["model"].partition("/")[0]).name]
    return yaml.safe_dump(config | sections, sort_keys=False, allow_unicode=True, width=110)


def keys(names: list[str]) -> dict[str, str]:
    """A key for each vendor that wants one, as environment variables."""
    variables = {name: by_name(name).key_variable for name in names}
    return {variable: KEY_PREFIX + name for name, variable in variables.items() if variable}
