"""archgw simulate: stand-ins for the vendors, on loopback."""

import asyncio
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from archgw import report, simulated
from archgw.commands.check import example_text
from archgw.simulate import VENDORS, Simulator


def simulate(
    vendors: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Which: {', '.join(VENDORS)}. Without any: those of the example config.", show_default=False
        ),
    ] = None,
    port: Annotated[int, typer.Option(help="The port of the first; the others follow it.", min=0, max=65000)] = 12100,
    latency: Annotated[int, typer.Option(help="Milliseconds before each answer.", min=0)] = 0,
    write_config: Annotated[
        Path | None,
        typer.Option(help="Write a config that leads to them, to run the gateway with.", show_default=False),
    ] = None,
) -> None:
    """Run simulated providers on loopback: the vendors' real wire formats and strictness, no keys, no network.

    They can be told to fail, and what to answer: see docs/simulate.md.
    """
    example = example_text()
    names = vendors or simulated.vendors(example)
    unknown = [name for name in names if name not in VENDORS]
    if unknown:
        report.fail(f"no simulated vendor '{unknown[0]}'", mend=f"there are: {', '.join(VENDORS)}", code=report.MISUSE)
    try:
        asyncio.run(_serve(names, port, latency / 1000, write_config, example))
    except OSError as error:
        report.fail(f"cannot listen: {error.strerror or error}", mend="choose another --port")


async def _serve(names: list[str], port: int, latency: float, write_config: Path | None, example: str) -> None:
    async with AsyncExitStack() as stack:
        running = [
            await stack.enter_async_context(Simulator(name, port=port and port + offset, latency=latency))
            for offset, name in enumerate(names)
        ]
        for simulator in running:
            report.console.print(f"{simulator.vendor.name:>12}  {simulator.base_url}")
        if write_config:
            _write(write_config, example, {s.vendor.name: s.url for s in running})
        report.console.print("\nCtrl-C stops them. Make one fail:")
        report.console.print(
            f"""  curl -X POST {running[0].url}/_simulate/fault -d '{{"kind": "status", "status": 503}}'""",
            soft_wrap=True,
        )
        await _interrupted()


def _write(path: Path, example: str, urls: dict[str, str]) -> None:
    missing = [name for name in simulated.vendors(example) if name not in urls]
    if missing:
        report.fail(
            f"the example config also needs {', '.join(missing)}",
            mend="name no vendors to simulate all of them",
        )
    path.write_text(simulated.rewired(example, urls))
    set_keys = " ".join(f"{name}={value}" for name, value in simulated.keys(list(urls)).items())
    report.console.print(f"\nWrote {path}. Run the gateway with it:\n  {set_keys} archgw up {path}", soft_wrap=True)


async def _interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    await stop.wait()
