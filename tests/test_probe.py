"""What Compose and Kubernetes ask a router service: whether it is well."""

import asyncio
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from dialogue import gateway_of

from router_service.shell import grpc_server, state
from router_service.workers import Worker


async def test_a_service_is_well_from_when_it_serves_to_when_it_ends(tmp_path: Path) -> None:
    socket = tmp_path / "router.sock"
    assert await told(socket) == (1, f"{socket}: unavailable\n")
    serving = asyncio.create_task(grpc_server.serve(gateway_of(), Worker(socket), state.Nowhere()))
    for _ in range(1000):
        if socket.exists() or serving.done():
            break
        await asyncio.sleep(0.02)
    assert await told(socket) == (0, "")
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving
    assert (await told(socket))[0] == 1


async def told(socket: Path) -> tuple[int, str]:
    command = [sys.executable, "-m", "router_service.shell.probe", str(socket)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr
