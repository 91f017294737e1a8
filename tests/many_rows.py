"""A ledger as weeks of work leave it: many requests, made up, the same for the same seed."""

import json
import math
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sqlalchemy import Connection, insert

from router_service.shell.ledger_schema import attempts, migrate, requests, signals

DAY = 86_400.0
MODELS: dict[str, tuple[float, float, float, float]] = {  # dollars for a million in and out; first content, tokens/s
    "anthropic/claude-sonnet-4-5": (3.0, 15.0, 1.3, 70.0),
    "openai/gpt-4.1": (2.0, 8.0, 0.8, 95.0),
    "deepseek/deepseek-chat": (0.28, 0.42, 1.9, 40.0),
    "gemini/gemini-2.5-flash": (0.3, 2.5, 0.5, 180.0),
    "openai/gpt-4o-mini": (0.15, 0.6, 0.6, 110.0),
    "ollama/llama3.1": (math.nan, math.nan, 0.9, 30.0),  # nobody knows what it costs
}
PREFERENCES: dict[str, tuple[str, ...]] = {
    "code generation": ("deepseek/deepseek-chat", "openai/gpt-4.1", "anthropic/claude-sonnet-4-5"),
    "debugging": ("anthropic/claude-sonnet-4-5", "openai/gpt-4.1", "deepseek/deepseek-chat"),
    "architecture": ("anthropic/claude-sonnet-4-5", "openai/gpt-4.1"),
    "refactoring": ("openai/gpt-4.1", "deepseek/deepseek-chat"),
    "testing": ("deepseek/deepseek-chat", "openai/gpt-4.1"),
    "simple fixes": ("openai/gpt-4o-mini", "gemini/gemini-2.5-flash"),
    "documentation": ("gemini/gemini-2.5-flash", "ollama/llama3.1"),
    "translation": ("ollama/llama3.1",),
}
_WEIGHTS = (30, 22, 8, 12, 14, 16, 9, 0)  # nobody has anything translated
_NEIGHBOURS = {"debugging": "simple fixes", "refactoring": "code generation", "testing": "code generation"}
_TROUBLES = ("answered 429", "answered 529", "answered 503", "said nothing for 60 s", "reset the connection")
_BASELINE = "anthropic/claude-sonnet-4-5"
_CLIENTS = ("claude-cli/2.1.330", "claude-cli/2.1.330", "codex_cli_rs/0.171.0", "OpenAI/Python 3.54.0")


def fill(connection: Connection, number: int, *, until: float, days: float = 30.0, seed: int = 7) -> None:
    """So many requests of so many days up to `until`, each with its tries, some with a thumb."""
    migrate(connection)
    chance = random.Random(seed)
    rows = made(chance, number, until=until, days=days)
    while some := list(islice(rows, 5000)):
        connection.execute(insert(requests), [request for request, _, _ in some])
        connection.execute(insert(attempts), [row for _, tries, _ in some for row in tries])
        if thumbs := [row for _, _, rows in some for row in rows]:
            connection.execute(insert(signals), thumbs)


Rows = tuple[dict[str, Any], list[dict[str, Any]], list[dict[str, Any]]]


def made(chance: random.Random, number: int, *, until: float, days: float) -> Iterator[Rows]:
    """The oldest first: work by day, little by night, in sessions that stay with their model between two turns."""
    times = sorted(_time(chance, until, days) for _ in range(number))
    sessions: list[_Session] = []
    for nth, at in enumerate(times):
        if len(sessions) < 3 or chance.random() < 0.02:
            sessions = [*sessions[-3:], _Session(f"{chance.getrandbits(64):016x}-{nth}", chance.choice(_CLIENTS))]
        yield _row(chance, chance.choice(sessions), nth, at)


class _Session:
    def __init__(self, id: str, client: str) -> None:
        self.id, self.client = id, client
        self.preference, self.score, self.read = "", 0.0, 2_000


def _time(chance: random.Random, until: float, days: float) -> float:
    while True:
        at = until - chance.random() * days * DAY
        hour = at % DAY / 3600
        if chance.random() < 0.08 + 0.92 * math.exp(-(((hour - 14) / 4) ** 2)):
            return at


def _row(chance: random.Random, session: _Session, nth: int, at: float) -> Rows:
    id, turn = f"{nth:08x}{chance.getrandbits(32):08x}", chance.random() < 0.35 or not session.preference
    side = not turn and chance.random() < 0.1
    fits: list[tuple[str, float]] = []
    if turn:
        session.preference = chance.choices(list(PREFERENCES), _WEIGHTS)[0]
        fits = _fits(chance, session.preference)
        session.score = fits[0][1]
    route = "fast" if side else session.preference
    chain = ("openai/gpt-4o-mini", "gemini/gemini-2.5-flash") if side else PREFERENCES[route]
    bad = _bad_hours(at)
    tries, served = [], ""
    for candidate in chain:
        fails = chance.random() < (0.4 if candidate == bad else 0.012)
        tries.append((candidate, chance.choice(_TROUBLES) if fails else ""))
        if not fails:
            served = candidate
            break
    session.read = 2_000 if session.read > 160_000 else session.read + chance.randrange(400, 5_000)
    return _filled(chance, session, id, at, route, tries, served, turn, side, fits)


