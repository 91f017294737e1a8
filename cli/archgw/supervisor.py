"""Starts the router service and Envoy, keeps both running, and ends both. The only place that starts processes.

As a process of its own (`python -m archgw.supervisor CONFIG`) it is what `archgw up` leaves behind.
"""

import argparse
import asyncio
import itertools
import json
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from archgw import control
from archgw.changes import changes
from archgw.control import STOP_WITHIN, CannotReload, Reloaded
from archgw.envoy_files import EnvoyFiles, NotTaken
from archgw.home import AlreadyRunning, Home, NotPrivate, Stack, home, write_private, written_to
from archgw.machine import DASHBOARD_HOST, CannotStart, ca_file, check_port, envoy_binary, refusal, why_taken
from archgw.processes import Processes, Service, tail
from router_service.config import MOST_WORKERS as MOST
from router_service.config import Config, ConfigErrors, usable, with_workers
from router_service.plan import Plan, plan
from router_service.shell import envoy_admin
from router_service.shell.files import Source, source
from router_service.workers import ROUTER, Worker

_log = logging.getLogger("archgw.supervisor")
READY_WITHIN = 60.0
_SEEN = ("PATH", "HOME", "PYTHONPATH", "TZ", "LANG", "LC_ALL")  # of the environment, by the dashboard
_ADOPTED_WITHIN = 30.0  # seconds, in which a router service that has just ended is there again


