"""What the shell is told to do: an answer as steps, good or spoiled."""

from collections.abc import Iterator
from dataclasses import dataclass

from archgw.simulate.wire import Frame


@dataclass(frozen=True, slots=True)
class Head:
    status: int
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Send:
    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    seconds: float


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing more until the client gives up."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Drop the connection with a TCP RST."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection without ending the answer."""


Step = Head | Send | Wait | Silence | Reset | Close
Steps = Iterator[Step]


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer, and what a fault may need in its place: the vendor's error, whole and as an event."""

    head: Head
    frames: Iterator[Frame]
    delay: float = 0.0  # between content events
    failure: bytes = b""
    failure_head: Head = Head(500, ())
    error_event: bytes = b""
    ping: bytes = b""
    streamed: bool = True


def good(answer: Answer) -> Steps:
    yield answer.head
    for frame in answer.frames:
        if answer.delay and frame.kind == "content":
            yield Wait(answer.delay)
        yield Send(frame.data)


def stepped(answer: Answer) -> Iterator[tuple[Step, str]]:
    yield answer.head, "head"
    for frame in answer.frames:
        yield Send(frame.data), frame.kind


def opening(answer: Answer) -> Steps:
    yield without_length(answer.head)
    for frame in answer.frames:
        if frame.kind != "opening":
            return
        yield Send(frame.data)


def without_length(head: Head) -> Head:
    return Head(head.status, tuple((name, value) for name, value in head.headers if name != "content-length"))
