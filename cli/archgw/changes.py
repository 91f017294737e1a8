"""What one plan says otherwise than another, in words. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from router_service.config import Budget
from router_service.plan import Candidate, Plan, Route

_SECTIONS = {  # of a plan, and what config.yaml calls them
    "listener": "listeners.egress_traffic",
    "routing": "routing",
    "failover": "failover",
    "limits": "limits",
    "cache": "cache",
    "state": "state",
    "ledger": "ledger",
    "telemetry": "telemetry",
}
_SECRET = ("state.url", "ledger.url")  # they may hold a password


def changes(old: Plan, new: Plan) -> list[str]:
    """One line for each difference that a user would notice; no keys."""
    return [
        *_models(old, new),
        *_preferences(old, new),
        *_default(old, new),
        *_aliases(old, new),
        *_budgets(old, new),
        *(line for section in _SECTIONS for line in _section(section, old, new)),
        *_left_out(old, new),
    ]


def _models(old: Plan, new: Plan) -> Iterable[str]:
    before = {candidate.label: candidate for candidate in old.candidates}
    after = {candidate.label: candidate for candidate in new.candidates}
    yield from (f"model {label}: no longer used" for label in before if label not in after)
    yield from (f"model {label}: new" for label in after if label not in before)
    for label in after:
        if label in before:
            yield from (f"model {label}: {what}" for what in _model(before[label], after[label]))


def _model(old: Candidate, new: Candidate) -> Iterable[str]:
    if old.address != new.address:
        yield f"is asked at {_place(new)}, no longer at {_place(old)}"
    if (old.key and old.key.value) != (new.key and new.key.value):
        yield f"another key ({new.key.source if new.key else 'none'})"
    if old.identity != new.identity or old.passthrough != new.passthrough:
        yield "proves itself in another way"
    if old.price != new.price:
        yield "another price"
    if old.prompt_cache != new.prompt_cache:
        yield f"prompt_cache: {_cached(new)}; before: {_cached(old)}"
    if old.provider.dialect != new.provider.dialect:
        yield "is asked in another dialect"


def _cached(candidate: Candidate) -> str:
    asked = candidate.prompt_cache
    return f"affinity {str(asked.affinity).lower()}, breakpoints {asked.breakpoints}"


def _place(candidate: Candidate) -> str:
    return f"{candidate.address.scheme}://{candidate.address.authority}{candidate.address.path}"


def _preferences(old: Plan, new: Plan) -> Iterable[str]:
    before, after = _by_name(old), _by_name(new)
    yield from (f"preference “{name}”: no longer there" for name in before if name not in after)
    yield from (f"preference “{name}”: new, {_order(route)}" for name, route in after.items() if name not in before)
    for name, route in after.items():
        if name not in before:
            continue
        if before[name].description != route.description:
            yield f"preference “{name}”: another description"
        if _order(before[name]) != _order(route):
            yield f"preference “{name}”: {_order(route)}; before: {_order(before[name])}"
        if _policy(before[name]) != _policy(route):
            yield f"preference “{name}”: {_policy(route)} instead of {_policy(before[name])}"
        if before[name].cache != route.cache:
            yield f"preference “{name}”: {_kept(route)}; before: {_kept(before[name])}"


def _kept(route: Route) -> str:
    if route.cache is None:
        return "its answers are kept as cache says"
    if not route.cache.enabled:
        return "its answers are not kept"
    return f"its answers are kept for {route.cache.ttl:g} s" if route.cache.ttl else "its answers are kept"


def _by_name(plan: Plan) -> Mapping[str, Route]:
    return {route.name: route for route in plan.routes}


def _policy(route: Route) -> str:
    """`balanced (quality 2, cost 1, speed 1), by difficulty`."""
    weights = ", ".join(f"{field.name} {getattr(route.weights, field.name):g}" for field in fields(route.weights))
    weighed = f"{route.prefer} ({weights})" if route.prefer == "balanced" else route.prefer
    return f"{weighed}, by difficulty" if route.by_difficulty else weighed


def _order(route: Route) -> str:
    return ", ".join(candidate.label for candidate in route.candidates)


def _default(old: Plan, new: Plan) -> Iterable[str]:
    before, after = old.default.candidates[0].label, new.default.candidates[0].label
    if before != after:
        yield f"everything else: {after}; before: {before}"
    if old.fast.label != new.fast.label:
        yield f"small, fast work: {new.fast.label}; before: {old.fast.label}"


def _aliases(old: Plan, new: Plan) -> Iterable[str]:
    for alias in sorted({*old.aliases, *new.aliases}):
        before, after = old.aliases.get(alias), new.aliases.get(alias)
        if (before and before.label) != (after and after.label):
            yield f"alias {alias}: {after.label if after else 'no longer there'}"


def _budgets(old: Plan, new: Plan) -> Iterable[str]:
    before, after = ({budget.name: budget for budget in plan.budgets} for plan in (old, new))
    yield from (f"budget “{name}”: no longer there" for name in before if name not in after)
    for name, budget in after.items():
        if name not in before:
            yield f"budget “{name}”: new, {_limit(budget)}"
        elif before[name] != budget:
            now, was = _limit(budget), _limit(before[name])
            yield (
                f"budget “{name}”: {now}; before: {was}"
                if now != was
                else f"budget “{name}”: of whom or when is changed"
            )


def _limit(budget: Budget) -> str:
    return f"{budget.then} at {budget.amount} a {budget.per}"


def _section(name: str, old: Plan, new: Plan) -> Iterable[str]:
    before, after = getattr(old, name), getattr(new, name)
    for field in fields(after):
        was, now = getattr(before, field.name), getattr(after, field.name)
        if was != now:
            key = f"{_SECTIONS[name]}.{field.name}"
            yield f"{key}: changed" if key in _SECRET else f"{key}: {_told(now)}; before: {_told(was)}"


def _told(value: Any) -> str:
    return ", ".join(value) or "none" if isinstance(value, tuple) else str(value) or "none"


def _left_out(old: Plan, new: Plan) -> Iterable[str]:
    before = {(item.label, item.reason) for item in old.disabled}
    yield from (
        f"not used: {item.label}: {item.reason}" for item in new.disabled if (item.label, item.reason) not in before
    )
