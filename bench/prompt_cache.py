"""What the vendors' prompt caches save, with and without what archgw does for them: python bench/prompt_cache.py

Agents' sessions of 20 requests, rendered as the gateway renders them and answered by the simulated vendors, whose
caches keep to the published rules (`archgw.simulate.tokens`); dollars by published prices. No network, no Envoy.

A session: 3,000 tokens of system, 20 tools of 300 tokens, which all sessions share; each request adds an answer of 100
tokens and a result of 1,500. Six sessions run at once, a request of one of them each second; `alone` is one session,
with 20 s between its requests.
"""

import itertools
import json
from dataclasses import dataclass
from typing import Any

from archgw.simulate.answer import respond
from archgw.simulate.received import Received
from archgw.simulate.server import Simulator

from router_service import pricing, upstream
from router_service.config import parse
from router_service.conversation import ReplyEnded, Usage
from router_service.effects import Choose
from router_service.events import RequestBody, RequestHeaders
from router_service.exchange import Exchange, Exchanges
from router_service.gateway import Gateway
from router_service.plan import plan
from router_service.selection import Selection

REQUESTS, SESSIONS, EVERY, APART = 20, 6, 1.0, 20.0  # seconds: between requests of all, between those of one alone
TOKEN = 4  # letters
KEYS = {f"{name}_API_KEY": "k" for name in ("ANTHROPIC", "OPENAI", "XAI", "MISTRAL", "MOONSHOT")}
ANYTHING: dict[str, Any] = {"type": "object", "properties": {}}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {"name": f"tool_{at}", "description": "d" * 300 * TOKEN, "parameters": ANYTHING},
    }
    for at in range(20)
]


@dataclass
class Bill:
    spent: float = 0.0
    cached: int = 0
    read: int = 0

    def add(self, usage: Usage, cost: float) -> None:
        self.spent += cost
        self.cached += usage.cached or 0
        self.read += pricing.total(usage)

    @property
    def hit_rate(self) -> float:
        return self.cached / self.read


def messages(session: int, requests: int) -> list[dict[str, Any]]:
    """All that a client says with the how many-th request of its session."""
    told: list[dict[str, Any]] = [
        {"role": "system", "content": "s" * 3000 * TOKEN},
        {"role": "user", "content": f"session {session}: find out why the tests fail"},
    ]
    for number in range(requests):
        call = {"id": f"call_{session}_{number}", "type": "function", "function": {"name": "tool_1", "arguments": "{}"}}
        told.append({"role": "assistant", "content": "w" * 100 * TOKEN, "tool_calls": [call]})
        told.append({"role": "tool", "tool_call_id": call["id"], "content": f"{number}" + "r" * 1500 * TOKEN})
    return told


def bill(model: str, setting: str, sessions: int, every: float) -> Bill:
    config = f"llm_providers: [{{model: {model}}}]\nprompt_cache: {setting}\n"
    ids = itertools.count()
    planned = plan(parse(config, file="bench", environment=KEYS))
    gateway = Gateway(planned, new_id=lambda: f"id-{next(ids)}", exchanges=Exchanges(limit=10_000, max_bytes=2**34))
    candidate, simulator, found = planned.candidates[0], Simulator(model.partition("/")[0]), Bill()
    now = 1_000_000.0
    for number, session in itertools.product(range(REQUESTS), range(sessions)):
        body = {"model": model, "max_tokens": 100, "messages": messages(session, number), "tools": TOOLS}
        made = upstream.render(heard(gateway, body, f"s-{session}"), candidate)
        usage = answered(simulator, made, now)
        found.add(usage, pricing.cost(candidate.price, usage, at=now) or 0.0)
        now += every
    return found


def heard(gateway: Gateway, body: dict[str, Any], session: str) -> Exchange:
    """The request as the gateway has understood it; the client names the model."""
    selection = Selection(gateway, wall=1_000_000.0)
    headers = {":method": "POST", ":path": "/v1/chat/completions", ":authority": "127.0.0.1", "x-session-id": session}
    selection.feed(RequestHeaders(headers | {"content-type": "application/json"}), 0.0)
    effects = selection.feed(RequestBody(json.dumps(body).encode()), 0.0)
    (chosen,) = [effect for effect in effects if isinstance(effect, Choose)]
    exchange = gateway.exchanges.get(chosen.exchange)
    assert exchange is not None
    return exchange


def answered(simulator: Simulator, made: upstream.Upstream, now: float) -> Usage:
    """What the vendor says that it cost."""
    path = made.headers[":path"].partition("?")[0]
    received = Received("POST", path, "", tuple(made.headers.items()), made.body, now, json.loads(made.body))
    answer = respond(simulator._office, received, None)
    told = json.loads(b"".join(frame.data for frame in answer.frames))
    assert answer.head.status == 200, told
    return next(event.usage for event in made.dialect.parse_reply(told) if isinstance(event, ReplyEnded))


CLAUDE = "anthropic/claude-sonnet-4-5"
MARKS = ("{breakpoints: never}", "{breakpoints: agents}")
AFFINITY = ("{affinity: false}", "{affinity: true}")
ROWS = (
    (CLAUDE, "marks, one session alone", *MARKS, 1, APART),
    (CLAUDE, "marks, six at once", *MARKS, SESSIONS, EVERY),
    ("openai/gpt-4.1", "affinity, one session alone", *AFFINITY, 1, APART),
    ("openai/gpt-4.1", "affinity, six at once", *AFFINITY, SESSIONS, EVERY),
    ("xai/grok-4", "affinity, six at once", *AFFINITY, SESSIONS, EVERY),
)


def main() -> None:
    print("| model | what | without: $ a session | hits | with: $ a session | hits | with / without |")
    print("|---|---|---|---|---|---|---|")
    for model, what, without, with_, sessions, every in ROWS:
        one, other = bill(model, without, sessions, every), bill(model, with_, sessions, every)
        figures = (f"{one.spent / sessions:.3f}", f"{100 * one.hit_rate:.0f} %")
        figures += (f"{other.spent / sessions:.3f}", f"{100 * other.hit_rate:.0f} %", f"{other.spent / one.spent:.2f}")
        print(f"| {model} | {what} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
