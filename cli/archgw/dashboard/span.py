"""The time that a panel looks at, and its equal parts."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_

from archgw.stats import whole

RANGES: dict[str, tuple[float, int]] = {  # seconds, and into how many parts a curve divides them
    "1h": (3_600.0, 60),
    "24h": (86_400.0, 48),
    "7d": (7 * 86_400.0, 84),
    "30d": (30 * 86_400.0, 60),
}


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` until `until`, seconds since the epoch."""

    since: float
    until: float
    parts: int

    @property
    def width(self) -> float:
        """Seconds of a part."""
        return (self.until - self.since) / self.parts

    @property
    def times(self) -> list[float]:
        """When each part begins."""
        return [self.since + number * self.width for number in range(self.parts)]

    @property
    def before(self) -> "Span":
        """As long, and ending where this one begins."""
        return Span(self.since - (self.until - self.since), self.since, self.parts)

    @property
    def coarser(self) -> "Span":
        """In half as many parts: for what jumps when few are asked."""
        return Span(self.since, self.until, self.parts // 2)

    def holds(self, at: ColumnElement[float]) -> ColumnElement[bool]:
        return and_(at >= self.since, at < self.until)

    def part(self, at: ColumnElement[float], dialect: str) -> ColumnElement[int]:
        """The number of the part; to be looked up with `place`."""
        return whole((at - self.since) / self.width, dialect)

    def place(self, part: int) -> int:
        """Dividing floats may come to one part too many."""
        return min(max(part, 0), self.parts - 1)


def span(name: str, now: float) -> Span:
    """Raises KeyError for a range that there is not."""
    seconds, parts = RANGES[name]
    return Span(now - seconds, now, parts)
