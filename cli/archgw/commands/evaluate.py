"""archgw eval: how often the router model finds the preference that people meant."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TimeRemainingColumn
from rich.table import Table

from archgw import configs, report
from archgw.evaluation import BadCase, Case, Judgement, Report, cases, configs_of, tags_of
from router_service.asks import ask_and_context
from router_service.config import SHIPPED_PARTS, LocalModel, RemoteModel, ShippedModel
from router_service.policies.policy import Scores

Score = Callable[[tuple[tuple[str, str], ...], str, Sequence[str]], Scores]

_SHOWN = 12
_TRIED = 3  # cases that have no answer before nobody asks any further


def evaluate(
    file: Annotated[Path, typer.Argument(help="Conversations with their right answers, one JSON object per line.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    model: Annotated[
        str | None,
        typer.Option(help="Another router model: english, multilingual, or a folder.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Measure the router model of this config.", show_default=False),
    ] = None,
    wrong: Annotated[int, typer.Option(help="Also show this many of the cases that went wrong.", min=0)] = 0,
) -> None:
    """Measure the router model on conversations whose right preference you know.

    Nothing leaves this machine, unless the config that you name routes by an LLM elsewhere. Each line of FILE:
    {"conversation": [{"role": "user", "content": "..."}, ...], "routes": [{"name": "...", "description": "..."}, ...],
    "label": "a route's name, or none"}. A "config" and "tags" beside them are counted on their own.
    """
    wanted, threshold = _wanted(model, config)
    found = _read(file)
    name, judgements = _judged(found, wanted, threshold)
    figures = Report(judgements)
    if as_json:
        told = {"model": name, "threshold": threshold} | figures.as_json()
        sys.stdout.write(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
        return
    report.console.print(f"[bold]{escape(name)}[/bold]", soft_wrap=True)
    _print(figures)
    for judgement in [j for j in judgements if j.answer != j.case.label][:wrong]:
        _print_wrong(judgement)


def _wanted(model: str | None, config: Path | None) -> tuple[LocalModel | ShippedModel | RemoteModel | None, float]:
    """The router model, None for the one that comes along, and the least probability of a preference."""
    if model and config:
        report.fail("--model and --config name a model each", mend="give one of them", code=report.MISUSE)
    if config:
        routing = configs.unsettled(configs.find(config)).routing
        return routing.model, routing.threshold
    if model and "://" in model:
        report.fail(
            f"{model} is an address, which belongs into a config, with the name of its model and its key",
            mend="routing: {model: {base_url: ..., name: ...}}, then: archgw eval FILE --config config.yaml",
            code=report.MISUSE,
        )
    if model in SHIPPED_PARTS:
        return ShippedModel(model), 0.0
    return LocalModel(model) if model else None, 0.0


def _read(file: Path) -> list[Case]:
    try:
        with file.open(encoding="utf-8-sig") as lines:
            found = list(cases(lines, str(file)))
    except BadCase as error:
        report.fail(str(error), mend="see: archgw eval --help")
    except (OSError, UnicodeDecodeError) as error:
        report.fail(f"cannot read {file}: {getattr(error, 'strerror', None) or 'not text in UTF-8'}")
    if not found:
        report.fail(f"{file} holds no conversations", mend="see: archgw eval --help")
    return found


def _judged(
    found: Sequence[Case], wanted: LocalModel | ShippedModel | RemoteModel | None, threshold: float
) -> tuple[str, list[Judgement]]:
    """What the model is called, and what it says. Exits where it has nothing to say."""
    from archgw import measured  # a second to load
    from router_service.shell.onnx_model import BadModel

    judgements: list[Judgement] = []
    columns = [SpinnerColumn(), *Progress.get_default_columns()[:3], TimeRemainingColumn()]
    with Progress(*columns, console=report.errors, transient=True) as progress:
        task = progress.add_task("conversations", total=len(found))
        at = ""
        try:
            with closing(measured.of(wanted)) as model:
                for case in found:
                    at = f"line {case.line}: "
                    judgements.append(_judgement(case, model.score, threshold))
                    progress.advance(task)
                    if len(judgements) == min(_TRIED, len(found)) and all(j.trouble for j in judgements):
                        report.fail(f"nothing to measure by {model.name}: {judgements[0].trouble}")
        except BadModel as error:
            report.fail(f"{at}{error}")
    return model.name, judgements


def _judgement(case: Case, score: Score, threshold: float) -> Judgement:
    started = time.perf_counter()
    scores = score(case.routes, *ask_and_context(case.conversation))
    seconds = time.perf_counter() - started
    return Judgement(case, scores.routes, scores.none, seconds, scores.trouble, threshold)


# -- for people ----------------------------------------------------------------------------------------------------


def _print(figures: Report) -> None:
    out, total = report.console, len(figures.judgements)
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value, meaning in (
        ("top-1", _share(figures.top1), "the right preference scores best, where there is one"),
        ("with none", _share(figures.accuracy_with_none), "the whole answer is right, 'none' included"),
        ("none AUROC", _number(figures.none_auroc), "how well 'none' is told from the rest: .5 chance, 1 always"),
        ("calibration", _number(figures.calibration_error), "mean gap between the score and the share that is right"),
        ("p50", f"{figures.latency(0.5):.1f} ms", "the whole path, one thread"),
        ("p95", f"{figures.latency(0.95):.1f} ms", ""),
    ):
        table.add_row(f"[bold]{name}[/bold]", value, f"[dim]{meaning}[/dim]")
    out.print(f"{total} conversations\n")
    for trouble, count in figures.troubles.items():
        out.print(f"[yellow]{count} without an answer: {escape(trouble)}[/yellow]\n", soft_wrap=True)
    out.print(table)
    for title, parts in (("config", figures.by(configs_of)), ("tag", figures.by(tags_of))):
        if parts:
            out.print()
            out.print(_parts(title, parts))
    if figures.confusions:
        out.print()
        out.print(_confusions(figures))


def _parts(title: str, parts: dict[str, Report]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (title, "conversations", "top-1", "with none", ""):
        table.add_column(name, justify="left" if name in (title, "") else "right")
    for name, part in parts.items():
        bar = "" if part.top1 != part.top1 else "█" * round(part.top1 * 20)
        table.add_row(escape(name), str(len(part.judgements)), _share(part.top1), _share(part.accuracy_with_none), bar)
    return table


def _confusions(figures: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("meant", "answered", "times"):
        table.add_column(name, justify="right" if name == "times" else "left")
    for right, answered, count in figures.confusions[:_SHOWN]:
        table.add_row(escape(right), escape(answered), str(count))
    return table


def _print_wrong(judgement: Judgement) -> None:
    ask, _ = ask_and_context(judgement.case.conversation)
    scores = f"{judgement.answer} {judgement.confidence:.2f}"
    words = " ".join(ask.split())[:160]
    report.console.print(
        f"\nline {judgement.case.line}: [bold]{escape(judgement.case.label)}[/bold], answered {escape(scores)}\n"
        f"  {escape(words)}",
        soft_wrap=True,
    )


def _number(value: float) -> str:
    return "-" if value != value else f"{value:.3f}"


def _share(value: float) -> str:
    return "-" if value != value else f"{value:.1%}"
