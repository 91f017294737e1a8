"""What the dashboard answers: the page, a piece of JSON for each panel, events as they come, and thumbs taken."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from archgw.books import Books, Unreadable
from archgw.dashboard import asked, quality, sessions, sums
from archgw.dashboard.door import Door
from archgw.dashboard.gateway import Gateway
from archgw.dashboard.live import Live
from archgw.dashboard.span import RANGES, Span, span
from router_service.config import Config
from router_service.evidence import SHOULD_BE, THUMBS, Target
from router_service.feedback import Names, resolve
from router_service.shell.ledger import sign, unsign

_ASSETS = files("archgw.dashboard") / "assets"
_PAGE = 50  # requests told at once
_SESSIONS = 25
Panel = Callable[[Connection, Span, Config | None], Any]


def _names(config: Config | None) -> list[str]:
    return [preference.name for preference in config.preferences] if config else []


def _known(config: Config | None) -> Names:
    """Who may be said to be the one who should have answered."""
    models = [entry.known_as for entry in config.providers] if config else []
    return Names(tuple(_names(config)), {model: model for model in models})


PANELS: Mapping[str, Panel] = {
    "headline": lambda connection, span, _: sums.headline(connection, span),
    "money": lambda connection, span, _: sums.money(connection, span),
    "flow": lambda connection, span, _: sums.flow(connection, span),
    "latency": lambda connection, span, _: sums.latency(connection, span.coarser),
    "health": lambda connection, span, _: quality.health(connection, span),
    "sessions": lambda connection, span, _: sessions.sessions(connection, span, _SESSIONS),
    "quality": lambda connection, span, config: quality.quality(connection, span, _names(config)),
}


@dataclass(frozen=True, slots=True)
class Sources:
    """What it all comes from. `config`: the one in use now; `gateway`: what runs says of itself."""

    books: Books
    config: Callable[[], Config | None]
    gateway: Callable[[], Gateway]
    clock: Callable[[], float] = time.time


def application(
    sources: Sources, *, port: int, key: str, every: float = 1.0, ending: Callable[[], bool] = lambda: False
) -> Starlette:
    """`ending`: whether the server is about to end, and with it what pages listen to."""
    live = Live(sources.books, sources.gateway, every=every, ending=ending)
    asks = _Asks(sources, live)
    return Starlette(
        routes=[
            Route("/", _page),
            Route("/api/panels/{name}", asks.panel),
            Route("/api/requests", asks.requests),
            Route("/api/requests/{id}", asks.request),
            Route("/api/requests/{id}/thumb", asks.thumb, methods=["POST"]),
            Route("/api/requests/{id}/should-be", asks.should_be, methods=["POST"]),
            Route("/api/gateway", asks.gateway),
            Route("/api/events", asks.events),
            Mount("/assets", StaticFiles(directory=str(_ASSETS))),
        ],
        middleware=[Middleware(Door, port=port, key=key)],
        exception_handlers={Unreadable: _unreadable, HTTPException: _wrong},
        lifespan=_running(live),
    )


def _running(live: Live) -> Any:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        task = asyncio.create_task(live.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return lifespan


@dataclass(frozen=True, slots=True)
class _Asks:
    sources: Sources
    live: Live

    async def panel(self, request: Request) -> Response:
        panel = PANELS.get(request.path_params["name"])
        if panel is None:
            raise HTTPException(404, "there is no such panel")
        wanted = request.query_params.get("range", "24h")
        if wanted not in RANGES:
            raise HTTPException(400, f"range is one of {', '.join(RANGES)}")
        return await run_in_threadpool(self._panel, panel, span(wanted, self.sources.clock()))

    def _panel(self, panel: Panel, wanted: Span) -> Response:
        config = self.sources.config()
        with self.sources.books.reading() as connection:
            return _json({"since": wanted.since, "until": wanted.until, "is": panel(connection, wanted, config)})

    async def requests(self, request: Request) -> Response:
        given = request.query_params
        wanted = asked.Wanted(given.get("preference"), given.get("model"), "trouble" in given, _before(given))
        return await run_in_threadpool(self._requests, wanted)

    def _requests(self, wanted: asked.Wanted) -> Response:
        with self.sources.books.reading() as connection:
            return _json(asked.newest(connection, wanted, _PAGE))

    async def request(self, request: Request) -> Response:
        return await run_in_threadpool(self._request, request.path_params["id"])

    def _request(self, id: str) -> Response:
        with self.sources.books.reading() as connection:
            found = asked.detail(connection, id)
        if found is None:
            raise HTTPException(404, "the ledger does not have it any more")
        known = _known(self.sources.config())
        return _json(asdict(found) | {"known": {"preferences": known.preferences, "models": list(known.models)}})

    async def thumb(self, request: Request) -> Response:
        thumb = await _given(request, "thumb")
        if thumb not in (*THUMBS, None):
            raise HTTPException(400, f'send {{"thumb": "{THUMBS[0]}"}} or {{"thumb": "{THUMBS[1]}"}}, or null')
        return await run_in_threadpool(self._thumb, request.path_params["id"], thumb)

    def _thumb(self, id: str, thumb: str | None) -> Response:
        """None takes back what was given."""
        with self.sources.books.writing() as connection:
            if not (sign(connection, id, thumb) if thumb else unsign(connection, id, *THUMBS)):
                raise HTTPException(404, "the ledger does not have it any more")
        return _json({"id": id, "thumb": thumb})

    async def should_be(self, request: Request) -> Response:
        given = await _given(request, "should_be")
        if given is not None and not (isinstance(given, str) and given):
            raise HTTPException(400, 'send {"should_be": "preference:NAME"} or {"should_be": "model:NAME"}, or null')
        return await run_in_threadpool(self._should_be, request.path_params["id"], given)

    def _should_be(self, id: str, given: str | None) -> Response:
        """None takes back what was said."""
        try:
            target: Target | None = resolve(given, _known(self.sources.config())) if given else None
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        told = target.told if target else None
        with self.sources.books.writing() as connection:
            if not (sign(connection, id, SHOULD_BE, told) if told else unsign(connection, id, SHOULD_BE)):
                raise HTTPException(404, "the ledger does not have it any more")
        return _json({"id": id, "should_be": told})

    async def gateway(self, _: Request) -> Response:
        return _json(await run_in_threadpool(self.sources.gateway))

    async def events(self, _: Request) -> Response:
        return StreamingResponse(self.live.events(), media_type="text/event-stream")


async def _given(request: Request, name: str) -> Any:
    """What was sent by this name; an empty text where that cannot be read."""
    try:
        return json.loads(await request.body())[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _before(given: Mapping[str, str]) -> tuple[float, str] | None:
    at, _, id = given.get("before", "").partition(",")
    try:
        return (float(at), id) if id else None
    except ValueError:
        raise HTTPException(400, "before is a time and an id") from None


def _json(value: Any) -> Response:
    return JSONResponse(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value


async def _page(_: Request) -> Response:
    return FileResponse(str(_ASSETS / "index.html"), media_type="text/html")


async def _unreadable(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error), "mend": getattr(error, "mend", "")}, status_code=503)


async def _wrong(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail, "mend": ""}, status_code=error.status_code)
