"""What a drill has found: a row for each thing that was broken and each client that asked."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from archgw.drill.scenarios import BY_NAME, Scenario
from archgw.drill.verdict import VERDICTS, Verdict


@dataclass(frozen=True, slots=True)
class Try:
    """One try at one model, as the gateway's journal has it. `trouble` is empty when all went well."""

    model: str
    status: int
    trouble: str
    seconds: float

    @property
    def short(self) -> str:
        """The trouble without what the vendor said."""
        return re.split(r" \(|: ", self.trouble, maxsplit=1)[0]


@dataclass(frozen=True, slots=True)
class Row:
    """`candidate` is the model that was broken, or that answered while the gateway was. Times are seconds from the
    moment of asking; `back` is how long after a process was killed the gateway answered again."""

    candidate: str
    scenario: str
    client: str
    verdict: Verdict
    saw: str
    status: int
    model: str
    first_content: float | None
    seconds: float
    tries: tuple[Try, ...] = ()
    back: float | None = None

    @property
    def broke(self) -> Scenario:
        return BY_NAME[self.scenario]


@dataclass(frozen=True, slots=True)
class Chain:
    """Who was drilled: a model, who steps in for it, and how it came to be asked first."""

    candidate: str
    then: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class Findings:
    """`kind` says who the models were; `changes` what is otherwise than in the config; `leaks` what reached somebody
    whom it was not meant for, without its value; `began` is for people. `requests`: how many the stand-ins received."""

    config: str
    version: str
    kind: str
    began: str
    seconds: float
    clients: tuple[str, ...]
    chains: tuple[Chain, ...]
    changes: tuple[str, ...]
    rows: tuple[Row, ...]
    leaks: tuple[str, ...]
    requests: int

    @property
    def lost(self) -> bool:
        return bool(self.leaks) or any(row.verdict == "LOST" for row in self.rows)

    @property
    def passed(self) -> bool:
        """Nothing was lost, and all that was broken was asked."""
        return not self.lost and all(row.verdict != "not tried" for row in self.rows)

    @property
    def counts(self) -> dict[Verdict, int]:
        found = Counter(row.verdict for row in self.rows)
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def scenarios(self) -> list[Scenario]:
        """Those that were drilled with models, in order."""
        seen = {row.scenario for row in self.rows}
        return [scenario for scenario in BY_NAME.values() if scenario.name in seen and not scenario.of_gateway]

    def of(self, candidate: str) -> list[Row]:
        return [row for row in self.rows if row.candidate == candidate and not row.broke.of_gateway]

    def at(self, candidate: str, scenario: Scenario) -> list[Row]:
        return [row for row in self.of(candidate) if row.scenario == scenario.name]

    @property
    def of_gateway(self) -> list[Row]:
        return [row for row in self.rows if row.broke.of_gateway]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "verdicts": self.counts, "lost": self.lost, "passed": self.passed}


def with_tries(row: Row, tries: tuple[Try, ...]) -> Row:
    """The row with what the journal says. A good answer shows nothing where the broken model was not asked for it."""
    told = replace(row, tries=tries)
    if row.verdict != "nothing lost" or not tries or any(one.model == row.candidate for one in tries):
        return told
    return replace(told, verdict="not tried", saw=f"{row.saw}, without that {row.candidate} was asked")


def worst(rows: Sequence[Row]) -> Verdict:
    order = list(VERDICTS)
    return max((row.verdict for row in rows), key=order.index)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of one row's time, in seconds from the moment of asking."""

    kind: str
    begin: float
    end: float
    words: str


def spans(row: Row) -> Iterator[Span]:
    """One after the other: tries that failed, the wait for the first content, the answer."""
    at = 0.0
    for one in row.tries:
        if one.trouble:
            yield Span("failed", at, at + one.seconds, f"{one.model} {one.trouble}")
            at += one.seconds
    at = min(at, row.seconds)
    first = row.seconds if row.first_content is None else row.first_content
    if first > at:
        yield Span("waiting", at, first, f"{row.model or 'nobody'}: until the first content")
    if row.first_content is not None:
        yield Span("answer", row.first_content, row.seconds, f"{row.model} answers")


@dataclass(frozen=True, slots=True)
class Line:
    """What several clients saw alike, as one line: the slowest of them is shown."""

    row: Row
    clients: tuple[str, ...]


def lines(rows: Sequence[Row]) -> list[Line]:
    """Rows of one scenario, those together that came to the same."""
    alike: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        key = (row.scenario, row.verdict, row.status, row.model, tuple(one.model for one in row.tries))
        alike.setdefault(key, []).append(row)
    return [
        Line(max(found, key=lambda row: row.seconds), tuple(row.client for row in found)) for found in alike.values()
    ]
