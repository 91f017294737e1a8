"""Compares LLM gateways side by side against a mock provider: added latency, requests a second, time to first token,
CPU a request, memory. See README.md.

    bench.py --up direct,envoy,archgw                            starts, measures and stops them: `make bench`
    bench.py --targets .work/targets.json                        what peers.py started
    bench.py --target direct=http://127.0.0.1:9100 --target other=http://127.0.0.1:8080,model=mock --only openai

The first target is the baseline for added latency (make it the provider itself); ratios are to --reference.
All targets take turns in every round; a number is the median over the rounds.
"""

import argparse
import asyncio
import atexit
import fcntl
import json
import math
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import bodies
import peers
import report
from check import check
from load import Figures, drain, run_streams, run_wrk
from targets import Target

Numbers = list[int]


class Bench:
    """The plan of a run (`options`), its targets, and what has been measured."""

    def __init__(self, options: argparse.Namespace, targets: Sequence[Target]) -> None:
        self._options, self._targets = options, targets
        self._rates: dict[str, float] = {}  # by target: requests a second, as last seen for this mode and size
        pinned = options.client_cpu >= 0 and len(os.sched_getaffinity(0)) > 1
        self._prefix = ["taskset", "-c", str(options.client_cpu)] if pinned else []
        self.results: dict[str, dict[str, dict[str, Any]]] = {}
        self.by_size: dict[tuple[str, int], dict[int, Any]] = {}
        self.by_streams: dict[tuple[str, int, int], Any] = {}  # by mode, KB and number of streams

    def measure_json(self, mode: str) -> None:
        targets = [target for target in self._targets if mode not in target.broken]
        if not targets:
            return
        loads = _alone(mode, self._options.concurrency)
        for kb in self._options.sizes:
            with tempfile.TemporaryDirectory() as folder:
                files = {target.name: Path(folder, target.name) for target in targets}
                for target in targets:
                    files[target.name].write_bytes(target.body(mode, kb * 1024))
                    warm_up = run_wrk(target, mode, files[target.name], 4, 2, self._prefix)
                    self._rates[target.name] = warm_up["rps"] or 0
                    drain(target)
                by_load = {load: self._json_cell(mode, kb, load, targets, files) for load in loads}
            self.by_size[mode, kb] = by_load
            report.json_table(mode, kb, targets, by_load, self._options.reference)

    def measure_streams(self, mode: str) -> None:
        targets = [target for target in self._targets if f"{mode} stream" not in target.broken]
        if not targets:
            return
        tokens, delay = self._options.tokens, self._options.token_delay
        by_cell = {
            (kb, streams): self._stream_cell(mode, kb, streams, targets)
            for kb in self._options.stream_sizes
            for streams in _alone(mode, self._options.stream_concurrency)
        }
        self.by_streams |= {(mode, *cell): found for cell, found in by_cell.items()}
        report.stream_table(f"{mode}, SSE, {tokens} tokens {delay} ms apart", targets, by_cell)

    def _json_cell(self, mode: str, kb: int, load: int, targets: Sequence[Target], files: dict[str, Path]) -> Any:
        def measure(target: Target) -> Figures:
            """One run, long enough for several answers on each connection: what is under way at the end is lost."""
            wanted = math.ceil(5 * load / max(self._rates[target.name], 0.5))
            seconds = max(self._options.seconds, min(self._options.max_seconds, wanted))
            seen = run_wrk(target, mode, files[target.name], load, seconds, self._prefix)
            self._rates[target.name] = seen["rps"] or self._rates[target.name]
            return seen

        return self._side_by_side(f"json {mode} {kb}KB c{load}", load, targets, measure)

    def _stream_cell(self, mode: str, kb: int, streams: int, targets: Sequence[Target]) -> Any:
        tokens, delay = self._options.tokens, self._options.token_delay
        directive = f"chunks={tokens} delay={delay} clock=1"

        def measure(target: Target, *, seconds: float = self._options.stream_seconds) -> Figures:
            body = target.body(mode, kb * 1024, stream=True, directive=directive)
            return asyncio.run(run_streams(target, mode, body, streams, seconds=seconds, tokens=tokens))

        for target in targets:
            measure(target, seconds=0.5)  # warm-up
        return self._side_by_side(f"sse {mode} {kb}KB c{streams}", streams, targets, measure)

    def _side_by_side(
        self, cell: str, load: int, targets: Sequence[Target], measure: Callable[[Target], Figures]
    ) -> dict[str, dict[str, Any]]:
        """All targets in turn, `rounds` times, each round in another order; their medians."""
        seen: dict[str, list[Figures]] = {target.name: [] for target in targets}
        for round_ in range(self._options.rounds):
            with locked(self._options.lock) if self._options.lock else nullcontext():
                first = round_ % len(targets)
                for target in (*targets[first:], *targets[:first]):
                    seen[target.name].append(measure(target))
                    drain(target)
        medians = {name: _medians(runs, load) for name, runs in seen.items()}
        self.results[cell] = {name: {**medians[name], "runs": seen[name]} for name in medians}
        told = "  ".join(f"{name} {report.ms(at['p50'])} ms" for name, at in medians.items())
        print(f"  {cell}: {told}", file=sys.stderr, flush=True)
        return medians


def _alone(mode: str, loads: Numbers) -> Numbers:
    """Under load archgw's router model misses its deadline: that would measure the default's speed as routing's."""
    return loads[:1] if mode == "routed" else loads


