"""What a request costs the two machines, in figures that repeat on any machine: python bench/speed.py [--write]

`calls` are the calls of functions that CPython makes, its own in C among them. `held` is the most memory that is held
meanwhile, in bytes. `parses` is CPU time, in that of `json.loads` of the same body: the least of several rounds.
`envoys` is CPU time of router service and Envoy, in that of a plain Envoy that is asked the same, likewise; told is the
median of three runs.

`--write` writes all of them anew into bench/speed.json, with which tests/test_speed.py compares (`make speed`).
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parent.parent
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))

import bodies  # noqa: E402 - where it lies is known above
from dialogue import (  # noqa: E402
    A_CLOSE,
    A_DELTA,
    A_OPEN,
    A_START,
    A_STOP,
    A_TEXT,
    CHAT,
    CLAUDE,
    GPT,
    JSON,
    MESSAGES,
    O_DONE,
    O_FINISH,
    O_ROLE,
    O_TEXT,
    O_USAGE,
    STREAM,
    anthropic_message,
    exchange_of,
    gateway_of,
    has_ended,
    openai_completion,
    recorded,
)
from latency import running, spent  # noqa: E402

from router_service.attempt import Attempt  # noqa: E402
from router_service.events import RequestHeaders, ResponseBody  # noqa: E402

BASELINE = ROOT / "bench" / "speed.json"
KB = 1024
EVENTS = 50
_MODELS = {"openai": GPT, "anthropic": CLAUDE, "translate": GPT}
_PATHS = {"openai": CHAT, "anthropic": MESSAGES, "translate": MESSAGES}
_COMPLETION = json.dumps(openai_completion()).encode()
_MESSAGE = json.dumps(anthropic_message({"type": "text", "text": "hi"})).encode()

Figures = dict[str, dict[str, float]]  # of each kind, by case


def figures() -> Figures:
    """All but `envoys`."""
    found: Figures = {"calls": {}, "held": {}, "parses": {}}
    for mode in _MODELS:
        for kb in (1, 150):
            run = _request(mode, kb)
            found["calls"][f"{mode}, {kb} KB"] = _calls(run)
            found["held"][f"{mode}, {kb} KB"] = _held(run)
        found["parses"][f"{mode}, 150 KB"] = _parses(mode, 150)
        more, fewer = (_calls(_request(mode, 1, events=events)) for events in (2 * EVENTS, EVENTS))
        found["calls"][f"{mode}, an event"] = (more - fewer) / EVENTS
    return found


async def envoys(*, rounds: int = 10, requests: int = 10) -> dict[str, float]:
    """CPU time of router service and Envoy for a request, over that of a plain Envoy; the least of the rounds each."""
    with tempfile.TemporaryDirectory(prefix="archgw-speed-") as folder:
        async with running(Path(folder)) as (_, envoy, us):
            found = {}
            for mode, kb in (("openai", 1), ("translate", 1), ("translate", 150)):
                theirs, ours = [], []
                for _ in range(rounds):
                    theirs.append(await spent(envoy, mode, kb * KB, 10 * requests))
                    ours.append(await spent(us, mode, kb * KB, requests))
                found[f"{mode}, {kb} KB"] = min(ours) / min(theirs)
            return found


def _request(mode: str, kb: int, *, events: int = 0) -> Callable[[], None]:
    """One that is asked and answered, in a gateway that has answered before; streamed where there are `events`."""
    body = bodies.body(mode, kb * KB, _MODELS[mode], stream=bool(events))
    gateway, now = gateway_of(), count(1)
    head, chunks = (STREAM, _stream(mode, events)) if events else (JSON, [_answer(mode)])

    def run() -> None:
        at = float(next(now))
        exchange = exchange_of(gateway, path=_PATHS[mode], body=body, at=at)
        attempt = Attempt(gateway, exchange, exchange.decision.first, at)
        attempt.feed(RequestHeaders({}), at)
        effects = attempt.feed(head, at)
        for number, chunk in enumerate(chunks, 1):
            effects = attempt.feed(ResponseBody(chunk, end=number == len(chunks)), at)
        outcome = recorded(effects)
        assert has_ended(effects) and outcome is not None and outcome.status == 200, effects

    run()
    return run


def _answer(mode: str) -> bytes:
    return _MESSAGE if mode == "anthropic" else _COMPLETION


def _stream(mode: str, events: int) -> list[bytes]:
    if mode == "anthropic":
        return [A_START + A_OPEN, *[A_TEXT] * events, A_CLOSE + A_DELTA + A_STOP]
    return [O_ROLE, *[O_TEXT] * events, O_FINISH + O_USAGE + O_DONE]


# -- figures -------------------------------------------------------------------------------------------------------


def _calls(run: Callable[[], None]) -> float:
    seen = 0

    def count_it(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal seen
        if event in ("call", "c_call"):
            seen += 1

    before = sys.getprofile()
    sys.setprofile(count_it)
    try:
        run()
    finally:
        sys.setprofile(before)
    return seen


def _held(run: Callable[[], None]) -> float:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def _parses(mode: str, kb: int, *, rounds: int = 15) -> float:
    run, body = _request(mode, kb), bodies.body(mode, kb * KB, _MODELS[mode])
    whole, parse = zip(*((_cpu(run), _cpu(lambda: json.loads(body))) for _ in range(rounds)), strict=True)
    return min(whole) / min(parse)


def _cpu(run: Callable[[], object], *, times: int = 3) -> float:
    begin = time.process_time()
    for _ in range(times):
        run()
    return time.process_time() - begin


# -- the command line ----------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="into bench/speed.json")
    options = parser.parse_args()
    runs = [asyncio.run(envoys()) for _ in range(3)]
    found = figures() | {"envoys": {case: statistics.median(run[case] for run in runs) for case in runs[0]}}
    before: Figures = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    print("| figure | of | before | now |\n|---|---|---|---|")
    for kind, cases in found.items():
        for case, figure in cases.items():
            was = before.get(kind, {}).get(case)
            print(f"| {kind} | {case} | {'-' if was is None else f'{was:,.1f}'} | {figure:,.1f} |")
    if options.write:
        rounded = {kind: {case: round(figure, 1) for case, figure in cases.items()} for kind, cases in found.items()}
        BASELINE.write_text(json.dumps(rounded, indent=2) + "\n")


if __name__ == "__main__":
    main()
