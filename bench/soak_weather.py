"""What was wrong, and when: the faults of providers, the kills and the configurations of a soak. No I/O, no clock.

The driver writes down here what it does to the gateway and its providers, and asks afterwards whether a client's
error had a cause. Times are seconds of one clock; what has not ended yet ends at infinity.
"""

import math
import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from archgw.simulate import FAULTS, Fault

HARMLESS = ("slow_headers", "slow_first", "slow_events", "gzip")
AFTER_CONTENT = (
    "error_after_content",
    "reset_after_content",
    "close_after_content",
    "end_after_content",
    "stall_after_content",
    "truncated",
)
CONNECTION_LOST = ("reset_after_content", "close_after_content")
REFUSE = "refuse"  # the port is shut and all connections are dropped
BAD_ARGUMENTS = "bad_arguments"
_FAILING = (*(kind for kind in FAULTS if kind not in (*HARMLESS, BAD_ARGUMENTS)), REFUSE)
_STATUSES = (401, 402, 403, 404, 408, 429, 500, 502, 503, 504, 529)


@dataclass(slots=True)
class Spell:
    """`what` is a kind of fault, or of trouble; `who` a provider, a process or a candidate."""

    who: str
    what: str
    began: float
    ended: float = math.inf

    def touches(self, began: float, ended: float) -> bool:
        return self.began <= ended and began <= self.ended


@dataclass(slots=True)
class Weather:
    """`candidates`: the name of the provider behind each label, vendor/model. `blind` are those that see no images."""

    candidates: Mapping[str, str]
    blind: Collection[str] = ()
    faults: list[Spell] = field(default_factory=list)
    kills: list[Spell] = field(default_factory=list)
    aside: list[Spell] = field(default_factory=list)  # who: a label that Envoy had ejected
    plans: list[tuple[float, frozenset[str]]] = field(default_factory=list)  # from when on, and whose labels

    def killed(self, began: float, ended: float) -> bool:
        return any(kill.touches(began, ended) for kill in self.kills)

    def all_down(self, began: float, ended: float, *, seeing: bool) -> bool:
        """Whether every candidate that could have been asked had a fault in this time that keeps it from answering."""
        return all(self._down(label, began, ended) for label in self._asked(began, ended, seeing))

    def all_down_or_aside(self, began: float, ended: float, *, seeing: bool) -> bool:
        """The same, where to be put aside for earlier failures is as good as down."""
        return all(
            self._down(label, began, ended)
            or any(spell.who == label and spell.touches(began, ended) for spell in self.aside)
            for label in self._asked(began, ended, seeing)
        )

    def broke(self, label: str, began: float, ended: float) -> bool:
        """Whether this candidate may have broken off after its first content."""
        return self._had(label, (*AFTER_CONTENT, REFUSE), began, ended)

    def dropped(self, label: str, began: float, ended: float) -> bool:
        """Whether this candidate may have dropped its connection after its first content."""
        return self._had(label, (*CONNECTION_LOST, REFUSE), began, ended)

    def mangled(self, label: str, began: float, ended: float) -> bool:
        """Whether this candidate may have sent broken arguments."""
        return self._had(label, (BAD_ARGUMENTS,), began, ended)

    def told(self, began: float, ended: float) -> list[str]:
        """What was going on, for a report."""
        spells = [*self.faults, *self.kills, *self.aside]
        return [
            f"{spell.who} {spell.what} {spell.began - began:+.1f}..{spell.ended - began:+.1f} s"
            for spell in spells
            if spell.touches(began, ended)
        ]

    def _asked(self, began: float, ended: float, seeing: bool) -> frozenset[str]:
        """The candidates of every plan of that time: one that came or went meanwhile may not have been asked."""
        plans = [
            labels
            for at, (since, labels) in enumerate(self.plans)
            if since <= ended and (at + 1 == len(self.plans) or self.plans[at + 1][0] >= began)
        ]
        asked = frozenset.intersection(*plans)
        return frozenset(label for label in asked if not (seeing and label in self.blind))

    def _down(self, label: str, began: float, ended: float) -> bool:
        return self._had(label, _FAILING, began, ended)

    def _had(self, label: str, kinds: Collection[str], began: float, ended: float) -> bool:
        who = self.candidates.get(label)
        return any(f.who == who and f.what in kinds and f.touches(began, ended) for f in self.faults)


def next_fault(chance: random.Random) -> tuple[str, Fault | None]:
    """What happens next: its name, and the fault; None where the port is shut."""
    kind = chance.choice([*FAULTS, REFUSE, "status", "status"])
    if kind == REFUSE:
        return kind, None
    status = chance.choice(_STATUSES) if kind == "status" else 0
    waiting = chance.choice((None, None, 1.0, 3.0)) if status in (429, 503, 529) else None
    return kind, Fault(kind, status=status, retry_after=waiting, delay_ms=chance.choice((100, 400, 900)))
