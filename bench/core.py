"""What a request costs in our own code, without network: python bench/core.py [--only "translate 150"] [--grow]

The two machines are driven as `tests/dialogue.py` drives them: a whole request in, its decision, what the provider is
sent, and the provider's answer. Microseconds of this process's CPU a request: the median of all rounds, and the least.
`selection`: from the client's headers to Choose; `request`: from there to Ask; `response`: from the provider's headers
to the record. The client names its model, or (`continued`) goes on after a tool in a session that has its pin.

`--grow`: the request side by the number of messages and by the size of the body, beside what `json.loads` takes.
"""

import argparse
import cProfile
import itertools
import json
import pstats
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import bodies

from router_service.attempt import Attempt
from router_service.config import parse
from router_service.effects import Ask, Choose, Effect, Record
from router_service.events import Gone, RequestBody, RequestHeaders, ResponseBody, ResponseHeaders
from router_service.exchange import Exchange, Exchanges
from router_service.gateway import Gateway
from router_service.plan import plan
from router_service.selection import Selection
from router_service.session import Pin

MODELS = {"openai": "mock/openai", "anthropic": "mock/anthropic", "translate": "mock/openai"}
SIZES = (1, 20, 150)  # KB
ROUNDS = 5
WALL = 1_700_000_000.0
MESSAGES = (1, 4, 16, 64, 250, 500)
BODIES = (1, 8, 64, 512, 2048, 8192)  # KB
_SESSION = "bench"
_EVENTS = 20  # of a stream, with text
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True)
class Case:
    """`mode` as in bodies; `continued`: a tool's result comes back, and the model is left to the gateway."""

    mode: str
    size: int  # KB
    stream: bool = False
    continued: bool = False

    @property
    def name(self) -> str:
        stream = " stream" if self.stream else ""
        return f"{self.mode} {self.size} KB{stream}{' continued' if self.continued else ''}"


@dataclass(slots=True)
class Spent:
    """Seconds of CPU of each part, one a request."""

    selection: list[float] = field(default_factory=list)
    request: list[float] = field(default_factory=list)
    response: list[float] = field(default_factory=list)


def cases(sizes: Sequence[int] = SIZES) -> Iterator[Case]:
    for size, mode in itertools.product(sizes, MODELS):
        yield Case(mode, size)
        yield Case(mode, size, stream=True)
        yield Case(mode, size, stream=True, continued=True)


def gateway() -> Gateway:
    """As `bench/gateways.py` has it, with nine preferences."""
    text = (Path(__file__).parent / "peers/archgw.yaml").read_text()
    text = text.replace("@PORT@", "12000").replace("@UPSTREAM_PORT@", "9100")
    planned = plan(parse(text, file="archgw.yaml", environment={"MOCK_KEY": "sk-mock"}))
    numbers = itertools.count()
    kept = Exchanges(limit=planned.limits.requests, max_bytes=planned.limits.memory)
    return Gateway(planned, new_id=lambda: f"id-{next(numbers)}", exchanges=kept)


def body(case: Case) -> bytes:
    model = "arch.main.v1" if case.continued else MODELS[case.mode]
    asked = bodies.body(case.mode, case.size * 1000, model, stream=case.stream)
    if not case.continued:
        return asked
    told = json.loads(asked)
    told["messages"] += list(_tool_round(case.mode))
    return json.dumps(told).encode()


