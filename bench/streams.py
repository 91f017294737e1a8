"""How many streams at once one core carries: how late each event comes, and whether it comes later and later.

    python bench/streams.py [--streams 100,200,500] [--rate 20] [--seconds 20] [--quick]

The mock writes into each event when it made it, and the client reads the same clock: lag is the time between. Streams
begin a few at a time; then all are under way for `--seconds`. A queue that grows shows as a lag that does: the last
third of that time is compared with the first. Of whom the queue has grown, more streams are not tried. Prints a table;
needs gcc. Exit 1 where a queue of the gateway's grew. On a busy machine: `--nice -15`, as root.

The whole gateway has core 0, mock and client core 1: look at the line of `direct`, whether they kept up themselves.
"""

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import peers
import report
from load import Connection, drain, percentile
from targets import Target, cpu_of_parts, memory_mb

from bench import set_priority

GROWS = 0.05  # seconds by which the median of the last third is later than that of the first: an event's own period
_BEGUN = 50  # streams in a second, while they begin
_STAMP = re.compile(rb"@(\d+) tok ")
_LONGEST = 40  # bytes of a stamp that may be in two reads


@dataclass(slots=True)
class Seen:
    """When each event was read, and how late: seconds, on the monotonic clock. `cut` streams were not whole."""

    events: list[tuple[float, float]] = field(default_factory=list)
    cut: int = 0

    def lags(self, begin: float, end: float) -> list[float]:
        return [lag for at, lag in self.events if begin <= at < end]


@dataclass(frozen=True, slots=True)
class Run:
    """Times in microseconds, CPU of an event, too; memory in MB. `wanted` and `came` are events a second."""

    p50: tuple[float | None, float | None]  # of the first third and of the last
    p99: tuple[float | None, float | None]
    wanted: float
    came: float
    cpu: dict[str, float]
    busy: float  # cores
    memory: dict[str, float]
    cut: int

    @property
    def grows(self) -> bool:
        first, last = self.p50
        return first is None or last is None or last - first > GROWS * 1e6


class Reader(Connection):
    """A connection that keeps when events came, not what they say."""

    seen: Seen
    events = 0
    _left_over = b""

    def data_received(self, data: bytes) -> None:
        now, joined, told = time.monotonic(), self._left_over + data, 0
        for stamp in _STAMP.finditer(joined):
            told = stamp.end()
            self.events += 1
            self.seen.events.append((now, now - int(stamp[1]) / 1e6))
        self._left_over = joined[max(told, len(joined) - _LONGEST) :]
        if joined.endswith(b"\r\n0\r\n\r\n"):
            self._finish()


async def measure(target: Target, mode: str, streams: int, *, rate: float, seconds: float) -> Run:
    ramp = streams / _BEGUN
    events = round(rate * (ramp + seconds + 1))
    directive = f"chunks={events} delay={round(1000 / rate)} clock=1"
    body = target.body(mode, 1024, stream=True, directive=directive)
    request, seen = target.request(mode, body), Seen()

    async def client(number: int) -> None:
        await asyncio.sleep(number / _BEGUN)
        connection = await Reader.open(target.url)
        assert isinstance(connection, Reader)
        connection.seen = seen
        with suppress(TimeoutError):
            await connection.ask(request, timeout=ramp + 4 * seconds + 60)
        connection.close()
        seen.cut += connection.events != events

    begin = time.monotonic()
    running = [asyncio.create_task(client(number)) for number in range(streams)]
    await asyncio.sleep(ramp + 0.5)
    parts, steady = target.parts(), time.monotonic()
    before = cpu_of_parts(parts)
    await asyncio.sleep(seconds)
    end = time.monotonic()
    after = cpu_of_parts(parts)
    memory = {part: memory_mb(pids) for part, pids in parts.items()}
    await asyncio.gather(*running)
    third = seconds / 3
    first, last = seen.lags(steady, steady + third), seen.lags(end - third, end)
    came = len(seen.lags(steady, end))
    spent = {part: after[part] - before[part] for part in parts}
    print(f"  {target.name} {mode} {streams}: {time.monotonic() - begin:.0f} s", file=sys.stderr, flush=True)
    return Run(
        p50=(percentile(first, 0.5), percentile(last, 0.5)),
        p99=(percentile(first, 0.99), percentile(last, 0.99)),
        wanted=streams * rate,
        came=came / (end - steady),
        cpu={part: us * 1e6 / max(1, came) for part, us in spent.items()},
        busy=sum(spent.values()) / (end - steady),
        memory=memory,
        cut=seen.cut,
    )


