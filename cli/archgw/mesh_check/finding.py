"""One thing that is missing, in the way, or worth knowing, with what to do about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from archgw.render.envoy_pieces import Json
from archgw.render.mesh.foreign import get
from archgw.render.mesh.fragments import Fragments


@dataclass(frozen=True, slots=True)
class Finding:
    """`missing`: without it nothing is routed. `clash`: something breaks it. `note`: it works, and differs."""

    weight: Literal["missing", "clash", "note"]
    what: str
    mend: str


def is_ours(one: Json, ours: Fragments) -> bool:
    return str(get(one, "name") or "").startswith(ours.prefix)


def switched_off(name: str, routes: Iterable[Json], host: Json) -> bool:
    """Whether a filter of theirs is off on all of these routes, by their own word or by that of their virtual host."""
    of_host = get(host, "typed_per_filter_config") or {}
    on = [(of_host | (get(route, "typed_per_filter_config") or {})).get(name) for route in routes]
    return bool(on) and all(get(one, "disabled") for one in on)


def metadata(filter: Json, name: str) -> Iterator[str]:
    """What an ext_proc filter tells its service under this name."""
    for one in get(get(get(filter, "typed_config"), "grpc_service"), "initial_metadata") or []:
        if get(one, "key") == name:
            yield str(get(one, "value"))


def seconds(duration: object) -> float:
    """Of `605s` or `{seconds: 605}`; 0 where there is none."""
    if isinstance(duration, dict):
        return float(duration.get("seconds") or 0) + float(duration.get("nanos") or 0) / 1e9
    try:
        return float(str(duration).removesuffix("s")) if duration else 0.0
    except ValueError:  # which Envoy would not take
        return 0.0
