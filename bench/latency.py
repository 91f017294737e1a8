"""What the whole gateway adds to a request, against a plain Envoy, side by side in one run. Needs nothing but archgw.

    python bench/latency.py [--only translate,routed] [--sizes 1,20] [--rounds 5] [--requests 30]

One request at a time on one kept connection: latency, not throughput (that is bench.py). In every round each target
answers `requests` times, in turns and in another order; a figure is the median over the rounds of a round's median.
CPU is that of router service and Envoy, for a request that is not streamed.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bodies
from archgw.commands.demo import free_port
from archgw.home import Home
from archgw.supervisor import Supervisor
from gateways import HERE, Gateway, gateways
from load import Connection
from peers import filled
from targets import Target

_TOKENS = 8
_UP_WITHIN = 15.0  # seconds


@dataclass(frozen=True, slots=True)
class Round:
    """A round's medians of one target, in seconds."""

    whole: float
    first_token: float
    cpu: float  # of its processes, for a request that is not streamed
    late: int  # answers that the router model was to choose for, and did not in time


async def main() -> None:
    options = _parser().parse_args()
    modes = options.only.split(",")
    sizes = [int(size) for size in options.sizes.split(",")]
    print(f"medians of {options.rounds} rounds of {options.requests} requests; ms\n")
    head = [
        "mode",
        "body",
        "direct",
        "Envoy",
        "archgw",
        "over Envoy",
        "ratio",
        "CPU of Envoy's",
        "TTFT Envoy",
        "TTFT archgw",
        "over Envoy",
    ]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    with tempfile.TemporaryDirectory(prefix="archgw-latency-") as folder:
        async with running(Path(folder)) as targets:
            for mode in modes:
                for target in targets:
                    await asyncio.to_thread(target.begin, mode)
                for kb in sizes:
                    rounds = await _rounds(targets, mode, kb * 1024, options.rounds, options.requests)
                    print(_row(mode, kb, rounds), flush=True)
                    if late := sum(round_.late for round_ in rounds[-1]):
                        print(f"  {late} of {2 * options.rounds * options.requests} not routed: the model was late")


async def _rounds(targets: Sequence[Target], mode: str, size: int, rounds: int, requests: int) -> list[list[Round]]:
    """By target, in their order."""
    found: list[list[Round]] = [[] for _ in targets]
    order = list(range(len(targets)))
    for _ in range(rounds):
        for at in order:
            found[at].append(await _round(targets[at], mode, size, requests))
        order.append(order.pop(0))
    return found


async def _round(target: Target, mode: str, size: int, requests: int) -> Round:
    whole = target.request(mode, target.body(mode, size))
    streamed = target.request(mode, target.body(mode, size, stream=True))
    connection = await Connection.open(target.url)
    try:
        for request in (whole, streamed):  # warm-up: connections on the way are opened, too
            await connection.ask(request)
        before = target.cpu_seconds()
        answers = [await connection.ask(whole) for _ in range(requests)]
        cpu = (target.cpu_seconds() - before) / requests
        streams = [await connection.ask(streamed) for _ in range(requests)]
    finally:
        connection.close()
    if not all(answer.ok for answer in answers) or not all(stream.tokens for stream in streams):
        raise SystemExit(f"{target.name} fails in mode {mode}: {answers[-1].head.decode(errors='replace')}")
    return Round(
        statistics.median(answer.ended for answer in answers),
        statistics.median(stream.tokens[0] for stream in streams),
        cpu=cpu,
        late=sum(b"x-arch-reason: the router model" in answer.head for answer in (*answers, *streams)),
    )


async def spent(target: Target, mode: str, size: int, requests: int) -> float:
    """Seconds of CPU for a request, one after another."""
    request = target.request(mode, target.body(mode, size))
    connection = await Connection.open(target.url)
    try:
        await connection.ask(request)
        before = target.cpu_seconds()
        answers = [await connection.ask(request) for _ in range(requests)]
        after = target.cpu_seconds()
    finally:
        connection.close()
    assert all(answer.ok for answer in answers), answers[-1].head
    return (after - before) / requests


def _row(mode: str, kb: int, rounds: list[list[Round]]) -> str:
    direct, envoy, ours = ([r.whole for r in target] for target in rounds)
    _, envoy_first, ours_first = ([r.first_token for r in target] for target in rounds)
    ratio = statistics.median(ours) / statistics.median(envoy)
    cells = [
        *map(_ms, (direct, envoy, ours)),
        _added(ours, envoy),
        f"{ratio:.1f}x",
        f"{_cpu(rounds[2]) / _cpu(rounds[1]):.1f}x",
    ]
    cells += [_ms(envoy_first), _ms(ours_first), _added(ours_first, envoy_first)]
    return f"| {mode} | {kb} KB | {' | '.join(cells)} |"


def _cpu(rounds: Sequence[Round]) -> float:
    return statistics.median(round_.cpu for round_ in rounds)


