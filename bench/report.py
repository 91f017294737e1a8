"""Figures as Markdown tables. Times come in microseconds and are shown in milliseconds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from targets import Target

Cell = Mapping[str, Any]  # a target's medians for one cell of the table
Cells = Mapping[str, Cell]  # by target


def ms(us: float | None) -> str:
    if us is None:
        return "-"
    return f"{us / 1000:.{2 if abs(us) < 10_000 else 1 if abs(us) < 100_000 else 0}f}"


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def minus(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else a - b


def ratio(a: float | None, b: float | None) -> str:
    if not a or not b:
        return "-"
    return f"{a / b:.2g}x" if a / b < 10 else f"{a / b:.0f}x"


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    print(f"\n### {title}\n\n{_row(head)}\n|{'---|' * len(head)}")
    for row in rows:
        print(_row(row))
    print(end="", flush=True)


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


# -- the tables ----------------------------------------------------------------------------------------------------


def json_table(mode: str, kb: int, targets: Sequence[Target], by_load: Mapping[int, Cells], reference: str) -> None:
    """`by_load` is by concurrency, the lowest first; `targets[0]` is the baseline."""
    lowest, *others = by_load
    head = ["target", f"p50 ms c={lowest}", "added p50", f"p99 ms c={lowest}", "added p99", f"RPS c={lowest}"]
    for load in others:
        head += [f"RPS c={load}", f"p50/p99 ms c={load}"]
    head += [f"best RPS vs {reference}", f"CPU ms/req c={lowest}", "errors"]
    base = by_load[lowest][targets[0].name]
    rows = []
    for target in targets:
        at = by_load[lowest][target.name]
        row = [target.name]
        for figure in ("p50", "p99"):
            row += [ms(at[figure]), ms(minus(at[figure], base[figure]))]
        row.append(number(at["rps"]))
        for load in others:
            loaded = by_load[load][target.name]
            row += [number(loaded["rps"]), f"{ms(loaded['p50'])}/{ms(loaded['p99'])}"]
        errors = sum(cells[target.name]["errors"] for cells in by_load.values())
        compared = ratio(best_rps(by_load, target.name), best_rps(by_load, reference))
        rows.append([*row, compared, ms(at["cpu_us"]), errors])
    table(f"{mode}, JSON, {kb} KB", head, rows)


def stream_table(title: str, targets: Sequence[Target], by_cell: Mapping[tuple[int, int], Cells]) -> None:
    """`by_cell` is by (KB, number of streams)."""
    head = ["body", "streams", "target", "TTFT p50 ms", "added p50", "TTFT p99 ms", "added p99", "event p50", "added"]
    rows = []
    for (kb, streams), cells in by_cell.items():
        base = cells[targets[0].name]
        for target in targets:
            at = cells[target.name]
            row = [f"{kb} KB", streams, target.name]
            for figure in ("p50", "p99"):
                row += [ms(at[figure]), ms(minus(at[figure], base[figure]))]
            row += [ms(at["lag_p50"]), ms(minus(at["lag_p50"], base["lag_p50"])), ms(at["gap_p99"])]
            rows.append([*row, number(at["tok_s"]), ms(at["cpu_us"]), at["errors"]])
    table(title, [*head, "gap p99 ms", "tokens/s", "CPU ms/stream", "errors"], rows)


def footprint(targets: Iterable[Target], at_rest: Mapping[str, float]) -> None:
    """`at_rest` is memory before anything was asked, by target, in MB."""
    head = ["target", "memory at rest, MB (PSS)", "after the load", "processes", "start to first answer, s"]
    rows = [
        [
            *(t.name, number(at_rest.get(t.name)), number(t.memory_mb()) if t.pid else "-"),
            *(len(t.processes()) or "-", t.start_s or "-"),
        ]
        for t in targets
    ]
    table("Footprint", head, rows)


def against(reference: str, by_size: Mapping[tuple[str, int], Mapping[int, Cells]]) -> None:
    """What each target adds to `reference`, in one table: the figures to quote. `by_size` is by (mode, KB)."""
    head = [
        "mode",
        "body",
        "target",
        f"p50 over {reference}, ms",
        "p50 ratio",
        "p99/p50",
        "best RPS",
        f"RPS vs {reference}",
    ]
    rows = []
    for (mode, kb), by_load in by_size.items():
        lowest = next(iter(by_load.values()))
        if reference not in lowest:
            continue
        floor = lowest[reference]["p50"]
        for name, at in lowest.items():
            best, least = best_rps(by_load, name), best_rps(by_load, reference)
            added = [ms(minus(at["p50"], floor)), ratio(at["p50"], floor), ratio(at["p99"], at["p50"])]
            rows.append([mode, f"{kb} KB", name, *added, number(best), ratio(best, least)])
    table(f"Against {reference}", head, rows)


def streams_against(reference: str, by_streams: Mapping[tuple[str, int, int], Cells]) -> None:
    """What each target adds to `reference`'s first token and to each event. `by_streams` is by (mode, KB, streams)."""
    head = ["mode", "body", "streams", "target", f"TTFT p50 over {reference}, ms", "event p50 over it", "event p99"]
    rows = [
        [
            *(mode, f"{kb} KB", streams, name),
            *(ms(minus(at[figure], cells[reference][figure])) for figure in ("p50", "lag_p50", "lag_p99")),
        ]
        for (mode, kb, streams), cells in by_streams.items()
        if reference in cells
        for name, at in cells.items()
        if name != reference
    ]
    if rows:
        table(f"Streams against {reference}", head, rows)


def beside(ours: str, others: Iterable[str], by_size: Mapping[tuple[str, int], Mapping[int, Cells]]) -> None:
    """Best requests a second of ours in those of each other. `by_size` is by (mode, KB)."""
    names = [name for name in others if name != ours]
    rows = []
    for (mode, kb), by_load in by_size.items():
        best = best_rps(by_load, ours)
        rows.append([mode, f"{kb} KB", number(best), *(ratio(best, best_rps(by_load, name)) for name in names)])
    table(f"{ours}: best RPS, and how many times that of each", ["mode", "body", ours, *names], rows)


def best_rps(by_load: Mapping[int, Cells], name: str) -> float:
    return max((cells[name]["rps"] or 0 for cells in by_load.values() if name in cells), default=0)
