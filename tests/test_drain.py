"""Who is about to end an Envoy makes a file, and waits for another: what comes of it where there is none to drain."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from stack import until

from router_service.shell import drain


async def test_where_no_envoy_answers_nobody_waits_for_it(tmp_path: Path) -> None:
    asked, done = tmp_path / "drain", tmp_path / "drained"
    watching = asyncio.create_task(drain.watch(tmp_path / "admin.sock", drain_time=3600))
    asked.touch()
    await until(done.exists)
    assert not asked.exists()

    done.unlink()  # as the hook of an Envoy that was started anew does
    asked.touch()
    await until(done.exists)
    watching.cancel()


async def test_the_service_goes_on_whatever_becomes_of_it(tmp_path: Path) -> None:
    served = asyncio.Event()

    async def work() -> None:
        (tmp_path / "drain").touch()
        await until((tmp_path / "drained").exists)
        served.set()

    await drain.beside(work(), tmp_path / "admin.sock", drain_time=0)
    assert served.is_set()


class Page(HTTPServer):
    """An Envoy's own page: so many requests are under way, and whether it was told to drain."""

    address_family = socket.AF_UNIX

    def __init__(self, path: Path, under_way: int) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), Envoy)  # type: ignore[arg-type]  # of a unix socket it is a path
        self.under_way, self.drained = under_way, False
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)

    def end(self) -> None:
        self.shutdown()
        self.server_close()


class Envoy(BaseHTTPRequestHandler):
    server: Page

    def do_GET(self) -> None:
        self._say(f"http.front.downstream_rq_active: {self.server.under_way}\n".encode())

    def do_POST(self) -> None:
        self.server.drained = True
        self._say(b"OK\n")

    def _say(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[list[asyncio.Task[None]]]:
    tasks: list[asyncio.Task[None]] = []
    yield tasks
    for task in tasks:
        task.cancel()


async def test_an_envoy_is_drained_when_nothing_is_under_way(
    tmp_path: Path, watching: list[asyncio.Task[None]]
) -> None:
    envoy = Page(tmp_path / "admin.sock", under_way=1)
    watching.append(asyncio.create_task(drain.watch(tmp_path / "admin.sock", drain_time=0)))
    (tmp_path / "drain").touch()
    await until(lambda: envoy.drained)
    assert not (tmp_path / "drained").exists()
    envoy.under_way = 0
    await until((tmp_path / "drained").exists)
    await asyncio.to_thread(envoy.end)


async def test_what_was_asked_of_an_envoy_before_ends_none(tmp_path: Path, watching: list[asyncio.Task[None]]) -> None:
    """It was killed while its hook waited; the service was away, and comes to another Envoy, which is well."""
    (tmp_path / "drain").touch()
    os.utime(tmp_path / "drain", (1, 1))
    envoy = Page(tmp_path / "admin.sock", under_way=0)
    watching.append(asyncio.create_task(drain.watch(tmp_path / "admin.sock", drain_time=0)))
    await until(lambda: not (tmp_path / "drain").exists())
    assert not envoy.drained and not (tmp_path / "drained").exists()

    (tmp_path / "drain").touch()  # of this one
    await until((tmp_path / "drained").exists)
    assert envoy.drained
    await asyncio.to_thread(envoy.end)


async def test_an_envoy_that_takes_the_place_of_one_that_drains_is_drained_itself(
    tmp_path: Path, watching: list[asyncio.Task[None]]
) -> None:
    """Killed for it hung, with its hook, and started again: the pod ends before the first drain has come to its end."""
    first = Page(tmp_path / "admin.sock", under_way=1)
    watching.append(asyncio.create_task(drain.watch(tmp_path / "admin.sock", drain_time=0)))
    (tmp_path / "drain").touch()
    await until(lambda: first.drained)
    await asyncio.to_thread(first.end)
    second = Page(tmp_path / "admin.sock", under_way=0)
    (tmp_path / "drained").unlink(missing_ok=True)
    (tmp_path / "drain").touch()  # as its own hook does, and goes on doing
    await until((tmp_path / "drained").exists)
    assert second.drained
    await asyncio.to_thread(second.end)
