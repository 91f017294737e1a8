"""Routing preferences in both their forms, below a provider or at top level, as one list of ordered pools."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from router_service.config.providers import ProviderEntry, find_entry
from router_service.config.reading import Notes, Place, Value, section

Prefer = Literal["listed", "cheapest", "fastest", "best", "balanced"]
RESERVED = ("default", "none")  # the route of everything else, and the answer that no route fits
Difficulty = Literal["auto", "ignore"]
_PREFER: tuple[Prefer, ...] = get_args(Prefer)
DIFFICULTY: tuple[Difficulty, ...] = get_args(Difficulty)
_SOME_MODEL = "list at least one of llm_providers under 'models'"
_TELL_APART = "list their models in one of them, or say in each what the other is not for"
_NESTED = ("name", "description", "cache")
_TOP_LEVEL = ("name", "description", "models", "selection_policy", "cache")
_WEIGHTS = ("quality", "cost", "speed")


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each weighs for `balanced`; not all are nothing."""

    quality: float = 1.0
    cost: float = 1.0
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class SelectionPolicy:
    """`difficulty`: None where `routing.difficulty` holds."""

    prefer: Prefer = "listed"
    weights: Weights = field(default_factory=Weights)
    difficulty: Difficulty | None = None


@dataclass(frozen=True, slots=True)
class OwnCache:
    """Whether the answers of one preference are kept, and for how many seconds; None: as long as all others."""

    enabled: bool = True
    ttl: float | None = None


@dataclass(frozen=True, slots=True)
class Preference:
    """One routing preference with its ordered pool: `models` are the `known_as` of entries."""

    place: Place
    name: str
    description: str
    models: tuple[str, ...]
    policy: SelectionPolicy = field(default_factory=SelectionPolicy)
    cache: OwnCache | None = None  # None: as the section of that name says


def nested(value: Value, entry: ProviderEntry) -> list[Preference]:
    """The preferences below one provider, each with that provider alone as its pool."""
    items = value.one_or_many()
    return _unlike([_preference(item, item.fields(_NESTED), (entry.known_as,)) for item in items], value.notes)


def top_level(value: Value, entries: Sequence[ProviderEntry]) -> list[Preference]:
    items = value.one_or_many()
    return _unlike([_with_pool(item, item.fields(_TOP_LEVEL), entries) for item in items], value.notes)


def merge(mentions: Iterable[Preference], notes: Notes) -> tuple[Preference, ...]:
    """One preference per name, in the order of the file; its pool is what its mentions list, one by one."""
    merged: dict[str, Preference] = {}
    for mention in mentions:
        key = _folded(mention.name)
        merged[key] = _joined(merged[key], mention, notes) if key in merged else mention
    preferences = tuple(sorted(merged.values(), key=lambda preference: preference.place.line))
    _check(preferences, notes)
    return preferences


def is_reserved(name: str) -> bool:
    return _folded(name) in RESERVED


def _preference(item: Value, fields: Mapping[str, Value], models: tuple[str, ...]) -> Preference:
    return Preference(
        place=item.place,
        name=_name(item, fields),
        description=_required(item, fields, "description", "say in a few words which requests belong here"),
        models=models,
        policy=_policy(fields["selection_policy"]) if "selection_policy" in fields else SelectionPolicy(),
        cache=_cache(fields["cache"]) if "cache" in fields else None,
    )


def _with_pool(item: Value, fields: Mapping[str, Value], entries: Sequence[ProviderEntry]) -> Preference:
    return _preference(item, fields, _pool(fields["models"], entries) if "models" in fields else ())


def _pool(value: Value, entries: Sequence[ProviderEntry]) -> tuple[str, ...]:
    """Never empty: what is wrong with it has been told here, and needs no telling again."""
    if value.empty:
        value.wrong("no models listed", _SOME_MODEL)
        return ("?",)
    found = [find_entry(reference, entries) for reference in value.items()]
    return tuple(dict.fromkeys(model or "?" for model in found)) or ("?",)


def _name(item: Value, fields: Mapping[str, Value]) -> str:
    name = _required(item, fields, "name", "name the preference")
    if is_reserved(name):
        fields["name"].wrong(f"'{name}' is a reserved name", "choose another")
    return name


def _required(item: Value, fields: Mapping[str, Value], key: str, hint: str) -> str:
    if key in fields:
        return fields[key].text() or ""
    if item.is_mapping:
        item.wrong(f"no {key}", hint)
    return ""


def _policy(value: Value) -> SelectionPolicy:
    """`{prefer: best}`, or the word alone."""
    if not value.is_mapping:
        return SelectionPolicy(value.choice(_PREFER) or "listed")
    fields = value.fields(("prefer", "difficulty", *_WEIGHTS))
    prefer = fields["prefer"].choice(_PREFER) if "prefer" in fields else "listed"
    weighed = {key: fields[key] for key in _WEIGHTS if key in fields}
    difficulty = fields["difficulty"].choice(DIFFICULTY) if "difficulty" in fields else None
    if prefer == "balanced":
        return SelectionPolicy(prefer, _weights(value, weighed), difficulty)
    for item in weighed.values() if prefer else ():
        item.wrong(f"goes with prefer: balanced, and here it is {prefer}", "write prefer: balanced, or leave it out")
    return SelectionPolicy(prefer or "listed", difficulty=difficulty)


def _weights(policy: Value, weighed: Mapping[str, Value]) -> Weights:
    read = {key: weight for key, item in weighed.items() if (weight := item.weight()) is not None}
    if len(read) == len(_WEIGHTS) and not any(read.values()):
        policy.wrong("quality, cost and speed weigh nothing at all", "give one of them more than 0")
    return Weights(**read)


def _cache(value: Value) -> OwnCache | None:
    """`true`, `false`, or for how long: `{ttl: 10m}`."""
    if value.is_mapping:
        return section(value, OwnCache(), {"ttl": Value.seconds})
    enabled = value.boolean()
    return None if enabled is None else OwnCache(enabled)


def _unlike(preferences: list[Preference], notes: Notes) -> list[Preference]:
    """Within one list a name may stand once."""
    first: dict[str, Preference] = {}
    for preference in preferences:
        twin = first.setdefault(_folded(preference.name), preference)
        if preference.name and twin is not preference:
            hint = f"first on line {twin.place.line}"
            notes.mistake(preference.place, f"the preference '{preference.name}' stands here twice", hint)
    return list(first.values())


def _joined(first: Preference, later: Preference, notes: Notes) -> Preference:
    if _folded(later.description) != _folded(first.description):
        where = f"line {first.place.line}"
        notes.warning(later.place, f"'{first.name}' is described otherwise on {where}, and that one holds")
    models = tuple(dict.fromkeys(first.models + later.models))
    cache = first.cache or later.cache
    return Preference(first.place, first.name, first.description, models, first.policy, cache)


def _check(preferences: Iterable[Preference], notes: Notes) -> None:
    described: dict[str, Preference] = {}
    for preference in preferences:
        if not preference.models:
            notes.mistake(preference.place, f"no models for '{preference.name}'", _SOME_MODEL)
        twin = described.setdefault(_folded(preference.description), preference)
        if twin is not preference and preference.description:
            message = f"'{preference.name}' and '{twin.name}' have one description: no request tells them apart"
            notes.warning(preference.place, f"{message}; {_TELL_APART}")


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
