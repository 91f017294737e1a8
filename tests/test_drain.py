"""Who is about to end an Envoy makes a file, and waits for another: what comes of it where there is none to drain."""

import asyncio
from pathlib import Path

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