def _medians(runs: Sequence[Figures], load: int) -> dict[str, Any]:
    """No figures where most of the load was still under way at the end of a run."""
    enough = min(run["n"] or 0 for run in runs) >= 2 * load
    found: dict[str, Any] = {name: _median(runs, name) if enough else None for name in runs[0]}
    return found | {"n": _median(runs, "n"), "errors": int(sum(run["errors"] or 0 for run in runs))}


def _median(runs: Sequence[Figures], name: str) -> float | None:
    known = [value for value in (run[name] for run in runs) if value is not None]
    return statistics.median(known) if known else None


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def set_priority(pids: Sequence[int], nice: int) -> None:
    for pid in pids:
        try:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)
            # where Linux groups processes by session (sched_autogroup), nice counts within the group only
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))
        except OSError as error:
            print(f"priority of {pid}: {error}", file=sys.stderr)


# -- the command line ----------------------------------------------------------------------------------------------


def main() -> None:
    parser = _parser()
    options = parser.parse_args()
    if options.quick:
        quick = {"rounds": 1, "seconds": 1, "sizes": [1, 150], "concurrency": [1, 16], "stream_seconds": 1.5}
        parser.set_defaults(**quick)
        options = parser.parse_args()
    if not shutil.which("wrk") and options.sizes and not options.check_only:
        sys.exit("wrk is not installed: apt-get install wrk   (without it: python bench/latency.py)")
    with ExitStack() as stack:
        specs: dict[str, Any] = {}
        if options.up:
            specs |= stack.enter_context(peers.running(options.up.split(",")))
        for file in options.targets:
            specs |= json.loads(file.read_text())
        specs |= dict(map(_target_option, options.target))
        names = [name for name in options.names.split(",") if name] or list(specs)
        if not names or any(name not in specs for name in names):
            parser.error(f"name some targets; known: {', '.join(specs) or 'none'}")
        _run(options, [Target(name, **specs[name]) for name in names])


def _run(options: argparse.Namespace, targets: Sequence[Target]) -> None:
    if options.client_cpu >= 0 and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, {options.client_cpu})
    if options.nice is not None:
        # the load generators inherit this process's
        pids = [os.getpid(), *(pid for target in targets for pid in target.processes())]
        set_priority(pids, options.nice)
        atexit.register(set_priority, pids, 0)
    modes = options.only.split(",")
    at_rest = {target.name: target.memory_mb() for target in targets if target.pid}
    check(targets, modes)
    if options.check_only:
        return
    bench = Bench(options, targets)
    for mode in modes:
        if options.sizes:
            bench.measure_json(mode)
        if options.stream_sizes:
            bench.measure_streams(mode)
    report.against(options.reference, bench.by_size)
    report.streams_against(options.reference, bench.by_streams)
    for ours in [target.name for target in targets if target.name == options.ours]:
        report.beside(ours, [target.name for target in targets], bench.by_size)
    report.footprint(targets, at_rest)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(bench.results, indent=1))


def _target_option(text: str) -> tuple[str, dict[str, Any]]:
    """NAME=URL[,pid=PID][,model=NAME]"""
    name, _, rest = text.partition("=")
    url, *pairs = rest.split(",")
    given = dict(pair.split("=", 1) for pair in pairs)
    models = dict.fromkeys(bodies.PATHS, given["model"]) if "model" in given else {}
    return name, {"url": url, "pid": int(given["pid"]) if "pid" in given else None, "models": models}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--up", default="", help="start these of peers.py first, and stop them at the end (comma-separated)")
    add("--targets", action="append", default=[], type=Path, metavar="FILE", help="JSON: name -> a Target's fields")
    add("--target", action="append", default=[], metavar="NAME=URL[,pid=PID][,model=NAME]")
    add("--names", default="", help="only these of the targets, in this order (comma-separated)")
    add("--only", default=",".join(bodies.PATHS), help="modes (comma-separated)")
    add("--sizes", type=_numbers, default=[1, 20, 150], help="body sizes, KB")
    add("--concurrency", type=_numbers, default=[1, 16, 64])
    add("--rounds", type=int, default=3)
    add("--seconds", type=int, default=2, help="of one JSON measurement")
    add("--max-seconds", type=int, default=20, help="of one JSON measurement of a target that is slow")
    add("--stream-sizes", type=_numbers, default=[1, 150], help="body sizes for SSE, KB; empty: no SSE")
    add("--stream-concurrency", type=_numbers, default=[1, 16])
    add("--stream-seconds", type=float, default=2.5)
    add("--tokens", type=int, default=20, help="in a stream")
    add("--token-delay", type=int, default=10, help="ms between tokens")
    add("--reference", default="envoy", help="the target that ratios are to")
    add("--ours", default="archgw", help="the target that is compared with each of the others")
    add("--quick", action="store_true", help="one short round of little: whether it runs, and about how it stands")
    add("--client-cpu", type=int, default=1, help="core of the load generator; -1: any")
    add("--nice", type=int, help="priority of targets (with a pid) and load, such as -15 on a busy machine; needs root")
    add("--lock", type=Path, help="a file to lock (flock) while a round is measured")
    add("--out", type=Path, help="write every run's numbers here, as JSON")
    add("--check-only", action="store_true")
    return parser


def _numbers(text: str) -> Numbers:
    return [int(part) for part in text.split(",") if part]


if __name__ == "__main__":
    main()
