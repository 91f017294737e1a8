"""archgw replay: your own history with Claude Code, routed by the preferences of today."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TimeRemainingColumn
from rich.table import Table

from archgw import configs, report
from archgw.replay import FAST, Confused, Cost, Part, Report, is_fast, line, replay
from archgw.transcripts import BadLine, History, Transcript, Turn
from router_service.config import RemoteModel
from router_service.plan import Plan
from router_service.policies.policy import Scores
from router_service.pricing import price

Score = Callable[[str, Sequence[str]], Scores]

_MOST = 64 * 1024 * 1024  # bytes of one line; pasted pictures make them long
_SHOWN = 8


def replay_(
    path: Annotated[
        Path | None,
        typer.Argument(help="A transcript or a folder of them. Without it: those of Claude Code.", show_default=False),
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", "-c", help=configs.HELP, show_default=False)] = None,
    days: Annotated[
        int | None,
        typer.Option(help="Only what was asked in the last so many days.", min=1, max=36_500, show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(help="At most so many turns, the newest; 0 takes all.", min=0)] = 1000,
    no_asks: Annotated[bool, typer.Option("--no-asks", help="Show nothing of what was asked.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show who would have answered what you asked Claude Code so far, and what it would have cost.

    Reads the transcripts in ~/.claude/projects and changes nothing; what you asked does not leave this machine.
    Tells which preferences your asks never reach, which are hard to tell apart, and what fits none of them.
    """
    plan = configs.complete(configs.find(config))
    _refuse_what_asks_others(plan)
    since = datetime.now(UTC) - timedelta(days=days) if days else None
    files = _files(path or _of_claude_code())
    columns = [SpinnerColumn(), *Progress.get_default_columns()[:3], TimeRemainingColumn()]
    with Progress(*columns, console=report.errors, transient=True) as progress:
        found, trouble = _read(files, since, progress)
        kept = found[-limit:] if limit else found
        if not kept:
            progress.stop()
            _tell(trouble)
            report.fail(f"nothing was asked in {len(files)} transcripts" + (f" in {days} days" if days else ""))
        figures = _replayed(plan, kept, progress)
    if as_json:
        told = {"transcripts": len(files), "older_turns": len(found) - len(kept)} | figures.as_json(asks=not no_asks)
        sys.stdout.write(json.dumps(told | {"trouble": trouble}, indent=1, ensure_ascii=False) + "\n")
        return
    _print(figures, older=len(found) - len(kept), asks=not no_asks)
    _tell(trouble)


def _refuse_what_asks_others(plan: Plan) -> None:
    wanted = plan.routing.model
    if isinstance(wanted, RemoteModel):
        report.fail(
            f"this config routes by {wanted.name} at {wanted.base_url}, and your history would go there",
            mend="replay a copy of the config without routing.model: archgw replay --config COPY",
        )
    if not plan.routes:
        report.fail("the config has no preferences to replay by", mend="see: archgw example")


# -- reading -----------------------------------------------------------------------------------------------------------


def _of_claude_code() -> Path:
    return Path(os.environ.get("CLAUDE_CONFIG_DIR") or Path.home() / ".claude") / "projects"


def _files(path: Path) -> list[Path]:
    if not path.exists():
        report.fail(f"there is no file or folder {path}", mend="name a transcript, or the folder that holds them")
    files = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
    if not files:
        report.fail(f"there are no transcripts (*.jsonl) in {path}", mend="name the folder that holds them")
    return files