def _ms(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.2f}"


def _added(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Round by round, so that a slow spell of the machine counts on both sides."""
    return _ms([a - b for a, b in zip(ours, theirs, strict=True)])


# -- what runs -----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[list[Target]]:
    """The mock itself, a plain Envoy and archgw in front of it, on free ports."""
    mock = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", 0)
    upstream = mock.sockets[0].getsockname()[1]
    known = gateways(folder)
    async with (
        mock,
        _envoy(known["envoy"], folder, upstream) as envoy,
        _archgw(known["archgw"], folder, upstream) as us,
    ):
        yield [Target("direct", f"http://127.0.0.1:{upstream}"), envoy, us]


@asynccontextmanager
async def _envoy(gateway: Gateway, folder: Path, upstream: int) -> AsyncIterator[Target]:
    config, port = _configured(gateway, folder, upstream)
    command = [argument.replace("@CONFIG@", str(config)) for argument in gateway.command]
    with (folder / "envoy.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log)
        try:
            await _accepts(port)
            yield Target("envoy", f"http://127.0.0.1:{port}", pids=(process.pid,))
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def _archgw(gateway: Gateway, folder: Path, upstream: int) -> AsyncIterator[Target]:
    config, _ = _configured(gateway, folder, upstream)
    supervisor = Supervisor(config, Home(folder / "home"), environment=gateway.environment)
    async with supervisor.running() as stack:
        pids = (supervisor.pids["router"], supervisor.pids["envoy"])
        headers = {mode: dict(headers) for mode, headers in gateway.headers.items()}
        yield Target("archgw", stack.url, pids=pids, models=dict(gateway.models), headers=headers)


def _configured(gateway: Gateway, folder: Path, upstream: int) -> tuple[Path, int]:
    """Its configuration, written, and its port."""
    port, path = free_port(), folder / gateway.config
    values = {"@PORT@": str(port), "@UPSTREAM_PORT@": str(upstream)}
    path.write_text(filled((HERE / "peers" / gateway.config).read_text(), values))
    return path, port


async def _accepts(port: int) -> None:
    async with asyncio.timeout(_UP_WITHIN):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


# -- the mock provider ---------------------------------------------------------------------------------------------


class Mock(asyncio.Protocol):
    """Answers at once, in the dialect that the path names; a stream's tokens come all together."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._wanted = 0  # bytes of head and body; 0 while the head is not whole

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._wanted and (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._received[:end]).lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._wanted = end + 4 + int(length or 0)
        if self._wanted and len(self._received) >= self._wanted:
            request = bytes(self._received[: self._wanted])
            self._received.clear()
            self._wanted = 0
            self.on_request(request)

    def on_request(self, request: bytes) -> None:
        self._transport.write(_answer(request))


def _answer(request: bytes) -> bytes:
    path = request.partition(b" ")[2].partition(b" ")[0]
    streamed = b'"stream":true' in request or b'"stream": true' in request
    return _ANSWERS[path.endswith(b"/chat/completions"), streamed]


def _http(kind: str, body: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()


def _completion() -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello from the mock."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18}
    return {"object": "chat.completion", **_CHUNK, "choices": [choice], "usage": usage}


def _message(content: Sequence[dict[str, str]], stop_reason: str | None) -> dict[str, Any]:
    usage = {"input_tokens": 10, "output_tokens": 8 if content else 1}
    head = {"id": "msg_mock", "type": "message", "role": "assistant", "model": "mock"}
    return {**head, "content": list(content), "stop_reason": stop_reason, "stop_sequence": None, "usage": usage}


def _chunks() -> str:
    deltas = [{"role": "assistant", "content": ""}, *[{"content": "tok "}] * _TOKENS, {}]
    reasons = [None] * (len(deltas) - 1) + ["stop"]
    chunks = [
        {"object": "chat.completion.chunk", **_CHUNK, "choices": [{"index": 0, "delta": d, "finish_reason": r}]}
        for d, r in zip(deltas, reasons, strict=True)
    ]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


def _message_events() -> str:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "tok "}}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": _message((), None)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[delta] * _TOKENS,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": _TOKENS}},
        {"type": "message_stop"},
    ]
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


_CHUNK = {"id": "chatcmpl-mock", "created": 1700000000, "model": "mock"}
_SAID = [{"type": "text", "text": "Hello from the mock."}]
_ANSWERS = {  # (is it chat completions, is it streamed) -> the whole answer
    (True, False): _http("application/json", json.dumps(_completion())),
    (True, True): _http("text/event-stream", _chunks()),
    (False, False): _http("application/json", json.dumps(_message(_SAID, "end_turn"))),
    (False, True): _http("text/event-stream", _message_events()),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(bodies.PATHS), help="modes (comma-separated)")
    parser.add_argument("--sizes", default="1,20,150", help="body sizes, KB (comma-separated)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=30, help="in a round, of each kind")
    return parser


if __name__ == "__main__":
    asyncio.run(main())
