"""What several router services carry behind one Envoy: requests a second, CPU of a request, memory, in turns.

    python bench/workers.py [--workers 1,2,4] [--redis redis://...] [--mode translate] [--clients 32] [--rounds 3]

All of them keep their sessions in one Redis, one process too, so that the number alone differs. Load generator and mock
run here, in one process, and want a core of their own: requests a second say something only on a quiet machine with a
core for each worker beside it and Envoy's.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from archgw.commands.demo import free_port
from archgw.home import Home
from archgw.supervisor import Supervisor
from gateways import gateways
from latency import Mock, _configured
from load import Connection
from targets import Target, _pss_kb, _stat


@dataclass(frozen=True, slots=True)
class Running:
    target: Target
    supervisor: Supervisor


@dataclass(frozen=True, slots=True)
class Round:
    """`router` and `envoy`: CPU of a request there, in milliseconds; `router` is of all workers."""

    per_second: float
    router: float
    envoy: float
    failed: int


async def main() -> None:
    options = _parser().parse_args()
    counts = [int(count) for count in options.workers.split(",")]
    with tempfile.TemporaryDirectory(prefix="archgw-workers-") as folder:
        async with AsyncExitStack() as stack:
            redis = options.redis or await stack.enter_async_context(_redis(Path(folder)))
            mock = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", 0)
            upstream = mock.sockets[0].getsockname()[1]
            running = [
                await stack.enter_async_context(_archgw(Path(folder), upstream, redis, count)) for count in counts
            ]
            rounds: list[list[Round]] = [[] for _ in counts]
            for _ in range(options.rounds):
                for at, one in enumerate(running):
                    rounds[at].append(await _round(one, options.mode, options.clients, options.seconds))
            print(
                f"{options.mode}, {options.clients} clients, medians of {options.rounds} rounds of {options.seconds} s;"
            )
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} in the end\n")
            head = [
                "workers",
                "requests/s",
                "CPU of the routers, ms",
                "CPU of Envoy, ms",
                "routers' memory, MB",
                "failed",
            ]
            print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
            for count, one, done in zip(counts, running, rounds, strict=True):
                print(_row(count, one, done))


def _row(count: int, running: Running, rounds: list[Round]) -> str:
    memory = sum(_pss_kb(pid) for name, pid in running.supervisor.pids.items() if name.startswith("router")) / 1024
    told = [
        str(count),
        f"{statistics.median(one.per_second for one in rounds):.0f}",
        f"{statistics.median(one.router for one in rounds):.2f}",
        f"{statistics.median(one.envoy for one in rounds):.2f}",
        f"{memory:.0f}",
        str(sum(one.failed for one in rounds)),
    ]
    return f"| {' | '.join(told)} |"


async def _round(running: Running, mode: str, clients: int, seconds: float) -> Round:
    target = running.target
    request = target.request(mode, target.body(mode, 1024))
    connections = [await Connection.open(target.url) for _ in range(clients)]
    await asyncio.gather(*(one.ask(request) for one in connections))  # connections on the way are opened, too
    before, begun = _cpu(running.supervisor), time.monotonic()
    done = await asyncio.gather(*(_ask(one, request, begun + seconds) for one in connections))
    took, after = time.monotonic() - begun, _cpu(running.supervisor)
    for one in connections:
        one.close()
    answered = sum(good for good, _ in done)
    used = {name: 1000 * (after[name] - before[name]) / max(1, answered) for name in after}
    return Round(answered / took, used["router"], used["envoy"], sum(bad for _, bad in done))


async def _ask(connection: Connection, request: bytes, until: float) -> tuple[int, int]:
    good = bad = 0
    while time.monotonic() < until:
        ok = (await connection.ask(request)).ok
        good, bad = good + ok, bad + (not ok)
    return good, bad


def _cpu(supervisor: Supervisor) -> dict[str, float]:
    """Seconds, of all routers and of Envoy."""
    used = {"router": 0.0, "envoy": 0.0}
    for name, pid in supervisor.pids.items():
        stat = _stat(Path(f"/proc/{pid}/stat"))
        used[name.partition("-")[0]] += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") if stat else 0.0
    return used


@asynccontextmanager
async def _archgw(folder: Path, upstream: int, redis: str, workers: int) -> AsyncIterator[Running]:
    mine = folder / str(workers)
    mine.mkdir()
    gateway = gateways(mine)["archgw"]
    config, _ = _configured(gateway, mine, upstream)
    config.write_text(f"{config.read_text()}\nworkers: {workers}\nstate: {{url: '{redis}'}}\n")
    supervisor = Supervisor(config, Home(mine / "home"), environment=gateway.environment)
    async with supervisor.running() as stack:
        yield Running(Target("archgw", stack.url, models=dict(gateway.models)), supervisor)


@asynccontextmanager
async def _redis(folder: Path) -> AsyncIterator[str]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        await process.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="1,2", help="how many, in turns (comma-separated)")
    parser.add_argument("--redis", help="its URL; without, a redis-server is started")
    parser.add_argument("--mode", default="translate")
    parser.add_argument("--clients", type=int, default=32, help="each asks again when it is answered")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="of a round")
    return parser


if __name__ == "__main__":
    asyncio.run(main())
