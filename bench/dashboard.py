"""How long each panel of the dashboard takes: python bench/dashboard.py [--requests 100000] [--url postgresql://...]

A ledger of made-up requests of thirty days, all of them in the longest range; asked over HTTP, as the page does.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from archgw.dashboard.app import PANELS
from archgw.dashboard.span import RANGES
from dashboards import Served, served
from many_rows import fill

from router_service.config import Ledger
from router_service.shell.ledger import engine

MOST = 300.0  # milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--url", default="sqlite", help="an empty database of PostgreSQL instead")
    told = parser.parse_args()
    settings = replace(Ledger(), url=told.url)
    with tempfile.TemporaryDirectory(prefix="archgw-dashboard-") as folder:
        file = Path(folder) / "ledger.sqlite"
        database = engine(settings.url, file)
        with database.begin() as connection:
            fill(connection, told.requests, until=time.time())
        database.dispose()
        with served(file, settings=settings) as page:
            slowest = _measured(page, told.requests, told.runs)
    print(f"\nslowest median {slowest:.0f} ms; wanted: less than {MOST:.0f} ms")
    sys.exit(slowest >= MOST)


def _measured(page: Served, requests: int, runs: int) -> float:
    """Prints, and gives the slowest median."""
    paths = {f"{name} {range}": f"/api/panels/{name}?range={range}" for name in PANELS for range in RANGES}
    last = page.ask("/api/requests")[2][-1]
    paths |= {
        "requests": "/api/requests",
        "requests, trouble": "/api/requests?trouble=1",
        "requests, filtered": "/api/requests?preference=documentation&model=ollama/llama3.1",
        "requests, older": f"/api/requests?before={last['at']},{last['id']}",
        "one request": f"/api/requests/{last['id']}",
    }
    print(f"{requests} requests, milliseconds of {runs} runs; of a core: what they would take with nobody else at work")
    print(f"{'panel':22} {'least':>7} {'median':>7} {'most':>7} {'of a core':>10} {'bytes':>17}")
    medians = []
    for name, path in paths.items():
        times, busy, size = zip(*(_once(page, path) for _ in range(runs)), strict=True)
        medians.append(statistics.median(times))
        core = statistics.median(busy)
        print(f"{name:22} {min(times):7.1f} {medians[-1]:7.1f} {max(times):7.1f} {core:10.1f} {size[-1]:>17}")
    return max(medians)


def _once(page: Served, path: str) -> tuple[float, float, int]:
    """Milliseconds, those in which a core was busy with it (others may want it, too), and bytes."""
    begun, busy = time.perf_counter(), time.process_time()
    status, headers, _ = page.ask(path)
    taken, busy = time.perf_counter() - begun, time.process_time() - busy
    assert status == 200, path
    return taken * 1000, busy * 1000, int(headers["content-length"])


if __name__ == "__main__":
    main()
