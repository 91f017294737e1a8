"""Whether cost grows no worse than linearly, by bytes, messages, preferences and streams: CPU of each part.

    python bench/growth.py [--quick] [--only bytes,streams] [--write]

Prints a table of every point and one of exponents; `--write` draws docs/performance-growth.svg. Needs gcc. Exit 1 where
a cost grows faster, or a request was refused.

The exponent is the slope of log(CPU) over log(size), over the upper sixteenfold of what is measured: below, fixed costs
hide it. A slope of 1.25 there is twice what linear growth comes to (16 ** 0.25 = 2), and quadratic growth 2; what
computes on this machine beside it moves a slope by about 0.1. A figure is the least of the rounds, for others only add.
"""

import argparse
import asyncio
import math
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import bodies
import peers
import report
from gateways import HERE, gateways
from learning_plots import Line, grid, plot
from load import Answer, Connection, drain
from targets import Target, cpu_of_parts

LIMIT = 1.25
UPPER = 16  # the exponent is that from a sixteenth of the largest on
BEGUN = 30  # streams that begin in a second: all are under way before the first ends
KB = 1024
PICTURE = HERE.parent / "docs" / "performance-growth.svg"
_PARTS = {"router": "router service", "envoy": "Envoy"}
_COLORS = {"router": ("#0969da", "#54aeff"), "envoy": ("#cf222e", "#ff8182")}


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU in microseconds: of a request, or of all the streams together. `p50` is in microseconds, too."""

    router: float
    envoy: float
    p50: float


@dataclass(frozen=True, slots=True)
class Term:
    """What grows: `sizes` of `unit`, asked in each of `modes`."""

    name: str
    unit: str
    modes: tuple[str, ...]
    sizes: tuple[int, ...]


class Refused(Exception):
    """A request was not answered well: in the gateway's words."""


@dataclass(slots=True)
class Measured:
    """By (mode, size), the rounds; and what the gateway said where it refused."""

    term: Term
    costs: dict[tuple[str, int], list[Cost]] = field(default_factory=dict)
    refused: dict[tuple[str, int], str] = field(default_factory=dict)

    def measure(self, target: Target, mode: str, size: int, seconds: float) -> None:
        try:
            cost = asyncio.run(_cost(target, self.term.name, mode, size, seconds))
        except Refused as error:
            self.refused[mode, size] = str(error)
        else:
            self.costs.setdefault((mode, size), []).append(cost)

    def sizes(self, mode: str) -> list[int]:
        return [size for size in self.term.sizes if (mode, size) in self.costs]

    def least(self, mode: str, size: int) -> Cost:
        rounds = self.costs[mode, size]
        return Cost(*(min(getattr(cost, name) for cost in rounds) for name in ("router", "envoy", "p50")))

    def exponent(self, mode: str, part: str) -> float:
        sizes = [size for size in self.sizes(mode) if size * UPPER >= self.term.sizes[-1]]
        if len(sizes) < 2:
            return math.nan
        costs = [max(1.0, getattr(self.least(mode, size), part)) for size in sizes]
        return statistics.linear_regression([math.log(size) for size in sizes], list(map(math.log, costs))).slope


TERMS = (
    Term("bytes", "KB, in 21 messages", ("openai", "translate"), (1, 8, 64, 512, 1024, 2048, 4096, 8192)),
    Term("messages", "messages, 150 KB in all", ("openai", "translate"), (1, 5, 31, 61, 125, 251, 501)),
    Term("preferences", "preferences, 1 KB", ("routed",), (2, 4, 8, 16, 32, 64)),
    Term("streams", "streams at once, of 16 tokens in 20 s", ("translate",), (1, 64, 128, 256, 500)),
)


