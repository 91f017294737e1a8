"""Processes that are kept running: started, watched for their end, and started again, each time a little later."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from archgw.home import Health, Home
from router_service.shell.private import open_private

_log = logging.getLogger("archgw.supervisor")
_BACK_OFF = (0.1, 0.5, 1.0, 2.0, 5.0)  # seconds before the next start; the last one repeats
_WELL_AFTER = 20.0  # seconds of running after which the back-off begins anew


@dataclass(frozen=True, slots=True)
class Service:
    """A process to keep running; `environment` is all that it sees of ours, `told` what it is told when it starts."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    told: str = field(default="", repr=False)


class Processes:
    """`pids` and `restarts` by name; `begun`: when each was last started, on the monotonic clock."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._health: dict[str, Health] = {}
        self.pids: dict[str, int] = {}
        self.restarts: dict[str, int] = {}
        self.begun: dict[str, float] = {}
        self._running: set[str] = set()

    async def keep(self, make: Callable[[], Service]) -> None:
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

    def kill(self, name: str) -> None:
        """One that has ended has no number any more, and another's may be the same."""
        if name in self._running:
            with suppress(ProcessLookupError):
                os.kill(self.pids[name], signal.SIGKILL)

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
        self.runs(service.name, process.pid)
        _log.info("%s runs as process %s", service.name, process.pid)
        try:
            return await process.wait()
        finally:
            await _end(process)
            self._running.discard(service.name)

    def runs(self, name: str, pid: int) -> None:
        self.pids[name], self.begun[name] = pid, time.monotonic()
        self._running.add(name)

    def _open_log(self, name: str):  # type: ignore[no-untyped-def]  # an open file, of whatever kind
        return os.fdopen(open_private(self._home.log(name), os.O_WRONLY | os.O_APPEND), "ab")


def tail(path: Path, lines: int = 12) -> str:
    try:
        return "\n".join(path.read_text("utf-8", "replace").splitlines()[-lines:])
    except OSError:
        return "(nothing logged)"


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
