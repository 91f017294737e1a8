"""The supervisor's own door: a unix socket at which `archgw reload`, `down` and `status` ask."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

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
    asked = _Asked(controlled)
    application = web.Application()
    application.add_routes(
        [web.post("/reload", asked.reload), web.get("/config", asked.config), web.post("/stop", asked.stop)]
    )
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    make_way(at)
    await web.UnixSite(runner, str(at)).start()
    close_to_others(at)
    try:
        yield
    finally:
        await runner.cleanup()


@dataclass(frozen=True, slots=True)
class _Asked:
    controlled: Controlled

    async def reload(self, _: web.Request) -> web.Response:
        try:
            return web.json_response(asdict(await self.controlled.reload()))
        except CannotReload as error:
            return web.json_response({"trouble": str(error)}, status=422)

    async def config(self, _: web.Request) -> web.Response:
        return web.json_response({"trouble": self.controlled.trouble})

    async def stop(self, request: web.Request) -> web.Response:
        asked: Any = await request.json()
        self.controlled.stop(float(asked.get("within", STOP_WITHIN)))
        return web.json_response({})
