"""What one pod costs, measured: python bench/scale_measure.py [--out bench/scale.json] [--quick]

A pod is one Envoy and one router service, here on one core (0); its provider and its clients are on another (1). The
provider thinks for as long as it is told and then sends a token every so often, so that what the pod adds to an answer
is known to the millisecond. Four things are found out:

- what a request, a decision and an event of a stream take of the core, from the processes' own CPU time;
- how many requests a second it answers at the most, and what it adds to one at three shares of that, with requests that
  come at random: what `scale.py` must come to by itself, out of the first figures;
- what it holds in memory, at rest and for each stream;
- what it asks of what replicas share: commands of Redis, the CPU time of one, connections and rows of PostgreSQL.

Needs Redis and PostgreSQL (Debian: redis-server, postgresql) for the last; without them those figures are left out.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from archgw.commands.demo import free_port
from archgw.home import Home
from archgw.supervisor import Supervisor
from latency import Mock
from load import Answer, Connection
from targets import Target

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from postgres import binaries, cluster
from redises import RealRedis
from redises import installed as has_redis

HERE = Path(__file__).resolve().parent
SIZE = 20 * 1024  # bytes of a request's body
THINKS, GAP, EVENTS = 0.4, 0.02, 20  # seconds until the first token, between two; tokens of an answer
SHARES = (0.03, 0.3, 0.6, 0.8)  # of its core that are busy
MODEL = "openai/gpt-4o-mini"
CONFIG = """
listeners: {{egress_traffic: {{port: {port}}}}}
llm_providers:
  - {{model: openai/gpt-4o-mini, access_key: key, base_url: "http://127.0.0.1:{upstream}/v1", default: true}}
  - {{model: deepseek/deepseek-chat, access_key: key, base_url: "http://127.0.0.1:{upstream}/v1"}}
routing_preferences:
  - {{name: code generation, description: generating new code snippets and functions, models: [gpt-4o-mini]}}
  - {{name: debugging, description: "finding the cause of crashes and failing tests", models: [deepseek-chat]}}
  - {{name: documentation, description: "writing READMEs, docstrings, comments and guides", models: [gpt-4o-mini]}}
