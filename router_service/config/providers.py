"""The items of llm_providers: which vendor, where, with which key; and how the file refers to them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from router_service import pricing
from router_service.config.addresses import host_of, is_bare, is_local, read_address
from router_service.config.circuit_breakers import limits_of_model
from router_service.config.clouds import Clouds, Identity, identity, tells_region
from router_service.config.keys import Secret, variable
from router_service.config.prompt_cache import prompt_cache_of_model
from router_service.config.reading import Notes, Place, Value, guess, nearest
from router_service.pricing import Price
from router_service.providers import ALIASES, PROVIDERS, by_name
from router_service.providers.provider import Cloud, Provider

FIELDS = (
    "model",
    "name",
    "access_key",
    "credentials",
    "passthrough_auth",
    "base_url",
    "provider_interface",
    "default",
    "price",
    "limits",
    "prompt_cache",
    "routing_preferences",
)
# What an endpoint of one's own may speak: whose dialect, and which of them.
INTERFACES = {
    "openai": ("openai", "openai_chat"),
    "responses": ("openai", "openai_responses"),
    "anthropic": ("anthropic", "anthropic_messages"),
}
_NAMES = "write it with letters, digits and . _ - : / @ +"
_PASSTHROUGH = "anthropic"  # whose client login may be passed through


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """One item of llm_providers. `model` is as written, `vendor/name`."""

    place: Place
    model: str
    name: str = ""  # the user's own name for it, where one model is listed twice
    provider: str = ""  # the vendor's name in the table, or `provider_interface` where that is given
    access_key: Secret | None = None
    missing_key: str = ""  # the variable that holds the key and that is not set
    instead: str = ""  # why nothing else stands in for the key, in words that follow
    identity: Identity | None = None  # whose credentials do
    passthrough_auth: bool = False
    base_url: str = ""
    default: bool = False
    interface: str = ""  # of an endpoint of one's own
    price: Price | None = None  # where the user knows better than the published tables
    limits: tuple[tuple[str, int], ...] = ()  # its own, where they are not those of `failover`
    prompt_cache: tuple[tuple[str, Any], ...] = ()  # its own, where it is not that of all
    variables: tuple[tuple[str, str], ...] = ()  # what stands for those of the vendor's address

    @property
    def known_as(self) -> str:
        """What the rest of the config calls it."""
        return self.name or self.model

    @property
    def trouble(self) -> str:
        """Why it cannot be used; only where a key is missing."""
        return f"${self.missing_key} is not set{self.instead}"


def read_entry(
    item: Value, fields: Mapping[str, Value], environment: Mapping[str, str], clouds: Clouds
) -> ProviderEntry:
    """An entry with as much as could be read: others refer to it even where something in it is wrong."""
    model = _text(fields, "model") or ""
    if item.is_mapping and "model" not in fields:
        item.wrong("no model", "say which, as in 'model: openai/gpt-4o'")
    vendor, model = _vendor(fields, model) if model else (None, "")
    interface = fields["provider_interface"].choice(tuple(INTERFACES)) if "provider_interface" in fields else None
    base_url = read_address(fields["base_url"]) if "base_url" in fields else ""
    provider = by_name(INTERFACES[interface][0]) if interface else vendor
    if "provider_interface" in fields and "base_url" not in fields:
        fields["provider_interface"].wrong("provider_interface without base_url", "say where it is reached")
    passthrough = _flag(fields, "passthrough_auth")
    if passthrough:
        _check_passthrough(fields, model)
    key, missing = (None, "") if passthrough else _key(fields, provider, environment)
    cloud = _cloud(fields, provider, clouds, missing)
    instead = ""
    if cloud:
        missing = ""
    elif missing and provider and provider.cloud and missing == provider.key_variable:
        instead = clouds.instead(provider.cloud)
    variables: dict[str, str] = {}
    if provider and not missing and "model" in fields:
        variables, missing = _variables(provider, cloud, base_url, fields["model"], environment)
        base_url = base_url or _filled(provider, variables)
    if "base_url" in fields and (key or cloud or passthrough):
        warn_if_bare(fields["base_url"], base_url)
    return ProviderEntry(
        place=item.place,
        model=model,
        name=_own_name(fields),
        provider=provider.name if provider else "",
        access_key=key,
        missing_key=missing,
        instead=instead,
        identity=identity(cloud, base_url, variables.get(cloud.region, "")) if cloud and not missing else None,
        passthrough_auth=passthrough,
        base_url=base_url,
        default=_flag(fields, "default"),
        interface=interface or "",
        price=_price(fields["price"]) if "price" in fields else None,
        limits=limits_of_model(fields["limits"]) if "limits" in fields else (),
        prompt_cache=prompt_cache_of_model(fields["prompt_cache"]) if "prompt_cache" in fields else (),
        variables=tuple(variables.items()),
    )


_WORDS = {"cache_write_1h": "hour_write"}


def _price(value: Value) -> Price | None:
    """Dollars for a million tokens; what is not said follows from `input`, as vendors usually have it."""
    fields = value.fields(("input", "cached", "cache_write", "cache_write_1h", "output"))
    read = {name: item.dollars() for name, item in fields.items()}
    for name in ("input", "output"):
        if value.is_mapping and name not in fields:
            value.wrong(f"no {name} price", "{input: 0.25, output: 2} is dollars for a million tokens")
    known = {_WORDS.get(name, name): amount for name, amount in read.items() if amount is not None}
    return Price.of(**known) if {"input", "output"} <= known.keys() else None


def price_of(entry: ProviderEntry) -> Price | None:
    """As the user says, else as it is published. An endpoint of his own costs nothing on his own machine; of others
    nobody knows, which is None.
    """
    if entry.price or not entry.interface:
        return entry.price or pricing.price(by_name(entry.provider).name, entry.model.partition("/")[2])
    return pricing.FREE if is_local(host_of(entry.base_url)) else None


def warn_if_bare(value: Value, url: str) -> None:
    """For an address to which a credential is sent."""
    if is_bare(url):
        value.odd(f"the key goes to {host_of(url)} unencrypted; write https://, if it speaks that")


def check_entries(entries: Sequence[ProviderEntry], notes: Notes) -> None:
    """What is only wrong about entries taken together."""
    first: dict[str, ProviderEntry] = {}
    for entry in entries:
        twin = first.setdefault(entry.known_as, entry)
        if twin is not entry and entry.known_as:
            hint = f"first on line {twin.place.line}; give one of them a 'name' of its own"
            notes.mistake(entry.place, f"'{entry.known_as}' is listed twice", hint)
    defaults = [entry for entry in entries if entry.default]
    for entry in defaults[1:]:
        hint = f"the items on lines {defaults[0].place.line} and {entry.place.line} both say 'default: true'"
        notes.mistake(entry.place, "there can be only one default", hint)


def find_entry(reference: Value, entries: Sequence[ProviderEntry]) -> str | None:
    """What the config calls the entry that is meant by its name, its model, or the end of its model."""
    wanted = reference.text()
    if wanted is None:
        return None
    exact = [entry for entry in entries if entry.known_as == wanted]
    ends = [entry for entry in entries if f"/{entry.model}".endswith(f"/{wanted}")]
    found = list(dict.fromkeys(entry.known_as for entry in exact or ends))
    if len(found) == 1:
        return found[0]
    if found:
        reference.wrong(f"'{wanted}' could be {' or '.join(found)}", "write the one that is meant")
        return None
    names = [entry.known_as for entry in entries if entry.known_as]
    bare = [name.partition("/")[2] for name in names]
    hint = guess(wanted, names) or guess(wanted, bare) or f"listed are {', '.join(names) or 'none'}"
    reference.wrong(f"no model '{wanted}' in llm_providers", hint)
    return None


def _vendor(fields: Mapping[str, Value], model: str) -> tuple[Provider | None, str]:
    """The vendor of `vendor/name`, and the model as it was meant, so that references to it are understood."""
    if signs := _no_names(model):
        fields["model"].wrong(f"{signs} in the name of a model", _NAMES)
        return None, model
    prefix, _, name = model.partition("/")
    if not prefix or not name or re.search(r"\s", model):
        meant = [f"{maker.name}/{model}" for maker in PROVIDERS.values() if maker.facts(model).prefix]
        hint = f"did you mean '{meant[0]}'?" if meant else "such as openai/gpt-4o"
        fields["model"].wrong(f"expected vendor/name, found '{model}'", hint)
        return None, meant[0] if meant else model
    if prefix in (*PROVIDERS, *ALIASES):
        return by_name(prefix), model
    if "provider_interface" in fields:
        return None, model
    near = nearest(prefix, (*PROVIDERS, *ALIASES))
    hints = [guess(prefix, (*PROVIDERS, *ALIASES)) or f"known: {', '.join(PROVIDERS)}"]
    if "base_url" in fields or not near:
        hints.append(f"an endpoint of your own needs base_url and provider_interface: {', '.join(INTERFACES)}")
    fields["model"].wrong(f"no provider '{prefix}'", "; ".join(hints))
    return None, f"{near or prefix}/{name}"


def _own_name(fields: Mapping[str, Value]) -> str:
    name = _text(fields, "name") or ""
    if signs := _no_names(name):
        fields["name"].wrong(f"{signs} in a name", _NAMES)
    return name


def _no_names(text: str) -> str:
    """What of it is in no vendor's names, and in a terminal or a header says something else; empty where nothing is."""
    if not text.isprintable():
        return "a control sign"
    return "a square bracket" if re.search(r"[\[\]]", text) else ""


