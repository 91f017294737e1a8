"""The supervisor's own door: a unix socket at which `archgw reload`, `down` and `status` ask.

They are its only clients (`shell/unix_http.py`), with three questions: a library for HTTP would be half of what a
supervisor has in memory.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from router_service.shell.private import close_to_others, make_way

STOP_WITHIN = 30.0  # seconds that requests under way are given


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What is otherwise now, in words; what will be so only when the gateway is started anew; and what is odd.

    Where nothing is otherwise: what was, when the file was read the last time, so many seconds ago.
    """

    changes: tuple[str, ...] = ()
    later: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    ago: float = 0.0


class CannotReload(Exception):
    """Why the config that is there cannot be used, in words. The one before goes on."""


class Controlled(Protocol):
    @property
    def trouble(self) -> str:
        """Why the config that is there is not the one in use; empty when it is."""
        ...

    async def reload(self) -> Reloaded: ...

    def stop(self, within: float) -> None: ...


@asynccontextmanager
async def door(at: Path, controlled: Controlled) -> AsyncIterator[None]:
    """Answer there for as long as the context is open."""
    make_way(at)
    server = await asyncio.start_unix_server(partial(_serve, controlled), at)
    close_to_others(at)
    try:
        yield
    finally:
        server.close()


async def _serve(controlled: Controlled, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One question a connection; who asks otherwise, or leaves, is told nothing."""
    try:
        with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"\r\ncontent-length: *(\d+)", head, re.I)
            body = await reader.readexactly(int(length[1])) if length else b""
            status, told = await _answer(controlled, " ".join(head.split(" ")[:2]), json.loads(body or b"{}"))
            said = json.dumps(told).encode()
            writer.write(
                f"HTTP/1.1 {status}\r\ncontent-length: {len(said)}\r\nconnection: close\r\n\r\n".encode() + said
            )
            await writer.drain()
    finally:
        writer.close()


async def _answer(controlled: Controlled, asked: str, given: Any) -> tuple[str, dict[str, Any]]:
    match asked:
        case "POST /reload":
            try:
                return "200 OK", asdict(await controlled.reload())
            except CannotReload as error:
                return "422 Unprocessable Content", {"trouble": str(error)}
        case "GET /config":
            return "200 OK", {"trouble": controlled.trouble}
        case "POST /stop":
            controlled.stop(float(given.get("within", STOP_WITHIN)))
            return "200 OK", {}
    return "404 Not Found", {}