def _read(files: Sequence[Path], since: datetime | None, progress: Progress) -> tuple[list[Turn], list[str]]:
    """The turns, oldest first, and what could not be read, a sentence each."""
    history, trouble = History(), list[str]()
    task = progress.add_task("transcripts", total=sum(map(_size, files)))
    for file in files:
        try:
            if since is None or datetime.fromtimestamp(file.stat().st_mtime, UTC) >= since:
                trouble += _fed(file, history.transcript())
        except OSError as error:
            trouble.append(f"{file}: cannot be read: {error.strerror or error}")
        progress.advance(task, _size(file))
    return [turn for turn in history.turns() if since is None or turn.at >= since], trouble


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _fed(file: Path, transcript: Transcript) -> Iterator[str]:
    """Feeds the file, and says what could not be fed."""
    if not file.is_file():
        yield f"{file}: is no file"
        return
    for number, row in _lines(file):
        try:
            if b"\0" in row:
                yield f"{file}:{number}: not text; the rest of the file is left out"
                return
            if len(row) > _MOST:
                yield f"{file}:{number}: longer than {_MOST >> 20} MB"
            elif row.strip():
                transcript.feed(row)
        except BadLine as error:
            half = "" if row.endswith(b"\n") else " (the last line, perhaps still being written)"
            yield f"{file}:{number}: {error}{half}"


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered; of a line that is too long as much as shows that it is."""
    with file.open("rb") as opened:
        number = 0
        while line := opened.readline(_MOST + 1):
            number += 1
            yield number, line
            while len(line) > _MOST and not line.endswith(b"\n"):
                line = opened.readline(_MOST + 1)


def _replayed(plan: Plan, turns: Sequence[Turn], progress: Progress) -> Report:
    from router_service.shell.onnx_model import BadModel  # loads the tokenizer library: a second
    from router_service.shell.onnx_router import OnnxRouter
    from router_service.shell.router_model import onnx_model

    task = progress.add_task("turns", total=len(turns))
    wanted = plan.routing.model
    assert not isinstance(wanted, RemoteModel)
    try:
        router = OnnxRouter([(route.id, route.name, route.description) for route in plan.routes], onnx_model(wanted))
        done = []
        for one in replay(plan, _scored(plan, router.score, turns), price):
            done.append(one)
            progress.advance(task)
    except BadModel as error:
        report.fail(f"routing.model: {error}")
    return Report(plan, done, price)


def _scored(plan: Plan, score: Score, turns: Sequence[Turn]) -> Iterator[tuple[Turn, Scores]]:
    """In the order of the turns, on all cores: the router model itself takes one."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        scores = pool.map(lambda turn: Scores() if is_fast(plan, turn) else score(turn.ask, turn.context), turns)
        yield from zip(turns, scores, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


# -- for people --------------------------------------------------------------------------------------------------------


def _tell(trouble: Sequence[str]) -> None:
    more = [f"{len(trouble) - _SHOWN} more; see all of them with --json"] if len(trouble) > _SHOWN else []
    report.warn([*trouble[:_SHOWN], *more])


def _print(figures: Report, *, older: int, asks: bool) -> None:
    out = report.console
    out.print(_summary(figures, older), soft_wrap=True)
    out.print()
    out.print(_parts(figures))
    if asks:
        _print_asks(figures)
    _print_never(figures)
    _print_confused(figures.confused, asks=asks)
    out.print("\n[bold]what it costs[/bold]\n")
    out.print(_costs(figures))
    _print_verdict(figures)


def _summary(figures: Report, older: int) -> str:
    turns = figures.turns
    agents = sum(one.turn.subagent for one in turns)
    first, last = (one.turn.at.astimezone().date().isoformat() for one in (turns[0], turns[-1]))
    return (
        f"{_count(len(turns), 'turn')} in {_count(figures.sessions, 'session')}, {first} to {last}"
        + (f"; {agents:,} of them are tasks of subagents" if agents else "")
        + (f"; {older:,} older ones left out, see --limit" if older else "")
    )


def _parts(figures: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, right in (("preference", False), ("turns", True), ("share", True), ("", False), ("answered by", False)):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for part in [part for part in _all(figures) if part.turns]:
        bar = "█" * max(1, round(part.share * 30))
        table.add_row(_name(part), f"{len(part.turns):,}", f"{part.share:.0%}", bar, escape(_answering(part)))
    return table


def _all(figures: Report) -> list[Part]:
    return [*figures.preferences, figures.none, figures.fast]


def _name(part: Part) -> str:
    """The two that are no preferences stand in brackets."""
    if part.route:
        return escape(part.name)
    return "[dim](fast lane)[/dim]" if part.name == FAST else "[dim](fits none)[/dim]"


def _answering(part: Part) -> str:
    """Who leads, and what follows if that fails; of turns that fit none, who happened to have the session."""
    if part.route:
        first, *rest = (candidate.label for candidate in part.route.candidates)
        return f"{first} (+{len(rest)})" if rest else first
    (first, _), *others = part.models.most_common()
    return f"{first} and {_count(len(others), 'other')}" if others else first


def _print_asks(figures: Report) -> None:
    for part in [part for part in _all(figures) if part.asks]:
        report.console.print(f"\n[bold]{_name(part)}[/bold], such as")
        for ask in part.asks:
            report.console.print(f"  {escape(ask)}", no_wrap=True, overflow="ellipsis")


def _print_never(figures: Report) -> None:
    if not figures.never:
        return
    report.console.print("\n[bold]never matched[/bold]")
    for name, rival in figures.never:
        taken = f": what comes nearest goes to {rival}" if rival else ""
        report.console.print(f"  {escape(name + taken)}", soft_wrap=True)


def _print_confused(confused: Sequence[Confused], *, asks: bool) -> None:
    if not confused:
        return
    report.console.print("\n[bold]hard to tell apart[/bold]")
    for one in confused[:_SHOWN]:
        first, second = one.names
        example = f", as '{one.ask}'" if asks else ""
        said = f"{first} and {second}: both claim {one.both} of their {one.won} turns{example}"
        report.console.print(f"  {escape(said)}\n    {escape(one.suggestion)}", soft_wrap=True)


def _costs(figures: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at, name in enumerate(("preference", "turns", "really", "would have", "difference")):
        table.add_column(name, justify="right" if at else "left", overflow="fold")
    for part in [part for part in _all(figures) if part.turns]:
        table.add_row(_name(part), *_figures(part.cost))
    table.add_row("[bold]all[/bold]", *_figures(figures.cost))
    return table


def _figures(cost: Cost) -> Iterable[str]:
    unknown = len(cost.turns) - len(cost.priced)
    turns = f"{len(cost.priced):,}" + (f" of {len(cost.turns):,}" if unknown else "")
    if not cost.priced:
        return turns, "unknown", "unknown", "unknown"
    return turns, _dollars(cost.really), _dollars(cost.would), _signed(cost.would - cost.really)


def _print_verdict(figures: Report) -> None:
    out, cost = report.console, figures.cost
    if figures.switches and cost.again > 0:
        out.print(
            f"\n{_dollars(cost.again)} of it for reading anew what was cached: the model changes"
            f" {_count(figures.switches, 'time')} within a session.",
            soft_wrap=True,
        )
    if figures.unknown:
        out.print(f"\nprice unknown: {escape(', '.join(map(line, figures.unknown)))}", soft_wrap=True)
    if cost.priced:
        more = cost.would - cost.really
        share = f", {abs(more) / cost.really:.0%} {'less' if more < 0 else 'more'}" if cost.really else ""
        out.print(f"\nlist prices, {_dollars(cost.really)} really and {_dollars(cost.would)} by this config{share}")


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def _dollars(value: float) -> str:
    return f"${value:,.2f}" if value >= 1 or value == 0 else f"${value:.4f}"


def _signed(value: float) -> str:
    return f"{'-' if value < 0 else '+'}{_dollars(abs(value))}"
