"""config.yaml -> Config: every mistake at once, each with its place and a hint."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from router_service.config import preferences, sections
from router_service.config.budgets import Budget, budgets
from router_service.config.circuit_breakers import CircuitBreakers, RetryBudget
from router_service.config.clients import Client, clients
from router_service.config.clouds import Clouds, Identity
from router_service.config.keys import Secret, parse_dotenv
from router_service.config.mending import compose
from router_service.config.preferences import OwnCache, Prefer, Preference, SelectionPolicy, Weights
from router_service.config.prompt_cache import PromptCache, prompt_cache
from router_service.config.providers import FIELDS, ProviderEntry, check_entries, find_entry, read_entry
from router_service.config.reading import ConfigErrors, Mistake, Notes, Place, Value
from router_service.config.sections import (
    MIB,
    SHIPPED_PARTS,
    Cache,
    Dashboard,
    Failover,
    Learning,
    Ledger,
    Limits,
    Listener,
    LocalModel,
    RemoteModel,
    Routing,
    ShippedModel,
    State,
    Sticky,
)
from router_service.config.telemetry import LIBRARY as OTLP
from router_service.config.telemetry import Telemetry, telemetry
from router_service.config.workers import MOST as MOST_WORKERS
from router_service.config.workers import trouble as workers_trouble
from router_service.config.workers import workers

__all__ = [
    "KEYS",
    "MIB",
    "MOST_WORKERS",
    "OTLP",
    "SHIPPED_PARTS",
    "Budget",
    "Cache",
    "CircuitBreakers",
    "Client",
    "Clouds",
    "Config",
    "ConfigErrors",
    "Dashboard",
    "Failover",
    "Identity",
    "Learning",
    "Ledger",
    "Limits",
    "Listener",
    "LocalModel",
    "Mistake",
    "OwnCache",
    "Place",
    "Prefer",
    "Preference",
    "PromptCache",
    "ProviderEntry",
    "RemoteModel",
    "RetryBudget",
    "Routing",
    "Secret",
    "SelectionPolicy",
    "ShippedModel",
    "State",
    "Sticky",
    "Telemetry",
    "Weights",
    "parse",
    "parse_dotenv",
    "settled",
    "usable",
    "with_workers",
]

VERSIONS = ("v0.1",)
KEYS = (
    "version",
    "listeners",
    "clients",
    "budgets",
    "llm_providers",
    "model_providers",
    "routing_preferences",
    "model_aliases",
    "routing",
    "failover",
    "limits",
    "prompt_cache",
    "cache",
    "learning",
    "ledger",
    "state",
    "telemetry",
    "dashboard",
    "workers",
)
_NO_CLOUDS = Clouds()
_SOME_MODEL = "name one, as in 'llm_providers: [{model: openai/gpt-4o}]'"


@dataclass(frozen=True, slots=True)
class Config:
    file: str
    providers: tuple[ProviderEntry, ...]
    preferences: tuple[Preference, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)  # alias -> `known_as` of an entry
    listener: Listener = field(default_factory=Listener)
    clients: tuple[Client, ...] = ()  # empty: whoever reaches the listener may ask
    budgets: tuple[Budget, ...] = ()
    routing: Routing = field(default_factory=Routing)
    failover: Failover = field(default_factory=Failover)
    limits: Limits = field(default_factory=Limits)
    prompt_cache: PromptCache = field(default_factory=PromptCache)
    cache: Cache = field(default_factory=Cache)
    learning: Learning = field(default_factory=Learning)
    ledger: Ledger = field(default_factory=Ledger)
    state: State = field(default_factory=State)
    telemetry: Telemetry = field(default_factory=Telemetry)
    dashboard: Dashboard = field(default_factory=Dashboard)
    workers: int = 1  # router services behind one Envoy
    warnings: tuple[str, ...] = ()
    unset: tuple[tuple[Place, str], ...] = ()  # variables that nothing can be in place of


def parse(text: str, *, file: str, environment: Mapping[str, str], clouds: Clouds = _NO_CLOUDS) -> Config:
    """What the text says, or ConfigErrors with all that is wrong. For keys that are not set see `usable`."""
    notes = Notes(file, text)
    config = _read(text, notes, environment, clouds)
    if config is None or notes.mistakes:
        raise ConfigErrors(notes.mistakes)
    return replace(config, warnings=tuple(notes.warnings), unset=tuple(notes.unset))


def usable(config: Config) -> Config:
    """The config, if it is `settled` and leaves a model that can be asked; else ConfigErrors with what to set."""
    settled(config)
    if any(not entry.missing_key for entry in config.providers):
        return config
    wanted = {entry.missing_key: entry for entry in reversed(config.providers)}
    raise ConfigErrors(
        Mistake(entry.place, f"{entry.trouble}, and no other model has its key", f"export {name}=...")
        for name, entry in wanted.items()
    )


def with_workers(config: Config, count: int) -> Config:
    """With so many instead. Raises ConfigErrors where that cannot be."""
    told = workers_trouble(count, config.state)
    if told:
        raise ConfigErrors([Mistake(Place(config.file, 1, f"--workers {count}"), *told)])
    return replace(config, workers=count)


def settled(config: Config) -> Config:
    """The config, if it says where its books are; else ConfigErrors with each variable that would."""
    if not config.unset:
        return config
    raise ConfigErrors(Mistake(place, f"${name} is not set", f"export {name}=...") for place, name in config.unset)


def _read(text: str, notes: Notes, environment: Mapping[str, str], clouds: Clouds) -> Config | None:
    root = compose(text, notes)
    top = Value(root, Place(notes.file, 1, ""), notes) if root else None
    if top is None or top.empty:
        if not notes.mistakes:
            notes.mistake(Place(notes.file, 1, ""), "nothing is configured", _SOME_MODEL)
        return None
    fields = top.fields(KEYS)
    if "version" in fields:
        fields["version"].choice(VERSIONS)
    entries, mentions = _providers(fields, top, environment, clouds) if top.is_mapping else ([], [])
    preferred = _preferences(fields.get("routing_preferences"), entries, mentions, notes)
    admitted = clients(fields.get("clients"))
    listener = sections.listener(fields.get("listeners"), guarded="clients" in fields)
    state = sections.state(fields.get("state"), environment)
    config = Config(
        file=notes.file,
        providers=tuple(entries),
        preferences=preferred,
        aliases=_aliases(fields.get("model_aliases"), entries),
        listener=listener,
        clients=admitted,
        budgets=budgets(
            fields.get("budgets"), clients=[one.name for one in admitted], preferences=preferred, entries=entries
        ),
        routing=sections.routing(fields.get("routing"), environment, entries),
        failover=sections.failover(fields.get("failover"), entries),
        limits=sections.limits(fields.get("limits")),
        prompt_cache=prompt_cache(fields.get("prompt_cache")),
        cache=sections.cache(fields.get("cache")),
        learning=sections.learning(fields.get("learning")),
        ledger=sections.ledger(fields.get("ledger"), environment),
        state=state,
        telemetry=telemetry(fields.get("telemetry"), clouds),
        dashboard=sections.dashboard(fields.get("dashboard"), listener),
        workers=workers(fields.get("workers"), state),
    )
    _warn_if_forgotten(fields.get("budgets"), config)
    return config


def _providers(
    fields: Mapping[str, Value], top: Value, environment: Mapping[str, str], clouds: Clouds
) -> tuple[list[ProviderEntry], list[Preference]]:
    """The entries, and the preferences that stand below them."""
    if "llm_providers" in fields and "model_providers" in fields:
        fields["model_providers"].wrong("llm_providers and model_providers are one thing", "keep one of them")
    value = fields.get("llm_providers") or fields.get("model_providers")
    if value is None or value.empty:
        (value or top).wrong("no models are listed", _SOME_MODEL)
        return [], []
    entries: list[ProviderEntry] = []
    mentions: list[Preference] = []
    for item in value.items():
        known = item.fields(FIELDS)
        entries.append(read_entry(item, known, environment, clouds))
        if "routing_preferences" in known:
            mentions += preferences.nested(known["routing_preferences"], entries[-1])
    check_entries(entries, value.notes)
    return entries, mentions


def _preferences(
    value: Value | None, entries: Sequence[ProviderEntry], mentions: Sequence[Preference], notes: Notes
) -> tuple[Preference, ...]:
    """Those at top level lead, for they say an order; the providers that name one by themselves follow."""
    top = preferences.top_level(value, entries) if value and not value.empty else []
    return preferences.merge([*top, *mentions], notes)


def _warn_if_forgotten(budgets: Value | None, config: Config) -> None:
    if budgets and config.budgets and config.ledger.url == "none" and not config.state.url.startswith(("redis", "$")):
        budgets.odd("a restart forgets what was spent: only a ledger (ledger.url) or Redis (state.url) keeps it")


def _aliases(value: Value | None, entries: Sequence[ProviderEntry]) -> dict[str, str]:
    """`alias: {target: model}`, or `alias: model`."""
    if value is None or value.empty:
        return {}
    targets = {alias: _target(item) for alias, item in value.entries().items()}
    found = {alias: find_entry(target, entries) for alias, target in targets.items() if target}
    return {alias: model for alias, model in found.items() if model}


def _target(value: Value) -> Value | None:
    if not value.is_mapping:
        return value
    fields = value.fields(("target",))
    if value.empty:
        value.wrong("no target", "say which model it stands for")
    return fields.get("target")
