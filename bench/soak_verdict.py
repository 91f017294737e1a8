"""What came of each request of the soak, judged by what it heard and by what was wrong meanwhile. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from soak_asks import Ask
from soak_judge import Heard, arguments_broken, hear, mistakes
from soak_weather import Weather

How = Literal["answered", "cut", "left", "silent", "no connection"]
End = Literal[
    "whole",
    "all down",  # an error, and all candidates had a fault
    "all down or aside",  # ... or had been put aside for earlier ones
    "broke off",  # the model that answered did, and an error event says so
    "cut",  # the model that answered dropped its connection; Envoy then drops the client's, and no event can be sent
    "arguments broken off",  # by the model
    "killed",  # an error or a cut while the router or Envoy was away
    "left",
    "WRONG",
    "HANG",
]
ENDS: tuple[End, ...] = (
    "whole",
    "all down",
    "all down or aside",
    "broke off",
    "cut",
    "arguments broken off",
    "killed",
    "left",
    "WRONG",
    "HANG",
)


@dataclass(slots=True)
class Observed:
    """One request as its client saw it. Times are of the weather's clock."""

    ask: Ask
    began: float
    ended: float = 0.0
    how: How = "answered"
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""
    trouble: str = ""  # what the client's library said

    @property
    def served(self) -> str:
        """The label of who answered, as the gateway says."""
        model = self.headers.get("x-arch-model", "")
        return "" if model == "none" else model


@dataclass(frozen=True, slots=True)
class Verdict:
    end: End
    heard: Heard
    why: tuple[str, ...] = ()


def verdict(seen: Observed, weather: Weather, spoken: Mapping[str, str]) -> Verdict:
    """`spoken`: what the model behind each label calls itself."""
    ask, cut = seen.ask, seen.how != "answered"
    heard = hear(ask, seen.status, seen.headers, seen.raw, cut=cut)
    wrong = mistakes(heard, ask.wanted, spoken.get(seen.served, seen.served) if seen.status == 200 else "")
    killed = weather.killed(seen.began, seen.ended)
    if seen.how == "silent":
        return Verdict("HANG", heard, (f"silent: {seen.trouble}",))
    if wrong:
        if weather.mangled(seen.served, seen.began, seen.ended) and arguments_broken(heard, ask.wanted):
            return Verdict("arguments broken off", heard)
        return Verdict("WRONG", heard, tuple(wrong))
    if seen.how == "left":
        return Verdict("left", heard)
    if killed and (cut or heard.error):
        return Verdict("killed", heard)
    if cut:
        dropped = ask.streamed and weather.dropped(seen.served, seen.began, seen.ended)
        why = () if dropped else (f"{seen.how}, and nobody was killed: {seen.trouble}",)
        return Verdict("cut" if dropped else "WRONG", heard, why)
    if not heard.error:
        return Verdict("whole", heard)
    return _error(seen, weather, heard)


def _error(seen: Observed, weather: Weather, heard: Heard) -> Verdict:
    """An error in the client's dialect must have a cause."""
    ask = seen.ask
    if seen.status == 200:
        broke = weather.broke(seen.served, seen.began, seen.ended)
        why = () if broke else (f"{seen.served} is said to have broken off: {heard.error}",)
        return Verdict("broke off" if broke else "WRONG", heard, why)
    if ask.wanted.counts or seen.status < 401 or seen.status in (405, 413, 422):
        return Verdict("WRONG", heard, (f"refused with {seen.status}: {heard.error}",))
    if weather.all_down(seen.began, seen.ended, seeing=ask.seeing):
        return Verdict("all down", heard)
    if weather.all_down_or_aside(seen.began, seen.ended, seeing=ask.seeing):
        return Verdict("all down or aside", heard)
    return Verdict("WRONG", heard, (f"{seen.status} though not all were down: {heard.error}",))
