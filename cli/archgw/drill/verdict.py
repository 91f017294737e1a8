"""Whether anything was lost: the judge of one row, who knows nothing but what the client saw."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from archgw.drill.reading import Reading

Verdict = Literal["nothing lost", "told", "cut off", "not tried", "LOST"]
# The better first. A line that breaks is noticed by every client, but says nothing; it is no silence.
VERDICTS: dict[Verdict, str] = {
    "nothing lost": "one whole answer, by one model",
    "told": "an error in words, in the client's dialect, and a clean end",
    "cut off": "the connection broke: every client notices that, but nobody says why",
    "not tried": "whoever was broken was not even asked, so nothing has been shown",
    "LOST": "what must never be: an end that looks like one and is none, a hang, an answer of two models or of none",
}
Ending = Literal["whole", "broken", "refused", "hung"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What came over the wire. `ending`: HTTP ended in order, the connection broke, there was none, or nothing ended.

    Seconds are counted from the moment of asking; `first_content` is None where no model said anything.
    """

    ending: Ending
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    first_content: float | None = None
    seconds: float = 0.0

    @property
    def model(self) -> str:
        """Who answered, as the gateway says."""
        return self.headers.get("x-arch-model", "")


@dataclass(frozen=True, slots=True)
class Judged:
    """`saw` is what the client saw, in words."""

    verdict: Verdict
    saw: str


def judge(seen: Seen, reading: Reading, says: Mapping[str, str]) -> Judged:
    """`says` is what each model answers when it is well, by label, where that is known."""
    flaw = _flaw(seen, reading, says)
    if flaw:
        return Judged("LOST", flaw)
    if seen.ending == "refused":
        return Judged("cut off", "no connection")
    if seen.ending == "broken":
        where = "in the middle of the answer" if reading.text else "before any answer"
        return Judged("cut off", f"the connection broke {where}")
    if reading.error:
        begun = "an error event after its first words" if seen.status == 200 else str(seen.status)
        return Judged("told", f"{begun}: {reading.error}")
    return Judged("nothing lost", f"one clean answer by {seen.model}")


def _flaw(seen: Seen, reading: Reading, says: Mapping[str, str]) -> str:
    """What must never be; empty where all is well, or honestly broken."""
    if seen.ending == "hung":
        return f"no end within {seen.seconds:.0f} s"
    if seen.ending == "refused":
        return ""
    if reading.flaws and (seen.ending == "whole" or seen.status == 200):
        return "; ".join(reading.flaws)
    mixed = _mixed(seen, reading, says)
    if mixed or seen.ending == "broken":
        return mixed
    if seen.status == 200 and not reading.error and not reading.complete:
        return "an answer without its end, and nobody said so"
    return "an error without words" if seen.status != 200 and not reading.error else ""


def _mixed(seen: Seen, reading: Reading, says: Mapping[str, str]) -> str:
    """Words that are not those of the model that is said to have answered; empty where they are."""
    if seen.status != 200:
        return ""
    said = says.get(seen.model)
    if said is None:
        strange = [label for label, words in says.items() if _begin(words) in reading.text]
        return f"{seen.model} is said to have answered, but {strange[0]} did" if strange else ""
    if reading.text == said or (not reading.complete and said.startswith(reading.text)):
        return ""
    if not reading.text:
        return "an empty answer"
    others = [label for label, words in says.items() if label != seen.model and _begin(words) in reading.text]
    mix = f", some of them {', '.join(others)}'s" if others else ""
    return f"words that are not {seen.model}'s{mix}: {reading.text[:120]!r}"


def _begin(words: str) -> str:
    """What names the model in a simulated answer."""
    return words.partition(": ")[0]
