"""What Envoy was told in a container, kept for the router service beside it, which may be started again long after.

By then the config's file, or the Secret that is mounted, may be another; Envoy still has the chains of before, whose
names the service has to know. So it goes by the config as it was, and by the models that had a key. A key that was
changed is the new one; without one that is gone its vendor refuses, and the next model answers.
"""

import json
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from router_service.config import Config, ProviderEntry
from router_service.shell.files import Source

_log = logging.getLogger("archgw.rendered")
_LATER = ", or was not when this gateway was started"


def to_json(source: Source, models: Iterable[str]) -> str:
    """Of what Envoy's part was rendered. The text of the source may hold keys, if its user wrote them into it."""
    return json.dumps({"source": json.loads(source.to_json()), "models": list(models)}) + "\n"


def from_json(text: str, variables: Mapping[str, str]) -> tuple[Source, frozenset[str]]:
    """The source with these variables, and the models that had a key. Raises ValueError, KeyError."""
    kept = json.loads(text)
    return Source.from_json(json.dumps(kept["source"]), variables), frozenset(kept["models"])


def file_of(text: str) -> Path:
    """Of which config it was rendered: where its variables are looked for. Raises ValueError, KeyError."""
    return Path(json.loads(text)["source"]["file"])


def as_then(config: Config, models: Collection[str]) -> Config:
    """The config with those models usable, and no others."""
    gone = sorted({entry.missing_key for entry in config.providers if entry.missing_key and entry.known_as in models})
    if gone:
        _log.warning("no longer set: %s; their models are asked in vain until the gateway is started anew", gone)
    entries = (_entry(entry, usable=entry.known_as in models) for entry in config.providers)
    return replace(config, providers=tuple(entries))


def _entry(entry: ProviderEntry, *, usable: bool) -> ProviderEntry:
    if usable:
        return replace(entry, missing_key="")
    if entry.missing_key:
        return entry
    name = entry.access_key.source.removeprefix("$") if entry.access_key else "A_KEY"
    return replace(entry, missing_key=name, instead=_LATER)