def _tool_round(mode: str) -> Iterator[bodies.Json]:
    if mode == "openai":
        call = {"id": "call_last", "type": "function", "function": {"name": "tool_0", "arguments": "{}"}}
        yield {"role": "assistant", "content": None, "tool_calls": [call]}
        yield {"role": "tool", "tool_call_id": "call_last", "content": "done"}
    else:
        yield {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_last", "name": "tool_0", "input": {}}],
        }
        yield {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_last", "content": "done"}]}


def headers(case: Case, length: int) -> dict[str, str]:
    named = {"x-session-id": _SESSION} if case.continued else {}
    return {
        ":method": "POST",
        ":authority": "127.0.0.1:12000",
        ":path": bodies.PATHS[case.mode],
        "content-type": "application/json",
        "content-length": str(length),
        **bodies.CREDENTIALS,
        **named,
    }


class Run:
    """One case, ready to be asked again and again."""

    def __init__(self, case: Case, asked: bytes = b"") -> None:
        self.body = asked or body(case)
        self._headers = headers(case, len(self.body))
        self._gateway = gateway()
        self._answer = list(_answer(case))
        candidate = next(one for one in self._gateway.plan.candidates if one.label == MODELS[case.mode])
        if case.continued:
            route = self._gateway.plan.routes[0].id
            self._gateway.sessions.set_pin(f"{_SESSION}/", Pin(route, candidate.id, 0.9))
        self._now = 0.0

    def ask(self, spent: Spent | None = None) -> bytes:
        """One request from end to end; what the provider was sent."""
        self._now += 1.0
        chosen, after_selection = self.select()
        asked, attempt, after_request = self._attempt(chosen)
        begun = time.process_time()
        effects = [effect for event in self._answer for effect in attempt.feed(event, self._now)]
        ended = time.process_time()
        assert any(isinstance(effect, Record) for effect in effects), effects
        if spent:
            spent.selection.append(after_selection)
            spent.request.append(after_request)
            spent.response.append(ended - begun)
        return asked.body

    def request_side(self) -> float:
        """Seconds of CPU of selection and request together; the client then leaves."""
        self._now += 1.0
        chosen, selection = self.select()
        _, attempt, request = self._attempt(chosen)
        attempt.feed(Gone(), self._now)
        self._gateway.exchanges.drop(chosen.id)
        return selection + request

    def select(self) -> tuple[Exchange, float]:
        begun = time.process_time()
        selection = Selection(self._gateway, wall=WALL)
        selection.feed(RequestHeaders(self._headers), self._now)
        effects = selection.feed(RequestBody(self.body), self._now)
        took = time.process_time() - begun
        exchange = self._gateway.exchanges.get(_only(effects, Choose).exchange)
        assert exchange is not None
        return exchange, took

    def _attempt(self, exchange: Exchange) -> tuple[Ask, Attempt, float]:
        begun = time.process_time()
        attempt = Attempt(self._gateway, exchange, exchange.decision.first, self._now)
        effects = attempt.feed(RequestHeaders({}), self._now)
        took = time.process_time() - begun
        return _only(effects, Ask), attempt, took


def _only(effects: list[Effect], kind: type[Kind]) -> Kind:
    found = [effect for effect in effects if isinstance(effect, kind)]
    assert len(found) == 1, effects
    return found[0]


def _answer(case: Case) -> Iterator[ResponseHeaders | ResponseBody]:
    """The provider's, a chunk for each event, as one that writes slowly sends them."""
    kind = "text/event-stream" if case.stream else "application/json"
    yield ResponseHeaders(200, {":status": "200", "content-type": kind})
    chunks = list(_stream(case.mode) if case.stream else _whole(case.mode))
    yield from (ResponseBody(chunk) for chunk in chunks)
    yield ResponseBody(b"", end=True)


def _whole(mode: str) -> Iterator[bytes]:
    if mode == "anthropic":
        usage = {"input_tokens": 7, "output_tokens": 5}
        said = {"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn", "usage": usage}
        yield json.dumps({"id": "msg_1", "type": "message", "role": "assistant", "model": "m"} | said).encode()
        return
    choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 5}
    yield json.dumps({"id": "chatcmpl-1", "model": "m", "choices": [choice], "usage": usage}).encode()


