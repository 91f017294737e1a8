"""Outcomes that wait for a thread of their own, behind the requests' backs: bounded, so that nobody waits for them."""

import queue
import threading
import time
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Waiting(Generic[Item]):
    """`room`: for so many. A batch has at most `at_once`, and what comes within `gather` seconds."""

    def __init__(self, room: int, *, at_once: int, gather: float) -> None:
        self._queue: queue.Queue[Item | None] = queue.Queue(room)
        self._at_once, self._gather = at_once, gather
        self.ending = threading.Event()

    def __len__(self) -> int:
        return self._queue.qsize()

    def put(self, item: Item) -> bool:
        """At once; whether there was room."""
        try:
            self._queue.put_nowait(item)
        except queue.Full:
            return False
        return True

    def end(self) -> None:
        """What waits is the last."""
        self.ending.set()
        with suppress(queue.Full):  # then it is the last when nothing is left
            self._queue.put_nowait(None)

    def batch(self) -> tuple[list[Item], bool]:
        """What has come; and whether it is the last."""
        found: list[Item] = []
        until = time.monotonic() + self._gather
        while len(found) < self._at_once:
            try:
                one = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return found, self.ending.is_set()
            if one is None:
                return found, True
            found.append(one)
        return found, False