def _fits(chance: random.Random, best: str) -> list[tuple[str, float]]:
    top = min(0.99, 0.42 + 0.58 * chance.random() ** 0.45)
    second = _NEIGHBOURS.get(best) if chance.random() < 0.6 else None
    second = second or chance.choice([name for name in PREFERENCES if name != best])
    next_to = min(top, (1 - top) * (0.5 + 0.48 * chance.random()))
    others = [name for name in PREFERENCES if name not in (best, second)]
    left = (1 - top - next_to) / (len(others) + 1)
    fits = [(best, top), (second, next_to), *((name, left) for name in others), ("none of them", left)]
    return [(name, round(fit, 4)) for name, fit in fits]


def _bad_hours(at: float) -> str:
    """Whose vendor has a bad hour."""
    day, hour = int(at // DAY), at % DAY / 3600
    return list(MODELS)[day % 5] if 13 <= hour < 15 and day % 3 == 0 else ""


def _filled(
    chance: random.Random,
    session: _Session,
    id: str,
    at: float,
    route: str,
    tries: list[tuple[str, str]],
    served: str,
    turn: bool,
    side: bool,
    fits: list[tuple[str, float]],
) -> Rows:
    failed = sum(bool(trouble) for _, trouble in tries)
    waited = sum(chance.uniform(0.2, 2.0) for _, trouble in tries if trouble)
    read, output = (900 if side else session.read), chance.randrange(20, 1_800)
    cached = 0 if turn and chance.random() < 0.3 else int(read * chance.uniform(0.6, 0.97))
    dear, dear_out, _, _ = MODELS[_BASELINE]
    price, price_out, first, speed = MODELS.get(served or _BASELINE, MODELS[_BASELINE])
    cost = ((read - cached) * price + cached * price / 10 + output * price_out) / 1e6
    baseline = ((read - cached) * dear + cached * dear / 10 + output * dear_out) / 1e6
    slow = 2.5 if 15 <= at % DAY / 3600 < 16 and served.startswith("anthropic") else 1.0
    first_content = waited + first * slow * chance.lognormvariate(0, 0.45)
    known = bool(served) and not math.isnan(cost)
    request = {
        "id": id, "at": at, "session": f"{session.id}/", "kind": _kind(turn=turn, side=side),
        "client": session.client, "caller": "", "route": route, "reason": _reason(route, fits, tries, served, turn),
        "score": None if side else session.score, "scores": json.dumps(fits) if fits else None,
        "difficulty": chance.choice(("quick", "standard", "deep")) if turn else None,
        "asked": "arch.fast.v1" if side else "claude-sonnet-4-5", "served": served, "status": 200 if served else 503,
        "tries": len(tries), "failed": failed, "input": read - cached if served else None,
        "cached": cached if served else None, "cache_write": 0 if served else None,
        "output": output if served else None, "reasoning": output // 4 if served and chance.random() < 0.2 else None,
        "cost": cost if known else None, "baseline": baseline if served else None,
        "first_content": first_content if served else None,
        "duration": first_content + output / (speed * chance.uniform(0.8, 1.2)) if served else waited,
        "routing": chance.uniform(0.008, 0.03) if turn else None, "trouble": "" if served else tries[-1][1],
        "warnings": int(chance.random() < 0.03), "ask": None,
    }  # fmt: skip
    rows = [
        {
            "request": id, "number": number, "at": at, "candidate": candidate, "trouble": trouble,
            "status": int(trouble.split()[-1]) if trouble.startswith("answered") else 0 if trouble else 200,
            "seconds": chance.uniform(0.2, 2.0) if trouble else request["duration"],
        }
        for number, (candidate, trouble) in enumerate(tries, 1)
    ]  # fmt: skip
    thumb = "bad" if chance.random() < (0.3 if served.startswith("deepseek") else 0.12) else "good"
    told = [{"request": id, "signal": thumb, "at": at + 60, "told": None}] if turn and chance.random() < 0.04 else []
    return request, rows, told


def _kind(*, turn: bool, side: bool) -> str:
    return "user turn" if turn else "title" if side else "tool continuation"


def _reason(route: str, fits: list[tuple[str, float]], tries: list[tuple[str, str]], served: str, turn: bool) -> str:
    if turn:
        (_, best), (second, next_to) = fits[:2]
        return f"{route} ({best:.2f} over {second} {next_to:.2f}) -> {tries[0][0]}"
    return "the fast lane -> openai/gpt-4o-mini" if route == "fast" else f"the turn goes on -> {tries[0][0]}"
