"""Time as a drawing: one bar for a row, as inline SVG, on the same logarithmic axis all down the page."""

import math
from collections.abc import Iterable
from html import escape

from archgw.drill.findings import Row, spans

_FINEST = 0.005  # seconds: below it, all is one
_WIDTH, _HEIGHT = 1000, 18
_TICKS = ((0.01, "10 ms"), (0.1, "0.1 s"), (1.0, "1 s"), (10.0, "10 s"), (100.0, "100 s"))


class Axis:
    """From nothing to the longest row."""

    def __init__(self, longest: float) -> None:
        self._longest = max(longest, _TICKS[1][0])

    def at(self, seconds: float) -> float:
        """From 0 to 1."""
        return math.log1p(seconds / _FINEST) / math.log1p(self._longest / _FINEST)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        return [(self.at(seconds), words) for seconds, words in _TICKS if seconds <= self._longest]


def axis_of(rows: Iterable[Row]) -> Axis:
    return Axis(max((row.seconds for row in rows), default=0.0))


def bar(row: Row, axis: Axis) -> str:
    """Failed tries, the wait for the first content, the answer; a mark at the first content."""
    drawn = [_rect(span.kind, axis.at(span.begin), axis.at(span.end), span.words) for span in spans(row)]
    ticks = "".join(f'<line class="tick" x1="{_x(at)}" x2="{_x(at)}" y1="0" y2="{_HEIGHT}"/>' for at, _ in axis.ticks)
    first = "" if row.first_content is None else _first(axis.at(row.first_content))
    told = escape("; ".join(span.words for span in spans(row)), quote=True)
    return (
        f'<svg class="bar" role="img" aria-label="{told}" viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none">'
        f"{ticks}{''.join(drawn)}{first}</svg>"
    )


def scale(axis: Axis) -> str:
    """The words over the bars."""
    return "".join(f'<span style="left:{at:.1%}">{words}</span>' for at, words in axis.ticks)


def _rect(kind: str, begin: float, end: float, words: str) -> str:
    width = max(4.0, _WIDTH * (end - begin) - 2)
    return (
        f'<rect class="{kind}" x="{_x(begin)}" y="4" width="{width:.1f}" height="{_HEIGHT - 8}" rx="2">'
        f"<title>{escape(words)}</title></rect>"
    )


def _first(at: float) -> str:
    return (
        f'<rect class="first" x="{_x(at)}" y="1" width="5" height="{_HEIGHT - 2}"><title>first content</title></rect>'
    )


def _x(share: float) -> str:
    return f"{_WIDTH * share:.1f}"
