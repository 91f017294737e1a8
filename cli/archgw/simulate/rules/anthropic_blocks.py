"""Where things are in an Anthropic request: blocks by place, turns by role."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from archgw.simulate.received import Asked
from archgw.simulate.refusal import Json
from archgw.simulate.wire import listed


@dataclass(frozen=True, slots=True)
class Block:
    """A content block and where it is: `place` as Anthropic writes it, `messages.1.content.0`."""

    place: str
    role: str
    raw: Json

    @property
    def kind(self) -> str:
        return str(self.raw.get("type"))


def messages(asked: Asked) -> list[Json]:
    return listed(asked.body.get("messages"))


def blocks(asked: Asked) -> Iterator[Block]:
    for index, message in enumerate(messages(asked)):
        yield from blocks_of(index, message)


def blocks_of(index: int, message: Json) -> Iterator[Block]:
    content = message.get("content")
    if isinstance(content, str):
        yield Block(f"messages.{index}.content", str(message.get("role")), {"type": "text", "text": content})
    for at, raw in enumerate(listed(content)):
        yield Block(f"messages.{index}.content.{at}", str(message.get("role")), raw)


def turns(asked: Asked) -> list[tuple[str, int, list[Block]]]:
    """(role, index of its last message, blocks): Anthropic merges messages of one role.

    System words in between are not a turn.
    """
    spoken = [(index, message) for index, message in enumerate(messages(asked)) if message.get("role") != "system"]
    merged = []
    for role, group in groupby(spoken, key=lambda pair: str(pair[1].get("role"))):
        members = list(group)
        merged.append((role, members[-1][0], [block for pair in members for block in blocks_of(*pair)]))
    return merged
