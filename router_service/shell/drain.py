"""Ends an Envoy in a container of its own orderly: whoever is about to end it says so by a file, and waits for another.

Envoy's image holds no program that could speak to its page, a unix socket; a shell can make a file. So the service,
which shares the folder of that socket with it, sees `drain` there, has Envoy drained, and answers with `drained`.
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
        if not asked.exists():
            continue
        try:
            await _drain(admin, drain_time)
        except OSError as error:  # it does not answer: nothing of it is left to wait for
            _log.warning("Envoy was to be drained and does not answer: %s", error)
        asked.unlink(missing_ok=True)
        done.touch()


async def _drain(admin: Path, drain_time: float) -> None:
    """For `drain_time` new connections are still taken, for whoever has not heard yet; each answer asks to close its
    own. Then none is, and what is under way comes to its end."""
    _log.info("Envoy takes no new connections in %g s", drain_time)
    await asyncio.to_thread(envoy_admin.drain, admin)
    await asyncio.sleep(drain_time)
    while await asyncio.to_thread(envoy_admin.under_way, admin):  # noqa: ASYNC110 - Envoy tells of no end by itself
        await asyncio.sleep(_LOOK_EVERY)
    _log.info("Envoy has nothing under way any more")
