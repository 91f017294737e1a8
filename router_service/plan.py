"""Config -> Plan: routes, candidates and chains, all resolved; the one input of the service and the renderers."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

from router_service.config import (
    Budget,
    Cache,
    CircuitBreakers,
    Client,
    Config,
    Dashboard,
    Failover,
    Identity,
    Learning,
    Ledger,
    Limits,
    Listener,
    OwnCache,
    Preference,
    PromptCache,
    ProviderEntry,
    Routing,
    Secret,
    State,
    Telemetry,
    Weights,
)
from router_service.config.providers import INTERFACES, price_of
from router_service.pricing import Price
from router_service.providers import by_name
from router_service.providers.provider import ModelFacts, Provider

DEFAULT = "default"
ROUTED_MODELS = ("arch.main.v1",)  # the names that ask for routing; unknown claude-* names do, too
FAST_MODELS = ("arch.fast.v1", "arch.claude.code.small.fast")
CLAUDE_CODES = "claude-via-archgw/"  # before any name: Claude Code lists no others than claude... and anthropic...
_Section = TypeVar("_Section", CircuitBreakers, PromptCache)
_SMALL = re.compile(r"\b(mini|haiku|flash|small|nano|lite|instant)\b")  # whole words: gemini is not mini


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider is reached; `path` is what stands before the dialect's own path, without a last slash."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        usual = {"http": 80, "https": 443}[self.scheme]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Provider + model + key: a leaf cluster and a provider cluster. `id` is safe in names, `label` is for people.

    `identity` says whose credentials prove a request where there is no key.
    """

    id: str
    label: str
    model: str
    provider: Provider
    facts: ModelFacts
    address: Address
    key: Secret | None = None
    identity: Identity | None = None
    passthrough: bool = False
    price: Price | None = None
    limits: CircuitBreakers = field(default_factory=CircuitBreakers)
    prompt_cache: PromptCache = field(default_factory=PromptCache)
    twin: str = ""  # tells it from another of the same provider and model: other keys, other endpoints

    @property
    def leaf(self) -> str:
        return f"leaf.{self.id}"

    @property
    def cluster(self) -> str:
        """Named after its address, too: a request that began before a reload ends where it was meant to."""
        return f"provider.{self.id}.{_mark(self.address.scheme, self.address.authority)}"

    @property
    def maker(self) -> str:
        """By what name the model's state of reasoning goes to the client and comes back."""
        return f"{self.provider.name}/{self.model}{self.twin}"

    @property
    def secret(self) -> str:
        """The letters of its key; empty where it has none."""
        return self.key.value if self.key else ""

    @property
    def counts(self) -> str:
        """The dialect in which it says how many tokens a request comes to; empty where it does not."""
        provider = self.provider
        return provider.counts if provider.counts in (provider.dialect, *provider.also) else ""

    def dialect(self, spoken: str) -> str:
        """What the model is asked in when the client speaks `spoken`: the same where it can be, for nothing is lost.

        A server of one's own, with a model that its vendor does not have, speaks what all speak who follow him.
        """
        provider = self.provider
        own = not self.facts.prefix and self.address.host not in provider.base_url
        return self.facts.dialect or (spoken if spoken in provider.also and not own else provider.dialect)


@dataclass(frozen=True, slots=True)
class Route:
    """A preference with its pool in order, or the default. `id` is safe in names of clusters.

    `prefer` is the policy that picks who answers first, `weights` are what it weighs if that is balanced;
    `by_difficulty`: of one end of the pool, where the ask is quick or deep. `passed_over`: who of the pool cannot take
    this request, and why, in words; see `needs`.
    """

    id: str
    name: str
    description: str
    candidates: tuple[Candidate, ...]
    prefer: str = "listed"
    weights: Weights = field(default_factory=Weights)
    by_difficulty: bool = False
    passed_over: tuple[str, ...] = ()
    cache: OwnCache | None = None

    @property
    def weighs(self) -> bool:
        """Whether who answers first depends on more than the written order."""
        return self.prefer != "listed" or self.by_difficulty


@dataclass(frozen=True, slots=True)
class Chain:
    """First candidate, then who steps in for it, in order: one aggregate cluster. `attempts` counts all tries.

    Named after all that it holds: a reload that changes the order makes another chain, and cuts none short. `bounded`:
    whether one of them may be full, and is then passed over.
    """

    route: str
    candidates: tuple[Candidate, ...]
    attempts: int
    name: str
    bounded: bool

    @property
    def first(self) -> Candidate:
        return self.candidates[0]

    def candidate(self, id: str) -> Candidate | None:
        return next((candidate for candidate in self.candidates if candidate.id == id), None)