def _variables(
    provider: Provider, cloud: Cloud | None, base_url: str, value: Value, environment: Mapping[str, str]
) -> tuple[dict[str, str], str]:
    """What stands for each variable of the vendor's address, where it is the vendor's; or the one that is not set."""
    host = "" if base_url else provider.base_url
    paths = [] if urlsplit(base_url).path else [root for _, root in provider.roots]
    signed = [cloud.region] if cloud and cloud.region and not tells_region(base_url) else []
    names = list(dict.fromkeys([*re.findall(r"\{(\w+)\}", " ".join([host, *paths])), *signed]))
    missing = next((name for name in names if not environment.get(name, "").strip()), "")
    if missing:
        return {}, missing
    for name in names:
        if not re.fullmatch(r"[A-Za-z0-9-]+", environment[name].strip()):
            value.wrong(f"what ${name} holds is no part of an address", "letters, digits and hyphens are")
            return {}, ""
    return {name: environment[name].strip() for name in names}, ""


def _filled(provider: Provider, variables: Mapping[str, str]) -> str:
    """A vendor's address with what stands for its variables; empty where it has none."""
    if "{" not in provider.base_url or not variables:
        return ""
    address = provider.base_url.format(**variables)
    return dict(provider.moved).get(address, address)


def _cloud(fields: Mapping[str, Value], provider: Provider | None, clouds: Clouds, missing: str) -> Cloud | None:
    """The cloud whose credentials are used: where that is written, or no key is set and there are some."""
    cloud = provider.cloud if provider else None
    if "credentials" in fields:
        return _written(fields, cloud, clouds)
    unasked = missing and "access_key" not in fields
    return cloud if unasked and cloud and clouds.usable(cloud) else None


