"""Who had better not be asked first, and until when. A value: the clock is the caller's."""


class Cooling:
    """By candidate id; times are monotonic seconds."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, str]] = {}

    def cool(self, candidate: str, until: float, why: str) -> None:
        """The later of two ends wins, with its reason."""
        if until > self._until.get(candidate, (0.0, ""))[0]:
            self._until[candidate] = (until, why)

    def why(self, candidate: str, now: float) -> str:
        """The reason, in words; empty when it is not cooling."""
        return self._until[candidate][1] if self.left(candidate, now) else ""

    def left(self, candidate: str, now: float) -> float:
        """Seconds until it may be asked first again; 0.0 when it is not cooling."""
        return max(0.0, self._until.get(candidate, (now, ""))[0] - now)
