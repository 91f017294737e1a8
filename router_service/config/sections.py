"""The small sections of config.yaml: a frozen value each, with its defaults, and how it is read."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePath
from typing import Literal, get_args

from router_service.config.addresses import is_server, read_address
from router_service.config.circuit_breakers import CircuitBreakers, circuit_breakers
from router_service.config.keys import Secret, variable
from router_service.config.preferences import DIFFICULTY, Difficulty
from router_service.config.providers import ProviderEntry, find_entry, read_key, warn_if_bare
from router_service.config.reading import Reader, Value, filled, one_of, section

Sticky = Literal["user_turn", "session", "never"]
Capture = Literal["nothing", "asks"]
_CAPTURE: tuple[Capture, ...] = get_args(Capture)
_STICKY: tuple[Sticky, ...] = get_args(Sticky)
KIB, MIB = 1024, 1024 * 1024
MOST_EXPLORED = 0.25  # of the requests
DEEPEST = 400  # what is nested deeper, Python cannot walk through
_ENCODE = "in a password, write %23 for #, %2F for /, %3F for ?, %40 for @, %5B for [, %5D for ]"
_EGRESS = "egress_traffic"  # the one listener there is


@dataclass(frozen=True, slots=True)
class Listener:
    address: str = "127.0.0.1"
    port: int = 12000
    timeout: float = 600.0  # seconds, for a whole request
    open: bool = False  # whoever reaches it may ask, though it is no loopback and there are no clients
    hosts: tuple[str, ...] = ()  # by what other names it is called
    origins: tuple[str, ...] = ()  # web pages that may ask, as browsers name them


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A router model of the user's own: a folder, absolute or beside the config."""

    folder: str


SHIPPED_PARTS = ("multilingual", "english")


@dataclass(frozen=True, slots=True)
class ShippedModel:
    """One part of the router model that comes with archgw, by itself: quicker, less accurate."""

    part: str


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """An LLM that routes, behind an OpenAI-compatible endpoint. What is asked is sent there."""

    base_url: str
    name: str
    key: Secret | None = None


@dataclass(frozen=True, slots=True)
class Routing:
    model: LocalModel | ShippedModel | RemoteModel | None = None  # None: the one that comes with archgw
    deadline: float = 0.1  # seconds the router model may take
    threshold: float = 0.0  # least probability of a preference; 0: only "more likely than none"
    sticky: Sticky = "user_turn"  # whom a new turn leaves: nobody whom leaving costs too much, nobody at all, anybody
    max_switch_spend: float = 0.2  # share of what a session costs that may go into reading its context anew elsewhere
    baseline: str = ""  # the model whose bill is compared with; empty: the default
    difficulty: Difficulty = "ignore"  # of preferences that say nothing of it


@dataclass(frozen=True, slots=True)
class Failover:
    attempts: int = 3
    first_content_timeout: float = 60.0  # seconds until the first content of a streamed answer
    whole_answer_timeout: float = 300.0  # seconds until the end of an answer that is not streamed
    fall_back_to_default: bool = True
    never: tuple[str, ...] = ()  # models that are not used as somebody's fallback
    put_aside_after: int = 3  # failures in a row
    put_aside_for: float = 15.0  # seconds; longer each time it happens again
    stall_timeout: float = 150.0  # seconds of silence after content; Claude Code's own watchdog bites at 180
    cool_for: float = 10.0  # seconds after a 429 or 529 that does not say when to come back; 0: not at all
    cool_at_most: float = 300.0  # seconds, whatever a vendor says; 0: nobody cools
    limits: CircuitBreakers = field(default_factory=CircuitBreakers)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may be, and how many there may be at once. No client of the field's comes near the defaults."""

    body: int = 32 * MIB  # bytes
    headers: int = 100  # how many
    header_size: int = 64 * KIB  # bytes of all headers
    depth: int = 200  # of lists and objects within each other
    values: int = 1_000_000  # in the JSON of one request: some of them weigh thirty times what they weighed as text
    messages: int = 20_000
    tools: int = 1_000
    requests: int = 1_000  # under way at once
    memory: int = 512 * MIB  # bytes of the bodies of all requests under way
    pause_in_request: float = 30.0  # seconds that a client may pause while it sends


