"""The findings at a terminal, and as Markdown."""

from collections.abc import Iterator, Sequence

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from archgw import report
from archgw.drill.findings import Findings, Line, Row, lines
from archgw.drill.verdict import VERDICTS, Verdict

STYLES: dict[Verdict, str] = {
    "nothing lost": "green",
    "told": "cyan",
    "cut off": "yellow",
    "not tried": "magenta",
    "LOST": "bold red",
}
_LONGEST = 150  # letters of what a client saw


def table(rows: Sequence[Row], *, clients: int) -> Table:
    """One line for each thing that was broken."""
    shown = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    shown.add_column("it ...", ratio=3, overflow="fold")
    shown.add_column("what the client saw", ratio=5, overflow="fold")
    shown.add_column("tried", ratio=4, overflow="fold")
    shown.add_column("first content", justify="right", no_wrap=True)
    shown.add_column("in all", justify="right", no_wrap=True)
    shown.add_column("verdict", no_wrap=True)
    for line in lines(rows):
        row = line.row
        shown.add_row(
            row.broke.words,
            escape(saw(line, clients=clients)),
            escape(tried(row)),
            report.seconds(row.first_content),
            report.seconds(row.seconds),
            Text(row.verdict, STYLES[row.verdict]),
        )
    return shown


def saw(line: Line, *, clients: int) -> str:
    """What the client saw, cut; and which client, where another saw something else."""
    row = line.row
    words = row.saw if len(row.saw) <= _LONGEST else f"{row.saw[:_LONGEST]} ..."
    if row.back is not None:
        words += f"; the gateway was back after {report.seconds(row.back)}"
    return words if len(line.clients) == clients else f"{', '.join(line.clients)}: {words}"


def tried(row: Row) -> str:
    """Every try in order, with what was wrong with those that failed."""
    return " -> ".join(f"{one.model} {one.short}".strip() for one in row.tries)


def summary(findings: Findings) -> str:
    """How many rows came to what."""
    counts = findings.counts
    found = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count or verdict == "LOST")
    return f"{len(findings.rows)} rows: {found}"


def keys(findings: Findings) -> str:
    if findings.leaks:
        return f"{len(findings.leaks)} headers reached somebody they were not meant for: {'; '.join(findings.leaks)}"
    return f"No key reached anybody it was not meant for, in {findings.requests} requests that stand-ins got."


def markdown(findings: Findings) -> str:
    return "\n".join(_markdown(findings)) + "\n"


def _markdown(findings: Findings) -> Iterator[str]:
    yield f"# When a model fails: {findings.config}"
    yield ""
    yield f"{findings.began}, archgw {findings.version}, {findings.seconds:.0f} s. {findings.kind}"
    yield ""
    yield f"**{summary(findings)}.** {keys(findings)}"
    yield ""
    yield from (f"- *{verdict}*: {words}" for verdict, words in VERDICTS.items())
    yield ""
    yield "Otherwise than in the config:"
    yield ""
    yield from (f"- {change}" for change in findings.changes)
    for chain in findings.chains:
        if not (rows := findings.of(chain.candidate)):
            continue
        yield ""
        yield f"## {chain.candidate}"
        yield ""
        yield f"{chain.because[:1].upper()}{chain.because[1:]}. Then: {', '.join(chain.then) or 'nobody'}."
        yield ""
        yield from _rows(rows, clients=len(findings.clients))
    if findings.of_gateway:
        yield ""
        yield "## The gateway itself"
        yield ""
        yield from _rows(findings.of_gateway, clients=len(findings.clients))


def _rows(rows: Sequence[Row], *, clients: int) -> Iterator[str]:
    yield "| it ... | what the client saw | tried | first content | in all | verdict |"
    yield "|---|---|---|---:|---:|---|"
    for line in lines(rows):
        row = line.row
        cells = [
            row.broke.words,
            saw(line, clients=clients),
            tried(row),
            report.seconds(row.first_content),
            report.seconds(row.seconds),
            f"**{row.verdict}**" if row.verdict == "LOST" else row.verdict,
        ]
        yield "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
