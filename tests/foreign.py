"""Another team's Envoy for tests: the edge of a shop, with the real binary, beside a router service of ours."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import aiohttp
import yaml
from aiohttp import web
from archgw import configs
from archgw.machine import ca_file, envoy_binary
from archgw.render.envoy_pieces import Place
from archgw.render.mesh.fragments import PREFIX, Fragments, fragments
from stack import CODE, free_port, until

from router_service.shell.probe import trouble

THEIRS = Path(__file__).parent / "mesh" / "theirs.yaml"


def theirs(edge: int = 10080, admin: int = 9901, orders: int = 8080) -> dict[str, Any]:
    """Their bootstrap, as they wrote it."""
    text = THEIRS.read_text()
    for name, port in (("$EDGE", edge), ("$ADMIN", admin), ("$ORDERS", orders)):
        text = text.replace(name, str(port))
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def fragments_for(config: Path, socket: Path) -> Fragments:
    place = Place(router_socket=str(socket), ca_file=ca_file(), prefix=PREFIX)
    return fragments(configs.complete(config), place)


@dataclass
class Edge:
    """Their Envoy while it runs."""

    url: str
    admin: str
    client: aiohttp.ClientSession
    router: asyncio.subprocess.Process

    async def ask(self, body: dict[str, Any], path: str = "/v1/messages", **headers: str) -> tuple[int, Any, bytes]:
        sent = {"content-type": "application/json", **headers}
        async with self.client.post(f"{self.url}{path}", data=json.dumps(body), headers=sent) as reply:
            return reply.status, reply.headers, await reply.read()

    async def get(self, path: str, **headers: str) -> tuple[int, Any, bytes]:
        async with self.client.get(f"{self.url}{path}", headers=headers) as reply:
            return reply.status, reply.headers, await reply.read()

    async def dump(self) -> Any:
        async with self.client.get(f"{self.admin}/config_dump") as reply:
            return await reply.json()


@asynccontextmanager
async def edge(
    folder: Path, config: Path, environment: dict[str, str], merged: Callable[[dict[str, Any], Path], dict[str, Any]]
) -> AsyncIterator[Edge]:
    """Run their Envoy with what `merged` makes of their bootstrap (it is given our socket, too), and our service."""
    ports = {name: free_port() for name in ("edge", "admin", "orders")}
    socket, file = folder / "router.sock", folder / "edge.json"
    file.write_text(json.dumps(merged(theirs(**ports), socket)))
    own = await _orders(ports["orders"])
    command = [sys.executable, "-m", "router_service", "--config", str(config), "--socket", str(socket)]
    log = (folder / "log").open("wb")
    variables = {"PATH": os.environ["PATH"], **CODE, **environment}
    router = await asyncio.create_subprocess_exec(*command, env=variables, stdout=log, stderr=log)
    process = await _envoy(file, log)
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as client:
            running = Edge(f"http://127.0.0.1:{ports['edge']}", f"http://127.0.0.1:{ports['admin']}", client, router)
            await until(lambda: router.returncode is not None or (socket.exists() and not trouble(str(socket))))
            assert router.returncode is None and await _ready(client, running.admin, process), (
                folder / "log"
            ).read_text()[-3000:]
            yield running
    finally:
        for one in (process, router):
            if one.returncode is None:
                one.terminate()
            await one.wait()
        await own.cleanup()
        log.close()


@asynccontextmanager
async def envoy(folder: Path, bootstrap: dict[str, Any], admin: str) -> AsyncIterator[Any]:
    """Run an Envoy with nobody beside it until it is ready, for what it says of itself then."""
    file = folder / "bootstrap.json"
    file.write_text(json.dumps(bootstrap))
    with (folder / "log").open("wb") as log:
        process = await _envoy(file, log)
        try:
            async with aiohttp.ClientSession() as client:
                assert await _ready(client, admin, process), (folder / "log").read_text()[-3000:]
                async with client.get(f"{admin}/config_dump") as reply:
                    yield await reply.json()
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _envoy(file: Path, log: IO[bytes]) -> asyncio.subprocess.Process:
    flags = ["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning"]
    return await asyncio.create_subprocess_exec(
        str(envoy_binary()), "-c", str(file), *flags, env={"PATH": "/usr/bin:/bin"}, stdout=log, stderr=log
    )


async def _ready(client: aiohttp.ClientSession, admin: str, process: asyncio.subprocess.Process) -> bool:
    for _ in range(600):
        if process.returncode is not None:
            return False
        try:
            async with client.get(f"{admin}/ready") as reply:
                if reply.status == 200:
                    return True
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)
    return False


async def _orders(port: int) -> web.ServerRunner:
    """Their own service behind it."""

    async def answer(request: web.BaseRequest) -> web.Response:
        return web.Response(text=f"order of {request.path}")

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner
