"""What an answer costs once its provider has spoken, in one process and without a network: python bench/answers.py

Microseconds of CPU, the least of several rounds: of an unstreamed answer from its headers to the record of it, of an
event of a stream, as it came and translated; and of the books of a request, on the thread that answers and on those
behind it. `--only books`, `whole`, `streams` or `growth`; `--profile` shows where the first of them spends its time.
"""

import argparse
import cProfile
import itertools
import json
import logging
import os
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from router_service.attempt import Attempt
from router_service.config import parse
from router_service.conversation import (
    ReplyEnded,
    ReplyEvent,
    ReplyStarted,
    TextDelta,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee
from router_service.effects import Choose, Record, Score, Send
from router_service.events import RequestBody, RequestHeaders, ResponseBody, ResponseHeaders, Scored
from router_service.exchange import Exchange
from router_service.gateway import Gateway
from router_service.outcome import Outcome
from router_service.plan import Plan, plan
from router_service.policies.policy import Scores
from router_service.selection import Selection
from router_service.shell import ledger, logs
from router_service.shell.journal import Journal
from router_service.shell.request_log import RequestLog

ROUNDS = 7
CONFIG = """
llm_providers:
  - {model: deepseek/deepseek-chat, default: true}
  - {model: anthropic/claude-sonnet-4-5}
  - {model: openai/gpt-5.4}
"""
# By the dialect that is spoken to the provider: the model that speaks it.
PROVIDERS = {
    "openai_chat": "deepseek/deepseek-chat",
    "anthropic_messages": "anthropic/claude-sonnet-4-5",
    "openai_responses": "openai/gpt-5.4",
}
WORDS = 'def handler(self): return "quoted" text, naïve 你好 \\n and so on;\n    '
KEYS = {
    "OPENAI_API_KEY": "sk-" + "o" * 40,
    "DEEPSEEK_API_KEY": "sk-" + "d" * 32,
    "ANTHROPIC_API_KEY": "sk-ant-" + "a" * 40,
}
WALL = 1_700_000_000.0
Steps = Callable[[Attempt], None]


def planned() -> Plan:
    return plan(parse(CONFIG, file="config.yaml", environment=KEYS))


def answer(size: int) -> list[ReplyEvent]:
    """Of about so many bytes of text, and a call of a tool."""
    text = (WORDS * (size // len(WORDS) + 1))[:size]
    call = [ToolCallStarted(0, "call_1", "write"), ToolCallDelta(0, json.dumps({"path": "a.py", "text": WORDS}))]
    usage = Usage(input=10, cached=3, output=size // 4)
    return [ReplyStarted("1", "m"), TextDelta(text), *call, ReplyEnded("tool_calls", usage)]


def said(count: int) -> list[ReplyEvent]:
    """A stream with so many pieces of text."""
    deltas = (TextDelta(WORDS[:20]) for _ in range(count))
    return [ReplyStarted("1", "m"), *deltas, ReplyEnded("end", Usage(input=10, cached=3, output=count))]


class Client:
    """Asks in one dialect and is answered in another; the request itself is read once."""

    def __init__(self, client: str, provider: str, *, stream: bool, gateway: Gateway | None = None) -> None:
        self._ids = itertools.count(1)
        self.gateway = gateway or Gateway(planned(), new_id=lambda: f"{next(self._ids):016x}")
        dialect = DIALECTS[client]
        words = (
            {"input": "hello"} if client == "openai_responses" else {"messages": [{"role": "user", "content": "hello"}]}
        )
        most = "max_output_tokens" if client == "openai_responses" else "max_tokens"
        body = {"model": PROVIDERS[provider], most: 4000, "stream": stream, **words}
        selection = Selection(self.gateway, wall=WALL)
        headers = {":method": "POST", ":path": dialect.paths[0], "user-agent": "bench/1", "x-session-id": "s"}
        selection.feed(RequestHeaders(headers), 0.0)
        effects = selection.feed(RequestBody(json.dumps(body).encode()), 0.0)
        if any(isinstance(effect, Score) for effect in effects):
            effects = selection.feed(Scored(Scores({}, 1.0)), 0.0)
        chosen = next(effect for effect in effects if isinstance(effect, Choose))
        found = self.gateway.exchanges.get(chosen.exchange)
        assert found is not None
        self._first = found

    def attempts(self, count: int) -> list[Attempt]:
        """Each of a request of its own, and asked."""
        made = []
        for exchange in (self._exchange() for _ in range(count)):
            attempt = Attempt(self.gateway, exchange, exchange.decision.first, 0.01)
            attempt.feed(RequestHeaders({}), 0.01)
            made.append(attempt)
        return made

    def _exchange(self) -> Exchange:
        return replace(
            self._first, id=f"{next(self._ids):016x}", unfit=set(), attempts=[], met=set(), asked=[], tried=0, active=0
        )


def least(rounds: Iterator[float]) -> float:
    return 1e6 * min(rounds)


def costs(client: Client, steps: Steps, times: int) -> float:
    """Microseconds of CPU for one answer."""

    def rounds() -> Iterator[float]:
        for _ in range(ROUNDS):
            attempts = client.attempts(times)
            begun = time.process_time()
            for attempt in attempts:
                steps(attempt)
            yield (time.process_time() - begun) / times

    return least(rounds())


def whole(client: str, provider: str, size: int) -> tuple[Client, Steps]:
    reply = DIALECTS[provider].render_reply(answer(size), Addressee("m"))
    body = json.dumps(reply, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {":status": "200", "content-type": "application/json", "content-length": str(len(body))}

    def steps(attempt: Attempt) -> None:
        attempt.feed(ResponseHeaders(200, headers), 0.2)
        effects = attempt.feed(ResponseBody(body, end=True), 0.21)
        assert any(isinstance(effect, Record) for effect in effects)

    return Client(client, provider, stream=False), steps


def streamed(client: str, provider: str, count: int, *, at_once: int = 1) -> tuple[Client, Steps]:
    """`at_once`: so many events come in one chunk."""
    writer = DIALECTS[provider].writer(Addressee("m"))
    raw = b"".join(map(writer.feed, said(count)))
    events = [event + b"\n\n" for event in raw.split(b"\n\n") if event]
    chunks = [b"".join(events[at : at + at_once]) for at in range(0, len(events), at_once)]
    headers = {":status": "200", "content-type": "text/event-stream"}

    def steps(attempt: Attempt) -> None:
        attempt.feed(ResponseHeaders(200, headers), 0.2)
        sent = 0
        for chunk in chunks:
            sent += sum(isinstance(effect, Send) for effect in attempt.feed(ResponseBody(chunk), 0.3))
        effects = attempt.feed(ResponseBody(b"", end=True), 0.4)
        assert any(isinstance(effect, Record) for effect in effects)
        assert sent <= len(chunks)

    return Client(client, provider, stream=True), steps


def show_whole() -> None:
    print("an unstreamed answer, from its headers to its record: µs at 1 KB, at 20 KB")
    for client, provider in pairs():
        figures = [costs(*whole(client, provider, size), times=50) for size in (1_000, 20_000)]
        print(f"  {client:>18} <- {provider:<18} {figures[0]:7.1f} {figures[1]:7.1f}")


def show_streams() -> None:
    print("a stream: µs of an event of 20, of 1,000, of 1,000 that come eight in a chunk")
    for client, provider in pairs():
        few = costs(*streamed(client, provider, 20), times=20) / 20
        many = costs(*streamed(client, provider, 1_000), times=1) / 1_000
        together = costs(*streamed(client, provider, 1_000, at_once=8), times=1) / 1_000
        print(f"  {client:>18} <- {provider:<18} {few:7.1f} {many:7.1f} {together:7.1f}")


def show_growth() -> None:
    print("a stream: µs of an event of 1,000, of 10,000")
    for client, provider in pairs():
        figures = [costs(*streamed(client, provider, count), times=1) / count for count in (1_000, 10_000)]
        print(f"  {client:>18} <- {provider:<18} {figures[0]:7.1f} {figures[1]:7.1f}")


def show_books() -> None:
    """The log goes to a pipe that nobody is slow to read: to /dev/null."""
    print("the books of a request: µs on the thread that answers, on the others")
    answering, behind = books(one_by_one=False)
    print(f"  as fast as they come {answering:7.1f} {behind:7.1f}")
    answering, behind = books(one_by_one=True)
    print(f"  two hundred a second {answering:7.1f} {behind:7.1f}")


def books(*, one_by_one: bool) -> tuple[float, float]:
    outcomes = recorded(400)
    rounds = 1 if one_by_one else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        kept = ledger.of(planned(), Path(folder) / "ledger.sqlite")
        assert kept is not None
        log = RequestLog()
        journal = Journal(kept, log=log.record)
        log.start()
        kept.start()
        journal.record(replace(outcomes[0], id="first"))
        until(lambda: kept.tally.written == 1)
        answering, behind = [], []
        for turn in range(rounds):
            wanted = [replace(one, id=f"{turn}-{one.id}") for one in outcomes]
            written, here, all_of_it = kept.tally.written, 0.0, time.process_time()
            beside = 0.0
            for one in wanted:
                if one_by_one:
                    waited = time.thread_time()
                    time.sleep(0.005)
                    beside += time.thread_time() - waited
                begun = time.thread_time()
                journal.record(one)
                here += time.thread_time() - begun
            waited = time.thread_time()
            until(lambda written=written: kept.tally.written == written + len(outcomes))  # type: ignore[misc]
            beside += time.thread_time() - waited
            answering.append(here / len(wanted))
            behind.append((time.process_time() - all_of_it - here - beside) / len(wanted))
        kept.close()
        log.close()
    return least(iter(answering)), least(iter(behind))


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.02)


def recorded(count: int) -> list[Outcome]:
    """Outcomes of answers that were translated."""
    client, _ = whole("anthropic_messages", "openai_chat", 1_000)
    body = json.dumps(DIALECTS["openai_chat"].render_reply(answer(1_000), Addressee("m"))).encode()
    found: list[Outcome] = []
    for attempt in client.attempts(count):
        attempt.feed(ResponseHeaders(200, {"content-type": "application/json"}), 0.2)
        effects = attempt.feed(ResponseBody(body, end=True), 0.3)
        found += [effect.outcome for effect in effects if isinstance(effect, Record)]
    return found


def pairs() -> Iterator[tuple[str, str]]:
    """Claude Code at a vendor of chat completions first, as it is asked most."""
    first = ("anthropic_messages", "openai_chat")
    yield first
    yield from (pair for pair in itertools.product(DIALECTS, PROVIDERS) if pair != first)


def profile() -> None:
    for name, (client, steps), times in (
        ("unstreamed, translated", whole("anthropic_messages", "openai_chat", 1_000), 400),
        ("unstreamed, untouched", whole("openai_chat", "openai_chat", 1_000), 400),
        ("a stream of 1,000, translated", streamed("anthropic_messages", "openai_chat", 1_000), 3),
        ("a stream of 1,000, untouched", streamed("openai_chat", "openai_chat", 1_000), 3),
    ):
        attempts = client.attempts(times)
        with cProfile.Profile() as taken:
            for attempt in attempts:
                steps(attempt)
        print(f"{name}, {times} times")
        pstats.Stats(taken).sort_stats("tottime").print_stats(25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--profile", action="store_true")
    arguments = parser.parse_args()
    if arguments.profile:
        profile()
        return
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - the log's stream
        handler = logging.StreamHandler(nowhere)
        handler.setFormatter(logs.Places("%(asctime)s %(name)s %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler])
        for name, show in PARTS.items():
            if arguments.only in (None, name):
                show()
                sys.stdout.flush()


PARTS = {"whole": show_whole, "streams": show_streams, "growth": show_growth, "books": show_books}

if __name__ == "__main__":
    main()
