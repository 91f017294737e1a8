"""A gRPC stream as whoever answers it knows it: messages, and a status at the end.

A `Speaker` answers as it hears, with no task, queue or lock in between: each message is to cost little.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

import grpc

from router_service.http2 import messages
from router_service.http2.messages import Compressed, Messages, TooLong
from router_service.http2.sending import Stream
from router_service.shell.logs import place

_log = logging.getLogger("archgw")
WINDOW = 256 * 1024  # bytes of one stream that its client may have sent and we have not taken
_ENOUGH = WINDOW // 2  # bytes that are asked for again at once
_QUEUED = 256 * 1024  # bytes of one stream that its client has not taken, above which we take nothing either

Metadata = Mapping[str, str]
Code = grpc.StatusCode


class Speaker(Protocol):
    """Who answers a stream. `ended`: no message follows, an answer may. `gone`: nobody waits for one."""

    def message(self, data: bytes) -> None: ...

    def ended(self) -> None: ...

    def gone(self) -> None: ...


Speak = Callable[["Line", Metadata], Speaker]


class Line:
    """A stream as a `Speaker` knows it: messages, and a status at the end. One that has ended takes no more."""

    __slots__ = ("_begun", "_drained", "_ended", "_held", "_messages", "_owed", "_speaker", "_stream")

    def __init__(self, stream: Stream, longest: int) -> None:
        self._stream = stream
        self._messages = Messages(longest)
        self._speaker: Speaker | None = None
        self._begun = self._ended = self._held = False
        self._owed = 0  # bytes that were heard, and are not asked for again yet
        self._drained: list[asyncio.Future[None]] = []

    def lead_to(self, speaker: Speaker) -> None:
        self._speaker = speaker

    def write(self, message: bytes) -> None:
        if self._ended:
            return
        if not self._begun:
            self._begun = True
            self._stream.begin(messages.BEGINNING)
        self._stream.send(messages.framed(message))

    def end(self, code: Code = Code.OK, words: str = "") -> None:
        """The status, behind all that was written."""
        if self._ended:
            return
        self._ended = True
        status = code.value[0]
        if self._begun:
            self._stream.finish(messages.ending(status, words) if status else messages.ENDING)
        else:
            self._stream.finish(messages.refusal(status, words))

    def fail(self, error: Exception, doing: str) -> None:
        """An error of our own. gRPC would tell the client its words, in which may stand a prompt, or a key."""
        self.end(Code.INTERNAL, f"an error in archgw itself ({_logged(error, doing)})")

    async def drain(self) -> None:
        """Until what was written has gone out, or nobody takes it any more."""
        if self._stream.queued:
            waiting = asyncio.get_running_loop().create_future()
            self._drained.append(waiting)
            await waiting

    def hold(self) -> None:
        """Take no more of what is being sent."""
        self._held = True

    def release(self) -> None:
        self._held = False
        self._settle()

    # -- what the stream tells --------------------------------------------------------------------------------

    def heard(self, data: bytes, *, end: bool) -> None:
        speaker = self._speaker
        if self._ended or speaker is None:
            return
        self._owed += len(data)
        try:
            for message in self._messages.feed(data):
                speaker.message(message)
                if self._ended:
                    return
            if end and self._messages.begun:
                self._give_up(Code.INTERNAL, "the stream ends in the middle of a message")
            elif end:
                speaker.ended()
        except TooLong:
            self._give_up(Code.RESOURCE_EXHAUSTED, "a message is longer than may be")
        except Compressed:
            self._give_up(Code.UNIMPLEMENTED, "messages are not to be compressed")
        except Exception as error:
            self.fail(error, "a call")
            self.gone()
        if self._owed >= _ENOUGH and not end:
            self._settle()

    def gone(self) -> None:
        self._ended = True
        self.drained()
        speaker, self._speaker = self._speaker, None
        try:
            if speaker:
                speaker.gone()
        except Exception as error:  # the connection would end with it, and all others with that
            _logged(error, "a call whose client has left")

    def drained(self) -> None:
        for waiting in self._drained:
            if not waiting.done():
                waiting.set_result(None)
        self._drained.clear()
        self._settle()

    def _give_up(self, code: Code, words: str) -> None:
        self.end(code, words)
        self.gone()

    def _settle(self) -> None:
        if self._owed >= _ENOUGH and not self._held and self._stream.queued <= _QUEUED:
            self._stream.take(self._owed)
            self._owed = 0


def _logged(error: Exception, doing: str) -> str:
    """What may be said of it."""
    words = f"{type(error).__name__} at {place(error)}"
    _log.error("%s: %s", doing, words)
    return words
