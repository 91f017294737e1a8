"""What the ledger costs and how quickly it is read: python bench/ledger.py [--requests 100000] [--rounds 40]

Three tables. How many requests a second are written, what keeping one takes of the service itself, and how large the
file becomes. What the ledger adds to a request: two gateways side by side, one keeps a ledger that is as large already,
the other keeps none; they are asked in turns. How long each view of `archgw stats` and each format of `archgw export`
takes on it.
"""

import argparse
import asyncio
import io
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from archgw.commands.demo import free_port
from archgw.export import FORMATS, rows, write
from archgw.home import Home
from archgw.stats import BY, stats
from archgw.supervisor import Supervisor
from latency import Mock
from load import Connection
from targets import Target

from router_service.config import Ledger as Settings
from router_service.conversation import Usage
from router_service.outcome import AttemptOutcome, Outcome, Trace
from router_service.shell.ledger import Ledger, engine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from many_rows import made

DAYS = 30.0
_AT_ONCE = 5_000  # that wait to be written at most: half of the queue's room
_PER_ROUND = 50

CONFIG = """
listeners: {{egress_traffic: {{port: {port}}}}}
llm_providers:
  - {{model: openai/gpt-4o-mini, access_key: key, base_url: "http://127.0.0.1:{upstream}/v1"}}
ledger: {{url: {ledger}}}
"""


def main() -> None:
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="archgw-ledger-") as folder:
        file = Path(folder) / "kept" / "ledger.sqlite"
        _writing(file, options.requests)
        _reading(file)
        asyncio.run(_beside(Path(folder), file, options.rounds))


def outcomes(number: int) -> Iterator[Outcome]:
    """Weeks of work, made up."""
    for row, tries, _ in made(random.Random(7), number, until=time.time(), days=DAYS):
        yield Outcome(
            id=row["id"],
            started=row["at"],
            kind=row["kind"],
            client=row["client"],
            session=row["session"],
            route=row["route"],
            reason=row["reason"],
            model_asked=row["asked"],
            model_served=row["served"],
            status=row["status"],
            attempts=tuple(
                AttemptOutcome(one["candidate"], one["status"], one["trouble"], one["seconds"]) for one in tries
            ),
            usage=Usage(row["input"], row["cached"], row["cache_write"], row["output"], row["reasoning"]),
            score=row["score"],
            first_content=row["first_content"],
            duration=row["duration"],
            cost=row["cost"],
            baseline=row["baseline"],
            trace=Trace(fits=tuple(map(tuple, json.loads(row["scores"] or "[]"))), seconds=row["routing"] or 0.0),
        )


# -- writing -----------------------------------------------------------------------------------------------------------


def _writing(file: Path, number: int) -> None:
    ledger = Ledger(Settings(at_most=10 * 2**30), file)
    ledger.start()
    all_of_them, taken = list(outcomes(number)), []
    begun = time.perf_counter()
    for outcome in all_of_them:
        while ledger.waiting >= _AT_ONCE:
            time.sleep(0.001)
        taken.append(_timed(ledger, outcome))
    ledger.close(within=60)
    seconds = time.perf_counter() - begun
    assert (ledger.tally.written, ledger.tally.lost) == (number, 0)
    size = sum(one.stat().st_size for one in file.parent.glob("ledger.sqlite*"))
    p50, p99 = _spread(taken)
    print(f"{number:,} requests written in {seconds:.1f} s: {number / seconds:,.0f}/s")
    print(f"of the service's time for one: {p50 * 1e6:.1f} us, p99 {p99 * 1e6:.1f} us")
    print(f"{size / 2**20:.0f} MiB, {size / number:.0f} bytes a request with its tries\n")


def _timed(ledger: Ledger, outcome: Outcome) -> float:
    begun = time.perf_counter()
    ledger.record(outcome)
    return time.perf_counter() - begun


# -- reading -----------------------------------------------------------------------------------------------------------


def _reading(file: Path) -> None:
    database = engine("sqlite", file, read_only=True)
    print("| read | ms |\n|---|---|")
    with database.connect() as connection:
        since = time.time() - (DAYS + 1) * 86_400
        for by in BY:
            _tell(f"stats --by {by}", lambda by=by: stats(connection, by, since=since))
        for format in FORMATS:
            _tell(
                f"export, {format}",
                lambda of=format: write("requests", rows(connection, "requests", 0), of, io.BytesIO()),
            )
    database.dispose()
    print()


def _tell(name: str, read: Callable[[], object]) -> None:
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        read()
        taken.append(time.perf_counter() - begun)
    print(f"| {name} | {statistics.median(taken) * 1000:.0f} |", flush=True)


# -- beside requests ---------------------------------------------------------------------------------------------------


async def _beside(folder: Path, kept: Path, rounds: int) -> None:
    mock = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", 0)
    upstream = mock.sockets[0].getsockname()[1]
    async with (
        mock,
        _gateway(folder / "without", "none", upstream) as without,
        _gateway(folder / "with", f"'sqlite:///{kept}'", upstream) as with_it,
    ):
        found: dict[str, list[float]] = {without: [], with_it: []}
        order = list(found)
        for _ in range(rounds):
            for url in order:
                found[url] += await _round(url)
            order.reverse()
    print(f"| {rounds} rounds of {_PER_ROUND} requests | p50 ms | p99 ms |\n|---|---|---|")
    spreads = [_spread(found[url]) for url in (without, with_it)]
    for name, (p50, p99) in zip(("no ledger", "ledger"), spreads, strict=True):
        print(f"| {name} | {p50 * 1000:.2f} | {p99 * 1000:.2f} |")
    (less, less99), (more, more99) = spreads
    print(f"| ratio | {more / less:.2f} | {more99 / less99:.2f} |")


@asynccontextmanager
async def _gateway(folder: Path, ledger: str, upstream: int) -> AsyncIterator[str]:
    folder.mkdir()  # noqa: ASYNC240 - nobody else is waiting yet
    file = folder / "config.yaml"
    file.write_text(CONFIG.format(port=free_port(), upstream=upstream, ledger=ledger))
    supervisor = Supervisor(file, Home(folder / "home"), environment={})
    async with supervisor.running() as stack:
        yield stack.url


async def _round(url: str) -> list[float]:
    target = Target("archgw", url, models={"openai": "openai/gpt-4o-mini"})
    request = target.request("openai", target.body("openai", 1024))
    connection = await Connection.open(url)
    try:
        await connection.ask(request)
        answers = [await connection.ask(request) for _ in range(_PER_ROUND)]
    finally:
        connection.close()
    assert all(answer.ok for answer in answers)
    return [answer.ended for answer in answers]


def _spread(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=40)
    return parser


if __name__ == "__main__":
    main()