@dataclass(frozen=True, slots=True)
class Cache:
    """Answers that are kept, for whoever asks the same again. `enabled`: for all requests that do not say otherwise."""

    enabled: bool = False
    ttl: float = 3600.0  # seconds
    at_most: int = 256 * MIB  # bytes on disk
    tools: bool = False  # of requests that come with tools, too


@dataclass(frozen=True, slots=True)
class Learning:
    """What your feedback teaches."""

    enabled: bool = True
    explore: float = 0.0  # share of requests for which another model than the one that is believed best may be tried
    cost: float = 0.0  # how much of what it is believed to be worth the dearest model of a preference loses
    half_life: float = 30 * 86_400.0  # seconds after which what was said of a model counts half: models change


@dataclass(frozen=True, slots=True)
class Ledger:
    """What came of every request, kept in a database: for how long and how much of it at most, in seconds and bytes."""

    url: str = field(default="sqlite", repr=False)  # a URL may hold a password; `$NAME` where that is not set
    capture: Capture = "nothing"  # of what was asked
    keep: float = 90 * 86_400.0
    at_most: int = 2**30


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The page that `archgw up` starts beside the gateway, on loopback."""

    enabled: bool = True
    port: int = 12001


@dataclass(frozen=True, slots=True)
class State:
    """Where sessions are kept besides in memory: a file that outlives the service, nowhere, or where replicas share."""

    url: str = field(default="sqlite", repr=False)


def listener(value: Value | None, *, guarded: bool = False) -> Listener:
    """`listeners` as a mapping by name, or as a list of items that carry their name. `guarded`: clients have keys."""
    if value is None or value.empty:
        return Listener()
    if value.is_mapping:
        fields = value.fields((_EGRESS,))
        known = fields[_EGRESS].fields(_LISTENER) if _EGRESS in fields and not fields[_EGRESS].empty else {}
        return _listener(known, guarded=guarded)
    items = value.items()
    for item in items[1:]:
        item.wrong("a second listener", f"there is only {_EGRESS}")
    return _listener(_named(items[0]), guarded=guarded) if items else Listener()


def routing(value: Value | None, environment: Mapping[str, str], entries: Sequence[ProviderEntry]) -> Routing:
    if value is None or value.empty:
        return Routing()
    baseline: Reader = partial(find_entry, entries=entries)
    readers: Mapping[str, Reader] = {**_ROUTING, "model": partial(_model, environment), "baseline": baseline}
    fields = value.fields(readers)
    read = filled(Routing(), fields, readers)
    if isinstance(read.model, RemoteModel) and "deadline" not in fields:
        usual = f"{read.deadline * 1000:g} ms"
        fields["model"].odd(
            f"an LLM seldom answers within {usual}, which holds where no deadline is written: {_PATIENT}"
        )
    return read


def failover(value: Value | None, entries: Sequence[ProviderEntry]) -> Failover:
    return section(value, Failover(), {**_FAILOVER, "never": partial(_models, entries)})


def limits(value: Value | None) -> Limits:
    read = section(value, Limits(), _LIMITS)
    if value is not None and read.memory < read.body:
        value.wrong("memory is less than one body may be", "raise memory, or lower body")
    return read


def cache(value: Value | None) -> Cache:
    """A mapping, or whether it is enabled."""
    if value is not None and not value.empty and not value.is_mapping:
        return Cache(enabled=value.boolean() or False)
    return section(value, Cache(), _CACHE)


def learning(value: Value | None) -> Learning:
    return section(value, Learning(), _LEARNING)


def ledger(value: Value | None, environment: Mapping[str, str]) -> Ledger:
    schemes = ("postgresql", "postgres", "sqlite")
    return section(
        value,
        Ledger(),
        {
            "url": partial(_store, ("sqlite", "none"), schemes, environment),
            "capture": partial(Value.choice, known=_CAPTURE),
            "keep": Value.seconds,
            "at_most": partial(Value.size, least=MIB, most=2**50),
        },
    )


def dashboard(value: Value | None, listener: Listener) -> Dashboard:
    read = section(value, Dashboard(), {"enabled": Value.boolean, "port": partial(Value.whole, least=1, most=65_535)})
    if value is not None and read.enabled and read.port == listener.port:
        value.wrong(f"port {read.port} is the listener's", "give one of the two another")
    return read


def state(value: Value | None, environment: Mapping[str, str]) -> State:
    stores = partial(_store, ("sqlite", "memory"), ("redis", "rediss"), environment)
    return section(value, State(), {"url": stores})


def _named(item: Value) -> dict[str, Value]:
    fields = item.fields(("name", *_LISTENER))
    if "name" in fields:
        fields.pop("name").choice((_EGRESS,))
    return fields


def _listener(fields: Mapping[str, Value], *, guarded: bool) -> Listener:
    """Beyond loopback, clients need keys; who wants none says so."""
    read = filled(Listener(), fields, _LISTENER)
    if guarded or "address" not in fields or ipaddress.ip_address(read.address).is_loopback:
        return read
    reach = f"whoever reaches {read.address} spends your keys"
    if read.open:
        fields["address"].odd(f"{reach}; 127.0.0.1 is this machine alone")
    else:
        fields["address"].wrong(reach, "give clients keys (archgw client-key), or say 'open: true' if that is meant")
    return read


def _model(environment: Mapping[str, str], value: Value) -> LocalModel | ShippedModel | RemoteModel | None:
    """`model: ./folder`, `model: english`, or `model: {base_url: ..., name: ..., access_key: $KEY}`."""
    if not value.is_mapping:
        folder = value.text()
        if folder and "://" in folder:
            value.wrong("an endpoint needs the name of its model, too", f"{{base_url: {folder}, name: ...}}")
            return None
        if folder in SHIPPED_PARTS:
            return ShippedModel(folder)
        return LocalModel(_beside(value.place.file, folder, environment.get("HOME", ""))) if folder else None
    fields = value.fields(("base_url", "name", "access_key"))
    for lacking in [key for key in ("base_url", "name") if key not in fields]:
        value.wrong(f"no {lacking}", "{base_url: http://127.0.0.1:8000/v1, name: Arch-Router-1.5B}")
    if "base_url" not in fields or "name" not in fields:
        return None
    key, missing = read_key(fields["access_key"], None, environment) if "access_key" in fields else (None, "")
    if missing:
        fields["access_key"].wrong(f"${missing} is not set", f"export {missing}=...")
    url, name = read_address(fields["base_url"]), fields["name"].text()
    if key:
        warn_if_bare(fields["base_url"], url)
    return RemoteModel(url, name, key) if url and name else None


def _beside(file: str, folder: str, home: str) -> str:
    """Of `~`, as a shell has it; what is not absolute lies beside the config."""
    tilde, slash, rest = folder.partition("/")
    if tilde == "~" and home:
        folder = f"{home}{slash}{rest}"
    return str(PurePath(file).parent / folder)


def _address(value: Value) -> str | None:
    text = value.text()
    if text is None:
        return None
    try:
        ipaddress.ip_address(text)
    except ValueError:
        value.wrong(f"expected an IP address, found '{text}'", "127.0.0.1 is this machine alone")
        return None
    return text


def _hosts(value: Value) -> tuple[str, ...]:
    """Names without a port: gateway.example.com."""
    names = [(item, item.text()) for item in value.items()]
    for item, name in names:
        if name and not re.fullmatch(r"[A-Za-z0-9.-]+", name):
            item.wrong(f"expected the name of a host, found '{name}'", "without scheme and port")
    return tuple(name.lower() for _, name in names if name)


def _origins(value: Value) -> tuple[str, ...]:
    """As browsers write them: https://chat.example.com, http://localhost:3000, vscode-webview://..."""
    names = [(item, item.text()) for item in value.items()]
    for item, name in names:
        if name and not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s*]+", name):
            item.wrong(f"expected an origin such as http://localhost:3000, found '{name}'", "without a path")
    return tuple(name.lower() for _, name in names if name)


