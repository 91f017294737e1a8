"""A whole gateway for tests: simulated providers, the router service and the real Envoy, on free ports."""

import asyncio
import io
import json
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
from archgw.home import Home, Stack
from archgw.simulate import Simulator
from archgw.supervisor import Supervisor

from router_service.shell import envoy_admin

T = TypeVar("T")
CODE = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}  # where a checkout is not installed


def free_port() -> int:
    """Out of a range of this worker's own, below those that the system gives to whoever asks for any."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for port in random.sample(range(12_100 + 2000 * worker, 14_100 + 2000 * worker), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


async def until(true: Callable[[], object], *, patience: float = 60.0) -> None:
    """For what has no event: files, processes, what others have been asked."""
    for _ in range(int(patience / 0.05)):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("it did not come about")


async def settled(read: Callable[[], T], *, quiet: float = 0.5) -> T:
    """What it says when it says nothing new for so long: of a log, which is written behind the requests' backs."""
    before, now = None, read()
    while now != before:
        await asyncio.sleep(quiet)
        before, now = now, read()
    return now


@dataclass
class Gateway:
    """A running stack and its providers, by name."""

    url: str
    home: Home
    supervisor: Supervisor
    providers: dict[str, Simulator]
    client: aiohttp.ClientSession
    stack: Stack

    async def ask(self, body: dict[str, Any] | bytes, path: str = "/v1/messages", **headers: str) -> "Answer":
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json", "x-api-key": "the client's own", **headers}
        async with self.client.post(f"{self.url}{path}", data=io.BytesIO(data), headers=sent) as reply:
            return Answer(reply.status, dict(reply.headers), await reply.read())

    async def until_well(self, body: dict[str, Any]) -> "Answer":
        """The first good answer to this, after something has died."""
        for _ in range(900):
            (answer,) = await asyncio.gather(self.ask(body), return_exceptions=True)
            if isinstance(answer, Answer) and answer.status == 200:
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError("the gateway did not come back")

    async def calm(self) -> None:
        """Every provider well again, and nothing kept of what it was asked."""
        for provider in self.providers.values():
            provider.clear()
            await provider.recover()
            provider.requests.clear()
            provider.leaks.clear()

    async def ejected(self) -> dict[str, bool]:
        """Candidate id -> whether Envoy has put it aside."""
        return await asyncio.to_thread(envoy_admin.ejections, self.home.admin_socket)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """What the model said, whatever the dialect."""
        if "choices" in self.json:
            return self.json["choices"][0]["message"]["content"] or ""
        return "".join(block.get("text", "") for block in self.json["content"])


@asynccontextmanager
async def gateway(
    folder: Path,
    config: str,
    providers: dict[str, Simulator],
    environment: dict[str, str] | None = None,
    **supervisor_options: float,
) -> AsyncIterator[Gateway]:
    """Run a stack for `config`, in which `$URL_<NAME>` stands for a provider's URL."""
    for name, provider in providers.items():
        config = config.replace(f"$URL_{name.upper()}", provider.url)
    file = folder / "config.yaml"
    file.write_text(config.replace("$PORT", str(free_port())))
    home = Home(folder / "home")
    supervisor = Supervisor(
        file, home, environment={"PATH": "/usr/bin:/bin", **(environment or {})}, **supervisor_options
    )
    async with supervisor.running() as stack, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as client:
        yield Gateway(supervisor.url, home, supervisor, providers, client, stack)