def _written(fields: Mapping[str, Value], cloud: Cloud | None, clouds: Clouds) -> Cloud | None:
    value = fields["credentials"]
    if "access_key" in fields:
        value.wrong("credentials and access_key exclude each other", "keep one of them")
    if cloud is None:
        having = [f"{maker.name} ({maker.cloud.name})" for maker in PROVIDERS.values() if maker.cloud]
        value.wrong(f"only {' and '.join(having)} go by a cloud's own credentials", "write access_key instead")
        return None
    if value.choice((cloud.name,)) and cloud.name in clouds.lacking:
        value.wrong(f"{cloud.credentials} need a library", f"pip install 'archgw[{cloud.extra}]'")
    return cloud


def _check_passthrough(fields: Mapping[str, Value], model: str) -> None:
    value = fields["passthrough_auth"]
    if "access_key" in fields:
        value.wrong("passthrough_auth and access_key exclude each other", "keep one of them")
    if model and model.partition("/")[0] != _PASSTHROUGH:
        value.wrong("the client's own login is for anthropic alone", "write access_key instead")


def _key(
    fields: Mapping[str, Value], provider: Provider | None, environment: Mapping[str, str]
) -> tuple[Secret | None, str]:
    """The key, or the variable that should hold it. An address of one's own gets no vendor's key unasked."""
    if "credentials" in fields:
        return None, ""
    if "access_key" in fields:
        return read_key(fields["access_key"], provider, environment)
    if provider is None or not provider.key_variable or "base_url" in fields:
        return None, ""
    return _key_from(provider.key_variable, fields["model"], environment)


def read_key(value: Value, provider: Provider | None, environment: Mapping[str, str]) -> tuple[Secret | None, str]:
    text = value.text()
    if text is None:
        return None, ""
    name = variable(text)
    if name:
        return _key_from(name, value, environment)
    usual = f"${provider.key_variable}" if provider and provider.key_variable else "$MY_KEY"
    if text.startswith("$") or not _sendable(text):
        value.wrong("neither a variable nor a key", f"write {usual} and set that variable")
        return None, ""
    value.odd(f"a key stands in the file itself; write {usual} and set that variable, here or in .env")
    return Secret(text, value.place.file), ""


def _key_from(name: str, value: Value, environment: Mapping[str, str]) -> tuple[Secret | None, str]:
    key = environment.get(name, "").strip()
    if key and not _sendable(key):
        value.wrong(f"what ${name} holds is no key", "it has spaces, line breaks or non-ASCII letters in it")
        return None, ""
    return (Secret(key, f"${name}"), "") if key else (None, name)


def _sendable(key: str) -> bool:
    """Whether a header can carry it."""
    return re.fullmatch(r"[!-~]+", key) is not None


def _text(fields: Mapping[str, Value], key: str) -> str | None:
    return fields[key].text() if key in fields else None


def _flag(fields: Mapping[str, Value], key: str) -> bool:
    return bool(fields[key].boolean()) if key in fields else False