routing: {{deadline: 5s}}
dashboard: {{enabled: false}}
{more}
"""


async def main() -> None:
    options = _parser().parse_args()
    os.sched_setaffinity(0, {1})
    if options.first:
        _before_others(os.getpid())
    seconds = 4.0 if options.quick else 20.0
    mock = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    upstream = mock.sockets[0].getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="archgw-scale-") as folder:
        async with mock:
            async with _pod(Path(folder) / "alone", upstream, "ledger: {url: none}", first=options.first) as pod:
                figures = await _alone(pod, seconds)
            figures["shared"] = await _shared(Path(folder), upstream, 100 if options.quick else 600)
    told = json.dumps(figures, indent=1) + "\n"
    if options.out:
        options.out.write_text(told)
    print(told, end="")


async def _alone(pod: "Pod", seconds: float) -> dict[str, Any]:
    rest = pod.memory_mb()
    cpu = {
        "request": await pod.cost(seconds, _reused(events=1), gap=0),
        "stream": await pod.cost(seconds, _reused(events=101), gap=GAP),
        "burst": await pod.cost(seconds, _reused(events=101), gap=0),
        "decision": await pod.cost(seconds, _asked, gap=0),
    }
    print(
        {name: {part: f"{took * 1000:.2f} ms" for part, took in of.items()} for name, of in cpu.items()},
        file=sys.stderr,
    )
    most = await _most(pod, seconds)
    print(f"at the most {most:.0f} requests a second", file=sys.stderr)
    request, event = sum(cpu["request"].values()), sum(cpu["stream"].values()) - sum(cpu["request"].values())
    whole = request + (EVENTS - 1) * event / 100
    loads = [await _at(pod, share / whole, 2 * seconds) for share in SHARES]
    held = await _held(pod, 200)
    alone, stream = cpu["request"], cpu["stream"]
    return {
        "body": SIZE,
        "request": alone,
        "event": {part: (stream[part] - alone[part]) / 100 for part in alone},
        "event_along": {part: (cpu["burst"][part] - alone[part]) / 100 for part in alone},
        "decision": {part: max(0.0, cpu["decision"][part] - alone[part]) for part in alone},
        "at_the_most": most,
        "thinks": THINKS, "gap": GAP, "events": EVENTS,
        "loads": loads,
        "memory": {"at_rest_mb": rest, "stream_kb": (held - rest) * 1024 / 200},
    }  # fmt: skip


# -- the pod ---------------------------------------------------------------------------------------------------------


class Pod:
    def __init__(self, url: str, pids: dict[str, int], home: Home) -> None:
        self.home, self.parts = home, {name: Target(name, url, pid=pid) for name, pid in pids.items()}
        self.target = Target("archgw", url, models={"openai": MODEL, "translate": MODEL, "routed": "arch.main.v1"})

    def memory_mb(self) -> float:
        return sum(part.memory_mb() for part in self.parts.values())

    async def cost(self, seconds: float, request: Any, *, gap: float) -> dict[str, float]:
        """CPU seconds of a request, by process: eight connections ask one after another."""
        warm = await Connection.open(self.target.url)
        await warm.ask(request(self, 0, gap))
        warm.close()
        before = {name: part.cpu_seconds() for name, part in self.parts.items()}
        until, answered = time.perf_counter() + seconds, 0

        async def client(number: int) -> int:
            connection, count = await Connection.open(self.target.url), 0
            while time.perf_counter() < until:
                answer = await connection.ask(request(self, 1000 * number + count, gap))
                assert answer.ok, answer.head
                count += 1
            connection.close()
            return count

        answered = sum(await asyncio.gather(*(client(number) for number in range(8))))
        return {name: (part.cpu_seconds() - before[name]) / answered for name, part in self.parts.items()}


def _reused(events: int) -> Any:
    """A request whose model is named: as a tool continuation, no decision is made for it."""

    def request(pod: Pod, number: int, gap: float, *, thinks: float = 0.0) -> bytes:
        return _sent(pod, "translate", MODEL, f"[[{thinks} {gap} {events}]] go on, {number}")

    return request


def _asked(pod: Pod, number: int, gap: float) -> bytes:
    """A user's turn of 40 tokens: the router model runs."""
    ask = f"[[0 {gap} 1]] The test for parsing dates fails on leap days since yesterday; find out why, number {number}."
    return _sent(pod, "routed", "arch.main.v1", ask)


def _sent(pod: Pod, mode: str, model: str, ask: str) -> bytes:
    before = "The whole module, as it stands: " + "def parse(text): return text.strip() or None  # words\n" * (
        SIZE // 54
    )
    messages = [
        {"role": "user", "content": before}, {"role": "assistant", "content": "I have read it."},
        {"role": "user", "content": ask},
    ]  # fmt: skip
    body = {"model": model, "max_tokens": 1000, "stream": True, "messages": messages}
    return pod.target.request(mode, json.dumps(body).encode())


