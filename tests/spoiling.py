"""JSON with one value replaced, at any place: what tests throw at whoever reads a stranger's JSON."""

from collections.abc import Iterator
from typing import Any

Place = tuple[Any, ...]


def places(value: Any, *above: Any) -> Iterator[Place]:
    """Every place within the value, as the steps that lead there."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        yield (*above, step)
        yield from places(below, *above, step)


def spoilt(whole: Any, place: Place, value: Any) -> Any:
    """The whole with another value at this place; it is not changed itself."""
    if not place:
        return value
    copy: Any = dict(whole) if isinstance(whole, dict) else list(whole)
    copy[place[0]] = spoilt(whole[place[0]], place[1:], value)
    return copy
