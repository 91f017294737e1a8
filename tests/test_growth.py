"""What a piece of an answer costs does not grow with what came before it: four times as much takes four times as long.

Eight times are let pass, for machines are busy; where each piece touches all before it, it is sixteen.
"""

import time
from collections.abc import Callable

import pytest

from router_service.conversation import (
    ReplyEvent,
    ReplyStarted,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolCallStarted,
)
from router_service.dialects import DIALECTS
from router_service.dialects.dialect import Addressee
from router_service.dialects.parts.replies import collect
from router_service.dialects.parts.seals import Sealer
from router_service.sse import EventDecoder, WholeEvents

CHUNK = b"x" * 1000
Work = Callable[[int], object]


def decoded(count: int) -> None:
    decoder = EventDecoder()
    decoder.feed(b"data: ")
    for _ in range(count):
        decoder.feed(CHUNK)


def whole(count: int) -> None:
    gate = WholeEvents()
    for _ in range(count):
        gate.feed(CHUNK, end=False)


def sealed(count: int) -> None:
    sealer = Sealer(DIALECTS["anthropic_messages"], "anthropic/a")
    for _ in range(count):
        sealer.feed(CHUNK, end=False)


def written(dialect: str, event: ReplyEvent) -> Work:
    def work(count: int) -> None:
        writer = DIALECTS[dialect].writer(Addressee("m", maker="openai/a"))
        for begin in (ReplyStarted("1", "m"), ToolCallStarted(0, "call_1", "write")):
            if isinstance(begin, ReplyStarted) or isinstance(event, ToolCallDelta):
                writer.feed(begin)
        for _ in range(count):
            writer.feed(event)

    return work


def gathered(count: int) -> None:
    collect([ReplyStarted("1", "m"), *(TextDelta("words " * 20) for _ in range(count))])


WORKS: dict[str, tuple[Work, int]] = {
    "a line in chunks, read": (decoded, 2000),
    "an event in chunks, passed on": (whole, 2000),
    "a line in chunks, sealed": (sealed, 2000),
    "a reply put together": (gathered, 5000),
    **{
        f"{type(event).__name__} for {dialect}": (written(dialect, event), 1000)
        for dialect in DIALECTS
        for event in (TextDelta("words " * 20), ThinkingDelta("words " * 20), ToolCallDelta(0, '"words" ' * 20))
    },
}


@pytest.mark.parametrize(("work", "count"), WORKS.values(), ids=WORKS)
def test_a_piece_costs_the_same_however_many_came_before(work: Work, count: int) -> None:
    def seconds(times: int) -> float:
        begun = time.process_time()
        work(times)
        return time.process_time() - begun

    ratios = (seconds(4 * count) / seconds(count) for _ in range(5))
    assert any(ratio < 8 for ratio in ratios)
