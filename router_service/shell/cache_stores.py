"""What a store of answers can do, and when one that did not answer is asked again."""

import time
from dataclasses import dataclass
from typing import Protocol

from router_service.caching import Entry

WITHIN = 2.0  # seconds that a store may take behind the requests' backs
_REST = 5.0  # seconds in which one that did not answer is not asked again


@dataclass(frozen=True, slots=True)
class Held:
    """How many answers a store holds, and their bytes."""

    entries: int = 0
    bytes: int = 0


class Store(Protocol):
    """What outlives the service. None of it raises. `trouble`: why it does not work, in words; empty when it does.

    `front`: whether memory may stand before it; not where others change it, too.
    """

    front: bool
    trouble: str

    async def get(self, key: str) -> Entry | None: ...

    def asked(self, key: str) -> None:
        """What memory holds of it was asked for."""
        ...

    async def put(self, key: str, entry: Entry, at_most: int) -> None: ...

    async def claim(self, key: str, exchange: str) -> bool:
        """Whether no other service is asking, as far as can be known; if so, this one is from now on, for a while."""
        ...

    async def renew(self, key: str, exchange: str) -> None: ...

    async def release(self, key: str, exchange: str) -> None: ...

    async def held(self) -> Held: ...

    async def sweep(self) -> None:
        """Let go of what has had its time."""
        ...

    async def clear(self) -> None: ...

    async def close(self) -> None: ...


class Nowhere:
    """Memory is all there is."""

    front, trouble = True, ""

    async def get(self, key: str) -> Entry | None:
        return None

    def asked(self, key: str) -> None:
        return

    async def put(self, key: str, entry: Entry, at_most: int) -> None:
        return

    async def claim(self, key: str, exchange: str) -> bool:
        return True

    async def renew(self, key: str, exchange: str) -> None:
        return

    async def release(self, key: str, exchange: str) -> None:
        return

    async def held(self) -> Held:
        return Held()

    async def sweep(self) -> None:
        return

    async def clear(self) -> None:
        return

    async def close(self) -> None:
        return


class Rest:
    """A store that did not answer is left alone for a while, so that not everybody waits for it; then one request finds
    out for all whether it answers again."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._answered = float("-inf")

    def is_over(self) -> bool:
        """Whether who asks this may ask the store."""
        now = time.monotonic()
        if self._until is None:
            return True
        if now < self._until:
            return False
        self._until = now + _REST
        return True

    def begin(self, asked: float) -> bool:
        """What was asked then had no answer. Whether that is the store's fault: not where it has answered since."""
        if self._answered > asked:
            return False
        self._until = time.monotonic() + _REST
        return True

    def end(self) -> None:
        """It has answered."""
        self._until, self._answered = None, time.monotonic()
