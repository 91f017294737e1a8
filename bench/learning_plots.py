"""Lines in an SVG that is read by people, too."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 680, 340
_TITLE = 30
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 210, 16, 44


@dataclass(frozen=True)
class Line:
    """`points` are (x, y); `band`, where there is one, is (low, high) at each."""

    name: str
    color: str
    points: tuple[tuple[float, float], ...]
    dashed: bool = False
    band: tuple[tuple[float, float], ...] = ()


def plot(
    lines: Sequence[Line],
    ticks: Sequence[tuple[float, str]],
    along: str,
    up: str,
    *,
    most: float,
    steps: Sequence[tuple[float, str]] = (),
) -> str:
    """Y from 0 to `most`; `ticks` are (x, label), and `steps` (y, label): without them, quarters of `most`."""
    first, last = ticks[0][0], ticks[-1][0]

    def at(x: float, y: float) -> str:
        across = _LEFT + (x - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)
        return f"{across:.1f},{_HEIGHT - _BOTTOM - y / most * (_HEIGHT - _TOP - _BOTTOM):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
    ]
    for y, label in steps or [(most * step / 4, _label(most * step / 4, most)) for step in range(5)]:
        (x1, y1), (x2, _) = (at(x, y).split(",") for x in (first, last))
        parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y1}" stroke="#d8dee4"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{float(y1) + 4:.1f}" text-anchor="end" fill="#57606a">{label}</text>')
    for x, label in ticks:
        across = at(x, 0).split(",")[0]
        below = _HEIGHT - _BOTTOM + 18
        parts.append(f'<text x="{across}" y="{below}" text-anchor="middle" fill="#57606a">{escape(label)}</text>')
    middle = _LEFT + (_WIDTH - _LEFT - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 8}" text-anchor="middle" fill="#24292f">{escape(along)}</text>')
    parts.append(
        f'<text transform="translate(14 {(_HEIGHT - _BOTTOM + _TOP) / 2}) rotate(-90)" text-anchor="middle"'
        f' fill="#24292f">{escape(up)}</text>'
    )
    for line in lines:
        if line.band:
            low = [at(x, y) for (x, _), (y, _) in zip(line.points, line.band, strict=True)]
            high = [at(x, y) for (x, _), (_, y) in zip(line.points, line.band, strict=True)]
            parts.append(f'<polygon points="{" ".join([*low, *reversed(high)])}" fill="{line.color}" opacity="0.12"/>')
    for number, line in enumerate(lines):
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        points = " ".join(at(x, y) for x, y in line.points)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{line.color}" stroke-width="2"{dash}/>')
        y, x = _TOP + 10 + 20 * number, _WIDTH - _RIGHT + 14
        parts.append(f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{line.color}" stroke-width="2"{dash}/>')
        parts.append(f'<text x="{x + 28}" y="{y + 4}" fill="#24292f">{escape(line.name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def grid(plots: Sequence[tuple[str, str]], *, columns: int = 2) -> str:
    """(title, plot), side by side in one picture."""
    rows = -(-len(plots) // columns)
    width, height = columns * _WIDTH, rows * (_HEIGHT + _TITLE)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">']
    parts.append(f'<rect width="{width}" height="{height}" fill="#ffffff"/>')
    for number, (title, drawn) in enumerate(plots):
        x, y = number % columns * _WIDTH, number // columns * (_HEIGHT + _TITLE)
        parts.append(f'<text x="{x + _LEFT}" y="{y + 22}" font-size="15" fill="#24292f">{escape(title)}</text>')
        parts.append(drawn.replace("<svg ", f'<svg x="{x}" y="{y + _TITLE}" ', 1).rstrip())
    return "\n".join([*parts, "</svg>", ""])


def _label(y: float, most: float) -> str:
    return f"{y:.2f}" if most <= 1 else f"{y:,.0f}"
