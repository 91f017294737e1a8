"""config.yaml -> Config: every mistake at once, each with its place and a hint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Prefer = Literal["listed", "cheapest", "fastest", "best", "balanced"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: a file, a line (from 1), and the path of keys, `llm_providers[1].model`."""

    file: str
    line: int
    path: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A credential and where it came from. Its repr hides the value, so that no log can show it."""

    value: str = field(repr=False)
    source: str = ""  # "$OPENAI_API_KEY", or "config.yaml" when written out


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One item of llm_providers. `model` is as written, `vendor/name`."""

    place: Place
    model: str
    name: str = ""  # the user's own name for it, where one model is listed twice
    provider: str = ""  # the part before the slash, or `provider_interface` where that is given
    access_key: Secret | None = None
    missing_key: str = ""  # the variable that access_key names and that is not set
    passthrough_auth: bool = False
    base_url: str = ""
    default: bool = False


@dataclass(frozen=True, slots=True)
class Preference:
    """One routing preference with its ordered pool: `models` are the `name`s (or `model`s) of entries."""

    place: Place
    name: str
    description: str
    models: tuple[str, ...]
    prefer: Prefer = "listed"


@dataclass(frozen=True, slots=True)
class Listener:
    address: str = "127.0.0.1"
    port: int = 12000
    timeout: float = 600.0  # seconds, for a whole request


@dataclass(frozen=True, slots=True)
class Routing:
    deadline: float = 0.05  # seconds the router model may take
    threshold: float = 0.0  # least probability of a preference; 0: only "more likely than none"


@dataclass(frozen=True, slots=True)
class Failover:
    attempts: int = 3
    first_content_timeout: float = 60.0  # seconds until the first content of an answer
    fall_back_to_default: bool = True
    never: tuple[str, ...] = ()  # models that are not used as somebody's fallback


@dataclass(frozen=True, slots=True)
class Config:
    file: str
    providers: tuple[ProviderEntry, ...]
    preferences: tuple[Preference, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)  # alias -> model
    listener: Listener = Listener()
    routing: Routing = Routing()
    failover: Failover = Failover()
    warnings: tuple[str, ...] = ()
