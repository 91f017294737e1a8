"""Who had better not be asked first for a while: a vendor said when to come back, or had no room.

Nobody is shut out by it: who cools is asked when nobody else is left. Times are seconds on the clock that is passed in.
"""

from collections.abc import Mapping

BROKE_OFF = "broke off"  # how the reason begins where an answer had begun and did not end


class Cooling:
    """`changed` are the ids of those that are not as they were when it was last emptied; a store looks there."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._why: dict[str, str] = {}
        self.changed: set[str] = set()

    def cool(self, candidate: str, until: float, why: str) -> None:
        """The later of two ends wins, and its reason with it."""
        if until <= self._until.get(candidate, float("-inf")):
            return
        self._until[candidate], self._why[candidate] = until, why
        self.changed.add(candidate)

    def learnt(self, candidate: str, until: float, why: str) -> None:
        """It is so in the store."""
        known = candidate in self.changed
        self.cool(candidate, until, why)
        if not known:
            self.changed.discard(candidate)

    def why(self, candidate: str, now: float) -> str:
        """Empty when it does not cool."""
        return self._why[candidate] if self.left(candidate, now) else ""

    def broke_off(self, candidate: str, now: float) -> bool:
        """It cools for an answer that it did not end. Nobody can step in there: the client has to ask again."""
        return self.why(candidate, now).startswith(BROKE_OFF)

    def left(self, candidate: str, now: float) -> float:
        """Seconds; 0.0 when it does not cool."""
        return max(0.0, self._until.get(candidate, now) - now)

    def all(self, now: float) -> Mapping[str, float]:
        """Who cools, by id, and how many seconds more."""
        return {id: until - now for id, until in self._until.items() if until > now}


def pause(status: int, told: float | None, *, usually: float, at_most: float) -> float:
    """For how many seconds a candidate that failed with this status is to cool; 0.0 for not at all.

    `told`: what the vendor said, None where it did not say. A 503 without a word is a failure like any other, which is
    Envoy's to count; a 429 or 529 means that there is no room now, whether or not it says until when.
    """
    if status not in (429, 503, 529) or (status == 503 and told is None):
        return 0.0
    return min(usually if told is None else told, at_most)
