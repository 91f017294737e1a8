"""The findings as a page to show: one file of HTML that needs nothing else, for light, dark, narrow and paper."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files

from archgw import report
from archgw.drill.bars import Axis, axis_of, bar, scale
from archgw.drill.findings import Chain, Findings, Line, Row, Try, lines, worst
from archgw.drill.scenarios import Scenario
from archgw.drill.text import keys
from archgw.drill.verdict import VERDICTS, Verdict

_CLASSES: dict[Verdict, str] = {
    "nothing lost": "good",
    "told": "told",
    "cut off": "cut",
    "not tried": "lost",
    "LOST": "lost",
}
_MARKS: dict[Verdict, str] = {"nothing lost": "✓", "told": "!", "cut off": "⌁", "not tried": "?", "LOST": "✕"}
_LONGEST = 260  # letters of what a client saw


def html(findings: Findings) -> str:
    return "\n".join(_page(findings)) + "\n"


def _page(findings: Findings) -> Iterator[str]:
    title = "What happens when a model fails"
    css = (files("archgw.drill") / "page.css").read_text("utf-8")
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{title}: {escape(findings.config)}</title>\n<style>\n{css}</style>\n</head>\n<body>\n<main>"
    yield f"<h1>{title}</h1>"
    yield f'<p class="soft"><code>{escape(findings.config)}</code>, drilled {escape(findings.began)}'
    yield f"with archgw {escape(findings.version)} in {findings.seconds:.0f} s. {escape(findings.kind)}</p>"
    yield _banner(findings)
    yield from _counts(findings)
    yield f'<p class="{"lost" if findings.leaks else "soft"}">{escape(keys(findings))}</p>'
    axis = axis_of(findings.rows)
    if findings.scenarios:
        yield "<h2>All at a glance</h2>"
        yield '<p class="soft">A line for each model, and what was done to it while all others were well.</p>'
        yield from _matrix(findings)
    yield from _legend(findings)
    if findings.of_gateway:
        yield "<h2>The gateway itself</h2>"
        yield '<p class="soft">A process of the gateway is killed while models answer; it is started again.</p>'
        yield from _table(findings.of_gateway, axis, clients=len(findings.clients))
    for chain in findings.chains:
        if rows := findings.of(chain.candidate):
            yield from _section(chain, rows, axis, clients=len(findings.clients))
    yield "<h2>Otherwise than in the config</h2>"
    yield f'<ul class="plain">{"".join(f"<li>{escape(change)}</li>" for change in findings.changes)}</ul>'
    yield "</main>\n</body>\n</html>"


def _banner(findings: Findings) -> str:
    lost, untried = findings.counts["LOST"], findings.counts["not tried"]
    if findings.passed:
        words = "Nothing was lost: every client had one whole answer, or knew that it had none."
        return f'<p class="answer-line good">{words}</p>'
    what = [f"{lost} of {len(findings.rows)} answers"] if lost else []
    if not findings.lost:
        return f'<p class="answer-line lost">Nothing has been shown by {untried} of {len(findings.rows)} answers.</p>'
    what += ["a key or header that was not meant for who got it"] if findings.leaks else []
    return f'<p class="answer-line lost">Lost: {", and ".join(what)}.</p>'


def _counts(findings: Findings) -> Iterator[str]:
    yield '<ul class="counts">'
    for verdict, count in _shown(findings).items():
        told = f'<b class="{_CLASSES[verdict]}">{count}</b> {escape(verdict)}'
        yield f"<li>{told}<span>{escape(VERDICTS[verdict])}</span></li>"
    yield "</ul>"


def _shown(findings: Findings) -> dict[Verdict, int]:
    """The verdicts that a reader has to know, with how often each was found."""
    return {verdict: count for verdict, count in findings.counts.items() if count or verdict != "not tried"}


def _matrix(findings: Findings) -> Iterator[str]:
    scenarios = findings.scenarios
    heads = "".join(
        f'<th scope="col" title="{escape(one.words, quote=True)}"><span>{escape(one.name)}</span></th>'
        for one in scenarios
    )
    yield f'<div class="wide"><table class="matrix"><thead><tr><th>model</th>{heads}</tr></thead><tbody>'
    for chain in findings.chains:
        if findings.of(chain.candidate):
            cells = "".join(_cell(findings, chain, scenario) for scenario in scenarios)
            name = f'<a href="#{_id(chain.candidate)}">{escape(chain.candidate)}</a>'
            yield f'<tr><th scope="row">{name}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _cell(findings: Findings, chain: Chain, scenario: Scenario) -> str:
    rows = findings.at(chain.candidate, scenario)
    if not rows:
        return "<td></td>"
    verdict = worst(rows)
    said = escape(f"{chain.candidate} {scenario.words}: {verdict}", quote=True)
    mark = f'class="mark {_CLASSES[verdict]}" href="#{_id(chain.candidate)}" title="{said}" aria-label="{said}"'
    return f"<td><a {mark}>{_MARKS[verdict]}</a></td>"


def _legend(findings: Findings) -> Iterator[str]:
    shown = _shown(findings)
    marks = "".join(f'<li><b class="{_CLASSES[one]}">{_MARKS[one]}</b> {escape(one)}</li>' for one in shown)
    yield f'<ul class="legend">{marks}</ul>'
    kinds = (
        ("failed", "a try that failed"),
        ("waiting", "waiting for the first content"),
        ("first", "first content"),
        ("answer", "the answer comes"),
    )
    bars = "".join(f'<li><i class="{kind}"></i>{words}</li>' for kind, words in kinds)
    yield f'<ul class="legend">{bars}<li>time is drawn logarithmically, on one axis all down the page</li></ul>'


def _section(chain: Chain, rows: Sequence[Row], axis: Axis, *, clients: int) -> Iterator[str]:
    yield f'<h2 id="{_id(chain.candidate)}">{escape(chain.candidate)}</h2>'
    then = f"then {', then '.join(chain.then)}" if chain.then else "nobody steps in"
    yield f'<p class="soft">Asked first because {escape(chain.because)}; {escape(then)}.</p>'
    yield from _table(rows, axis, clients=clients)


def _table(rows: Sequence[Row], axis: Axis, *, clients: int) -> Iterator[str]:
    columns = ("what", "saw", "time", "secs", "secs", "verdict")
    yield '<div class="wide"><table class="rows"><colgroup>'
    yield "".join(f'<col class="{name}">' for name in columns)
    yield "</colgroup><thead><tr><th>it ...</th><th>what the client saw</th>"
    yield f'<th><span class="scale">{scale(axis)}</span></th>'
    yield '<th class="num">first content</th><th class="num">in all</th><th>verdict</th></tr></thead><tbody>'
    for line in lines(rows):
        yield _line(line, axis, clients=clients)
    yield "</tbody></table></div>"


def _line(line: Line, axis: Axis, *, clients: int) -> str:
    row = line.row
    only = "" if len(line.clients) == clients else f"<b>{escape(', '.join(line.clients))}</b>: "
    words = row.saw if len(row.saw) <= _LONGEST else f"{row.saw[:_LONGEST]} ..."
    back = "" if row.back is None else f"<br>The gateway was back after {report.seconds(row.back)}."
    tries = " → ".join(map(_try, row.tries))
    return (
        f'<tr><td class="what">{escape(row.broke.words)}</td>'
        f'<td class="saw">{only}{escape(words)}{back}{f"""<div class="tries">{tries}</div>""" if tries else ""}</td>'
        f'<td class="time">{bar(row, axis)}</td>'
        f'<td class="num" data-label="first content">{report.seconds(row.first_content)}</td>'
        f'<td class="num" data-label="in all">{report.seconds(row.seconds)}</td>'
        f'<td class="verdict"><span class="chip {_CLASSES[row.verdict]}">{escape(row.verdict)}</span></td></tr>'
    )


def _try(one: Try) -> str:
    if not one.trouble:
        return escape(one.model)
    said = escape(one.trouble, quote=True)
    return f'<span title="{said}">{escape(one.model)} <span class="x">{escape(one.short)}</span></span>'


def _id(candidate: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", candidate.lower()).strip("-")
