"""What is new, told to every page that looks: the ledger and the gateway are asked once for all of them."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from archgw.books import Books, Unreadable
from archgw.dashboard import asked
from archgw.dashboard.asked import Asked
from archgw.dashboard.gateway import Gateway
from router_service.shell.logs import place

_log = logging.getLogger("archgw.dashboard")
_GATEWAY_EVERY = 2  # times slower than the ledger
_BACK = 3_600.0  # a request may end so many seconds after it began, and is still noticed
_PING = 15  # seconds of silence
_WAITING = 500  # events that a page may be behind; one that is slower is told to load anew


class Follower:
    """Requests that were not there when it last looked. The first look finds nothing new."""

    def __init__(self) -> None:
        self._seen: set[str] | None = None

    def look(self, books: Books, now: float) -> Sequence[Asked]:
        """Raises Unreadable."""
        with books.reading() as connection:
            there = asked.ids(connection, now - _BACK)
            fresh = [] if self._seen is None else [id for id in there if id not in self._seen]
            rows = asked.of_ids(connection, fresh) if fresh else ()
        self._seen = set(there)
        return rows


class Live:
    """`run` looks while anybody listens, and `events` are what each of them is told: `event`, and its data."""

    def __init__(self, books: Books, ask: Callable[[], Gateway], *, every: float, ending: Callable[[], bool]) -> None:
        self._books, self._ask, self._every, self._ending = books, ask, every, ending
        self._listeners: set[asyncio.Queue[str]] = set()
        self._last: dict[str, str] = {}
        self._logged: set[str] = set()

    async def run(self) -> None:
        follower, turn = Follower(), 0
        while True:
            if not self._listeners:
                follower, turn, self._last = Follower(), 0, {}
                await asyncio.sleep(min(0.2, self._every))
                continue
            await self._look(follower)
            if turn % _GATEWAY_EVERY == 0:
                await self._look_at_gateway()
            turn += 1
            await asyncio.sleep(self._every)

    async def events(self) -> AsyncIterator[str]:
        with self._listening() as queue:
            yield ": here\n\n"
            silence = 0
            while not self._ending():
                try:
                    yield await asyncio.wait_for(queue.get(), 1)
                    silence = 0
                except TimeoutError:
                    silence += 1
                    if silence % _PING == 0:
                        yield ": still here\n\n"

    @contextmanager
    def _listening(self) -> Iterator[asyncio.Queue[str]]:
        queue: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        for event in self._last.values():
            queue.put_nowait(event)
        self._listeners.add(queue)
        try:
            yield queue
        finally:
            self._listeners.discard(queue)

    async def _look(self, follower: Follower) -> None:
        try:
            rows = await asyncio.to_thread(follower.look, self._books, time.time())
        except Unreadable as error:
            self._tell_changed("ledger", {"trouble": str(error), "mend": error.mend})
            return
        except Exception as error:  # the next look may be better, and nobody else tells the pages
            self._tell_changed("ledger", {"trouble": self._ours(error), "mend": "archgw logs tells where"})
            return
        self._tell_changed("ledger", {"trouble": "", "mend": ""})
        if rows:
            self._tell(_event("requests", [asdict(row) for row in rows]))

    async def _look_at_gateway(self) -> None:
        try:
            told = await asyncio.to_thread(self._ask)
        except Exception as error:  # as above
            told = Gateway("silent", troubles=(self._ours(error),))
        self._tell_changed("gateway", asdict(told))

    def _ours(self, error: Exception) -> str:
        """Its kind and no more, as its words may be anybody's; logged once for each place."""
        where = f"{type(error).__name__} at {place(error)}"
        if where not in self._logged:
            self._logged.add(where)
            _log.error("%s; the next look goes on", where)
        return f"an error in archgw itself ({type(error).__name__})"

    def _tell_changed(self, name: str, data: Any) -> None:
        event = _event(name, data)
        if self._last.get(name) != event:
            self._last[name] = event
            self._tell(event)

    def _tell(self, event: str) -> None:
        for queue in self._listeners:
            if queue.full():
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(_event("anew", {}))
            queue.put_nowait(event)


def _event(name: str, data: Any) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