@dataclass(frozen=True, slots=True)
class Disabled:
    """A model of the config that cannot be used, and why, in words."""

    label: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run. `routes` are the preferences; `default` answers everything else and holds every candidate."""

    candidates: tuple[Candidate, ...]
    routes: tuple[Route, ...]
    default: Route
    fast: Candidate
    aliases: Mapping[str, Candidate]
    listener: Listener
    routing: Routing
    failover: Failover
    state: State
    ledger: Ledger
    dashboard: Dashboard
    chains: Mapping[tuple[str, str], Chain]  # by the ids of the route and of the first candidate
    limits: Limits = field(default_factory=Limits)
    baseline: Candidate | None = None  # whose bill others are compared with
    disabled: tuple[Disabled, ...] = ()
    names: Mapping[str, Candidate] = field(default_factory=dict)
    sealed: Mapping[str, frozenset[str]] = field(default_factory=dict)  # by dialect; see _sealed
    clients: tuple[Client, ...] = ()
    budgets: tuple[Budget, ...] = ()
    telemetry: Telemetry = field(default_factory=Telemetry)
    cache: Cache = field(default_factory=Cache)
    learning: Learning = field(default_factory=Learning)
    workers: int = 1  # router services behind one Envoy
    weighs: bool = False  # whether one of the routes does

    @property
    def preferences(self) -> tuple[str, ...]:
        """By the names of their routes; what no preference is about is the default's."""
        return tuple(route.name for route in self.all_routes)

    @property
    def all_routes(self) -> tuple[Route, ...]:
        return (*self.routes, self.default)

    def chain(self, route: Route, first: Candidate) -> Chain:
        """The chain of a route that begins with `first`; a candidate from elsewhere leads the default's."""
        inside = first in route.candidates
        return self.chains[route.id if inside else DEFAULT, first.id]

    def candidate(self, id: str) -> Candidate | None:
        return next((candidate for candidate in self.candidates if candidate.id == id), None)


def plan(config: Config) -> Plan:
    """Resolve the config. The caller has made sure that at least one model is usable."""
    usable = [entry for entry in config.providers if not entry.missing_key]
    by_entry = dict(zip(map(_entry_name, usable), _candidates(usable, config), strict=True))
    candidates = tuple(by_entry.values())
    default = _default_route(usable, by_entry)
    routes = tuple(_routes(config.preferences, by_entry, config.routing))
    aliases = {alias: by_entry[name] for alias, name in config.aliases.items() if name in by_entry}
    return Plan(
        candidates=candidates,
        routes=routes,
        default=default,
        fast=_fast(aliases, default),
        aliases=aliases,
        listener=config.listener,
        routing=config.routing,
        failover=config.failover,
        state=config.state,
        ledger=config.ledger,
        dashboard=config.dashboard,
        chains=_chains((*routes, default), default, config.failover),
        limits=config.limits,
        baseline=by_entry.get(config.routing.baseline) or default.candidates[0],
        disabled=tuple(_disabled(config, by_entry)),
        names=_names(by_entry),
        sealed=_sealed(candidates),
        clients=config.clients,
        budgets=config.budgets,
        telemetry=config.telemetry,
        cache=config.cache,
        learning=config.learning,
        workers=config.workers,
        weighs=any(route.weighs for route in routes),
    )


def _sealed(candidates: Sequence[Candidate]) -> dict[str, frozenset[str]]:
    """By dialect, where more than one model may be asked in it: the makers of those that have a state of reasoning."""
    asked: dict[str, list[Candidate]] = {}
    for one in candidates:
        for spoken in {one.facts.dialect, one.provider.dialect, *one.provider.also}:
            if one.dialect(spoken) == spoken:
                asked.setdefault(spoken, []).append(one)
    return {
        spoken: frozenset(one.maker for one in those if spoken != "openai_chat" or one.facts.thoughts)
        for spoken, those in asked.items()
        if len(those) > 1
    }


def slug(text: str) -> str:
    """A name that Envoy's clusters and statistics can carry; words in other scripts keep their code points."""
    safe = "".join(char if char.isascii() else f"u{ord(char):x}" for char in text.strip().lower())
    return re.sub(r"[^a-z0-9]+", "-", safe).strip("-")


def address(base_url: str, *, like: str = "") -> Address:
    """Take a base URL apart; where it names no path, the path of `like` (the vendor's usual one) holds."""
    parts = urlsplit(base_url)
    path = parts.path.rstrip("/") or urlsplit(like).path.rstrip("/")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return Address(parts.scheme, parts.hostname or "", port, path)


def _entry_name(entry: ProviderEntry) -> str:
    return entry.name or entry.model