def main() -> None:
    options = _parser().parse_args()
    wanted = options.only.split(",")
    terms = [_quick(term) if options.quick else term for term in TERMS if term.name in wanted]
    measured = [Measured(term) for term in terms]
    for round_ in range(1 if options.quick else options.rounds):
        for found in measured:
            print(f"round {round_ + 1}, {found.term.name}", file=sys.stderr, flush=True)
            (_preferences if found.term.name == "preferences" else _in_one_gateway)(found, options.seconds)
    for found in measured:
        _tell(found)
    worse = _verdict(measured)
    if options.write:
        PICTURE.write_text(drawn(measured))
    sys.exit(1 if worse else 0)


def _quick(term: Term) -> Term:
    """Every other size, the largest among them."""
    return replace(term, sizes=term.sizes[::-2][::-1])


# -- measuring -----------------------------------------------------------------------------------------------------


def _in_one_gateway(found: Measured, seconds: float) -> None:
    with _up() as target:
        for size in found.term.sizes:
            for mode in found.term.modes:
                found.measure(target, mode, size, seconds)


def _preferences(found: Measured, seconds: float) -> None:
    """A gateway for each number of them."""
    for size in found.term.sizes:
        with _up(preferences=size) as target:
            found.measure(target, "routed", size, seconds)


@contextmanager
def _up(*, preferences: int = 0) -> Iterator[Target]:
    changed = {}
    if preferences:
        file = peers.WORK / "growth.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(_config(preferences))
        changed["archgw"] = replace(gateways(peers.WORK)["archgw"], config=str(file), config_to="growth-archgw.yaml")
    with peers.running(["direct", "archgw"], **changed) as specs:
        yield Target("archgw", **specs["archgw"])


def _config(preferences: int) -> str:
    head, mark, _ = (HERE / "peers" / "archgw.yaml").read_text().partition("routing_preferences:\n")
    described = [
        f'- {{name: topic {number}, models: [mock/openai], description: "writing or changing code of part {number}"}}\n'
        for number in range(preferences)
    ]
    return head + mark + "".join(described)


async def _cost(target: Target, term: str, mode: str, size: int, seconds: float) -> Cost:
    request = target.request(mode, _body(target, term, mode, size))
    streams = size if term == "streams" else 1
    connections = [await Connection.open(target.url) for _ in range(streams)]
    try:
        for _ in range(0 if term == "streams" else 2):  # warm-up: connections on the way are opened, too
            _well([await _ask(connections[0], request)])
        parts = target.parts()
        await asyncio.to_thread(drain, target)
        before, end, took = cpu_of_parts(parts), time.monotonic() + seconds, []
        rounds = 0
        while rounds < 1 or (term != "streams" and (rounds < 3 or time.monotonic() < end)):
            asked = (_ask(c, request, begin=n / BEGUN) for n, c in enumerate(connections))
            answers = _well(await asyncio.gather(*asked))
            took += [answer.ended for answer in answers]
            rounds += 1
        await asyncio.to_thread(drain, target)
        after = cpu_of_parts(parts)
    finally:
        for connection in connections:
            connection.close()
    spent = {part: (after[part] - before[part]) / rounds * 1e6 for part in _PARTS}
    return Cost(spent["router"], spent["envoy"], statistics.median(took) * 1e6)


def _body(target: Target, term: str, mode: str, size: int) -> bytes:
    model = target.models[mode]
    match term:
        case "bytes":
            return bodies.sized(mode, size * KB, model)
        case "messages":
            return bodies.sized(mode, 150 * KB, model, messages=size)
        case "streams":
            return bodies.body(mode, KB, model, stream=True, directive="chunks=16 delay=1250")
    return bodies.body(mode, KB, model)


async def _ask(connection: Connection, request: bytes, *, begin: float = 0.0) -> Answer:
    await asyncio.sleep(begin)
    return await connection.ask(request, timeout=120)


def _well(answers: Sequence[Answer]) -> Sequence[Answer]:
    bad = [answer for answer in answers if not answer.ok]
    if bad:
        said = bad[0].head[9:].partition(b"\r\n")[0].decode() or "cut off"
        raise Refused(f"{len(bad)} of {len(answers)}: {said}")
    return answers


