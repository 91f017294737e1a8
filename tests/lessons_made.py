"""Evidence out of a few words: asks as directions, what was said of them, and a plan with three preferences."""

import math
from collections.abc import Iterable

import numpy as np
from dialogue import CLAUDE, DEEPSEEK, GPT, plan_of

from router_service.evidence import NONE, Asked, Evidence, LeftOut, Said, packed
from router_service.policies.policy import Scores

__all__ = ["CLAUDE", "DEEPSEEK", "GPT"]

MODEL, WIDTH, DAY = "a-model", 64, 86_400.0
NOW = 1_800_000_000.0
CONFIG = """
llm_providers:
  - {model: openai/gpt-4o-mini, default: true}
  - {model: anthropic/claude-sonnet-4-5}
  - {model: deepseek/deepseek-chat}
routing_preferences:
  - {name: coding, description: writing code, models: [claude-sonnet-4-5, deepseek-chat], selection_policy: best}
  - {name: code review, description: judging code, models: [deepseek-chat, claude-sonnet-4-5], selection_policy: best}
  - {name: small talk, description: chatting, models: [gpt-4o-mini, deepseek-chat]}
"""
PLAN = plan_of(CONFIG)
NAMES = ("coding", "code review", "small talk", NONE)


def vector(*towards: tuple[int, float]) -> bytes:
    """Float32, of unit length, by axis."""
    made = np.zeros(WIDTH, np.float32)
    for axis, length in towards:
        made[axis] = length
    return (made / np.linalg.norm(made)).astype(np.float32).tobytes()


def beside(axis: int, cosine: float, other: int = 60) -> bytes:
    """What lies so near to an axis."""
    return vector((axis, cosine), (other, math.sqrt(1 - cosine**2)))


def fits(best: str, most: float = 0.7) -> tuple[tuple[str, float], ...]:
    left = (1 - most) / (len(NAMES) - 1)
    return tuple((name, most if name == best else left) for name in NAMES)


def scores(seen: bytes, best: str = "coding", most: float = 0.7, model: str = MODEL) -> Scores:
    by_name = dict(fits(best, most))
    ids = {route.name: route.id for route in PLAN.routes}
    routes = {ids[name]: fit for name, fit in by_name.items() if name in ids}
    return Scores(routes, by_name[NONE], vector=seen, model=model)


def asked(
    request: str,
    seen: bytes = b"",
    *,
    base: str = "coding",
    route: str = "",
    at: float = 0.0,
    caller: str = "",
    session: str = "",
    served: str = CLAUDE,
    difficulty: str = "",
    model: str = MODEL,
) -> Asked:
    """`at`: seconds after the first."""
    kept = packed(seen) if seen else b""
    when = NOW - 10 * DAY + at
    return Asked(request, when, caller, session, route or base, served, difficulty, model, kept, fits(base))


def said(request: str, signal: str, told: str = "", *, at: float = 0.0, turn: str = "") -> Said:
    return Said(request, signal, NOW - 10 * DAY + at + 1, told, turn)


def should_be(request: str, preference: str, *, at: float = 0.0) -> Said:
    return said(request, "should be", f"preference:{preference}", at=at)


def left_out(what: str, *, at: float = DAY, caller: str = "") -> LeftOut:
    return LeftOut(caller, what, NOW - 10 * DAY + at)


def evidence(asked: Iterable[Asked], said: Iterable[Said] = (), gone: Iterable[LeftOut] = ()) -> Evidence:
    return Evidence(tuple(asked), tuple(said), tuple(gone))