def _store(plain: Sequence[str], schemes: Sequence[str], environment: Mapping[str, str], value: Value) -> str | None:
    """A URL, or `$NAME` of the variable that holds one; what is not set stays as it is written, see `usable`."""
    written = value.text()
    name = variable(written) if written else None
    url = environment.get(name, "").strip() if name else written
    if name and not url:
        value.notes.unset.append((value.place, name))
        return written
    if url is None or url in plain:
        return url
    if url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        if url.startswith("sqlite:") or is_server(url):
            return url
        where = f"what ${name} holds" if name else "what stands here"
        value.hidden(f"{where} begins with {url.partition('://')[0]}:// but cannot be read as a URL", _ENCODE)
        return None
    found = f"something else in ${name}" if name else f"'{url}'"
    value.wrong(f"expected {one_of([*plain, f'{schemes[0]}://...'])}, found {found}")
    return None


def _models(entries: Sequence[ProviderEntry], value: Value) -> tuple[str, ...]:
    found = (find_entry(reference, entries) for reference in value.items())
    return tuple(dict.fromkeys(model for model in found if model))


def _explored(value: Value) -> float | None:
    """To try costs answers: more than a quarter of them is no trying any more."""
    share = value.share()
    if share is not None and share > MOST_EXPLORED:
        value.wrong(f"expected a share of {MOST_EXPLORED:.0%} at most, found {share:.0%}", "5% is a good deal")
        return None
    return share