# -- what it says --------------------------------------------------------------------------------------------------


def _tell(found: Measured) -> None:
    term = found.term
    each = "all streams" if term.name == "streams" else "a request"
    head = [term.unit, "mode", f"router service, CPU ms of {each}", "Envoy, CPU ms", "p50 ms"]
    rows = []
    for mode in term.modes:
        for size in found.sizes(mode):
            cost = found.least(mode, size)
            rows.append([size, mode, *(report.ms(us) for us in (cost.router, cost.envoy, cost.p50))])
    report.table(f"By {term.name}", head, rows)
    for (mode, size), words in found.refused.items():
        print(f"\n{size} {term.unit}, {mode}: not answered, {words}")


def _verdict(measured: Sequence[Measured]) -> bool:
    """Print the exponents; whether one is too large, or requests were refused."""
    rows, worse = [], any(found.refused for found in measured)
    for found in measured:
        for mode in found.term.modes:
            exponents = {part: found.exponent(mode, part) for part in _PARTS}
            bad = [part for part, exponent in exponents.items() if exponent > LIMIT]
            worse = worse or bool(bad)
            said = f"worse than linear: {', '.join(bad)}" if bad else "no worse than linear"
            rows.append([found.term.name, mode, *(f"{exponent:.2f}" for exponent in exponents.values()), said])
    report.table("Exponents", ["by", "mode", *_PARTS.values(), ""], rows)
    return worse


def drawn(measured: Sequence[Measured]) -> str:
    return grid([(f"CPU by {found.term.name}", _drawn(found)) for found in measured])


def _drawn(found: Measured) -> str:
    """Both axes are logarithmic, so that what is linear rises by one step where it goes by one."""
    term, lines = found.term, []
    costs = [getattr(found.least(mode, size), part) for mode, size in found.costs for part in _PARTS]
    low = math.floor(math.log10(max(1.0, min(costs))))
    high = math.ceil(math.log10(max(costs)))
    for part, name in _PARTS.items():
        for mode, color in zip(filter(found.sizes, term.modes), _COLORS[part], strict=False):
            points = [
                (math.log10(size), math.log10(max(1.0, getattr(found.least(mode, size), part))) - low)
                for size in found.sizes(mode)
            ]
            lines.append(Line(f"{name}, {mode}", color, tuple(points)))
    last, top = math.log10(term.sizes[-1]), max(line.points[-1][1] for line in lines)
    back = min(last - math.log10(term.sizes[0]), top)
    lines.append(Line("linear", "#57606a", ((last - back, top - back), (last, top)), dashed=True))
    ticks = _ticks(term.sizes)
    steps = [(decade - low, _shown(decade)) for decade in range(low, high + 1)]
    return plot(lines, ticks, term.unit, "", most=high - low, steps=steps)


def _ticks(sizes: Sequence[int]) -> list[tuple[float, str]]:
    """From the largest down, those are labelled that have room."""
    ticks: list[tuple[float, str]] = []
    room = math.log10(sizes[-1] / sizes[0]) / 9
    last = math.inf
    for at, size in sorted(((math.log10(size), size) for size in sizes), reverse=True):
        label = f"{size:,}" if last - at > room else ""
        last = at if label else last
        ticks.append((at, label))
    return ticks[::-1]


def _shown(decade: int) -> str:
    """10 to this power, in microseconds."""
    return f"{10**decade / 1e6:g} s" if decade >= 6 else f"{10**decade / 1e3:g} ms"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(term.name for term in TERMS), help="what grows (comma-separated)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of one point")
    parser.add_argument("--quick", action="store_true", help="one round, every other size")
    parser.add_argument("--write", action="store_true", help="draw docs/performance-growth.svg")
    return parser


if __name__ == "__main__":
    main()
