"""Load, and what came of it: JSON answers by wrk, SSE answers by a small asyncio client. Times are microseconds."""

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from targets import Target

HERE = Path(__file__).resolve().parent
Figures = dict[str, float | None]

_TOKEN = re.compile(rb'(?:@(\d+) )?tok \\?"')  # how a text delta of the mock ends, in either dialect; re-encoded, too
_LONGEST = 48  # bytes of a token that may be in two reads
_IDLE_CPU = 0.02  # seconds of CPU in _IDLE_FOR, below which a target has nothing left to do
_IDLE_FOR = 0.15
_MAX_ERRORS = 50


def run_wrk(target: Target, mode: str, body_file: Path, concurrency: int, seconds: int, prefix: list[str]) -> Figures:
    headers = "\n".join(f"{name}: {value}" for name, value in target.sent_headers(mode).items())
    command = ["wrk", "-t1", f"-c{concurrency}", f"-d{seconds}", "--timeout", "30", "-s", str(HERE / "wrk.lua")]
    environment = {**os.environ, "BODY": str(body_file), "HEADERS": headers}
    cpu = target.cpu_seconds()
    run = subprocess.run(
        [*prefix, *command, target.full_url(mode)], env=environment, capture_output=True, text=True, check=False
    )
    try:
        seen: Figures = json.loads(run.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        sys.exit(f"wrk failed: {run.stdout}{run.stderr}")
    answered = seen["n"] or 0
    seen["rps"] = answered / (seen["seconds"] or 1)
    seen["cpu_us"] = _cpu_us(target, cpu, answered)
    return seen


def drain(target: Target, limit: float = 30) -> None:
    """Wait until the target has finished what an ended load left in it.

    The gateways share a core: a slow one's backlog, running on into the next one's turn, has been seen to halve
    that one's requests a second.
    """
    if not target.pid:
        time.sleep(1)  # nothing to watch
        return
    end, quiet, last = time.monotonic() + limit, 0, target.cpu_seconds()
    while quiet < 2 and time.monotonic() < end:
        time.sleep(_IDLE_FOR)
        now = target.cpu_seconds()
        quiet, last = quiet + 1 if now - last <= _IDLE_CPU else 0, now


# -- one connection ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Answer:
    """When each token came and when the answer ended, in seconds after the request was sent.

    `lags` are seconds from where the mock made a token to where it was read; of streams with `clock=1` only.
    """

    head: bytes = b""
    tokens: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    ended: float = 0.0

    @property
    def ok(self) -> bool:
        return self.head[9:12] == b"200"


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection that asks one question after another and times the answers."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[None] | None = None
        self._clear()

    @classmethod
    async def open(cls, url: str) -> "Connection":
        parts = urlsplit(url)
        _, connection = await asyncio.get_running_loop().create_connection(cls, parts.hostname or "", parts.port or 80)
        return connection

    @property
    def closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def ask(self, request: bytes, *, timeout: float = 60) -> Answer:
        """Raises TimeoutError."""
        assert self._transport
        self._clear()
        self._done = asyncio.get_running_loop().create_future()
        self._begun = time.monotonic()
        self._transport.write(request)
        await asyncio.wait_for(self._done, timeout)
        return self._answer

    def close(self) -> None:
        if self._transport:
            self._transport.abort()

    def _clear(self) -> None:
        self._answer = Answer()
        self._begun, self._tail = 0.0, b""
        self._left: int | None = None  # bytes of the body still to come; None when it comes in chunks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        read = time.monotonic()  # the clock of the mock's `clock=1`
        now = read - self._begun
        if not self._answer.head.endswith(b"\r\n\r\n"):
            head, end, data = (self._answer.head + data).partition(b"\r\n\r\n")
            self._answer.head = head + end
            if not end:
                return
            self._left = _content_length(head)
        joined = self._tail + data
        told = 0  # bytes in which each token has been counted
        for token in _TOKEN.finditer(joined):
            told = token.end()
            self._answer.tokens.append(now)
            if token[1]:
                self._answer.lags.append(read - int(token[1]) / 1e6)
        self._tail = joined[max(told, len(joined) - _LONGEST) :]
        if self._left is not None:
            self._left -= len(data)
        if self._left == 0 or (self._left is None and joined.endswith(b"0\r\n\r\n")):
            self._answer.ended = now
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish()

    def _finish(self) -> None:
        if self._done and not self._done.done():
            self._done.set_result(None)


def _content_length(head: bytes) -> int | None:
    """None when the answer comes in chunks."""
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return None


# -- streams -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Seen:
    first: list[float] = field(default_factory=list)
    last: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    answers: int = 0
    bad: int = 0


async def run_streams(
    target: Target, mode: str, body: bytes, concurrency: int, *, seconds: float, tokens: int
) -> Figures:
    """`concurrency` clients, each asking for one stream of `tokens` tokens after another."""
    seen, cpu, begin = _Seen(), target.cpu_seconds(), time.perf_counter()
    request = target.request(mode, body)

    async def client(number: int) -> None:
        await asyncio.sleep(number * 0.2 / concurrency)  # they do not start in step
        await _ask_until(begin + seconds, target.url, request, tokens, seen)

    await asyncio.gather(*(client(number) for number in range(concurrency)))
    wall = time.perf_counter() - begin
    return {
        "p50": percentile(seen.first, 0.5),
        "p90": percentile(seen.first, 0.9),
        "p99": percentile(seen.first, 0.99),
        "gap_p99": percentile(seen.gaps, 0.99),
        "lag_p50": percentile(seen.lags, 0.5),
        "lag_p99": percentile(seen.lags, 0.99),
        "total_p50": percentile(seen.last, 0.5),
        "n": seen.answers,
        "errors": seen.bad,
        "tok_s": len(seen.first) * tokens / wall,
        "cpu_us": _cpu_us(target, cpu, seen.answers),
    }


async def _ask_until(end: float, url: str, request: bytes, tokens: int, seen: _Seen) -> None:
    connection: Connection | None = None
    while time.perf_counter() < end and seen.bad <= _MAX_ERRORS:
        if connection is None or connection.closed:
            connection = await Connection.open(url)
        try:
            answer = await connection.ask(request)
        except TimeoutError:
            answer = Answer()
            connection.close()
        seen.answers += 1
        if not answer.ok or len(answer.tokens) != tokens:
            seen.bad += 1
            continue
        seen.first.append(answer.tokens[0])
        seen.last.append(answer.tokens[-1])
        seen.lags += answer.lags
        seen.gaps += [after - before for before, after in pairwise(answer.tokens)]
    if connection:
        connection.close()


def percentile(seconds: list[float], share: float) -> float | None:
    """In microseconds; None of nothing."""
    if not seconds:
        return None
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * share))] * 1e6


def _cpu_us(target: Target, before: float, answers: float) -> float | None:
    return (target.cpu_seconds() - before) * 1e6 / max(1, answers) if target.pid else None