def _before_others(pid: int) -> None:
    """On a machine where others work, too: they wait for us."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setscheduler(int(task.name), os.SCHED_RR, os.sched_param(1))


@asynccontextmanager
async def _pod(folder: Path, upstream: int, more: str, *, first: bool) -> AsyncIterator[Pod]:
    folder.mkdir()  # noqa: ASYNC240 - nobody else is waiting yet
    file = folder / "config.yaml"
    file.write_text(CONFIG.format(port=free_port(), upstream=upstream, more=more))
    supervisor = Supervisor(file, Home(folder / "home"), environment={"PATH": "/usr/bin:/bin"}, silence=600)
    async with supervisor.running() as stack:
        pids = {name: pid for name, pid in supervisor.pids.items() if name in ("router", "envoy")}
        for pid in pids.values():
            for task in Path(f"/proc/{pid}/task").iterdir():  # noqa: ASYNC240
                os.sched_setaffinity(int(task.name), {0})
            if first:
                _before_others(pid)
        yield Pod(stack.url, pids, Home(folder / "home"))


# -- load --------------------------------------------------------------------------------------------------------------


async def _most(pod: Pod, seconds: float) -> float:
    """Requests a second of thirty-two who each ask as soon as they have their answer, of one token."""
    request, until = _reused(events=1), time.perf_counter() + seconds

    async def client(number: int) -> int:
        connection, count = await Connection.open(pod.target.url), 0
        while time.perf_counter() < until:
            answer = await connection.ask(request(pod, number, 0.0))
            count += answer.ok
        connection.close()
        return count

    return sum(await asyncio.gather(*(client(number) for number in range(32)))) / seconds


async def _at(pod: Pod, rate: float, seconds: float) -> dict[str, float]:
    """What is added to answers that come at random, `rate` a second: `events` tokens, `gap` apart."""
    chance, request, free = random.Random(7), _reused(EVENTS), []
    added: list[float] = []

    async def one() -> None:
        connection = free.pop() if free else await Connection.open(pod.target.url)
        answer: Answer = await connection.ask(request(pod, 0, GAP, thinks=THINKS))
        added.append(answer.tokens[-1] - THINKS - GAP * (EVENTS - 1))
        free.append(connection)

    tasks, at, begun = [], 0.0, time.perf_counter()
    while at < seconds:
        at += chance.expovariate(rate)
        await asyncio.sleep(max(0.0, begun + at - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    for connection in free:
        connection.close()
    added.sort()
    found = {"rate": rate, "p50": statistics.median(added), "p99": added[len(added) * 99 // 100]}
    print({name: round(value, 4) for name, value in found.items()}, file=sys.stderr)
    return found


async def _held(pod: Pod, streams: int) -> float:
    """Megabytes, while so many streams are under way."""
    request, connections = _reused(EVENTS), [await Connection.open(pod.target.url) for _ in range(streams)]
    asking = [asyncio.create_task(one.ask(request(pod, 0, 0.5, thinks=3.0))) for one in connections]
    await asyncio.sleep(6)
    held = pod.memory_mb()
    await asyncio.gather(*asking)
    for connection in connections:
        connection.close()
    return held


# -- what replicas share -----------------------------------------------------------------------------------------------


async def _shared(folder: Path, upstream: int, requests: int) -> dict[str, Any]:
    if not has_redis() or binaries() is None:
        return {}
    with _redis() as redis, cluster() as postgres:
        more = (
            f"state: {{url: '{redis.url}'}}\nledger: {{url: '{postgres.url}'}}\n"
            "budgets: [{name: all, at_most: 1000M tokens, per: day, then: block}]"
        )
        async with _pod(folder / "shared", upstream, more, first=False) as pod:
            await pod.cost(1.0, _reused(events=1), gap=0)
            postmaster = int((postgres.folder / "data" / "postmaster.pid").read_text().split()[0])
            writes = Target("postgresql", "", pid=postmaster)
            before, cpu, begun = await _of_redis(redis.url), writes.cpu_seconds(), time.perf_counter()
            await asyncio.sleep(10)
            idle, rested = await _of_redis(redis.url), time.perf_counter() - begun
            each_second = (idle["calls"] - before["calls"]) / rested
            cpu_each_second = (writes.cpu_seconds() - cpu) / rested
            cpu = writes.cpu_seconds()
            request, connection = _reused(events=1), await Connection.open(pod.target.url)
            begun = time.perf_counter()
            for number in range(requests):
                assert (await connection.ask(request(pod, number, 0.0))).ok
            connection.close()
            took = time.perf_counter() - begun
            after = await _of_redis(redis.url)
            await asyncio.sleep(1)  # the ledger gathers for a fifth of one
            written = writes.cpu_seconds() - cpu - cpu_each_second * (took + 1)
            calls = after["calls"] - idle["calls"] - each_second * took
            return {
                "redis_commands_of_a_request": calls / requests,
                "redis_commands_each_second": each_second,
                "redis_command_us": (after["usec"] - idle["usec"]) / (after["calls"] - idle["calls"]),
                "redis_us_of_a_budget": await asyncio.to_thread(_budgets, redis.url),
                "postgresql_cpu_us_of_a_request": written * 1e6 / requests,
                "postgresql_cpu_us_each_second": cpu_each_second * 1e6,
                "redis_connections": after["clients"] - 1,
                "postgresql_connections": await asyncio.to_thread(_connections, postgres.url),
                "redis_bytes_of_a_session": await _bytes_of_a_session(redis.url),
            }


@contextlib.contextmanager
def _redis() -> Iterator[RealRedis]:
    redis = RealRedis(free_port())
    try:
        redis.start()
        yield redis
    finally:
        redis.close()


async def _of_redis(url: str) -> dict[str, float]:
    from redis import asyncio as redis

    async with redis.Redis.from_url(url, decode_responses=True) as client:
        stats = await client.info("commandstats")
        clients = await client.info("clients")
    ours = [one for name, one in stats.items() if name.split("_", 1)[1] not in ("info", "client|setinfo", "hello")]
    return {
        "calls": sum(one["calls"] for one in ours),
        "usec": sum(one["usec"] for one in ours),
        "clients": clients["connected_clients"],
    }


def _budgets(url: str) -> dict[str, float]:
    """Microseconds of Redis to read one budget, by how many pods have spent of it."""
    import redis

    found = {}
    with redis.Redis.from_url(url) as client:
        for pods in (1, 10, 100, 1_000, 10_000):
            client.hset("scale", mapping={f"{number:016x}": number * 1.5 for number in range(pods)} | {"sum": 1.0})
            client.config_resetstat()
            for _ in range(50):
                client.hmget("scale", "sum", f"{0:016x}")
            found[str(pods)] = client.info("commandstats")["cmdstat_hmget"]["usec_per_call"]
    return found


async def _bytes_of_a_session(url: str) -> float:
    from redis import asyncio as redis

    async with redis.Redis.from_url(url) as client:
        keys = [key async for key in client.scan_iter("archgw:session:*")]
        sizes = [await client.memory_usage(key) for key in keys]
    return statistics.mean(sizes) if sizes else 0.0


def _connections(url: str) -> float:
    import psycopg

    with psycopg.connect(url) as connection:
        found = connection.execute("select count(*) from pg_stat_activity where backend_type = 'client backend'")
        return float(found.fetchone()[0]) - 1  # type: ignore[index]  # a count is a row


# -- the provider ------------------------------------------------------------------------------------------------------


class Provider(Mock):
    """Chat completions: `[[thinks gap events]]` in the last message says what it does, through any gateway."""

    def on_request(self, request: bytes) -> None:
        words = request[request.rindex(b"[[") + 2 :].partition(b"]]")[0].split()
        self._task = asyncio.ensure_future(self._answer(float(words[0]), float(words[1]), int(words[2])))

    async def _answer(self, thinks: float, gap: float, events: int) -> None:
        loop = asyncio.get_running_loop()
        first = loop.time() + thinks
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        self._transport.write(head + _chunk(_event({"role": "assistant", "content": ""})) if not thinks else b"")
        for number in range(events):
            await asyncio.sleep(max(0.0, first + number * gap - loop.time()))
            begins = head + _chunk(_event({"role": "assistant", "content": ""})) if thinks and not number else b""
            self._transport.write(begins + _chunk(_event({"content": "tok "})))
        usage = {"prompt_tokens": 5000, "completion_tokens": events, "total_tokens": 5000 + events}
        self._transport.write(_chunk(_event({}, "stop")) + _chunk(_event(None, usage=usage) + b"data: [DONE]\n\n"))
        self._transport.write(b"0\r\n\r\n")


def _event(delta: dict[str, str] | None, reason: str | None = None, usage: dict[str, int] | None = None) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": reason}]
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return b"data: " + json.dumps(chunk | ({"usage": usage} if usage else {})).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="where to write the figures, for scale.py")
    parser.add_argument("--quick", action="store_true", help="seconds instead of minutes: to see that it works")
    parser.add_argument("--first", action="store_true", help="before all others on this machine (needs root)")
    return parser


if __name__ == "__main__":
    asyncio.run(main())
