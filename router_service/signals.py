"""What speaks for or against an answer, as far as the requests themselves tell: facts, none of anybody's words.

An answer speaks of itself by how it ends; what the client sends next speaks of the answer before it. Each is read
narrowly, so that what is told may be counted on: a signal that is missed costs less than one that is made up.
"""

from typing import Literal, cast, get_args

from router_service import kinds
from router_service.conversation import ReplyEnded
from router_service.detectors import DETECTORS
from router_service.detectors.detector import Next

Signal = Literal[
    "good", "bad", "should be",  # what the user says of it: feedback
    "override", "re-ask", "correction", "interrupted", "retried", "tool error", "reverted",  # what is sent next
    "refusal", "truncation", "error", "unfinished",  # how it ends
]  # fmt: skip
_NAMES = {name.replace(" ", "_").replace("-", "_"): name for name in get_args(Signal)}  # as their files are called


def of_answer(ended: ReplyEnded | None, *, declined: bool, broke: bool = False) -> Signal | None:
    """Of an answer that had begun. `declined`: it said so in words that are marked as such. `broke`: it broke off, by
    the model's doing; without that, one that has not ended was left by the client.
    """
    if declined or (ended and ended.reason == "refusal"):
        return "refusal"
    if broke:
        return "error"
    if ended is None:
        return "unfinished"
    return "truncation" if ended.reason == "length" else None


def of_next(given: Next) -> list[tuple[Signal, int]]:
    """What a request of the same thread says, and of the answer of how many turns back."""
    if given.intent.kind not in kinds.TURNS:
        return []
    if (back := DETECTORS["retried"](given)) is not None:  # all else was told when it was asked first
        return [("retried", back)]
    if not given.intent.begun:
        return []
    found = ((name, detector(given)) for name, detector in DETECTORS.items())
    return [(cast(Signal, _NAMES[name]), back) for name, back in found if back is not None]
