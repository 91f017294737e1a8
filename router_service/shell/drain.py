"""Ends an Envoy in a container of its own orderly: whoever is about to end it says so by a file, and waits for another.

Envoy's image holds no program that could speak to its page, a unix socket; a shell can make a file. So the service,
which shares the folder of that socket with it, sees `drain` there, has Envoy drained, and answers with `drained`.

Which Envoy is meant, its socket tells: each makes it anew when it starts. Who asks goes on touching `drain`; a file
that is older than the socket was left behind by who asked for the end of an Envoy before.
"""

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path

from router_service.shell import envoy_admin

_log = logging.getLogger("archgw.drain")
ASKED, DONE = "drain", "drained"  # beside Envoy's socket
_LOOK_EVERY = 0.2  # seconds


async def beside(work: Coroutine[None, None, None], admin: Path, drain_time: float) -> None:
    """`work`, and whoever asks meanwhile has Envoy drained. `drain_time`: Envoy's own `--drain-time-s`."""
    watching = asyncio.create_task(watch(admin, drain_time))
    try:
        await work
    finally:
        watching.cancel()


async def watch(admin: Path, drain_time: float) -> None:
    """Until cancelled: an Envoy that was started anew in the same container is drained as the one before."""
    asked, done = admin.with_name(ASKED), admin.with_name(DONE)
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        since, envoy = _made(asked), _made(admin)
        if not since:
            continue
        if since < envoy:
            asked.unlink(missing_ok=True)
            continue
        try:
            await _drain(admin, envoy, drain_time)
        except (OSError, ValueError) as error:  # it does not answer: nothing of it is left to wait for
            _log.warning("Envoy was to be drained and does not answer: %s", error)
        if _made(admin) == envoy:  # else another has been started meanwhile, of which nobody has asked anything yet
            asked.unlink(missing_ok=True)
            done.touch()


async def _drain(admin: Path, envoy: int, drain_time: float) -> None:
    """For `drain_time` new connections are still taken, for whoever has not heard yet; each answer asks to close its
    own. Then none is, and what is under way comes to its end."""
    _log.info("Envoy takes no new connections in %g s", drain_time)
    await asyncio.to_thread(envoy_admin.drain, admin)
    await asyncio.sleep(drain_time)
    while _made(admin) == envoy and await _under_way(admin):  # noqa: ASYNC110 - Envoy tells of no end by itself
        await asyncio.sleep(_LOOK_EVERY)
    _log.info("Envoy has nothing under way any more")


async def _under_way(admin: Path) -> bool:
    return await asyncio.to_thread(envoy_admin.under_way, admin) > 0


def _made(path: Path) -> int:
    """When, in nanoseconds; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