def _candidates(entries: Sequence[ProviderEntry], config: Config) -> Iterable[Candidate]:
    taken: set[str] = set()
    known = Counter((entry.provider, entry.model.partition("/")[2]) for entry in entries)
    for entry in entries:
        provider = _provider(entry)
        model = entry.model.partition("/")[2]
        id = _free(slug(_entry_name(entry)), taken)
        taken.add(id)
        at = address(entry.base_url or provider.base_url, like=provider.base_url)
        yield Candidate(
            id=id,
            label=_entry_name(entry),
            model=model,
            provider=provider,
            facts=replace(provider.facts(model), dialect="") if entry.interface else provider.facts(model),
            address=at,
            key=entry.access_key,
            identity=entry.identity,
            passthrough=entry.passthrough_auth,
            price=price_of(entry),
            limits=_own(config.failover.limits, entry.limits),
            prompt_cache=_own(config.prompt_cache, entry.prompt_cache),
            twin=f"#{id}" if known[entry.provider, model] > 1 else "",
        )


def _own(everybodys: _Section, fields: Iterable[tuple[str, Any]]) -> _Section:
    """What holds for all models, with what one has otherwise."""
    return replace(everybodys, **dict(fields))


def _provider(entry: ProviderEntry) -> Provider:
    """An endpoint of the user's own speaks what the user says, and nothing besides."""
    provider = by_name(entry.provider)
    if entry.interface:
        told = provider.affinity if ("affinity", True) in entry.prompt_cache else ""
        own = replace(provider, dialect=INTERFACES[entry.interface][1], also=(), vendor_tools=None, accounts=False)
        return replace(own, affinity=told)
    if entry.variables:
        known = dict(entry.variables)
        return replace(provider, roots=tuple((dialect, root.format_map(known)) for dialect, root in provider.roots))
    return provider


def _free(wanted: str, taken: set[str]) -> str:
    tries = (wanted if n == 1 else f"{wanted}-{n}" for n in range(1, len(taken) + 2))
    return next(name for name in tries if name not in taken)


def _default_route(entries: list[ProviderEntry], by_entry: Mapping[str, Candidate]) -> Route:
    """The entry marked default (else the first) leads; the rest follow as written: an answer beats none."""
    ordered = sorted(entries, key=lambda entry: not entry.default)
    return Route(DEFAULT, DEFAULT, "everything else", tuple(by_entry[_entry_name(entry)] for entry in ordered))


def _routes(preferences: Iterable[Preference], by_entry: Mapping[str, Candidate], routing: Routing) -> Iterable[Route]:
    taken = {DEFAULT}
    for preference in preferences:
        id = _free(slug(preference.name), taken)
        taken.add(id)
        pool = tuple(by_entry[name] for name in preference.models if name in by_entry)
        if pool:
            policy = preference.policy
            by_difficulty = (policy.difficulty or routing.difficulty) == "auto"
            yield Route(
                id,
                preference.name,
                preference.description,
                pool,
                policy.prefer,
                policy.weights,
                by_difficulty,
                cache=preference.cache,
            )


def _chains(routes: Iterable[Route], default: Route, failover: Failover) -> dict[tuple[str, str], Chain]:
    chains = [_chain(route, first, default, failover) for route in routes for first in route.candidates]
    return {(chain.route, chain.first.id): chain for chain in chains}


def _chain(route: Route, first: Candidate, default: Route, failover: Failover) -> Chain:
    pool = route.candidates + (default.candidates if failover.fall_back_to_default else ())
    rest = [candidate for candidate in pool if candidate.label not in failover.never]
    candidates = tuple(dict.fromkeys((first, *rest)))
    return Chain(
        route.id,
        candidates,
        attempts=min(failover.attempts, len(candidates)),
        name=f"chain.{route.id}.{first.id}.{_mark(*(candidate.id for candidate in candidates))}",
        bounded=any(candidate.limits.bounded for candidate in candidates),
    )


@lru_cache(maxsize=1024)  # each request names a cluster
def _mark(*parts: str) -> str:
    """A few letters that differ when one of the parts does."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:6]


def _fast(aliases: Mapping[str, Candidate], default: Route) -> Candidate:
    """Who answers side requests: the fast alias, else what is called small, else the default."""
    named = next((aliases[name] for name in FAST_MODELS if name in aliases), None)
    small = (c for c in default.candidates if _SMALL.search(c.model))
    return named or next(small, default.candidates[0])


def _disabled(config: Config, by_entry: Mapping[str, Candidate]) -> Iterable[Disabled]:
    for entry in config.providers:
        if entry.missing_key:
            yield Disabled(_entry_name(entry), entry.trouble)
    for preference in config.preferences:
        if not any(name in by_entry for name in preference.models):
            yield Disabled(f"preference “{preference.name}”", "none of its models is usable; default answers instead")


def _names(by_entry: Mapping[str, Candidate]) -> dict[str, Candidate]:
    """Every name a client may choose a candidate by: its label, and its bare model name where that is unique."""
    bare: dict[str, list[Candidate]] = {}
    for candidate in by_entry.values():
        bare.setdefault(candidate.model, []).append(candidate)
    unique = {model: found[0] for model, found in bare.items() if len(found) == 1}
    return unique | dict(by_entry)
