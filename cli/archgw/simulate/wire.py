"""What a dialect's wire has to offer to the server: reading a request, writing an answer."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from archgw.simulate.received import Asked
from archgw.simulate.reply import Reply, Wish
from archgw.simulate.script import Said
from archgw.simulate.tokens import Piece, PromptCache, Usage

Json = dict[str, Any]


FrameKind = Literal["opening", "block", "content", "closing"]


@dataclass(frozen=True, slots=True)
class Frame:
    """A stretch of an answer's bytes. Faults aim by kind; a `block` frame holds nothing that a user could see."""

    kind: FrameKind
    data: bytes


class Wire(Protocol):
    def said(self, body: Json) -> list[Said]: ...

    def wish(self, asked: Asked) -> Wish: ...

    def pieces(self, body: Json) -> list[Piece]: ...

    def prompt(self, asked: Asked, cache: PromptCache, now: float) -> Usage: ...

    def whole(self, reply: Reply, asked: Asked, now: float) -> Json: ...

    def frames(self, reply: Reply, asked: Asked, now: float) -> Iterator[Frame]: ...

    def ping(self) -> bytes: ...

    def error(self, body: Json | list[Json]) -> bytes: ...

    def models(self, names: Sequence[str], owner: str) -> Json: ...

    def model(self, name: str, owner: str) -> Json: ...


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def listed(value: Any) -> list[Json]:
    """The objects of a list; anything else is the rule book's business."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