def _stream(mode: str) -> Iterator[bytes]:
    if mode == "anthropic":
        start = {"id": "msg_1", "model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}
        yield _event("message_start", message=start)
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for _ in range(_EVENTS):
            yield _event("content_block_delta", index=0, delta={"type": "text_delta", "text": "some words "})
        yield _event("content_block_stop", index=0)
        yield _event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
        yield _event("message_stop")
        return
    yield _chunk({"role": "assistant", "content": ""})
    yield from (_chunk({"content": "some words "}) for _ in range(_EVENTS))
    yield _chunk({}, finish="stop")
    yield _chunk(None, usage={"prompt_tokens": 7, "completion_tokens": 5})
    yield b"data: [DONE]\n\n"


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def _chunk(delta: dict[str, str] | None, *, finish: str | None = None, **fields: object) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return f"data: {json.dumps({'id': 'chatcmpl-1', 'model': 'm', 'choices': choices} | fields)}\n\n".encode()


# -- what is printed -------------------------------------------------------------------------------------------


def measured(case: Case) -> Spent:
    run, spent = Run(case), Spent()
    for _ in range(3):
        run.ask()
    times = max(20, 2000 // max(case.size, 4))
    for _ in range(ROUNDS * times):
        run.ask(spent)
    return spent


def table(only: str) -> None:
    print(f"{'microseconds of CPU, median (least)':<36}{'selection':>16}{'request':>16}{'response':>16}")
    for case in cases():
        if only in case.name:
            spent = measured(case)
            figures = (spent.selection, spent.request, spent.response)
            told = (f"{1e6 * statistics.median(one):,.0f} ({1e6 * min(one):,.0f})" for one in figures)
            print(f"{case.name:<36}" + "".join(f"{one:>16}" for one in told), flush=True)


def growth() -> None:
    print(f"{'the request side, milliseconds':<36}{'openai':>12}{'anthropic':>12}{'translate':>12}{'json.loads':>12}")
    for messages in MESSAGES:
        _growth_line(f"{messages} messages of 300 letters", lambda mode, many=messages: _of_messages(mode, many))
    for size in BODIES:
        _growth_line(f"{size:,} KB", lambda mode, size=size: _of_size(mode, size))


def _growth_line(name: str, make: Callable[[str], Run]) -> None:
    runs = [make(mode) for mode in MODELS]
    took = [_least(run.request_side) for run in runs]
    floor = _least(lambda: _timed(lambda: json.loads(runs[0].body)))
    told = "".join(f"{1e3 * one:12.2f}" for one in (*took, floor))
    print(f"{name:<36}{told}", flush=True)


def _of_messages(mode: str, many: int, letters: int = 300) -> Run:
    words = 'words of "it"\n' * (letters // 14)
    said = [{"role": ("user", "assistant")[at % 2], "content": f"{at} {words}"} for at in range(many)]
    if many % 2 == 0:
        said.append({"role": "user", "content": "go on"})
    told = {"model": MODELS[mode], "max_tokens": 256, "messages": said}
    return Run(Case(mode, 1), json.dumps(told).encode())


def _of_size(mode: str, size: int) -> Run:
    """In messages of 4 KB, 500 at the most: as much in the shape of an agent's takes minutes to make."""
    return _of_messages(mode, max(1, min(500, size // 4)), letters=1000 * size // max(1, min(500, size // 4)))


def _timed(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _least(timed: Callable[[], float]) -> float:
    """Of so many as take half a second, and five at least."""
    found: list[float] = []
    while len(found) < 5 or sum(found) < 0.5:
        found.append(timed())
    return min(found)


def profiled(only: str, file: str) -> None:
    runs = [Run(case) for case in cases() if only in case.name]
    profile = cProfile.Profile()
    profile.enable()
    for run in runs:
        for _ in range(200):
            run.ask()
    profile.disable()
    profile.dump_stats(file)
    pstats.Stats(profile).sort_stats("tottime").print_stats(45)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help="cases whose name holds this, as 'translate 150'")
    parser.add_argument("--grow", action="store_true", help="by the number of messages and the size of the body")
    parser.add_argument("--profile", metavar="FILE", help="cProfile's figures, and where they go")
    arguments = parser.parse_args()
    if arguments.profile:
        profiled(arguments.only, arguments.profile)
    elif arguments.grow:
        growth()
    else:
        table(arguments.only)


if __name__ == "__main__":
    main()