class Supervisor:
    """`environment` is where the keys are, and what the router service sees; by default ours.

    `silence` is how many seconds nothing may be answered until a service is taken for hung. `watch`: reload when the
    config changes, or the .env beside it. `dashboard`: start that, too, where the config does not say otherwise.
    `workers`: so many router services, whatever the config says.
    """

    def __init__(
        self,
        config: Path,
        at: Home,
        *,
        environment: Mapping[str, str] = os.environ,
        silence: float = 30.0,
        watch: bool = True,
        dashboard: bool = False,
        workers: int | None = None,
    ) -> None:
        self._config, self._home, self._environment = config, at, environment
        self._silence = silence
        self._watches_files = watch
        self._source = source(config, environment)
        self._workers_wanted = workers
        self._plan = plan(self._usable(self._source))
        self._has_dashboard = dashboard and self._plan.dashboard.enabled
        self._started_with = self._plan  # what listeners are like until the end
        self._workers = [Worker(at.router_socket, one, self._plan.workers) for one in range(self._plan.workers)]
        self._envoy_files = EnvoyFiles(at, ca_file(environment))
        self._reloading = asyncio.Lock()
        self._last: tuple[float, tuple[str, ...]] | None = None  # when the config was last another, and in what
        self._tasks: list[asyncio.Task[None]] = []
        self._run: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._processes = Processes(at)
        self.trouble = ""
        self.pids, self.restarts = self._processes.pids, self._processes.restarts

    @property
    def url(self) -> str:
        listener = self._started_with.listener
        return f"http://{listener.address}:{listener.port}"

    async def run(self, *, on_ready: Callable[[Stack], None] = lambda stack: None) -> None:
        """Run until cancelled. Raises CannotStart, AlreadyRunning, NotPrivate."""
        self._run = asyncio.current_task()
        with self._home.hold():
            check_port(self._plan)
            with written_to(self._home.folder):
                self._envoy_files.begin(self._plan)
                self._accept(self._source)
                for stale in (*self._home.router_sockets(MOST), self._home.admin_socket):
                    stale.unlink(missing_ok=True)
            try:
                for worker in self._workers:
                    self._tasks.append(asyncio.create_task(self._processes.keep(partial(self._router, worker))))
                for worker in self._workers:
                    await self._until(worker.socket.exists)
                self._tasks.append(asyncio.create_task(self._processes.keep(self._envoy)))
                stack = await self._until_ready()
                async with control.door(self._home.control_socket, self):
                    if stack.dashboard:
                        self._tasks.append(asyncio.create_task(self._processes.keep(self._dashboard)))
                    self._home.announce(stack)
                    on_ready(stack)
                    self._tasks.append(asyncio.create_task(self._watch()))
                    if len(self._workers) > 1:
                        self._tasks += [asyncio.create_task(self._watch_worker(worker)) for worker in self._workers]
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
            now = asyncio.get_running_loop().time()
            if reloaded.changes:
                self._last = (now, reloaded.changes)
            elif self._last:
                reloaded = replace(reloaded, last=self._last[1], ago=now - self._last[0])
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
            config = self._usable(fresh)
        except ConfigErrors as error:
            raise CannotReload(str(error)) from error
        except OSError as error:
            raise CannotReload(f"cannot read {self._config}: {error.strerror}") from error
        new = plan(config)
        if fresh == self._source:
            return Reloaded(later=self._later(new), warnings=config.warnings)
        self._check_shared(new)
        try:
            if refused := await asyncio.to_thread(self._refusal, new):
                raise NotTaken(refused)
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

    def _usable(self, given: Source) -> Config:
        """Raises ConfigErrors."""
        config = usable(given.config())
        return with_workers(config, self._workers_wanted) if self._workers_wanted else config

    def _check_shared(self, new: Plan) -> None:
        """One of several that is started again would keep what they share elsewhere. Raises CannotReload."""
        different = [name for name in ("state", "ledger") if getattr(self._started_with, name) != getattr(new, name)]
        if different and len(self._workers) > 1:
            words = f"several router services run, which share it, so that {' and '.join(different)} cannot be another"
            raise CannotReload(f"{words} while they run: archgw down, then archgw up")

    def _later(self, new: Plan) -> tuple[str, ...]:
        """What Envoy and the service read only when they start, and is not as they read it."""
        old, later = self._started_with, []
        if not self._envoy_files.listens_alike(old, replace(new, workers=old.workers)):
            later.append("listeners, limits")
        restarted = ("state", "ledger", "telemetry", "dashboard", "workers")
        later += [name for name in restarted if getattr(old, name) != getattr(new, name)]
        return tuple(later)

    def _refusal(self, new: Plan) -> str:
        """Of files that are replaced Envoy only warns when it finds something in them."""
        file = self._home.run / "check.json"
        write_private(file, self._envoy_files.whole(new))
        try:
            return refusal(file)
        finally:
            file.unlink(missing_ok=True)

    def _accept(self, accepted: Source) -> None:
        write_private(self._home.accepted, accepted.to_json())

    async def _adopted(self, fresh: Source) -> None:
        """Let every router service take it, or none. Raises CannotReload."""
        for worker in self._workers:
            try:
                await self._adopted_by(worker, fresh)
            except CannotReload:
                with suppress(OSError):
                    self._accept(self._source)  # for who is started again meanwhile
                for other in self._workers:
                    if other != worker:
                        with suppress(CannotReload):  # then it begins anew, with the old one
                            await self._adopted_by(other, self._source)
                raise

    async def _adopted_by(self, worker: Worker, fresh: Source) -> None:
        """While it is being restarted, wait for it. Raises CannotReload."""
        import grpc  # a reload may never come

        from archgw import client

        deadline = time.monotonic() + _ADOPTED_WITHIN
        while True:
            try:
                return await asyncio.to_thread(client.adopt, worker.socket, fresh)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.FAILED_PRECONDITION:
                    raise CannotReload(error.details()) from error
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    # It may take it yet, and know a plan that Envoy does not: it begins anew with the old one.
                    self._processes.kill(worker.name)
                    raise CannotReload("the router service did not answer, and is started anew: archgw logs") from error
            await asyncio.sleep(0.1)

    async def _watch_files(self) -> None:
        """Reload when the config is written, or the .env beside it."""
        from watchfiles import awatch  # when everything runs

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
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.to_thread(envoy_admin.take_no_more, self._home.admin_socket)
                under_way = True
                while under_way:
                    under_way = await asyncio.to_thread(envoy_admin.under_way, self._home.admin_socket) > 0
                    await asyncio.sleep(0.05)
        if self._run:
            _end_orderly(self._run)

    # -- processes --------------------------------------------------------------------------------------------

    def _router(self, worker: Worker) -> Service:
        several = ("--workers", str(worker.count), "--worker", str(worker.number)) if worker.count > 1 else ()
        command = (
            sys.executable, "-m", "router_service",
            "--config", str(self._config), "--accepted", str(self._home.accepted),
            "--socket", str(self._home.router_socket), "--state", str(self._home.state),
            "--ledger", str(self._home.ledger), "--cache", str(self._home.cache),
            "--envoy-admin", str(self._home.admin_socket), "--until-stdin-ends", *several,
        )  # fmt: skip
        told = json.dumps(dict(self._source.variables)) + "\n"  # by no way that other processes could see
        # numpy would learn on every core at once, and spin there while Envoy wants them
        return Service(worker.name, command, {"OPENBLAS_NUM_THREADS": "1", **self._environment}, told)

    def _envoy(self) -> Service:
        """It is told no secret, so it cannot show one: the keys stay with the router service."""
        command = (
            str(envoy_binary()), "-c", str(self._home.envoy_config),
            "--use-dynamic-base-id", "--concurrency", str(min(4, os.cpu_count() or 1)),
            "--log-level", "warning", "--drain-time-s", "5",
        )  # fmt: skip
        return Service("envoy", command, {"PATH": os.environ.get("PATH", "")})

    def _dashboard(self) -> Service:
        """It reads the ledger, and so needs what a database may want; no vendor's key is of use to it."""
        command = (
            sys.executable, "-m", "archgw.dashboard",
            "--home", str(self._home.folder), "--port", str(self._started_with.dashboard.port),
        )  # fmt: skip
        seen = {name: text for name, text in self._environment.items() if name in _SEEN or name.startswith("PG")}
        return Service("dashboard", command, seen)

    async def _watch(self) -> None:
        """What runs but does not answer is as good as dead: it is ended, and `_keep` starts it again. The router
        service goes first; Envoy, if that did not help."""
        suspects, heard = itertools.cycle((ROUTER, "envoy")), time.monotonic()
        while True:
            await asyncio.sleep(self._silence / 6)
            with suppress(OSError):  # what should have left stays until the disk has room again
                self._envoy_files.tidy()
            if await self._answers(self._silence):
                suspects, heard = itertools.cycle((ROUTER, "envoy")), time.monotonic()
            elif time.monotonic() - max(heard, self._able_since()) > self._silence:
                name = next(suspects)
                _log.warning("nothing was answered for %g s; ending %s", self._silence, name)
                for one in [worker.name for worker in self._workers] if name == ROUTER else [name]:
                    self._processes.kill(one)

    def _able_since(self) -> float:
        """When those were started without whom nothing is answered: Envoy, and at least one router service."""
        begun = self._processes.begun
        return max(begun["envoy"], min(begun[worker.name] for worker in self._workers))

    async def _watch_worker(self, worker: Worker) -> None:
        """One of several may hang while the others answer for it."""
        from router_service.shell import probe  # with gRPC, which a supervisor of one does without

        process, heard = self.pids[worker.name], time.monotonic()
        while True:
            await asyncio.sleep(self._silence / 6)
            now = time.monotonic()
            if self.pids[worker.name] != process or not await asyncio.to_thread(probe.trouble, str(worker.socket)):
                process, heard = self.pids[worker.name], now
            elif now - heard > self._silence:
                _log.warning("%s has not answered for %g s; ending it", worker.name, self._silence)
                self._processes.kill(worker.name)
                heard = now

    async def _answers(self, within: float) -> bool:
        """Whether a request passes through Envoy and the service, in so many seconds."""
        listener = self._started_with.listener
        host = f"[{listener.address}]" if ":" in listener.address else listener.address
        asked = f"GET /healthz HTTP/1.1\r\nhost: {host}:{listener.port}\r\nconnection: close\r\n\r\n"
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(within):
                reader, writer = await asyncio.open_connection(listener.address, listener.port)
                try:
                    writer.write(asked.encode())
                    return (await reader.readline()).split(b" ")[1:2] == [b"200"]
                finally:
                    writer.close()
        return False

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
        while time.monotonic() < deadline and max(self.restarts.values(), default=0) <= 2:
            if await self._answers(2):
                return self._describe()
            await asyncio.sleep(0.05)
        raise CannotStart(self._why())

    def _describe(self) -> Stack:
        """With the dashboard, or why there is none: nobody's request waits for a page."""
        stack = Stack(os.getpid(), str(self._config), self.url, time.time(), workers=len(self._workers))
        port = self._started_with.dashboard.port
        if not self._has_dashboard:
            return stack
        if taken := why_taken(DASHBOARD_HOST, port):
            trouble = f"no dashboard: cannot listen on {DASHBOARD_HOST}:{port}: {taken}"
            _log.warning("%s", trouble)
            return replace(stack, without=f"{trouble}; set another dashboard.port in the config")
        return replace(stack, dashboard=f"http://{DASHBOARD_HOST}:{port}")

    def _why(self) -> str:
        ended = ", ".join(self.restarts) or "a probe request was not answered"
        names = [*(worker.name for worker in self._workers), "envoy"]
        tails = "".join(f"\n{name}: {tail(self._home.log(name))}" for name in names)
        return f"the stack did not come up within {READY_WITHIN:g} s ({ended}).{tails}"


def _end_orderly(task: asyncio.Task[None]) -> None:
    """Cancel it, once: a second time would cut short what it does in the end."""
    if not task.cancelling():
        task.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m archgw.supervisor", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--workers", type=int, help="how many router services, instead of what the config says")
    parser.add_argument("--no-watch", action="store_true", help="do not reload when the config changes")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # Envoy inherits it, whose memory holds prompts and keys
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        supervisor = Supervisor(
            arguments.config, home(), watch=not arguments.no_watch, dashboard=True, workers=arguments.workers
        )
        asyncio.run(until_told_to_stop(supervisor))
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
