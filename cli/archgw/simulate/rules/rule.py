"""What a rule is: a small function that raises Refused or is content."""

from collections.abc import Callable

from archgw.simulate.received import Asked

Rule = Callable[[Asked], None]


def names(text: str) -> frozenset[str]:
    """A list of field names as one reads it: `names("model messages stream")`."""
    return frozenset(text.split())
