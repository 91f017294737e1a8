"""Stands between us and a server that is well: is slow, takes a word and says nothing, or loses what is said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Proxy:
    """`delay`: seconds for which each reply is held. `deaf`: nothing reaches the server. `mute`: its replies are lost.

    `accepted`: connections so far; `open`: those that are there, `most_open` at once. `replied`: bytes of replies.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.delay, self.mute = 0.0, False
        self._hears = asyncio.Event()
        self._hears.set()
        self.accepted = self.open = self.most_open = self.replied = 0
        self.port = 0

    @property
    def deaf(self) -> bool:
        return not self._hears.is_set()

    @deaf.setter
    def deaf(self, deaf: bool) -> None:
        if deaf:
            self._hears.clear()
        else:
            self._hears.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        work = self._hear(reader, heard), self._tell(heard, back), self._reply(there, writer)
        tasks = [asyncio.create_task(one) for one in work]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.open -= 1
            for end in (writer, back):  # before anything is waited for: this may be cancelled, too
                end.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, reader: asyncio.StreamReader, heard: "asyncio.Queue[bytes]") -> None:
        while asked := await reader.read(65536):
            heard.put_nowait(asked)

    async def _tell(self, heard: "asyncio.Queue[bytes]", back: asyncio.StreamWriter) -> None:
        while True:
            asked = await heard.get()
            await self._hears.wait()
            back.write(asked)

    async def _reply(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await there.read(65536):
            await asyncio.sleep(self.delay)
            if not self.mute:
                self.replied += len(said)
                writer.write(said)


@asynccontextmanager
async def proxy(port: int) -> AsyncIterator[Proxy]:
    """Before this port of this machine."""
    one = Proxy(port)
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        served.add(task)
        with suppress(asyncio.CancelledError, ConnectionError):
            await one.serve(reader, writer)
        served.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in list(served):
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
        await server.wait_closed()