_LISTENER: Mapping[str, Reader] = {
    "address": _address,
    "port": partial(Value.whole, least=1, most=65_535),
    "timeout": Value.seconds,
    "open": Value.boolean,
    "hosts": _hosts,
    "origins": _origins,
}
_PATIENT = "write one, such as deadline: 1s"
_ROUTING: Mapping[str, Reader] = {
    "deadline": Value.seconds,
    "threshold": Value.share,
    "sticky": partial(Value.choice, known=_STICKY),
    "max_switch_spend": Value.share,
    "difficulty": partial(Value.choice, known=DIFFICULTY),
}
_FAILOVER: Mapping[str, Reader] = {
    "attempts": partial(Value.whole, least=1, most=10),
    "put_aside_after": partial(Value.whole, least=1, most=1_000_000),
    "put_aside_for": Value.seconds,
    "cool_for": Value.seconds_or_zero,
    "cool_at_most": Value.seconds_or_zero,
    "limits": circuit_breakers,
    "first_content_timeout": Value.seconds,
    "whole_answer_timeout": Value.seconds,
    "stall_timeout": Value.seconds,
    "fall_back_to_default": Value.boolean,
}
_CACHE: Mapping[str, Reader] = {
    "enabled": Value.boolean,
    "ttl": Value.seconds,
    "at_most": partial(Value.size, least=MIB, most=2**40),
    "tools": Value.boolean,
}
_LEARNING: Mapping[str, Reader] = {
    "enabled": Value.boolean,
    "explore": _explored,
    "cost": Value.share,
    "half_life": Value.seconds,
}
_LIMITS: Mapping[str, Reader] = {
    "body": partial(Value.size, least=KIB, most=512 * MIB),
    "headers": partial(Value.whole, least=20, most=10_000),
    "header_size": partial(Value.size, least=KIB, most=8 * MIB),
    "depth": partial(Value.whole, least=10, most=DEEPEST),
    "values": partial(Value.whole, least=100, most=100_000_000),
    "messages": partial(Value.whole, least=1, most=1_000_000),
    "tools": partial(Value.whole, least=1, most=1_000_000),
    "requests": partial(Value.whole, least=1, most=100_000),
    "memory": partial(Value.size, least=KIB, most=1024 * 1024 * MIB),
    "pause_in_request": Value.seconds,
}
