"""Outcomes that wait for a thread of their own, behind the requests' backs: bounded, so that nobody waits for them.

That thread is woken for a batch, not for each outcome: waking it costs more than all else that is done with one.
"""

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Waiting(Generic[Item]):
    """`room`: for so many. A batch has at most `at_once`, and what comes within `gather` seconds."""

    def __init__(self, room: int, *, at_once: int, gather: float) -> None:
        self._items: deque[Item] = deque()
        self._room, self._at_once, self._gather = room, at_once, gather
        self._enough = threading.Event()  # for a batch, or there will be no more
        self.ending = threading.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> bool:
        """At once; whether there was room."""
        if len(self._items) >= self._room:
            return False
        self._items.append(item)
        if len(self._items) >= self._at_once and not self._enough.is_set():
            self._enough.set()
        return True

    def end(self) -> None:
        """What waits is the last."""
        self.ending.set()
        self._enough.set()

    def batch(self) -> tuple[list[Item], bool]:
        """What has come; and whether it is the last."""
        if len(self._items) < self._at_once and not self.ending.is_set():
            self._enough.wait(self._gather)
        self._enough.clear()
        ending = self.ending.is_set()
        found = [self._items.popleft() for _ in range(min(len(self._items), self._at_once))]
        return found, ending and not self._items
