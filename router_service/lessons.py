"""What was learned, told as lessons: each says what it is, which evidence it is made of, and what it does."""

from dataclasses import dataclass
from typing import Literal

State = Literal["applied", "waiting", "undone"]
LOOKED_BACK = 200  # asks by which the effect of a lesson is told


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing that was said, of which request, when."""

    request: str
    said: str
    at: float


@dataclass(frozen=True, slots=True)
class Lesson:
    """`kind` "preference": asks like these belong to `target`, not to `source`. "model": for the preference `route`,
    `target` is better than `source`, who leads its list; `means` are what is believed of both.

    `why` it waits, in words. `moves`: of the last `of` asks, how many go elsewhere for it.
    """

    id: str
    caller: str
    kind: Literal["preference", "model"]
    source: str
    target: str
    pieces: tuple[Piece, ...]
    state: State = "applied"
    why: str = ""
    route: str = ""
    means: tuple[float, float] = (0.0, 0.0)
    moves: int = 0
    of: int = 0