# -- what it says --------------------------------------------------------------------------------------------------


def row(mode: str, streams: int, name: str, run: Run, *, rate: float) -> list[object]:
    """A core carries as many streams as its time is enough for, by what an event takes of it."""
    carries = 1e6 / (sum(run.cpu.values()) * rate) if any(run.cpu.values()) else None
    return [
        *(mode, streams, name, f"{run.came:,.0f} of {run.wanted:,.0f}"),
        *(f"{report.ms(run.p50[third])} / {report.ms(run.p99[third])}" for third in (0, 1)),
        *(f"{run.cpu[part]:.0f}" for part in ("router", "envoy")),
        *(f"{run.busy:.2f}", report.number(carries)),
        *(f"{run.memory[part]:.0f}" for part in ("router", "envoy")),
        run.cut,
        "grows" if run.grows else "stands",
    ]


def main() -> None:
    options = _parser().parse_args()
    names = options.names.split(",")
    if "direct" not in names:
        sys.exit("--names: expected direct among them, which is the mock that the others ask")
    rows, carried, grown = [], dict[str, int](), set[tuple[str, str]]()
    with peers.running(names) as specs:
        if len(os.sched_getaffinity(0)) > 1:  # not before: what is started from here on would be where we are
            os.sched_setaffinity(0, {1})
        if options.nice is not None:
            pids = [os.getpid(), *(pid for name in names for pid in Target(name, **specs[name]).processes())]
            set_priority(pids, options.nice)
        targets = [Target(name, **specs[name]) for name in names]
        for mode in options.only.split(","):
            for streams in options.streams:
                for target in targets:
                    if (mode, target.name) in grown:  # more of them would only take longer to come to an end
                        continue
                    run = asyncio.run(measure(target, mode, streams, rate=options.rate, seconds=options.seconds))
                    drain(target)
                    rows.append(row(mode, streams, target.name, run, rate=options.rate))
                    if run.grows:
                        grown.add((mode, target.name))
                    elif target.name == options.ours:
                        carried[mode] = streams
    head = ["mode", "streams", "target", "events a second", "lag p50 / p99 ms, first third", "last third"]
    head += [
        "router service, CPU us an event",
        "Envoy",
        "cores",
        "a core carries",
        "memory MB: router service",
        "Envoy",
        "cut",
        "queue",
    ]
    report.table(f"Streams of {options.rate:g} events a second each", head, rows)
    most = {mode: carried.get(mode, 0) for mode in options.only.split(",")}
    print("\nThe queue stands at: " + ", ".join(f"{mode}: {streams}" for mode, streams in most.items()))
    sys.exit(1 if min(most.values()) < max(options.streams) else 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--names", default="direct,envoy,archgw", help="targets of peers.py (comma-separated), the mock among them")
    add("--ours", default="archgw", help="the target whose queue is judged")
    add("--only", default="anthropic,translate", help="modes (comma-separated)")
    add("--streams", type=_numbers, default=[50, 100, 150, 200, 300, 400, 500])
    add("--rate", type=float, default=20, help="events a second of each stream")
    add("--seconds", type=float, default=20, help="in which all streams are under way")
    add("--nice", type=int, help="priority of targets and client, such as -15 on a busy machine; needs root")
    add("--quick", action="store_true", help="100 and 500 streams, translated, for six seconds")
    options = parser.parse_known_args()[0]
    if options.quick:
        parser.set_defaults(streams=[100, 500], only="translate", seconds=6)
    return parser


def _numbers(text: str) -> Sequence[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
